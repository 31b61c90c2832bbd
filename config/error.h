/* SPDX-License-Identifier: Apache-2.0 */
/** Messages for people. Any thread; the caller owns the struct, usually on its stack.
 *
 * A function that refuses something fills the error where it knows why and returns -errno; callers pass
 * both on untouched. The text is one sentence that names the object and says what to do:
 * `peer node-b: vtep_mac is missing: encap "vxlan" needs it`.
 */
#ifndef CONFIG_ERROR_H
#define CONFIG_ERROR_H

struct error {
	char text[320]; /* one sentence, no newline */
	char path
		[128]; /* of the offending field, "peers/node-b/vtep_mac"; "" when no field is to blame */
	char file[128]; /* configuration file, "" when the input was not a file */
	unsigned line;	/* in file, from 1; 0 when unknown */
};

/** Fill err (NULL is allowed), without file and line, and return -errnum, so that `return error_set(...)` reports and unwinds. */
int error_set(struct error *err, int errnum, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
