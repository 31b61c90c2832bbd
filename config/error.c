/* SPDX-License-Identifier: Apache-2.0 */
#include "config/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, int errnum, const char *path, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -errnum;
	err->file[0] = '\0';
	err->line = 0;
	snprintf(err->path, sizeof(err->path), "%s", path != NULL ? path : "");
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -errnum;
}
