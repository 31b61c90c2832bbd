/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	bool read;
	uintptr_t bias; /* what the loader added to the file's addresses */
	const Elf64_Sym *symbols;
	size_t count;
	const char *strings;
} table;

/** The executable is the first object the loader tells of. */
static int first_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1;
}

static void read_table(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const Elf64_Shdr *sections;
	const Elf64_Ehdr *elf;
	const uint8_t *file;
	struct stat st;

	table.read = true;
	if (fd < 0)
		return;
	file = fstat(fd, &st) == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
				   : MAP_FAILED;
	close(fd);
	if (file == MAP_FAILED)
		return;
	elf = (const Elf64_Ehdr *)file;
	sections = (const Elf64_Shdr *)(file + elf->e_shoff);
	for (unsigned i = 0; i < elf->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		table.symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
		table.count = sections[i].sh_size / sizeof(Elf64_Sym);
		table.strings = (const char *)file + sections[sections[i].sh_link].sh_offset;
	}
	dl_iterate_phdr(first_object, &table.bias);
}

static bool is_function(const Elf64_Sym *s)
{
	return ELF64_ST_TYPE(s->st_info) == STT_FUNC && s->st_shndx != SHN_UNDEF;
}

uintptr_t symbol_address(const char *name)
{
	if (!table.read)
		read_table();
	for (size_t i = 0; i < table.count; i++) {
		if (is_function(&table.symbols[i]) &&
			strcmp(table.strings + table.symbols[i].st_name, name) == 0)
			return table.bias + table.symbols[i].st_value;
	}
	return 0;
}

void symbol_name(uintptr_t address, char *name, size_t size)
{
	const char *file;
	Dl_info info;

	if (!table.read)
		read_table();
	for (size_t i = 0; i < table.count; i++) {
		const Elf64_Sym *s = &table.symbols[i];

		if (is_function(s) && address - table.bias >= s->st_value &&
			address - table.bias < s->st_value + s->st_size) {
			snprintf(name, size, "%s", table.strings + s->st_name);
			return;
		}
	}
	if (dladdr((void *)address, &info) == 0) {
		snprintf(name, size, "?");
		return;
	}
	file = strrchr(info.dli_fname, '/');
	snprintf(name, size, "%s [%s]", info.dli_sname != NULL ? info.dli_sname : "?",
		file != NULL ? file + 1 : info.dli_fname);
}
