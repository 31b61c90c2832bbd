/* SPDX-License-Identifier: Apache-2.0 */
/** Names of the functions of this executable, static ones too, from its own ELF symbol table. Not stripped, that is. */
#ifndef PERF_SYMBOLS_H
#define PERF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/** Address of a function, 0 when there is none of that name. */
uintptr_t symbol_address(const char *name);
/** The function around an address, of this executable or of a library it uses ("memcpy [libc.so.6]"), else "?". */
void symbol_name(uintptr_t address, char *name, size_t size);

#endif
