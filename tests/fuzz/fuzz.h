/* SPDX-License-Identifier: Apache-2.0 */
/** What all fuzz targets share: a check that ends the process with a sentence, a reader of the input, and a digest of
 * results. One thread.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** libFuzzer keeps the input that got here as an artifact. */
#define REQUIRE(condition, ...)                                                           \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__, \
				#condition);                                              \
			fprintf(stderr, __VA_ARGS__);                                     \
			fputc('\n', stderr);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** The rest of an input; reading past its end gives zeros. Numbers are little endian. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t input_u8(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static inline uint16_t input_u16(struct input *in)
{
	const uint16_t low = input_u8(in);

	return (uint16_t)(low | input_u8(in) << 8);
}

static inline uint32_t input_u32(struct input *in)
{
	const uint32_t low = input_u16(in);

	return low | (uint32_t)input_u16(in) << 16;
}

/** Copy up to len bytes. @return how many there were; the others become zero. */
static inline size_t input_bytes(struct input *in, void *to, size_t len)
{
	const size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
	return n;
}

/** FNV-1a, over everything a run has to say. */
static inline void digest_bytes(uint64_t *digest, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		*digest = (*digest ^ b[i]) * UINT64_C(0x100000001b3);
}

#endif
