/* SPDX-License-Identifier: Apache-2.0 */
/** Frames at random, from a seed: good ones of both families, and the many ways in which they can be a little wrong; and
 * what a plain packet is, said once more and slowly. */
#ifndef TESTS_UNIT_PLAIN_FRAMES_H
#define TESTS_UNIT_PLAIN_FRAMES_H

#include "dataplane/plain.h"

#define PLAIN_ROOM 2048

static const struct mac_addr plain_mac = { { 2, 0x70, 0x6f, 0x64, 0x6c, 1 } };

struct plain_frame {
	uint8_t bytes[PLAIN_ROOM];
	uint32_t len;
};

/** SplitMix64. */
struct dice {
	uint64_t state;
};
static inline uint64_t dice_word(struct dice *d)
{
	uint64_t x = d->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}
/** 0..n-1. */
static inline uint32_t dice(struct dice *d, uint32_t n)
{
	return (uint32_t)((dice_word(d) >> 32) * n >> 32);
}
static inline bool dice_percent(struct dice *d, uint32_t percent)
{
	return dice(d, 100) < percent;
}

static inline void plain_put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}
static inline uint32_t plain_get16(const uint8_t *from)
{
	return (uint32_t)from[0] << 8 | from[1];
}

/** RFC 1071, a word at a time. */
static inline uint32_t plain_slow_sum(const uint8_t *bytes, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}
static inline void plain_fix_sum(uint8_t *ip, uint32_t len)
{
	plain_put16(ip + 10, 0);
	plain_put16(ip + 10, ~plain_slow_sum(ip, len) & 0xffff);
}

/* --- the definition ------------------------------------------------------------------------------------------------- */

static inline bool plain_is_l4(const uint8_t *l4, uint32_t len, uint8_t proto)
{
	if (proto == IPPROTO_UDP)
		return len >= 8 && plain_get16(l4 + 4) >= 8 && plain_get16(l4 + 4) <= len;
	if (proto == IPPROTO_TCP)
		return len >= 20 && l4[12] >> 4 >= 5 && (l4[12] >> 4) * 4u <= len &&
		       (l4[13] & 7) == 0;
	return false;
}

/** `len` bytes of frame behind an Ethernet header of that type. @return bytes of a plain IP packet, 0 for others. */
static inline uint32_t plain_is_ip(const uint8_t *ip, uint32_t len, uint32_t type)
{
	uint32_t n;

	if (type == RTE_ETHER_TYPE_IPV4 && len >= 20) {
		n = plain_get16(ip + 2);
		return ip[0] == 0x45 && n >= 20 && n <= len && plain_slow_sum(ip, 20) == 0xffff &&
				       (plain_get16(ip + 6) & 0x3fff) == 0 && ip[8] >= 2 &&
				       plain_is_l4(ip + 20, n - 20, ip[9])
			       ? n
			       : 0;
	}
	if (type == RTE_ETHER_TYPE_IPV6 && len >= 40) {
		n = 40 + plain_get16(ip + 4);
		return ip[0] >> 4 == 6 && n <= len && ip[7] >= 2 &&
				       plain_is_l4(ip + 40, n - 40, ip[6])
			       ? n
			       : 0;
	}
	return 0;
}

/** A whole frame, for this port. */
static inline uint32_t plain_is_frame(const struct plain_frame *f)
{
	if (f->len < 14 || memcmp(f->bytes, plain_mac.bytes, 6) != 0 || (f->bytes[6] & 1) != 0)
		return 0;
	return plain_is_ip(f->bytes + 14, f->len - 14, plain_get16(f->bytes + 12));
}

/* --- good frames ---------------------------------------------------------------------------------------------------- */

static inline uint32_t plain_make_l4(struct dice *d, uint8_t *l4, uint8_t proto)
{
	const uint32_t payload = dice(d, 80);
	const uint32_t header =
		proto == IPPROTO_TCP ? 20 + 4 * (dice_percent(d, 30) ? dice(d, 11) : 0) : 8;

	for (uint32_t i = 0; i < header + payload; i++)
		l4[i] = (uint8_t)dice_word(d);
	if (proto == IPPROTO_TCP) {
		l4[12] = (uint8_t)(header / 4 << 4 | (l4[12] & 15));
		l4[13] &= (uint8_t)~7; /* SYN, FIN, RST */
	} else if (proto == IPPROTO_UDP) {
		plain_put16(l4 + 4, header + payload);
	}
	return header + payload;
}

/** A good packet at `ip`. @return its bytes. */
static inline uint32_t plain_make_ip(struct dice *d, uint8_t *ip, bool v6)
{
	static const uint8_t others[] = { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_ESP,
		IPPROTO_GRE, IPPROTO_IPIP };
	const uint32_t kind = dice(d, 20), l3 = v6 ? 40 : 20;
	const uint8_t proto = kind < 10	  ? IPPROTO_UDP
			      : kind < 19 ? IPPROTO_TCP
					  : others[dice(d, RTE_DIM(others))];
	const uint32_t len = plain_make_l4(d, ip + l3, proto);

	for (uint32_t i = 0; i < l3; i++)
		ip[i] = (uint8_t)dice_word(d);
	if (v6) {
		ip[0] = (uint8_t)(0x60 | (ip[0] & 15));
		plain_put16(ip + 4, len);
		ip[6] = proto;
		ip[7] = (uint8_t)(2 + dice(d, 254));
		ip[8] = ip[24] = 0xfd;
	} else {
		ip[0] = 0x45;
		plain_put16(ip + 2, l3 + len);
		plain_put16(ip + 6, dice_percent(d, 50) ? 0x4000 : 0);
		ip[8] = (uint8_t)(2 + dice(d, 254));
		ip[9] = proto;
		ip[12] = ip[16] = 10;
		plain_fix_sum(ip, 20);
	}
	return l3 + len;
}

static inline void plain_make(struct dice *d, struct plain_frame *f, bool v6)
{
	memcpy(f->bytes, plain_mac.bytes, 6);
	for (unsigned i = 6; i < 12; i++)
		f->bytes[i] = (uint8_t)dice_word(d);
	f->bytes[6] &= 0xfe;
	plain_put16(f->bytes + 12, v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	f->len = 14 + plain_make_ip(d, f->bytes + 14, v6);
	while (dice_percent(d, 20) && f->len < 200) /* padding */
		f->bytes[f->len++] = (uint8_t)dice_word(d);
}

/* --- wrong ones ----------------------------------------------------------------------------------------------------- */

static inline void plain_odd_address(struct dice *d, uint8_t *ip, bool v6)
{
	static const uint8_t odd4[][4] = { { 0 }, { 0, 1, 2, 3 }, { 127, 0, 0, 1 },
		{ 127, 9, 9, 9 }, { 224, 0, 0, 1 }, { 239, 1, 2, 3 }, { 240, 0, 0, 1 },
		{ 255, 255, 255, 255 }, { 169, 254, 1, 1 }, { 223, 255, 255, 255 }, { 1 } };
	static const uint8_t odd6[][16] = { { 0 }, { [15] = 1 },
		{ [10] = 0xff, [11] = 0xff, [12] = 10 }, { 0xff, 2, [15] = 1 },
		{ 0xfe, 0x80, [15] = 1 }, { 0xff, 0xff }, { [15] = 2 }, { 0, 0x64, 0xff, 0x9b } };
	const bool dst = dice_percent(d, 50);

	if (v6)
		memcpy(ip + (dst ? 24 : 8), odd6[dice(d, RTE_DIM(odd6))], 16);
	else
		memcpy(ip + (dst ? 16 : 12), odd4[dice(d, RTE_DIM(odd4))], 4);
}

/** A value near a good one, or far from any. */
static inline uint32_t plain_off(struct dice *d, uint32_t good)
{
	static const uint32_t far[] = { 0, 1, 7, 8, 19, 20, 27, 28, 39, 40, 48, 59, 60, 0x7fff,
		0x8000, 0xfff8, 0xffff };

	switch (dice(d, 4)) {
	case 0:
		return good + 1;
	case 1:
		return good - 1;
	case 2:
		return far[dice(d, RTE_DIM(far))];
	default:
		return (uint32_t)dice_word(d) & 0xffff;
	}
}

/** One thing about an IP packet is another. The IPv4 checksum is mended afterwards, or not. */
static inline void plain_spoil_ip(struct dice *d, uint8_t *ip, bool v6)
{
	static const uint8_t protos[] = { 0, 1, 6, 17, 43, 44, 47, 50, 51, 58, 60, 132, 4, 41 };
	const uint32_t kind = dice(d, 13);
	uint8_t *l4 = ip + (v6 ? 40 : 20);

	switch (kind) {
	case 0:
		ip[dice(d, 60)] ^= (uint8_t)(1u << dice(d, 8));
		break;
	case 1:
		ip[dice(d, 60)] = (uint8_t)dice_word(d);
		break;
	case 2: /* version, header length */
		ip[0] = (uint8_t)dice_word(d);
		break;
	case 3:
		plain_put16(ip + (v6 ? 4 : 2), plain_off(d, plain_get16(ip + (v6 ? 4 : 2))));
		break;
	case 4: /* fragments: each bit, and all of them */
		if (!v6)
			plain_put16(ip + 6,
				dice_percent(d, 70) ? 1u << dice(d, 16) : (uint32_t)dice_word(d));
		break;
	case 5:
		ip[v6 ? 7 : 8] = (uint8_t)dice(d, 4);
		break;
	case 6:
		ip[v6 ? 6 : 9] = protos[dice(d, RTE_DIM(protos))];
		break;
	case 7:
		plain_odd_address(d, ip, v6);
		break;
	case 8:
		plain_put16(l4 + 4, plain_off(d, plain_get16(l4 + 4)));
		break;
	case 9:
		l4[12] = (uint8_t)(dice_word(d) & 0xf0);
		break;
	case 10:
		l4[13] ^= (uint8_t)(1u << dice(d, 8));
		break;
	case 11: /* checksums: off by a little, or both zeros */
		if (!v6)
			plain_put16(ip + 10, dice_percent(d, 50)
						     ? plain_get16(ip + 10) + dice(d, 5) - 2
						     : dice(d, 2) * 0xffff);
		return;
	default:
		for (unsigned i = 0; i < 40; i++)
			ip[i] = (uint8_t)dice_word(d);
		ip[0] = v6 ? 0x60 : 0x45;
		break;
	}
	if (!v6 && dice_percent(d, 75))
		plain_fix_sum(ip, 20);
}

static inline void plain_spoil(struct dice *d, struct plain_frame *f, bool v6)
{
	uint8_t *b = f->bytes;

	switch (dice(d, 16)) {
	case 0:
		f->len = dice(d, f->len + 1);
		break;
	case 1:
		f->len -= 1 + dice(d, 2);
		break;
	case 2: /* VLAN */
		memmove(b + 16, b + 12, f->len - 12);
		plain_put16(
			b + 12, dice_percent(d, 50) ? RTE_ETHER_TYPE_VLAN : RTE_ETHER_TYPE_QINQ);
		plain_put16(b + 14, (uint32_t)dice_word(d));
		f->len += 4;
		break;
	case 3:
		b[6] |= 1;
		break;
	case 4:
		b[dice(d, 6)] ^= (uint8_t)(1u << dice(d, 8));
		break;
	case 5:
		plain_put16(b + 12, (uint32_t)dice_word(d));
		break;
	case 6: /* the other family's */
		plain_put16(b + 12, v6 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
		break;
	default:
		plain_spoil_ip(d, b + 14, v6);
	}
}

/** One of everything: as many good ones as wrong ones, some of them wrong twice. */
static inline void plain_any(struct dice *d, struct plain_frame *f)
{
	const bool v6 = dice_percent(d, 40);

	plain_make(d, f, v6);
	for (unsigned more = dice_percent(d, 60); more != 0 && f->len > 80;
		more = dice_percent(d, 15))
		plain_spoil(d, f, v6);
}

#endif
