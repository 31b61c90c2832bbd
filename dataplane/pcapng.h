/* SPDX-License-Identifier: Apache-2.0 */
/** Blocks of a pcapng file (draft-ietf-opsawg-pcapng): section header, one Ethernet interface, enhanced packets. One,
 * because libpcap reads no file with two link types. libpcap reads pcapng but does not write it. Pure functions: each writes one block to buf and returns its
 * length, 0 when it does not fit. Native byte order, as the format allows.
 */
#ifndef DATAPLANE_PCAPNG_H
#define DATAPLANE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

/** Section header and interface block, nanosecond time stamps. */
size_t pcapng_header(uint8_t *buf, size_t size);
/** One Ethernet frame: `captured` bytes of `length`, time in nanoseconds since 1970, a comment for people. */
size_t pcapng_packet(uint8_t *buf, size_t size, uint64_t time_ns, const uint8_t *bytes,
	uint32_t captured, uint32_t length, const char *comment);

#endif
