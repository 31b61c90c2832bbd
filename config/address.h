/* SPDX-License-Identifier: Apache-2.0 */
/** IP addresses, prefixes and MAC addresses as values, and their text forms. Pure functions, any thread.
 * Bytes are in network order throughout. IPv4 text is dotted quad, IPv6 text is RFC 4291 in and RFC 5952 out.
 */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

/* All bytes past an IPv4 address are zero, so that memcmp of the whole struct compares addresses. */
struct ip_addr {
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
	uint8_t family;	   /* enum ip_family; IP_NONE means absent */
};

struct ip_prefix {
	struct ip_addr addr;
	uint8_t len; /* 0..32 or 0..128 */
};

struct mac_addr {
	uint8_t bytes[6];
};

#define IP_TEXT_MAX	46 /* INET6_ADDRSTRLEN */
#define PREFIX_TEXT_MAX (IP_TEXT_MAX + 4)
#define MAC_TEXT_MAX	18

/** @return 0, or -EINVAL when text is not exactly one address. No name look-ups. */
int ip_addr_parse(const char *text, struct ip_addr *addr);
/** "a/len", or a bare address, which gets the full length. Host bits are kept: use ip_prefix_is_canonical. */
int ip_prefix_parse(const char *text, struct ip_prefix *prefix);
/** Six colon-separated hex bytes. @return 0 or -EINVAL. */
int mac_addr_parse(const char *text, struct mac_addr *mac);

/** Write text into buf (at least IP_TEXT_MAX, PREFIX_TEXT_MAX, MAC_TEXT_MAX bytes). @return buf. */
const char *ip_addr_format(const struct ip_addr *addr, char *buf);
const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf);
const char *mac_addr_format(const struct mac_addr *mac, char *buf);

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_addr_is_multicast(const struct ip_addr *addr);
bool ip_addr_is_link_local(const struct ip_addr *addr); /* 169.254/16, fe80::/10 */
bool mac_addr_is_zero(const struct mac_addr *mac);
bool mac_addr_is_unicast(const struct mac_addr *mac); /* and not zero */

/** 32 or 128. */
unsigned ip_family_bits(uint8_t family);
/** True when no bit past the length is set. */
bool ip_prefix_is_canonical(const struct ip_prefix *prefix);
/** The same prefix with host bits cleared. */
struct ip_prefix ip_prefix_canonical(const struct ip_prefix *prefix);
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr);
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);

#endif
