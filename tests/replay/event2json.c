/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads events as bytes, one behind the other, from standard input; prints each as JSON. Stops at the first that is
 * not sound, with its code on standard error. */
#include "psi_export.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t in[1 << 20];
static char out[PSI_JSON_MAX];

int
main(void)
{
	size_t len = fread(in, 1, sizeof(in), stdin), at = 0;

	while (at < len) {
		const struct psi_event *e = (const void *)((const uint8_t *)in + at);
		int rc = psi_event_check(e, len - at), n;

		if (rc != PSI_OK) {
			fprintf(stderr, "at %zu: %s\n", at, psi_rc_name(rc));
			return 1;
		}
		n = psi_json_event(e, out, sizeof(out));
		if (n < 0 || fwrite(out, 1, (size_t)n, stdout) != (size_t)n) {
			fprintf(stderr, "at %zu: %s\n", at,
				n < 0 ? psi_rc_name(n) : "cannot write");
			return 1;
		}
		at += e->len;
	}
	return 0;
}
