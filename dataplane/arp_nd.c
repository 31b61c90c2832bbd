/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/arp_nd.h"

#include <netinet/in.h>
#include <rte_arp.h>
#include <string.h>

#define ND_HOP_LIMIT   255
#define ND_FLAG_R      0x80u
#define ND_FLAG_S      0x40u
#define ND_FLAG_O      0x20u
#define ND_OPTION_UNIT 8u
#define ND_BYTES_MAX   1500u /* longer messages are nobody's */

enum nd_type { ND_RS = 133, ND_RA = 134, ND_NS = 135, ND_NA = 136, ND_REDIRECT = 137 };
enum nd_option { ND_SOURCE_LLA = 1, ND_TARGET_LLA = 2 };

/** RFC 4861 section 4.3, 4.4. */
struct nd_message {
	uint8_t type, code;
	uint16_t checksum;
	uint8_t flags;
	uint8_t reserved[3];
	uint8_t target[16];
} __attribute__((packed));
struct nd_lla_option {
	uint8_t type, len;
	uint8_t lla[RTE_ETHER_ADDR_LEN];
} __attribute__((packed));

#define ARP_FRAME_LEN (sizeof(struct rte_ether_hdr) + sizeof(struct rte_arp_hdr))
#define ND_FRAME_LEN                                                                              \
	(sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv6_hdr) + sizeof(struct nd_message) + \
		sizeof(struct nd_lla_option))

static const struct mac_addr mac_broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
/* RFC 4291 section 2.7.1: the address ends with three bytes of the target. */
static const uint8_t solicited_node[13] = { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };
static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 0x01 };
static const uint8_t unspecified[16];

/* --- parsing --- */

static bool frame_is_unicast(const struct rte_mbuf *m, const struct pkt *p)
{
	return p->l2_len == sizeof(struct rte_ether_hdr) &&
	       !rte_is_multicast_ether_addr(
		       &rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->dst_addr);
}

static bool ip4_is_host(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

static void ip_set(struct ip_addr *addr, uint8_t family, const void *bytes)
{
	*addr = (struct ip_addr){ .family = family };
	memcpy(addr->bytes, bytes, family == IP_V4 ? 4 : 16);
}

static enum drop_reason arp_parse(
	const struct rte_mbuf *m, const struct pkt *p, struct neighbour_info *info)
{
	const struct rte_arp_hdr *arp = pkt_hdr(m, p->l2_len, const struct rte_arp_hdr);
	const uint8_t *sip, *tip;
	uint16_t op;

	if (arp == NULL || arp->arp_hardware != RTE_BE16(RTE_ARP_HRD_ETHER) ||
		arp->arp_protocol != RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
		arp->arp_hlen != RTE_ETHER_ADDR_LEN || arp->arp_plen != 4)
		return DROP_arp_malformed;
	op = rte_be_to_cpu_16(arp->arp_opcode);
	if (op != RTE_ARP_OP_REQUEST && op != RTE_ARP_OP_REPLY)
		return DROP_arp_ignored;
	sip = (const uint8_t *)&arp->arp_data.arp_sip;
	tip = (const uint8_t *)&arp->arp_data.arp_tip;
	memcpy(info->sender_mac.bytes, &arp->arp_data.arp_sha, sizeof(info->sender_mac));
	if (!mac_addr_is_unicast(&info->sender_mac))
		return DROP_arp_malformed;
	if (arp->arp_data.arp_sip != 0) {
		if (!ip4_is_host(sip))
			return DROP_arp_ignored;
		ip_set(&info->sender, IP_V4, sip);
	}
	if (op == RTE_ARP_OP_REPLY) {
		if (info->sender.family == IP_NONE)
			return DROP_arp_ignored;
		info->kind = NEIGHBOUR_REPLY;
		info->target = info->sender;
		info->override = info->solicited = true;
		return DROP_NONE;
	}
	if (!ip4_is_host(tip))
		return DROP_arp_ignored;
	info->kind = NEIGHBOUR_REQUEST;
	ip_set(&info->target, IP_V4, tip);
	return DROP_NONE;
}

/** RFC 4861 section 4.6: walk the options; the address in the one of kind `want`. */
static bool nd_options_good(const uint8_t *opt, uint32_t len, uint8_t want, struct mac_addr *mac)
{
	while (len > 0) {
		uint32_t n;

		if (len < 2)
			return false;
		n = opt[1] * ND_OPTION_UNIT;
		if (n == 0 || n > len)
			return false;
		if (opt[0] == want) {
			if (n != sizeof(struct nd_lla_option))
				return false;
			memcpy(mac->bytes, opt + 2, sizeof(mac->bytes));
			if (!mac_addr_is_unicast(mac))
				return false;
		}
		opt += n;
		len -= n;
	}
	return true;
}

/** The pseudo header's sum with the address fields of `ip` (RFC 8200 section 8.1). */
static uint32_t icmp6_pseudo_sum(const struct rte_ipv6_hdr *ip, uint32_t len)
{
	return (uint32_t)rte_raw_cksum(ip->src_addr, 32) + rte_cpu_to_be_16((uint16_t)len) +
	       RTE_BE16(IPPROTO_ICMPV6);
}

static enum drop_reason nd_parse(
	const struct rte_mbuf *m, const struct pkt *p, struct neighbour_info *info)
{
	const struct rte_ipv6_hdr *ip = pkt_hdr(m, p->l2_len, const struct rte_ipv6_hdr);
	const uint32_t off = (uint32_t)p->l2_len + p->l3_len, len = (uint32_t)p->ip_len - p->l3_len;
	uint8_t copy[ND_BYTES_MAX];
	const struct nd_message *nd;
	bool probe;

	if (ip == NULL || p->ip_len < p->l3_len || off + len > rte_pktmbuf_pkt_len(m) ||
		len > sizeof(copy) || len < sizeof(struct rte_icmp_hdr))
		return DROP_nd_malformed;
	nd = rte_pktmbuf_read(m, off, len, copy);
	if (p->ttl != ND_HOP_LIMIT || nd->code != 0 ||
		pkt_checksum(m, off, len, icmp6_pseudo_sum(ip, len)) != 0xffff)
		return DROP_nd_malformed;
	if (nd->type != ND_NS && nd->type != ND_NA)
		return DROP_nd_ignored;
	if (len < sizeof(*nd) || nd->target[0] == 0xff ||
		!nd_options_good((const uint8_t *)nd + sizeof(*nd), len - (uint32_t)sizeof(*nd),
			nd->type == ND_NS ? ND_SOURCE_LLA : ND_TARGET_LLA, &info->sender_mac))
		return DROP_nd_malformed;
	ip_set(&info->target, IP_V6, nd->target);
	probe = memcmp(ip->src_addr, unspecified, 16) == 0;
	if (!probe)
		ip_set(&info->sender, IP_V6, ip->src_addr);
	if (nd->type == ND_NS) {
		/* RFC 4861 section 7.1.1: a probe goes to the solicited-node group and names no
		 * address of its sender. */
		if (probe && (memcmp(ip->dst_addr, solicited_node, sizeof(solicited_node)) != 0 ||
				     !mac_addr_is_zero(&info->sender_mac)))
			return DROP_nd_malformed;
		info->kind = NEIGHBOUR_REQUEST;
		return DROP_NONE;
	}
	info->kind = NEIGHBOUR_REPLY;
	info->router = nd->flags & ND_FLAG_R;
	info->solicited = nd->flags & ND_FLAG_S;
	info->override = nd->flags & ND_FLAG_O;
	return probe || (info->solicited && ip->dst_addr[0] == 0xff) ? DROP_nd_malformed
								     : DROP_NONE;
}

enum drop_reason neighbour_parse(
	const struct rte_mbuf *m, const struct pkt *p, bool arp, struct neighbour_info *info)
{
	*info = (struct neighbour_info){ .unicast = frame_is_unicast(m, p) };
	return arp ? arp_parse(m, p, info) : nd_parse(m, p, info);
}

/* --- making --- */

static void ether_write(
	struct rte_ether_hdr *eth, const uint8_t *dst, const struct mac_addr *src, uint16_t type)
{
	memcpy(&eth->dst_addr, dst, sizeof(eth->dst_addr));
	memcpy(&eth->src_addr, src->bytes, sizeof(eth->src_addr));
	eth->ether_type = rte_cpu_to_be_16(type);
}

/** A whole ARP frame. A zero `dst` is everybody. */
static void arp_write(uint8_t *frame, uint16_t op, const struct mac_addr *dst,
	const struct mac_addr *sha, const uint8_t *sip, const struct mac_addr *tha,
	const uint8_t *tip)
{
	struct rte_arp_hdr arp = { .arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER),
		.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = RTE_ETHER_ADDR_LEN,
		.arp_plen = 4,
		.arp_opcode = rte_cpu_to_be_16(op) };

	memcpy(&arp.arp_data.arp_sha, sha->bytes, sizeof(arp.arp_data.arp_sha));
	memcpy(&arp.arp_data.arp_sip, sip, sizeof(arp.arp_data.arp_sip));
	memcpy(&arp.arp_data.arp_tha, tha->bytes, sizeof(arp.arp_data.arp_tha));
	memcpy(&arp.arp_data.arp_tip, tip, sizeof(arp.arp_data.arp_tip));
	ether_write((struct rte_ether_hdr *)frame,
		mac_addr_is_zero(dst) ? mac_broadcast.bytes : dst->bytes, sha, RTE_ETHER_TYPE_ARP);
	memcpy(frame + sizeof(struct rte_ether_hdr), &arp, sizeof(arp));
}

/** What differs between the neighbour discovery frames made here. */
struct nd_frame {
	enum nd_type type;
	uint8_t flags;
	const uint8_t *src, *dst, *target; /* IPv6 */
	const struct mac_addr *dst_mac;	   /* zero: the group's of dst */
	const struct mac_addr *mac;	   /* the sender's */
	bool option;			   /* with the sender's address as link-layer option */
};

/** A whole frame of at most ND_FRAME_LEN bytes. @return its length. */
static uint16_t nd_write(uint8_t *frame, const struct nd_frame *f)
{
	const uint16_t len = (uint16_t)(sizeof(struct nd_message) +
					(f->option ? sizeof(struct nd_lla_option) : 0));
	struct rte_ipv6_hdr ip = { .vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16(len),
		.proto = IPPROTO_ICMPV6,
		.hop_limits = ND_HOP_LIMIT };
	struct nd_message nd = { .type = (uint8_t)f->type, .flags = f->flags };
	struct nd_lla_option option = { .type = f->type == ND_NS ? ND_SOURCE_LLA : ND_TARGET_LLA,
		.len = 1 };
	uint8_t group[RTE_ETHER_ADDR_LEN] = { 0x33, 0x33 }; /* RFC 2464 section 7 */
	uint8_t *body = frame + sizeof(struct rte_ether_hdr) + sizeof(ip);
	uint16_t sum;

	memcpy(group + 2, f->dst + 12, 4);
	memcpy(ip.src_addr, f->src, 16);
	memcpy(ip.dst_addr, f->dst, 16);
	memcpy(nd.target, f->target, 16);
	memcpy(option.lla, f->mac->bytes, sizeof(option.lla));
	ether_write((struct rte_ether_hdr *)frame,
		mac_addr_is_zero(f->dst_mac) ? group : f->dst_mac->bytes, f->mac,
		RTE_ETHER_TYPE_IPV6);
	memcpy(frame + sizeof(struct rte_ether_hdr), &ip, sizeof(ip));
	memcpy(body, &nd, sizeof(nd));
	if (f->option)
		memcpy(body + sizeof(nd), &option, sizeof(option));
	sum = (uint16_t)~__rte_raw_cksum_reduce(
		rte_raw_cksum(body, len) + icmp6_pseudo_sum(&ip, len));
	memcpy(body + offsetof(struct nd_message, checksum), &sum, sizeof(sum));
	return (uint16_t)(sizeof(struct rte_ether_hdr) + sizeof(ip) + len);
}

struct rte_mbuf *neighbour_request_make(struct rte_mempool *pool, const struct ip_addr *target,
	const struct ip_addr *sender, const struct mac_addr *sender_mac,
	const struct mac_addr *target_mac)
{
	static const struct mac_addr nobody;
	const bool probe = sender->family == IP_NONE, to_all = mac_addr_is_zero(target_mac);
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t group[16];
	uint8_t *frame;

	if (m == NULL)
		return NULL;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	m->data_len = ARP_FRAME_LEN;
	if (target->family == IP_V4) {
		arp_write(frame, RTE_ARP_OP_REQUEST, target_mac, sender_mac, sender->bytes, &nobody,
			target->bytes);
	} else {
		memcpy(group, solicited_node, sizeof(solicited_node));
		memcpy(group + sizeof(solicited_node), target->bytes + sizeof(solicited_node), 3);
		m->data_len = nd_write(frame, &(struct nd_frame){ .type = ND_NS,
						      .src = probe ? unspecified : sender->bytes,
						      .dst = to_all ? group : target->bytes,
						      .target = target->bytes,
						      .dst_mac = target_mac,
						      .mac = sender_mac,
						      .option = !probe });
	}
	m->pkt_len = m->data_len;
	return m;
}

struct rte_mbuf *neighbour_reply_make(struct rte_mempool *pool, const struct ip_addr *target,
	const struct mac_addr *target_mac, const struct ip_addr *to, const struct mac_addr *to_mac,
	bool router, bool solicited, bool override)
{
	const bool to_all = to->family == IP_NONE;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *frame;

	if (m == NULL)
		return NULL;
	frame = rte_pktmbuf_mtod(m, uint8_t *);
	m->data_len = ARP_FRAME_LEN;
	if (target->family == IP_V4)
		arp_write(frame, RTE_ARP_OP_REPLY, to_mac, target_mac, target->bytes, to_mac,
			to_all ? target->bytes : to->bytes);
	else
		m->data_len = nd_write(
			frame, &(struct nd_frame){ .type = ND_NA,
				       .flags = (uint8_t)((router ? ND_FLAG_R : 0) |
							  (solicited && !to_all ? ND_FLAG_S : 0) |
							  (override ? ND_FLAG_O : 0)),
				       .src = target->bytes,
				       .dst = to_all ? all_nodes : to->bytes,
				       .target = target->bytes,
				       .dst_mac = to_mac,
				       .mac = target_mac,
				       .option = true });
	m->pkt_len = m->data_len;
	return m;
}

/* --- proxy --- */

enum drop_reason neighbour_proxy_reply(struct rte_mbuf *m, struct pkt *p,
	const struct neighbour_info *info, const struct mac_addr *gateway_mac,
	const struct ip_prefix *own, size_t n)
{
	const bool v6 = info->target.family == IP_V6;
	const enum drop_reason ignored = v6 ? DROP_nd_ignored : DROP_arp_ignored;
	const uint16_t len = v6 ? ND_FRAME_LEN : ARP_FRAME_LEN;
	struct mac_addr asker;

	/* Probes are for an address the pod is about to use, its IPv6 link-local one included,
	 * and an announcement asks nothing: an answer would be a conflict where there is none. */
	if (info->kind != NEIGHBOUR_REQUEST || info->sender.family == IP_NONE ||
		ip_addr_equal(&info->sender, &info->target) ||
		p->l2_len != sizeof(struct rte_ether_hdr))
		return ignored;
	for (size_t i = 0; i < n; i++) {
		if (ip_prefix_contains(&own[i], &info->target))
			return ignored;
	}
	memcpy(asker.bytes, &rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->src_addr,
		sizeof(asker));
	pkt_trim(m, RTE_MIN((uint32_t)len, rte_pktmbuf_data_len(m)));
	if (rte_pktmbuf_data_len(m) < len &&
		rte_pktmbuf_append(m, (uint16_t)(len - rte_pktmbuf_data_len(m))) == NULL)
		return DROP_no_buffer;
	if (v6)
		nd_write(rte_pktmbuf_mtod(m, uint8_t *),
			&(struct nd_frame){ .type = ND_NA,
				.flags = ND_FLAG_R | ND_FLAG_S | ND_FLAG_O,
				.src = info->target.bytes,
				.dst = info->sender.bytes,
				.target = info->target.bytes,
				.dst_mac = &asker,
				.mac = gateway_mac,
				.option = true });
	else
		arp_write(rte_pktmbuf_mtod(m, uint8_t *), RTE_ARP_OP_REPLY, &asker, gateway_mac,
			info->target.bytes, &info->sender_mac, info->sender.bytes);
	m->ol_flags = 0;
	return DROP_NONE;
}
