/* SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ip_addr_parse(const char *text, struct ip_addr *addr)
{
	struct ip_addr parsed = { 0 };

	parsed.family = strchr(text, ':') != NULL ? IP_V6 : IP_V4;
	if (inet_pton(parsed.family == IP_V6 ? AF_INET6 : AF_INET, text, parsed.bytes) != 1)
		return -EINVAL;
	*addr = parsed;
	return 0;
}

int ip_prefix_parse(const char *text, struct ip_prefix *prefix)
{
	char host[IP_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct ip_prefix parsed = { 0 };
	unsigned bits = 0;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (ip_addr_parse(host, &parsed.addr) < 0)
		return -EINVAL;
	if (slash == NULL) {
		parsed.len = (uint8_t)ip_family_bits(parsed.addr.family);
		*prefix = parsed;
		return 0;
	}
	if (slash[1] == '\0' || strlen(slash + 1) > 3)
		return -EINVAL;
	for (const char *p = slash + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned)(*p - '0');
	}
	if (bits > ip_family_bits(parsed.addr.family))
		return -EINVAL;
	parsed.len = (uint8_t)bits;
	*prefix = parsed;
	return 0;
}

int mac_addr_parse(const char *text, struct mac_addr *mac)
{
	unsigned b[6];
	int used = 0;

	if (strlen(text) != 17 ||
		sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
			&used) != 6 ||
		used != 17)
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac->bytes[i] = (uint8_t)b[i];
	return 0;
}

/* Written by hand: the C library formats through printf, which a million routes notice. */

static char *put_decimal(char *at, unsigned value)
{
	if (value >= 100)
		*at++ = (char)('0' + value / 100);
	if (value >= 10)
		*at++ = (char)('0' + value / 10 % 10);
	*at++ = (char)('0' + value % 10);
	return at;
}

static char *put_v4(char *at, const uint8_t *bytes)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = put_decimal(at, bytes[i]);
	}
	return at;
}

static char *put_group(char *at, unsigned value)
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned shift = 12; shift > 0; shift -= 4) {
		if (value >> shift != 0)
			*at++ = digits[value >> shift & 15];
	}
	*at++ = digits[value & 15];
	return at;
}

/* RFC 5952: the longest run of two or more zero groups, the first of equals, becomes "::"; an IPv4 address within an
 * IPv6 one (RFC 4291 section 2.5.5) stays dotted. */
static char *put_v6(char *at, const uint8_t *bytes)
{
	unsigned groups[8], run = 0, best = 8, best_len = 1;

	for (unsigned i = 0; i < 8; i++) {
		groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
		run = groups[i] == 0 ? run + 1 : 0;
		if (run > best_len) {
			best_len = run;
			best = i + 1 - run;
		}
	}
	for (unsigned i = 0; i < 8; i++) {
		if (i == best) {
			*at++ = ':';
			i += best_len - 1;
			if (i == 7)
				*at++ = ':';
			continue;
		}
		if (i > 0)
			*at++ = ':';
		if (i == 6 && best == 0 &&
			(best_len == 6 || (best_len == 5 && groups[5] == 0xffff)))
			return put_v4(at, bytes + 12);
		at = put_group(at, groups[i]);
	}
	return at;
}

static char *put_address(char *at, const struct ip_addr *addr)
{
	if (addr->family == IP_NONE)
		return (char *)memcpy(at, "none", sizeof("none")) + strlen("none");
	return addr->family == IP_V4 ? put_v4(at, addr->bytes) : put_v6(at, addr->bytes);
}

const char *ip_addr_format(const struct ip_addr *addr, char *buf)
{
	*put_address(buf, addr) = '\0';
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf)
{
	char *at = put_address(buf, &prefix->addr);

	*at++ = '/';
	*put_decimal(at, prefix->len) = '\0';
	return buf;
}

const char *mac_addr_format(const struct mac_addr *mac, char *buf)
{
	const uint8_t *b = mac->bytes;

	snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
		b[5]);
	return buf;
}

bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

bool ip_addr_is_multicast(const struct ip_addr *addr)
{
	if (addr->family == IP_V4)
		return addr->bytes[0] >= 224 && addr->bytes[0] <= 239;
	return addr->family == IP_V6 && addr->bytes[0] == 0xff;
}

bool ip_addr_is_link_local(const struct ip_addr *addr)
{
	if (addr->family == IP_V4)
		return addr->bytes[0] == 169 && addr->bytes[1] == 254;
	return addr->family == IP_V6 && addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

bool mac_addr_is_zero(const struct mac_addr *mac)
{
	static const struct mac_addr zero;

	return memcmp(mac, &zero, sizeof(zero)) == 0;
}

bool mac_addr_is_unicast(const struct mac_addr *mac)
{
	return (mac->bytes[0] & 1) == 0 && !mac_addr_is_zero(mac);
}

unsigned ip_family_bits(uint8_t family)
{
	return family == IP_V4 ? 32 : 128;
}

struct ip_prefix ip_prefix_canonical(const struct ip_prefix *prefix)
{
	struct ip_prefix out = *prefix;
	unsigned full = prefix->len / 8;

	if (full < sizeof(out.addr.bytes)) {
		out.addr.bytes[full] &= (uint8_t)(0xff00u >> (prefix->len % 8));
		memset(out.addr.bytes + full + 1, 0, sizeof(out.addr.bytes) - full - 1);
	}
	return out;
}

bool ip_prefix_is_canonical(const struct ip_prefix *prefix)
{
	struct ip_prefix canonical = ip_prefix_canonical(prefix);

	return ip_addr_equal(&canonical.addr, &prefix->addr);
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	const unsigned whole = prefix->len / 8, rest = prefix->len % 8;

	return addr->family == prefix->addr.family &&
	       memcmp(addr->bytes, prefix->addr.bytes, whole) == 0 &&
	       (rest == 0 || ((addr->bytes[whole] ^ prefix->addr.bytes[whole]) &
				     (0xff00u >> rest & 0xff)) == 0);
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len <= b->len ? ip_prefix_contains(a, &b->addr) : ip_prefix_contains(b, &a->addr);
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}
