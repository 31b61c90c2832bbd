/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/icmp.h"

#include <netinet/in.h>
#include <string.h>

#define OWN_TTL	       64
#define ERROR_TOS      0xc0  /* internetwork control: RFC 1812 section 4.3.2.5 */
#define ERROR_MAX4     576u  /* RFC 1812 section 4.3.2.3, bytes in all */
#define ERROR_MAX6     1280u /* RFC 4443 section 2.4(c) */
#define ICMP_HEADER    ((uint16_t)sizeof(struct rte_icmp_hdr))
#define ICMP6_REDIRECT 137
#define TCP_OPTION_MSS 2

enum icmp4_type {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO = 8,
	ICMP4_TIME_EXCEEDED = 11
};
enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129
};
/* Codes of "unreachable". */
enum { NET4 = 0, HOST4 = 1, PROTOCOL4 = 2, PORT4 = 3, FRAGMENTATION4 = 4, PROHIBITED4 = 13 };
enum { NO_ROUTE6 = 0, PROHIBITED6 = 1, ADDRESS6 = 3, PORT6 = 4 };

/** Both families' numbers for a reason; type 0 is silence in both. */
struct error_row {
	uint8_t type4, code4, type6, code6;
};

static const struct error_row error_rows[DROP_REASON_COUNT] = {
	[DROP_ttl_expired] = { ICMP4_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0 },
	[DROP_no_route] = { ICMP4_UNREACHABLE, NET4, ICMP6_UNREACHABLE, NO_ROUTE6 },
	[DROP_route_unreachable] = { ICMP4_UNREACHABLE, HOST4, ICMP6_UNREACHABLE, ADDRESS6 },
	[DROP_route_prohibit] = { ICMP4_UNREACHABLE, PROHIBITED4, ICMP6_UNREACHABLE, PROHIBITED6 },
	[DROP_neighbour_unresolved] = { ICMP4_UNREACHABLE, HOST4, ICMP6_UNREACHABLE, ADDRESS6 },
	[DROP_tunnel_no_endpoint] = { ICMP4_UNREACHABLE, HOST4, ICMP6_UNREACHABLE, NO_ROUTE6 },
	[DROP_packet_too_big] = { ICMP4_UNREACHABLE, FRAGMENTATION4, ICMP6_TOO_BIG, 0 },
	[DROP_no_local_listener] = { ICMP4_UNREACHABLE, PORT4, ICMP6_UNREACHABLE, PORT6 },
};

struct icmp_error icmp_error_for(enum drop_reason reason, bool v6)
{
	const struct error_row *row =
		&error_rows[(unsigned)reason < DROP_REASON_COUNT ? reason : DROP_NONE];

	return (struct icmp_error){ .type = v6 ? row->type6 : row->type4,
		.code = v6 ? row->code6 : row->code4 };
}

/* --- errors --- */

/** Only messages that ask or answer something may be answered by an error (RFC 1122 section
 * 3.2.2, RFC 4443 2.4(e)). */
static bool icmp_is_query(uint8_t type, bool v6)
{
	if (v6)
		return type >= ICMP6_ECHO && type != ICMP6_REDIRECT;
	return type == ICMP4_ECHO || type == ICMP4_ECHO_REPLY || (type >= 13 && type <= 18);
}

static bool error_is_due(const struct rte_mbuf *m, const struct pkt *p)
{
	const bool v6 = p->flags & PKT_V6;
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l2_len);
	const uint8_t *src = ip + (v6 ? offsetof(struct rte_ipv6_hdr, src_addr)
				      : offsetof(struct rte_ipv4_hdr, src_addr));
	const uint8_t *dst = src + (v6 ? 16 : 4);
	const uint8_t *type;
	static const uint8_t zero[16];

	if (p->flags & (PKT_GENERATED | PKT_FRAGMENT_LATER))
		return false;
	if (p->l2_len == sizeof(struct rte_ether_hdr) &&
		rte_is_multicast_ether_addr(
			&rte_pktmbuf_mtod(m, const struct rte_ether_hdr *)->dst_addr))
		return false;
	if (v6 ? src[0] == 0xff || dst[0] == 0xff : src[0] >= 224 || dst[0] >= 224)
		return false;
	if (memcmp(src, zero, v6 ? 16 : 4) == 0)
		return false;
	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return true;
	type = pkt_hdr(m, p->l2_len + p->l3_len, const uint8_t);
	return type != NULL && icmp_is_query(*type, v6);
}

/** "Port unreachable" is for protocols that have ports; for others it is the protocol that
 * nobody takes. */
static struct icmp_error error_refine(struct icmp_error error, const struct pkt *p)
{
	const bool v6 = p->flags & PKT_V6;

	if (error.type != (v6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE) ||
		error.code != (v6 ? PORT6 : PORT4))
		return error;
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP)
		return error;
	if (!v6) {
		error.code = PROTOCOL4;
	} else if (!(p->flags & PKT_OPTIONS)) {
		error.type = ICMP6_PARAMETER;
		error.code = 1; /* unrecognized next header */
		error.info = offsetof(struct rte_ipv6_hdr, proto);
	}
	return error;
}

static void quote(uint8_t *to, const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	for (; len > 0; m = m->next) {
		uint32_t n;

		if (off >= rte_pktmbuf_data_len(m)) {
			off -= rte_pktmbuf_data_len(m);
			continue;
		}
		n = RTE_MIN(len, rte_pktmbuf_data_len(m) - off);
		memcpy(to, rte_pktmbuf_mtod_offset(m, const void *, off), n);
		to += n;
		len -= n;
		off = 0;
	}
}

static void error_header4(
	uint8_t *h, const struct icmp_error *error, const uint8_t *to, uint16_t len)
{
	struct rte_ipv4_hdr ip = { .version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = ERROR_TOS,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(ip) + len)),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = OWN_TTL,
		.next_proto_id = IPPROTO_ICMP };

	memcpy(&ip.src_addr, error->source, sizeof(ip.src_addr));
	memcpy(&ip.dst_addr, to, sizeof(ip.dst_addr));
	ip.hdr_checksum = rte_ipv4_cksum(&ip);
	memcpy(h, &ip, sizeof(ip));
}

static uint32_t error_header6(
	uint8_t *h, const struct icmp_error *error, const uint8_t *to, uint16_t len)
{
	struct rte_ipv6_hdr ip = { .vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16(len),
		.proto = IPPROTO_ICMPV6,
		.hop_limits = OWN_TTL };

	memcpy(ip.src_addr, error->source, sizeof(ip.src_addr));
	memcpy(ip.dst_addr, to, sizeof(ip.dst_addr));
	memcpy(h, &ip, sizeof(ip));
	return rte_ipv6_phdr_cksum(&ip, 0);
}

struct rte_mbuf *icmp_error_make(struct rte_mempool *pool, const struct rte_mbuf *m,
	const struct pkt *p, const struct icmp_error *asked)
{
	const bool v6 = p->flags & PKT_V6;
	const uint16_t l3 = v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
	const uint8_t *src;
	struct icmp_error error;
	struct rte_mbuf *e;
	uint32_t quoted, pseudo = 0, info;
	uint16_t sum, len;
	uint8_t *h;

	if (asked->type == 0 || p->l2_len + l3 > rte_pktmbuf_data_len(m) || !error_is_due(m, p))
		return NULL;
	e = rte_pktmbuf_alloc(pool);
	if (e == NULL)
		return NULL;
	error = error_refine(*asked, p);
	quoted = RTE_MIN((v6 ? ERROR_MAX6 : ERROR_MAX4) - l3 - ICMP_HEADER, (uint32_t)p->ip_len);
	quoted = RTE_MIN(quoted, rte_pktmbuf_pkt_len(m) - p->l2_len);
	len = (uint16_t)(ICMP_HEADER + quoted);
	h = (uint8_t *)rte_pktmbuf_append(e, (uint16_t)(l3 + len));
	if (h == NULL) {
		rte_pktmbuf_free(e);
		return NULL;
	}
	src = rte_pktmbuf_mtod_offset(m, const uint8_t *,
		p->l2_len + (v6 ? offsetof(struct rte_ipv6_hdr, src_addr)
				: offsetof(struct rte_ipv4_hdr, src_addr)));
	if (v6)
		pseudo = error_header6(h, &error, src, len);
	else
		error_header4(h, &error, src, len);
	h += l3;
	/* IPv4: 16 unused bits, then the MTU (RFC 1191 section 4). */
	info = rte_cpu_to_be_32(error.info);
	h[0] = error.type;
	h[1] = error.code;
	memset(h + 2, 0, 2);
	memcpy(h + 4, &info, sizeof(info));
	quote(h + ICMP_HEADER, m, p->l2_len, quoted);
	sum = (uint16_t)~__rte_raw_cksum_reduce(rte_raw_cksum(h, len) + pseudo);
	memcpy(h + 2, &sum, sizeof(sum));
	e->port = m->port;
	return e;
}

/* --- echo --- */

/** RFC 1624 equation 3: the checksum after one word of what it covers changed. */
static uint16_t checksum_adjust(uint16_t sum, uint16_t from, uint16_t to)
{
	return (uint16_t)~__rte_raw_cksum_reduce((uint32_t)(uint16_t)~sum + (uint16_t)~from + to);
}

static void checksum_adjust_at(uint8_t *at, uint16_t from, uint16_t to)
{
	uint16_t sum;

	memcpy(&sum, at, sizeof(sum));
	sum = checksum_adjust(sum, from, to);
	memcpy(at, &sum, sizeof(sum));
}

static void addresses_swap(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t t[16];

	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

static void echo_swap4(struct rte_ipv4_hdr *ip)
{
	uint16_t from, to;

	addresses_swap((uint8_t *)&ip->src_addr, (uint8_t *)&ip->dst_addr, 4);
	memcpy(&from, &ip->time_to_live, sizeof(from));
	ip->time_to_live = OWN_TTL;
	memcpy(&to, &ip->time_to_live, sizeof(to));
	ip->hdr_checksum = checksum_adjust(ip->hdr_checksum, from, to);
}

/** The reply has no use for the request's extension headers (a routing header must not be turned
 * round: RFC 8200 section 4.4): move what precedes them up. */
static void extensions_strip(struct rte_mbuf *m, struct pkt *p)
{
	const uint16_t extra = (uint16_t)(p->l3_len - sizeof(struct rte_ipv6_hdr));
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ipv6_hdr *ip;

	memmove(frame + extra, frame, p->l2_len + sizeof(*ip));
	ip = (struct rte_ipv6_hdr *)rte_pktmbuf_adj(m, extra);
	ip = (struct rte_ipv6_hdr *)((uint8_t *)ip + p->l2_len);
	p->l3_len = sizeof(*ip);
	p->ip_len = (uint16_t)(p->ip_len - extra);
	p->flags &= (uint8_t)~PKT_OPTIONS;
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(p->ip_len - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
}

enum drop_reason icmp_echo_reply(struct rte_mbuf *m, struct pkt *p)
{
	const bool v6 = p->flags & PKT_V6;
	const uint32_t off = (uint32_t)p->l2_len + p->l3_len, len = (uint32_t)p->ip_len - p->l3_len;
	const uint16_t request = rte_cpu_to_be_16((uint16_t)((v6 ? ICMP6_ECHO : ICMP4_ECHO) << 8));
	const uint16_t reply =
		rte_cpu_to_be_16((uint16_t)((v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY) << 8));
	uint32_t pseudo = 0;
	uint16_t type_code;
	uint8_t *icmp;

	if (p->proto != (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) || (p->flags & PKT_FRAGMENT))
		return DROP_no_local_listener;
	if (len < ICMP_HEADER || off + len > rte_pktmbuf_pkt_len(m) ||
		off + ICMP_HEADER > rte_pktmbuf_data_len(m))
		return DROP_l4_truncated;
	icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, off);
	memcpy(&type_code, icmp, sizeof(type_code));
	if (type_code != request)
		return DROP_no_local_listener;
	if (v6) {
		const struct rte_ipv6_hdr *ip =
			rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, p->l2_len);

		pseudo = (uint32_t)rte_raw_cksum(ip->src_addr, 32) +
			 rte_cpu_to_be_16((uint16_t)len) + RTE_BE16(IPPROTO_ICMPV6);
	}
	if (pkt_checksum(m, off, len, pseudo) != 0xffff)
		return DROP_icmp_bad_checksum;
	memcpy(icmp, &reply, sizeof(reply));
	checksum_adjust_at(icmp + 2, request, reply);
	/* Of a message of nothing but zeros the other zero is the only right one, and of all others as good (RFC 1624 section 3). */
	if (icmp[2] == 0 && icmp[3] == 0)
		icmp[2] = icmp[3] = 0xff;
	if (v6) {
		struct rte_ipv6_hdr *ip;

		if (p->l3_len > sizeof(*ip))
			extensions_strip(m, p);
		ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l2_len);
		addresses_swap(ip->src_addr, ip->dst_addr, 16);
		ip->hop_limits = OWN_TTL;
	} else {
		echo_swap4(rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l2_len));
	}
	p->ttl = OWN_TTL;
	return DROP_NONE;
}

/* --- TCP MSS --- */

/** The offset of a whole MSS option in the options of a TCP header, 0 when there is none. */
static uint32_t mss_find(const uint8_t *tcp, uint32_t len)
{
	uint32_t i = sizeof(struct rte_tcp_hdr);

	while (i < len && tcp[i] != 0) {
		if (tcp[i] == 1) {
			i++;
			continue;
		}
		if (i + 1 >= len || tcp[i + 1] < 2 || i + tcp[i + 1] > len)
			return 0;
		if (tcp[i] == TCP_OPTION_MSS)
			return tcp[i + 1] == 4 ? i : 0;
		i += tcp[i + 1];
	}
	return 0;
}

bool tcp_mss_clamp(struct rte_mbuf *m, const struct pkt *p, uint16_t mss)
{
	const uint32_t off = (uint32_t)p->l2_len + p->l3_len;
	const uint16_t to = rte_cpu_to_be_16(mss);
	uint8_t *tcp = (uint8_t *)pkt_hdr(m, off, struct rte_tcp_hdr);
	uint32_t len, at;
	uint16_t from;

	if (tcp == NULL || p->proto != IPPROTO_TCP || (p->flags & PKT_FRAGMENT_LATER))
		return false;
	len = (uint32_t)(tcp[12] >> 4) * 4;
	if ((tcp[13] & RTE_TCP_SYN_FLAG) == 0 || off + len > rte_pktmbuf_data_len(m))
		return false;
	at = mss_find(tcp, len);
	if (at == 0)
		return false;
	memcpy(&from, tcp + at + 2, sizeof(from));
	if (rte_be_to_cpu_16(from) <= mss)
		return false;
	memcpy(tcp + at + 2, &to, sizeof(to));
	/* A partial checksum covers the pseudo header only. */
	if ((m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_L4_MASK)) == 0)
		checksum_adjust_at(tcp + offsetof(struct rte_tcp_hdr, cksum),
			at % 2 == 0 ? from : rte_bswap16(from), at % 2 == 0 ? to : rte_bswap16(to));
	return true;
}
