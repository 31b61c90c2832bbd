/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/burst.h"

#include <errno.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern const struct burst_stages burst_portable;
#if defined(__x86_64__)
extern const struct burst_stages burst_avx2, burst_avx512;
#endif

const struct burst_stages *const burst_variants[] = {
	&burst_portable,
#if defined(__x86_64__)
	&burst_avx2,
	&burst_avx512,
#endif
	NULL,
};

static const struct burst_stages *selected = &burst_portable;

#if defined(__x86_64__)
/** Older compilers do not know the name of this one. */
static bool has_vaes(void)
{
	unsigned a, b, c = 0, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & 1u << 9) != 0;
}
#endif

static bool supported(const struct burst_stages *variant)
{
#if defined(__x86_64__)
	/* x86-64-v3, and -v4 with vectors of AES, as meson.build compiles them. */
	const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
			__builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");

	if (variant == &burst_avx2)
		return v3;
	if (variant == &burst_avx512)
		return v3 && __builtin_cpu_supports("avx512f") &&
		       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
		       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		       __builtin_cpu_supports("aes") && has_vaes();
#endif
	return variant == &burst_portable;
}

int burst_select(const char *name)
{
	int ret = -ENOENT;

	for (unsigned i = 0; burst_variants[i] != NULL; i++) {
		if (name != NULL && strcmp(burst_variants[i]->name, name) != 0)
			continue;
		if (supported(burst_variants[i])) {
			selected = burst_variants[i];
			ret = 0;
		} else if (name != NULL) {
			ret = -ENOTSUP;
		}
	}
	return ret;
}

const struct burst_stages *burst_selected(void)
{
	return selected;
}
