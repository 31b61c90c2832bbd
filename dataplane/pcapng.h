/* SPDX-License-Identifier: Apache-2.0 */
/** Blocks of a pcapng file (draft-ietf-opsawg-pcapng): section header, one Ethernet and one raw-IP interface, enhanced
 * packets. libpcap reads pcapng but does not write it. Pure functions: each writes one block to buf and returns its
 * length, 0 when it does not fit. Native byte order, as the format allows.
 */
#ifndef DATAPLANE_PCAPNG_H
#define DATAPLANE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

enum pcapng_interface { PCAPNG_ETHERNET = 0, PCAPNG_RAW_IP = 1 };

/** Section header and the two interface blocks, nanosecond time stamps. */
size_t pcapng_header(uint8_t *buf, size_t size);
/** One packet: `captured` bytes of `length`, time in nanoseconds since 1970, a comment for people. */
size_t pcapng_packet(uint8_t *buf, size_t size, enum pcapng_interface interface, uint64_t time_ns, const uint8_t *bytes,
	uint32_t captured, uint32_t length, const char *comment);

#endif
