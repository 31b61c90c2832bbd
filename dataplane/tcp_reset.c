/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tcp_reset.h"

#include <netinet/in.h>
#include <string.h>

#define RESET_TTL 64

static void *ip4_header(struct rte_mbuf *m, const struct rte_ipv4_hdr *seen, bool back)
{
	const uint16_t len = sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_tcp_hdr);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, len);

	if (ip == NULL)
		return NULL;
	*ip = (struct rte_ipv4_hdr){ .version_ihl = RTE_IPV4_VHL_DEF,
		.total_length = rte_cpu_to_be_16(len),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = RESET_TTL,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = back ? seen->dst_addr : seen->src_addr,
		.dst_addr = back ? seen->src_addr : seen->dst_addr };
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	return ip + 1;
}

static void *ip6_header(struct rte_mbuf *m, const struct rte_ipv6_hdr *seen, bool back)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)rte_pktmbuf_append(
		m, sizeof(*ip) + sizeof(struct rte_tcp_hdr));

	if (ip == NULL)
		return NULL;
	*ip = (struct rte_ipv6_hdr){ .vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16(sizeof(struct rte_tcp_hdr)),
		.proto = IPPROTO_TCP,
		.hop_limits = RESET_TTL };
	memcpy(ip->src_addr, back ? seen->dst_addr : seen->src_addr, sizeof(ip->src_addr));
	memcpy(ip->dst_addr, back ? seen->src_addr : seen->dst_addr, sizeof(ip->dst_addr));
	return ip + 1;
}

/** Sequence numbers a segment takes: its bytes, and one each for SYN and FIN. */
static uint32_t sequence_length(const struct pkt *p, const struct rte_tcp_hdr *tcp)
{
	const uint32_t headers = p->l3_len + (uint32_t)(tcp->data_off >> 4) * 4;

	return (p->ip_len > headers ? p->ip_len - headers : 0) +
	       ((tcp->tcp_flags & RTE_TCP_SYN_FLAG) != 0) +
	       ((tcp->tcp_flags & RTE_TCP_FIN_FLAG) != 0);
}

struct rte_mbuf *tcp_reset_make(
	struct rte_mempool *pool, const struct rte_mbuf *m, const struct pkt *p, bool back)
{
	const bool v6 = p->flags & PKT_V6;
	const struct rte_tcp_hdr *seen = pkt_hdr(m, p->l2_len + p->l3_len, struct rte_tcp_hdr);
	const void *ip = pkt_hdr(m, p->l2_len, struct rte_ipv4_hdr);
	struct rte_mbuf *reset;
	struct rte_tcp_hdr *tcp;

	if (seen == NULL || ip == NULL || (p->flags & PKT_FRAGMENT_LATER) ||
		(seen->tcp_flags & RTE_TCP_RST_FLAG))
		return NULL;
	/* Without ACK nothing says what R would send next. */
	if (back && !(seen->tcp_flags & RTE_TCP_ACK_FLAG))
		return NULL;
	reset = rte_pktmbuf_alloc(pool);
	if (reset == NULL)
		return NULL;
	tcp = v6 ? ip6_header(reset, ip, back) : ip4_header(reset, ip, back);
	if (tcp == NULL) {
		rte_pktmbuf_free(reset);
		return NULL;
	}
	*tcp = (struct rte_tcp_hdr){ .src_port = back ? seen->dst_port : seen->src_port,
		.dst_port = back ? seen->src_port : seen->dst_port,
		.sent_seq = back ? seen->recv_ack : seen->sent_seq,
		.recv_ack = back ? rte_cpu_to_be_32(rte_be_to_cpu_32(seen->sent_seq) +
						    sequence_length(p, seen))
				 : seen->recv_ack,
		.data_off = sizeof(*tcp) / 4 << 4,
		.tcp_flags = RTE_TCP_RST_FLAG |
			     (back ? RTE_TCP_ACK_FLAG : seen->tcp_flags & RTE_TCP_ACK_FLAG) };
	tcp->cksum =
		v6 ? rte_ipv6_udptcp_cksum(
			     (const struct rte_ipv6_hdr *)rte_pktmbuf_mtod(reset, void *), tcp)
		   : rte_ipv4_udptcp_cksum(
			     (const struct rte_ipv4_hdr *)rte_pktmbuf_mtod(reset, void *), tcp);
	return reset;
}
