/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_frame.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#define VXLAN_HEADER 8u
#define TTL	     64

static uint32_t ip_header_len(uint8_t family)
{
	return family == IP_V6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
}

static uint32_t overhead(const struct wire_keys *k)
{
	switch (k->encap) {
	case WIRE_VXLAN:
		return ip_header_len(k->outer_src.family) + (uint32_t)sizeof(struct rte_udp_hdr) +
		       VXLAN_HEADER + RTE_ETHER_HDR_LEN;
	case WIRE_IPIP:
		return ip_header_len(k->outer_src.family);
	case WIRE_PLAIN:
		break;
	}
	return 0;
}

uint32_t wire_frame_length(const struct wire_keys *keys, uint32_t size)
{
	return (size == WIRE_SIZE_IMIX ? 1518 : size) - WIRE_FCS + overhead(keys);
}

static uint8_t *put_ether(
	uint8_t *at, const struct mac_addr *dst, const struct mac_addr *src, uint16_t type)
{
	memcpy(at, dst->bytes, 6);
	memcpy(at + 6, src->bytes, 6);
	at[12] = (uint8_t)(type >> 8);
	at[13] = (uint8_t)type;
	return at + RTE_ETHER_HDR_LEN;
}

/** An IP header before `payload` bytes of `proto`. */
static uint8_t *put_ip(uint8_t *at, const struct ip_addr *src, const struct ip_addr *dst,
	uint8_t proto, uint32_t payload)
{
	if (src->family == IP_V6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

		*ip = (struct rte_ipv6_hdr){ .vtc_flow = rte_cpu_to_be_32(6u << 28),
			.payload_len = rte_cpu_to_be_16((uint16_t)payload),
			.proto = proto,
			.hop_limits = TTL };
		memcpy(ip->src_addr, src->bytes, 16);
		memcpy(ip->dst_addr, dst->bytes, 16);
		return at + sizeof(*ip);
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

		*ip = (struct rte_ipv4_hdr){ .version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + payload)),
			.time_to_live = TTL,
			.next_proto_id = proto };
		memcpy(&ip->src_addr, src->bytes, 4);
		memcpy(&ip->dst_addr, dst->bytes, 4);
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		return at + sizeof(*ip);
	}
}

static uint8_t *put_udp(uint8_t *at, uint16_t source, uint16_t dest, uint32_t length)
{
	*(struct rte_udp_hdr *)at = (struct rte_udp_hdr){ .src_port = rte_cpu_to_be_16(source),
		.dst_port = rte_cpu_to_be_16(dest),
		.dgram_len = rte_cpu_to_be_16((uint16_t)length) };
	return at + sizeof(struct rte_udp_hdr);
}

static uint16_t ether_type(uint8_t family)
{
	return family == IP_V6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4;
}

/** Outer headers, up to the inner IP header. `inner`: bytes of the inner IP packet. */
static uint8_t *put_outer(struct wire_frame *f, const struct wire_keys *k, uint32_t inner)
{
	uint8_t family = k->encap == WIRE_PLAIN ? k->src.family : k->outer_src.family;
	uint8_t *at = put_ether(f->head, &k->dst_mac, &k->src_mac, ether_type(family));

	if (k->encap == WIRE_IPIP) {
		at = put_ip(at, &k->outer_src, &k->outer_dst,
			k->src.family == IP_V6 ? IPPROTO_IPV6 : IPPROTO_IPIP, inner);
	} else if (k->encap == WIRE_VXLAN) {
		uint32_t udp = (uint32_t)sizeof(struct rte_udp_hdr) + VXLAN_HEADER +
			       RTE_ETHER_HDR_LEN + inner;
		const uint8_t header[VXLAN_HEADER] = { 0x08, 0, 0, 0, (uint8_t)(k->vni >> 16),
			(uint8_t)(k->vni >> 8), (uint8_t)k->vni, 0 };

		at = put_ip(at, &k->outer_src, &k->outer_dst, IPPROTO_UDP, udp);
		f->outer_l4 = (uint16_t)(at - f->head);
		at = put_udp(
			at, 0, k->vxlan_port, udp); /* no checksum, over IPv6 as RFC 6935 allows */
		memcpy(at, header, sizeof(header));
		at = put_ether(at + sizeof(header), &k->inner_dst_mac, &k->inner_src_mac,
			ether_type(k->src.family));
	}
	return at;
}

static uint64_t sum_bytes(const uint8_t *bytes, size_t n)
{
	uint64_t sum = 0;
	uint32_t word;

	for (; n >= sizeof(word); n -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum += word;
	}
	return sum; /* all headers summed here are multiples of four bytes */
}

static void sums_prepare(struct wire_frame *f, uint32_t udp_len)
{
	uint8_t *ip = f->head + f->ip, pseudo[8] = { 0, 0, (uint8_t)(udp_len >> 8),
		(uint8_t)udp_len, 0, 0, 0, IPPROTO_UDP };
	uint32_t dst;

	memcpy(&dst, f->head + f->dst_low, sizeof(dst));
	if (f->v6) {
		/* Ports, checksum and, with spread destinations, their last word are added packet by packet. */
		f->udp_sum = sum_bytes(ip + 8, 32) + sum_bytes(pseudo, sizeof(pseudo)) +
			     sum_bytes(f->head + f->l4 + 4, 4);
		if (f->spread)
			f->udp_sum -= dst;
	} else {
		uint64_t sum =
			sum_bytes(ip, 8) + (sum_bytes(ip + 8, 4) & 0xffff) + sum_bytes(ip + 12, 4);

		/* bytes 10 and 11 are the checksum itself: the low half in memory order on little endian */
		if (rte_cpu_to_be_16(1) == 1)
			sum = sum_bytes(ip, 8) + (sum_bytes(ip + 8, 4) & 0xffff0000) +
			      sum_bytes(ip + 12, 4);
		f->ip_sum = wire_sum_fold(sum);
	}
}

int wire_frame_init(struct wire_frame *f, const struct wire_keys *keys, uint32_t size,
	uint32_t flows, struct error *err)
{
	uint32_t inner = size - WIRE_FCS - RTE_ETHER_HDR_LEN,
		 ip_len = ip_header_len(keys->src.family), bits;
	uint32_t least = RTE_ETHER_HDR_LEN + ip_len + (uint32_t)sizeof(struct rte_udp_hdr) +
			 (uint32_t)sizeof(struct wire_tag) + WIRE_FCS;
	uint8_t *at;

	if (size < least)
		return error_set(err, EINVAL, NULL,
			"a frame of %u bytes has no room for the tester's tag of %zu bytes behind "
			"IPv%u and UDP: the least is %u",
			size, sizeof(struct wire_tag), keys->src.family, least);
	memset(f, 0, sizeof(*f));
	f->v6 = keys->src.family == IP_V6;
	at = put_outer(f, keys, inner);
	f->ip = (uint16_t)(at - f->head);
	at = put_ip(at, &keys->src, &keys->dst.addr, IPPROTO_UDP, inner - ip_len);
	f->l4 = (uint16_t)(at - f->head);
	f->dst_low = (uint16_t)(f->l4 - 4);
	at = put_udp(at, WIRE_SOURCE_PORT, WIRE_DEST_PORT, inner - ip_len);
	f->head_len = (uint16_t)(at - f->head);
	f->length = (uint16_t)(f->ip + inner);
	memcpy(&f->dst_base, f->head + f->dst_low, 4);
	f->dst_base = rte_be_to_cpu_32(f->dst_base);
	bits = RTE_MIN(32u, ip_family_bits(keys->dst.addr.family) - keys->dst.len);
	f->dst_mask = bits == 32 ? UINT32_MAX : (1u << bits) - 1;
	f->spread = flows > WIRE_PORT_FLOWS && f->dst_mask != 0;
	if (f->spread && (uint64_t)f->dst_mask + 1 < (flows - 1) / WIRE_PORT_FLOWS + 1)
		return error_set(err, EINVAL, NULL,
			"%u flows need more destinations than dst has: a shorter prefix, or none",
			flows);
	f->odd = (f->length - f->l4) % 2 != 0;
	sums_prepare(f, inner - ip_len);
	return 0;
}

void wire_frame_fill(const struct wire_frame *f, uint8_t *data, uint32_t tag_word)
{
	struct wire_tag tag = { .word = tag_word };

	memcpy(data, f->head, f->head_len);
	memset(data + f->head_len, 0, f->length - f->head_len - sizeof(tag));
	memcpy(data + f->length - sizeof(tag), &tag, sizeof(tag));
	wire_frame_flow(f, data, 0, false, 0, 0);
}
