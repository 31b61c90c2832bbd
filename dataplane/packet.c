/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/packet.h"

#include <netinet/in.h>
#include <string.h>

/* The first segment is made to hold this much behind the L2 header: the longest IP header struct
 * pkt can describe and the longest TCP header. */
#define CONTIGUOUS     (UINT8_MAX + 60)
#define EXTENSIONS_MAX 8 /* more than any sender needs; bounds what one packet may cost */
#define IP6_FIXED      ((uint32_t)sizeof(struct rte_ipv6_hdr))

static inline struct parsed dropped(enum drop_reason reason)
{
	return (struct parsed){ PKT_DROP, reason };
}

/* --- segments --- */

bool pkt_pull_segments(struct rte_mbuf *m, uint32_t len)
{
	uint32_t want, room;

	if (len > rte_pktmbuf_pkt_len(m))
		return false;
	if (len <= rte_pktmbuf_data_len(m))
		return true;
	want = len - rte_pktmbuf_data_len(m);
	room = rte_pktmbuf_tailroom(m);
	if (!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
		return false;
	if (want > room) { /* the room may be in front: move there, by no more than is needed */
		const uint16_t by = (uint16_t)RTE_ALIGN_CEIL(want - room, 2);

		if (by > rte_pktmbuf_headroom(m))
			return false;
		memmove(rte_pktmbuf_mtod(m, uint8_t *) - by, rte_pktmbuf_mtod(m, void *),
			rte_pktmbuf_data_len(m));
		m->data_off = (uint16_t)(m->data_off - by);
	}
	while (want > 0) {
		struct rte_mbuf *next = m->next;
		uint16_t n = (uint16_t)RTE_MIN(want, rte_pktmbuf_data_len(next));

		memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, rte_pktmbuf_data_len(m)),
			rte_pktmbuf_mtod(next, const uint8_t *), n);
		m->data_len = (uint16_t)(m->data_len + n);
		next->data_off = (uint16_t)(next->data_off + n);
		next->data_len = (uint16_t)(next->data_len - n);
		want -= n;
		if (next->data_len == 0) {
			m->next = next->next;
			m->nb_segs--;
			rte_pktmbuf_free_seg(next);
		}
	}
	return true;
}

void pkt_trim(struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *s = m;
	uint32_t left = len;
	uint16_t segs = 1;

	while (left > rte_pktmbuf_data_len(s)) {
		left -= rte_pktmbuf_data_len(s);
		s = s->next;
		segs++;
	}
	s->data_len = (uint16_t)left;
	if (s->next != NULL) {
		rte_pktmbuf_free(s->next);
		s->next = NULL;
	}
	m->nb_segs = segs;
	m->pkt_len = len;
}

uint16_t pkt_checksum(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint32_t initial)
{
	uint32_t sum = __rte_raw_cksum_reduce(initial);
	bool odd = false;

	while (m != NULL && off >= rte_pktmbuf_data_len(m)) {
		off -= rte_pktmbuf_data_len(m);
		m = m->next;
	}
	for (; m != NULL && len > 0; m = m->next, off = 0) {
		uint32_t n = RTE_MIN(len, rte_pktmbuf_data_len(m) - off);
		uint16_t part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, off), n);

		/* A segment that starts at an odd byte of the sum has its bytes in the other
		 * halves of the words. */
		sum += odd ? rte_bswap16(part) : part;
		odd ^= (n & 1) != 0;
		len -= n;
	}
	return __rte_raw_cksum_reduce(sum);
}

/* --- layer 4 --- */

/** Check the L4 header (`len` bytes of payload are there and contiguous as far as headers go)
 * and take its ports. */
static __rte_always_inline enum drop_reason parse_l4(const uint8_t *l4, uint32_t len, uint8_t proto,
	bool v6, bool fragment, uint16_t *ports, uint8_t *flags)
{
	uint32_t n;

	ports[0] = ports[1] = 0;
	switch (proto) {
	case IPPROTO_TCP:
		if (unlikely(len < sizeof(struct rte_tcp_hdr)))
			return DROP_l4_truncated;
		n = (uint32_t)(l4[12] >> 4) * 4;
		if (unlikely(n < sizeof(struct rte_tcp_hdr)))
			return DROP_l4_bad_length;
		if (unlikely(n > len))
			return DROP_l4_truncated;
		*flags |= l4[13] & RTE_TCP_SYN_FLAG ? PKT_TCP_SYN : 0;
		memcpy(ports, l4, 4);
		return DROP_NONE;
	case IPPROTO_UDP:
		if (unlikely(len < sizeof(struct rte_udp_hdr)))
			return DROP_l4_truncated;
		n = (uint32_t)l4[4] << 8 | l4[5];
		if (unlikely(n < sizeof(struct rte_udp_hdr) || (n > len && !fragment)))
			return DROP_l4_bad_length;
		memcpy(ports, l4, 4);
		return DROP_NONE;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (v6 != (proto == IPPROTO_ICMPV6))
			return DROP_NONE;
		if (unlikely(len < sizeof(struct rte_icmp_hdr)))
			return DROP_l4_truncated;
		if (v6 ? (l4[0] == 128 || l4[0] == 129) : (l4[0] == 8 || l4[0] == 0))
			memcpy(&ports[0], l4 + 4, 2);
		memcpy(&ports[1], l4, 2);
		return DROP_NONE;
	case IPPROTO_SCTP:
		if (unlikely(len < 12))
			return DROP_l4_truncated;
		memcpy(ports, l4, 4);
		return DROP_NONE;
	default:
		return DROP_NONE;
	}
}

/** What every fragment must be: not empty, a multiple of 8 unless it is the last, within 64 KiB;
 * and no TCP header cut in the middle (RFC 1858 section 3.2, RFC 3128). `offset` in bytes, `len`
 * bytes of payload behind `before` bytes that the whole packet's length counts too. */
static bool fragment_sane(uint32_t offset, bool more, uint32_t len, uint32_t before, uint8_t proto)
{
	if (len == 0 || (more && len % 8 != 0) || before + offset + len > UINT16_MAX)
		return false;
	return proto != IPPROTO_TCP || offset == 0 || offset >= sizeof(struct rte_tcp_hdr);
}

/* --- IPv4 --- */

/** RFC 1071: the ones-complement sum of a right header is 0xffff. Folding keeps a sum's residue
 * modulo 0xffff, and no header sums to zero, so the unfolded sum need only be a multiple of it:
 * one multiplication. */
static inline bool ip4_checksum_good(const uint8_t *h, uint32_t len)
{
	uint64_t sum = 0;
	uint32_t word;

	for (uint32_t i = 0; i < 20; i += 4) {
		memcpy(&word, h + i, 4);
		sum += word;
	}
	if (unlikely(len > 20)) {
		for (uint32_t i = 20; i < len; i += 4) {
			memcpy(&word, h + i, 4);
			sum += word;
		}
	}
	return sum % 0xffffu == 0;
}

/** RFC 791 section 3.1: every option fits. Source routes are refused (RFC 7126 section 4.3,
 * 4.4). */
static __rte_noinline bool ip4_options_good(const uint8_t *h, uint32_t len)
{
	uint32_t i = sizeof(struct rte_ipv4_hdr);

	while (i < len) {
		if (h[i] == 0) /* end of list */
			return true;
		if (h[i] == 1) { /* no operation */
			i++;
			continue;
		}
		if (h[i] == 131 || h[i] == 137) /* loose and strict source route */
			return false;
		if (i + 1 >= len || h[i + 1] < 2 || i + h[i + 1] > len)
			return false;
		i += h[i + 1];
	}
	return true;
}

/** Addresses whose first byte is out of the ordinary. RFC 1122 section 3.2.1.3. */
static __rte_noinline enum drop_reason ip4_addresses(const uint8_t *src, const uint8_t *dst)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };
	bool group = (dst[0] & 0xf0) == 0xe0 || memcmp(dst, broadcast, sizeof(broadcast)) == 0;

	if (src[0] == 127 || src[0] >= 224 ||
		(!group && (dst[0] == 0 || dst[0] == 127 || dst[0] >= 240)))
		return DROP_ip4_bad_address;
	if (group)
		return DROP_multicast_unsupported;
	return src[0] == 0 ? DROP_ip4_bad_address : DROP_NONE;
}

static inline bool ip4_address_odd(const uint32_t *addr)
{
	const uint8_t first = *(const uint8_t *)addr;

	return (uint8_t)(first - 1) >= 223 || first == 127;
}

static __rte_noinline struct parsed ip4_fragment(struct pkt *p, const struct rte_ipv4_hdr *ip)
{
	const uint32_t frag = rte_be_to_cpu_16(ip->fragment_offset);
	const uint32_t offset = (frag & RTE_IPV4_HDR_OFFSET_MASK) * 8;
	const uint32_t len = (uint32_t)p->ip_len - p->l3_len;
	enum drop_reason reason;

	if (!fragment_sane(offset, frag & RTE_IPV4_HDR_MF_FLAG, len, p->l3_len, p->proto))
		return dropped(DROP_fragment_malformed);
	p->flags |= PKT_FRAGMENT;
	if (offset != 0) {
		p->flags |= PKT_FRAGMENT_LATER;
		p->key4.sport = p->key4.dport = 0;
		return (struct parsed){ PKT_FRAG, DROP_NONE };
	}
	reason = parse_l4((const uint8_t *)ip + p->l3_len, len, p->proto, false, true,
		&p->key4.sport, &p->flags);
	return reason != DROP_NONE ? dropped(reason) : (struct parsed){ PKT_FRAG, DROP_NONE };
}

static __rte_always_inline struct parsed parse4(
	struct rte_mbuf *m, struct pkt *p, uint32_t zone, uint32_t l2_len)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l2_len);
	const uint32_t avail = rte_pktmbuf_pkt_len(m) - l2_len;
	enum drop_reason reason;
	uint8_t flags = 0;
	uint32_t hl, len;

	if (unlikely(avail < sizeof(*ip)))
		return dropped(DROP_ip4_truncated);
	if (unlikely(ip->version_ihl >> 4 != 4))
		return dropped(DROP_ip4_bad_version);
	hl = (uint32_t)(ip->version_ihl & 15) * 4;
	if (unlikely(hl < sizeof(*ip) || hl > avail))
		return dropped(DROP_ip4_bad_header_length);
	len = rte_be_to_cpu_16(ip->total_length);
	if (unlikely(len < hl || len > avail))
		return dropped(DROP_ip4_bad_total_length);
	if (unlikely(len < avail))
		pkt_trim(m, l2_len + len);
	if (unlikely(!ip4_checksum_good((const uint8_t *)ip, hl)))
		return dropped(DROP_ip4_bad_checksum);
	if (unlikely(hl > sizeof(*ip))) {
		if (!ip4_options_good((const uint8_t *)ip, hl))
			return dropped(DROP_ip4_bad_options);
		flags |= PKT_OPTIONS;
	}
	if (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG))
		flags |= PKT_DF;
	memcpy(&p->key4.src, &ip->src_addr, 8);
	p->key4.zone_proto = zone << 8 | ip->next_proto_id;
	p->ip_len = (uint16_t)len;
	p->l3_len = (uint8_t)hl;
	p->proto = ip->next_proto_id;
	p->ttl = ip->time_to_live;
	p->tos = ip->type_of_service;
	p->flags = flags;
	if (unlikely(ip4_address_odd(&p->key4.src) || ip4_address_odd(&p->key4.dst))) {
		reason = ip4_addresses(
			(const uint8_t *)&ip->src_addr, (const uint8_t *)&ip->dst_addr);
		if (reason != DROP_NONE)
			return dropped(reason);
	}
	if (unlikely(ip->fragment_offset &
		     RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		return ip4_fragment(p, ip);
	reason = parse_l4((const uint8_t *)ip + hl, len - hl, p->proto, false, false,
		&p->key4.sport, &p->flags);
	if (unlikely(reason != DROP_NONE))
		return dropped(reason);
	return (struct parsed){ PKT_FLOW4, DROP_NONE };
}

/* --- IPv6 --- */

/** Walk the extension headers (RFC 8200 section 4) from the fixed header's end; fills p->proto,
 * l3_len and the fragment flags. `len` is the whole packet's. */
static __rte_noinline enum drop_reason ip6_extensions(
	const uint8_t *h, uint32_t len, uint8_t next, struct pkt *p)
{
	uint32_t off = IP6_FIXED;
	bool fragment = false;

	for (unsigned n = 0; n <= EXTENSIONS_MAX; n++) {
		const uint8_t *x = h + off;
		uint32_t x_len, frag;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
			next != IPPROTO_FRAGMENT && next != IPPROTO_AH) {
			p->proto = next;
			p->l3_len = (uint8_t)off;
			return DROP_NONE;
		}
		if (len - off < 8)
			return DROP_ip6_bad_extension;
		x_len = next == IPPROTO_AH	   ? (x[1] + 2u) * 4
			: next == IPPROTO_FRAGMENT ? 8
						   : (x[1] + 1u) * 8;
		if (x_len > len - off || off + x_len > UINT8_MAX)
			return DROP_ip6_bad_extension;
		/* RFC 8200 section 4.1, RFC 5095, one fragment header. */
		if ((next == IPPROTO_HOPOPTS && off != IP6_FIXED) ||
			(next == IPPROTO_ROUTING && x[2] == 0) ||
			(next == IPPROTO_FRAGMENT && fragment))
			return DROP_ip6_bad_extension;
		off += x_len;
		p->flags |= PKT_OPTIONS;
		if (next == IPPROTO_FRAGMENT) {
			fragment = true;
			frag = (uint32_t)x[2] << 8 | x[3];
			if ((frag & 0xfff9) != 0) {
				if (!fragment_sane(
					    frag & 0xfff8, frag & 1, len - off, off - x_len, x[0]))
					return DROP_fragment_malformed;
				p->flags |=
					(uint8_t)(PKT_FRAGMENT |
						  ((frag & 0xfff8) != 0 ? PKT_FRAGMENT_LATER : 0));
			}
		}
		next = x[0];
		if (p->flags & PKT_FRAGMENT_LATER) {
			p->proto = next;
			p->l3_len = (uint8_t)off;
			return DROP_NONE;
		}
	}
	return DROP_ip6_bad_extension;
}

/** Addresses whose first byte is out of the ordinary. RFC 4291 section 2.5, 2.7. */
static __rte_noinline enum drop_reason ip6_addresses(
	const uint8_t *src, const uint8_t *dst, bool nd)
{
	static const uint8_t zero[16], loopback[16] = { [15] = 1 },
				       mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *both[2] = { src, dst };

	for (int i = 0; i < 2; i++) {
		if (memcmp(both[i], loopback, 16) == 0 ||
			memcmp(both[i], mapped, sizeof(mapped)) == 0)
			return DROP_ip6_bad_address;
	}
	if (src[0] == 0xff || memcmp(dst, zero, 16) == 0)
		return DROP_ip6_bad_address;
	if (nd) /* arp_nd.c knows which of these a message may have */
		return DROP_NONE;
	if (dst[0] == 0xff)
		return DROP_multicast_unsupported;
	return memcmp(src, zero, 16) == 0 ? DROP_ip6_bad_address : DROP_NONE;
}

static inline bool ip6_address_odd(const uint8_t *a)
{
	return (uint8_t)(a[0] - 1) >= 0xfe;
}

static __rte_always_inline struct parsed parse6(
	struct rte_mbuf *m, struct pkt *p, uint32_t zone, uint32_t l2_len)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l2_len);
	const uint32_t avail = rte_pktmbuf_pkt_len(m) - l2_len;
	const uint8_t *l4;
	enum drop_reason reason, odd = DROP_NONE;
	uint32_t len, vtc_flow;
	bool nd;

	p->flags = PKT_V6 | PKT_DF;
	if (unlikely(avail < sizeof(*ip)))
		return dropped(DROP_ip6_truncated);
	vtc_flow = rte_be_to_cpu_32(ip->vtc_flow);
	if (unlikely(vtc_flow >> 28 != 6))
		return dropped(DROP_ip6_bad_version);
	len = IP6_FIXED + rte_be_to_cpu_16(ip->payload_len);
	if (unlikely(len > avail || len > UINT16_MAX))
		return dropped(DROP_ip6_bad_payload_length);
	if (unlikely(len < avail))
		pkt_trim(m, l2_len + len);
	memcpy(p->key6.src, ip->src_addr, 32);
	p->ip_len = (uint16_t)len;
	p->l3_len = (uint8_t)IP6_FIXED;
	p->proto = ip->proto;
	p->ttl = ip->hop_limits;
	p->tos = (uint8_t)(vtc_flow >> 20);
	if (unlikely(p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)) {
		reason = ip6_extensions((const uint8_t *)ip, len, ip->proto, p);
		if (reason != DROP_NONE)
			return dropped(reason);
	}
	p->key6.zone_proto = zone << 8 | p->proto;
	if (unlikely(p->flags & PKT_FRAGMENT_LATER)) {
		p->key6.sport = p->key6.dport = 0;
		reason = DROP_NONE;
		nd = false;
	} else {
		l4 = (const uint8_t *)ip + p->l3_len;
		reason = parse_l4(l4, len - p->l3_len, p->proto, true, p->flags & PKT_FRAGMENT,
			&p->key6.sport, &p->flags);
		nd = p->proto == IPPROTO_ICMPV6 && reason == DROP_NONE &&
		     !(p->flags & PKT_FRAGMENT) && l4[0] >= 133 && l4[0] <= 137;
	}
	if (unlikely(ip6_address_odd(p->key6.src) || ip6_address_odd(p->key6.dst)))
		odd = ip6_addresses(p->key6.src, p->key6.dst, nd);
	if (unlikely(odd != DROP_NONE))
		return dropped(odd);
	if (unlikely(reason != DROP_NONE))
		return dropped(reason);
	if (unlikely(p->flags & PKT_FRAGMENT))
		return (struct parsed){ PKT_FRAG, DROP_NONE };
	return (struct parsed){ nd ? PKT_ND : PKT_FLOW6, DROP_NONE };
}

/* --- entry --- */

static inline bool headers_contiguous(struct rte_mbuf *m, uint32_t l2_len)
{
	return likely(m->nb_segs == 1) ||
	       pkt_pull(m, RTE_MIN(rte_pktmbuf_pkt_len(m), l2_len + CONTIGUOUS));
}

struct parsed pkt_parse_ether(struct rte_mbuf *m, struct pkt *p, uint32_t zone)
{
	const struct rte_ether_hdr *eth;

	p->flags = 0;
	p->l2_len = RTE_ETHER_HDR_LEN;
	if (unlikely(rte_pktmbuf_pkt_len(m) < sizeof(*eth)))
		return dropped(DROP_l2_truncated);
	if (unlikely(!headers_contiguous(m, sizeof(*eth))))
		return dropped(DROP_no_buffer);
	eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	if (unlikely(rte_is_multicast_ether_addr(&eth->src_addr)))
		return dropped(DROP_l2_source_invalid);
	if (likely(eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)))
		return parse4(m, p, zone, sizeof(*eth));
	if (likely(eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6)))
		return parse6(m, p, zone, sizeof(*eth));
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return (struct parsed){ PKT_ARP, DROP_NONE };
	if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) ||
		eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_QINQ))
		return dropped(rte_pktmbuf_pkt_len(m) < sizeof(*eth) + sizeof(struct rte_vlan_hdr)
				       ? DROP_l2_truncated
				       : DROP_vlan_unexpected);
	return dropped(DROP_ethertype_unknown);
}

struct parsed pkt_parse_ip(
	struct rte_mbuf *m, struct pkt *p, uint32_t zone, unsigned version, uint8_t l2_len)
{
	p->flags = version == 6 ? PKT_V6 : 0;
	p->l2_len = l2_len;
	if (unlikely(rte_pktmbuf_pkt_len(m) < l2_len))
		return dropped(DROP_l2_truncated);
	if (unlikely(!headers_contiguous(m, l2_len)))
		return dropped(DROP_no_buffer);
	return version == 6 ? parse6(m, p, zone, l2_len) : parse4(m, p, zone, l2_len);
}

/** The dport of the opposite direction's echo message: request and reply swap types, the code
 * stays. */
static uint16_t icmp_mirror(uint16_t dport, bool v6)
{
	uint16_t type = (uint16_t)(rte_be_to_cpu_16(dport) >> 8),
		 code = (uint16_t)(rte_be_to_cpu_16(dport) & 0xff);

	if (v6 && (type == 128 || type == 129))
		type ^= 1;
	else if (!v6 && (type == 8 || type == 0))
		type ^= 8;
	return rte_cpu_to_be_16((uint16_t)(type << 8 | code));
}

void pkt_reverse_key4(const struct flow_key4 *key, uint32_t zone, struct flow_key4 *out)
{
	const uint8_t proto = (uint8_t)key->zone_proto;
	const bool icmp = proto == IPPROTO_ICMP;

	*out = (struct flow_key4){ .src = key->dst,
		.dst = key->src,
		.sport = icmp ? key->sport : key->dport,
		.dport = icmp ? icmp_mirror(key->dport, false) : key->sport,
		.zone_proto = zone << 8 | proto };
}

void pkt_reverse_key6(const struct flow_key6 *key, uint32_t zone, struct flow_key6 *out)
{
	const uint8_t proto = (uint8_t)key->zone_proto;
	const bool icmp = proto == IPPROTO_ICMPV6;

	memcpy(out->src, key->dst, sizeof(out->src));
	memcpy(out->dst, key->src, sizeof(out->dst));
	out->sport = icmp ? key->sport : key->dport;
	out->dport = icmp ? icmp_mirror(key->dport, true) : key->sport;
	out->zone_proto = zone << 8 | proto;
}
