/* SPDX-License-Identifier: Apache-2.0 */
/** The frame of a CUnit executable: list the cases, get a main. */
#ifndef TESTS_UNIT_SUITE_H
#define TESTS_UNIT_SUITE_H

#include <CUnit/Basic.h>
#include <stdlib.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

static inline int suite_run(const char *name, const struct test_case *cases, size_t count)
{
	unsigned failed;
	CU_pSuite suite;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	suite = CU_add_suite(name, NULL, NULL);
	for (size_t i = 0; i < count; i++) {
		if (suite == NULL || CU_add_test(suite, cases[i].name, cases[i].run) == NULL)
			return EXIT_FAILURE;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (CU_basic_run_tests() != CUE_SUCCESS || CU_get_number_of_tests_run() != count)
		return EXIT_FAILURE;
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define SUITE_MAIN(name, cases)                                                        \
	int main(void)                                                                 \
	{                                                                              \
		return suite_run((name), (cases), sizeof(cases) / sizeof((cases)[0])); \
	}

#endif
