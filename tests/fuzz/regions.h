/* SPDX-License-Identifier: Apache-2.0 */
/** The linker sends mmap (64-bit offsets) and munmap of a memif target here: around a region lies nothing, so that a
 * byte too far is a crash.
 */
#ifndef TESTS_FUZZ_REGIONS_H
#define TESTS_FUZZ_REGIONS_H

#include <rte_common.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

void *__real_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t len);
void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t len);

#define PAGE 4096u

void *__wrap_mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	const size_t whole = RTE_ALIGN_CEIL(len, PAGE);
	uint8_t *at;

	if (addr != NULL) /* memif_guard.c puts zeroes in a region's place */
		return __real_mmap64(addr, len, prot, flags, fd, offset);
	at = __real_mmap64(NULL, whole + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return MAP_FAILED;
	if (__real_mmap64(at + PAGE, len, prot, flags | MAP_FIXED, fd, offset) != MAP_FAILED)
		return at + PAGE;
	__real_munmap(at, whole + 2 * PAGE);
	return MAP_FAILED;
}

int __wrap_munmap(void *addr, size_t len)
{
	return __real_munmap((uint8_t *)addr - PAGE, RTE_ALIGN_CEIL(len, PAGE) + 2 * PAGE);
}

#endif
