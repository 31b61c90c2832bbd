/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/path_mtu.h"

#include "dataplane/packet.h"

#include <netinet/in.h>
#include <string.h>

#define ICMP_HEADER 8u

/* RFC 1191, table 7-1. */
static uint16_t plateau_below(uint16_t size)
{
	static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296 };

	for (size_t i = 0; i < RTE_DIM(plateaus); i++) {
		if (plateaus[i] < size)
			return plateaus[i];
	}
	return 68;
}

/** Bytes of m from off, also across segments. NULL when they are not there. */
static const void *bytes(const struct rte_mbuf *m, uint32_t off, uint32_t len, void *buf)
{
	return rte_pktmbuf_read(m, off, len, buf);
}

static void set_udp_port(const struct rte_mbuf *m, uint32_t off, struct path_mtu *out)
{
	uint16_t buf[2];
	const uint16_t *ports = bytes(m, off, sizeof(buf), buf);

	out->port = out->proto == IPPROTO_UDP && ports != NULL ? rte_be_to_cpu_16(ports[1]) : 0;
}

static bool parse4(const struct rte_mbuf *m, struct path_mtu *out)
{
	struct rte_ipv4_hdr outer_buf, inner_buf;
	const struct rte_ipv4_hdr *outer = bytes(m, 0, sizeof(*outer), &outer_buf), *inner;
	uint32_t off, len;
	uint8_t icmp_buf[ICMP_HEADER];
	const uint8_t *icmp;

	if (outer == NULL || outer->next_proto_id != IPPROTO_ICMP)
		return false;
	off = rte_ipv4_hdr_len(outer);
	len = rte_be_to_cpu_16(outer->total_length);
	icmp = bytes(m, off, ICMP_HEADER, icmp_buf);
	if (icmp == NULL || len < off + ICMP_HEADER + sizeof(*inner) ||
		len > rte_pktmbuf_pkt_len(m) || icmp[0] != 3 || icmp[1] != 4 ||
		pkt_checksum(m, off, len - off, 0) != 0xffff)
		return false;
	inner = bytes(m, off + ICMP_HEADER, sizeof(*inner), &inner_buf);
	if (inner == NULL || inner->version_ihl >> 4 != 4 ||
		rte_ipv4_hdr_len(inner) < sizeof(*inner))
		return false;
	out->local.family = out->remote.family = IP_V4;
	memcpy(out->local.bytes, &inner->src_addr, 4);
	memcpy(out->remote.bytes, &inner->dst_addr, 4);
	out->proto = inner->next_proto_id;
	out->mtu = (uint16_t)(icmp[6] << 8 | icmp[7]);
	if (out->mtu == 0)
		out->mtu = plateau_below(rte_be_to_cpu_16(inner->total_length));
	set_udp_port(m, off + ICMP_HEADER + rte_ipv4_hdr_len(inner), out);
	return true;
}

static bool parse6(const struct rte_mbuf *m, struct path_mtu *out)
{
	struct rte_ipv6_hdr outer_buf, inner_buf;
	const struct rte_ipv6_hdr *outer = bytes(m, 0, sizeof(*outer), &outer_buf), *inner;
	const uint32_t off = sizeof(*outer);
	uint8_t icmp_buf[ICMP_HEADER];
	const uint8_t *icmp;
	uint32_t len, mtu;

	if (outer == NULL || outer->proto != IPPROTO_ICMPV6)
		return false;
	len = rte_be_to_cpu_16(outer->payload_len);
	icmp = bytes(m, off, ICMP_HEADER, icmp_buf);
	if (icmp == NULL || len < ICMP_HEADER + sizeof(*inner) ||
		off + len > rte_pktmbuf_pkt_len(m) || icmp[0] != 2 || icmp[1] != 0 ||
		pkt_checksum(m, off, len, rte_ipv6_phdr_cksum(outer, 0)) != 0xffff)
		return false;
	inner = bytes(m, off + ICMP_HEADER, sizeof(*inner), &inner_buf);
	if (inner == NULL || *(const uint8_t *)inner >> 4 != 6)
		return false;
	out->local.family = out->remote.family = IP_V6;
	memcpy(out->local.bytes, inner->src_addr, 16);
	memcpy(out->remote.bytes, inner->dst_addr, 16);
	out->proto = inner->proto;
	mtu = (uint32_t)icmp[4] << 24 | (uint32_t)icmp[5] << 16 | (uint32_t)icmp[6] << 8 | icmp[7];
	out->mtu = (uint16_t)RTE_MIN(mtu, (uint32_t)UINT16_MAX);
	set_udp_port(m, off + ICMP_HEADER + sizeof(*inner), out);
	return true;
}

bool path_mtu_parse(const struct rte_mbuf *m, struct path_mtu *out)
{
	uint8_t buf;
	const uint8_t *first = bytes(m, 0, 1, &buf);

	memset(out, 0, sizeof(*out));
	if (first == NULL)
		return false;
	return *first >> 4 == 4 ? parse4(m, out) : *first >> 4 == 6 && parse6(m, out);
}
