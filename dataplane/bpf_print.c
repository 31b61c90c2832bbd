/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/bpf_print.h"

#include "config/log.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

static int on_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char text[256];

	if (level == LIBBPF_DEBUG || log_level_get() < LOG_LEVEL_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	LOG_DEBUG("libbpf says text=\"%s\"", text);
	return 0;
}

static int on_xdp_print(enum libxdp_print_level level, const char *format, va_list args)
{
	return on_print(level == LIBXDP_DEBUG ? LIBBPF_DEBUG : LIBBPF_INFO, format, args);
}

void bpf_print_to_log(void)
{
	libbpf_set_print(on_print);
	libxdp_set_print(on_xdp_print);
}
