/* SPDX-License-Identifier: BSD-3-Clause */
/* The main of every unit test: runs the suites of its file, prints CUnit's own summary, fails when a test failed or
 * when none ran. */
#include "psi_unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>

int
main(void)
{
	unsigned int ran, failed;

	if (CU_initialize_registry() != CUE_SUCCESS ||
		CU_register_suites(psi_unit_suites) != CUE_SUCCESS) {
		fprintf(stderr, "cannot register the tests: %s\n", CU_get_error_msg());
		return 2;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	ran = CU_get_number_of_tests_run();
	failed = CU_get_number_of_failures() + CU_get_number_of_tests_failed() +
		 CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	if (!ran)
		fprintf(stderr, "no test ran\n");
	return !ran || failed;
}
