/* SPDX-License-Identifier: BSD-3-Clause */
/* psi_unit.h: what every unit test needs. A test file defines psi_unit_suites, NULL-terminated; run.c has main. */
#ifndef PSI_UNIT_H
#define PSI_UNIT_H

#include <CUnit/CUnit.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern CU_SuiteInfo psi_unit_suites[];

/* exact: a heap copy of exactly len bytes, so that AddressSanitizer sees any read beyond. Freed by the caller. */
static inline uint8_t *
exact(const void *p, size_t len)
{
	uint8_t *c = malloc(len ? len : 1);

	if (c && len)
		memcpy(c, p, len);
	return c;
}

#endif
