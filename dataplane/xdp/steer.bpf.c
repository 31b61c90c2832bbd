/* SPDX-License-Identifier: Apache-2.0 */
/** Which frames of an uplink are Podlane's: the XDP program of an interface that stays the kernel's. Takes
 *
 *   - UDP to a tunnel's port on an address of this node, and its later fragments,
 *   - IP-in-IP (protocols 4 and 41) from a known peer to an address of this node, fragments included,
 *   - packets to the node's pods (longest prefix match), which came without a tunnel, fragments included,
 *   - ICMP "fragmentation needed" and "packet too big" about a packet that was sent in a tunnel,
 *
 * and passes everything else to the kernel: ARP, neighbour discovery, broadcast and multicast, VLAN tags, frames for
 * other MAC addresses, IPv6 with a routing header, whatever it does not understand. What has no socket on its queue
 * passes too, so an empty xsks_map makes the program invisible.
 *
 * IPv4 options and the IPv6 hop-by-hop and destination options in front of a tunnel's header are skipped (the Linux
 * ip6tnl sends a tunnel encapsulation limit, RFC 2473 section 5.1). A later fragment names no port: it follows its first
 * fragment by addresses and identification, if that came before; if not it passes, and the packet is lost.
 */
#include "dataplane/xdp/steer.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IPV6_EXTENSIONS_MAX 4
#define IP4_MORE	    0x2000
#define IP4_OFFSET	    0x1fff
#define IP6_MORE	    0x0001
#define IP6_OFFSET	    0xfff8
#define ICMP4_UNREACHABLE   3
#define ICMP4_TOO_BIG	    4
#define ICMP6_TOO_BIG	    2
#define ICMP6_ND_FIRST \
	133 /* RFC 4861: router and neighbour solicitation, advertisement, redirect */
#define ICMP6_ND_LAST 137

struct ip4 {
	__u8 version_ihl, tos;
	__be16 len, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__u8 src[4], dst[4];
} __attribute__((packed));

struct ip6 {
	__be32 version;
	__be16 len;
	__u8 next, hop_limit;
	__u8 src[16], dst[16];
} __attribute__((packed));

struct fragment6 {
	__u8 next, reserved;
	__be16 offset;
	__be32 id;
} __attribute__((packed));

struct udp {
	__be16 src, dst, len, checksum;
};

struct icmp {
	__u8 type, code;
	__be16 checksum;
	__be32 info;
};

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_PORTS_MAX);
	__type(key, __be16);
	__type(value, __u8);
} tunnel_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STEER_LOCALS_MAX);
	__type(key, struct steer_address);
	__type(value, __u8);
} locals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_PEERS_MAX);
	__type(key, struct steer_address);
	__type(value, __u8);
} tunnel_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_PREFIXES_MAX);
	__type(key, struct steer_prefix4);
	__type(value, __u8);
} prefixes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_PREFIXES_MAX);
	__type(key, struct steer_prefix6);
	__type(value, __u8);
} prefixes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, STEER_FRAGMENTS_MAX);
	__type(key, struct steer_fragment);
	__type(value, __u8);
} fragments SEC(".maps");

/** An IP packet as far as the decision needs it. */
struct packet {
	void *l4, *end;
	struct steer_address src, dst;
	__u32 id;      /* of a fragment */
	__u8 protocol; /* of what is at l4 */
	__u8 later;    /* a fragment, but not the first: l4 is no header */
	__u8 more;     /* the first fragment */
};

static __always_inline void count(__u32 which)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value != NULL)
		(*value)++;
}

static __always_inline struct steer_address mapped(const __u8 *ip4)
{
	struct steer_address a = { .bytes = { [10] = 0xff, [11] = 0xff } };

	__builtin_memcpy(a.bytes + 12, ip4, 4);
	return a;
}

static __always_inline int is_tunnel_port(__be16 port)
{
	return bpf_map_lookup_elem(&tunnel_ports, &port) != NULL;
}

static __always_inline int is_local(const struct steer_address *a)
{
	return bpf_map_lookup_elem(&locals, a) != NULL;
}

static __always_inline int is_peer(const struct steer_address *a)
{
	return bpf_map_lookup_elem(&tunnel_peers, a) != NULL;
}

/** A UDP packet, or a fragment of one, for an address of this node. */
static __always_inline int is_udp_tunnel(const struct packet *p)
{
	const struct udp *udp = p->l4;
	struct steer_fragment key = { .id = p->id };
	__u8 one = 1;

	__builtin_memcpy(key.src, p->src.bytes, 16);
	__builtin_memcpy(key.dst, p->dst.bytes, 16);
	if (p->later)
		return bpf_map_lookup_elem(&fragments, &key) != NULL;
	if ((void *)(udp + 1) > p->end || !is_tunnel_port(udp->dst))
		return 0;
	if (p->more)
		bpf_map_update_elem(&fragments, &key, &one, BPF_ANY);
	return 1;
}

/** The packet a router complains about began with protocol and, behind `l4`, ports: was it ours? Only tunnels are sent
 * from an address of this node by Podlane, so the kernel misses nothing. */
static __always_inline int quotes_tunnel(
	const struct packet *p, __u8 protocol, const void *l4, const struct steer_address *dst)
{
	const struct udp *udp = l4;

	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6)
		return is_peer(dst);
	return protocol == IPPROTO_UDP && (const void *)(udp + 1) <= p->end &&
	       is_tunnel_port(udp->dst);
}

static __always_inline int is_tunnel_error4(const struct packet *p)
{
	const struct icmp *icmp = p->l4;
	const struct ip4 *quoted = (const void *)(icmp + 1);
	struct steer_address dst;

	if (p->later || (void *)(icmp + 1) > p->end || icmp->type != ICMP4_UNREACHABLE ||
		icmp->code != ICMP4_TOO_BIG)
		return 0;
	if ((void *)(quoted + 1) > p->end || quoted->version_ihl != 0x45)
		return 0;
	dst = mapped(quoted->dst);
	return quotes_tunnel(p, quoted->protocol, quoted + 1, &dst);
}

static __always_inline int is_tunnel_error6(const struct packet *p)
{
	const struct icmp *icmp = p->l4;
	const struct ip6 *quoted = (const void *)(icmp + 1);
	struct steer_address dst;

	if (p->later || (void *)(icmp + 1) > p->end || icmp->type != ICMP6_TOO_BIG ||
		(void *)(quoted + 1) > p->end)
		return 0;
	__builtin_memcpy(dst.bytes, quoted->dst, 16);
	return quotes_tunnel(p, quoted->next, quoted + 1, &dst);
}

/** For an address of this node: a tunnel's, or the kernel's. */
static __always_inline enum steer_counter local(const struct packet *p, int v6)
{
	switch (p->protocol) {
	case IPPROTO_UDP:
		return is_udp_tunnel(p) ? STEER_UDP_TUNNEL : STEER_PASSED;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return is_peer(&p->src) ? STEER_IP_TUNNEL : STEER_PASSED;
	case IPPROTO_ICMP:
		return !v6 && is_tunnel_error4(p) ? STEER_TUNNEL_ERROR : STEER_PASSED;
	case IPPROTO_ICMPV6:
		return v6 && is_tunnel_error6(p) ? STEER_TUNNEL_ERROR : STEER_PASSED;
	default:
		return STEER_PASSED;
	}
}

static __always_inline enum steer_counter ipv4(void *data, void *end)
{
	const struct ip4 *ip = data;
	struct steer_prefix4 key = { .len = 32 };
	struct packet p = { .end = end };
	__u16 fragment;

	if ((void *)(ip + 1) > end || ip->version_ihl >> 4 != 4 || (ip->version_ihl & 15) < 5)
		return STEER_PASSED;
	p.dst = mapped(ip->dst);
	if (!is_local(&p.dst)) {
		__builtin_memcpy(key.bytes, ip->dst, 4);
		return bpf_map_lookup_elem(&prefixes4, &key) != NULL ? STEER_PREFIX : STEER_PASSED;
	}
	fragment = bpf_ntohs(ip->fragment);
	p.src = mapped(ip->src);
	p.id = ip->id;
	p.later = (fragment & IP4_OFFSET) != 0;
	p.more = (fragment & IP4_MORE) != 0;
	p.protocol = ip->protocol;
	p.l4 = data + (ip->version_ihl & 15) * 4;
	return local(&p, 0);
}

/** Walk to the header of the tunnel, the fragment header on the way included. */
static __always_inline int ipv6_headers(struct packet *p)
{
	for (int i = 0; i < IPV6_EXTENSIONS_MAX; i++) {
		const struct fragment6 *fragment = p->l4;
		const __u8 *option = p->l4;

		if (p->protocol != IPPROTO_FRAGMENT && p->protocol != IPPROTO_HOPOPTS &&
			p->protocol != IPPROTO_DSTOPTS)
			return 1;
		if (p->protocol == IPPROTO_FRAGMENT) {
			if ((void *)(fragment + 1) > p->end)
				return 0;
			p->id = fragment->id;
			p->later = (bpf_ntohs(fragment->offset) & IP6_OFFSET) != 0;
			p->more = (bpf_ntohs(fragment->offset) & IP6_MORE) != 0;
			p->protocol = fragment->next;
			p->l4 += sizeof(*fragment);
			if (p->later)
				return 1;
		} else {
			if ((void *)(option + 8) > p->end)
				return 0;
			p->protocol = option[0];
			p->l4 += (option[1] + 1) * 8;
		}
	}
	return 0;
}

static __always_inline enum steer_counter ipv6(void *data, void *end)
{
	const struct ip6 *ip = data;
	struct steer_prefix6 key = { .len = 128 };
	struct packet p = { .end = end };
	const struct icmp *icmp;

	if ((void *)(ip + 1) > end || (*(const __u8 *)ip) >> 4 != 6)
		return STEER_PASSED;
	__builtin_memcpy(p.dst.bytes, ip->dst, 16);
	__builtin_memcpy(p.src.bytes, ip->src, 16);
	if (!is_local(&p.dst)) {
		icmp = (const void *)(ip + 1);
		if (ip->next == IPPROTO_ICMPV6 &&
			((void *)(icmp + 1) > end ||
				(icmp->type >= ICMP6_ND_FIRST && icmp->type <= ICMP6_ND_LAST)))
			return STEER_PASSED;
		__builtin_memcpy(key.bytes, ip->dst, 16);
		return bpf_map_lookup_elem(&prefixes6, &key) != NULL ? STEER_PREFIX : STEER_PASSED;
	}
	p.protocol = ip->next;
	p.l4 = (void *)(ip + 1);
	return ipv6_headers(&p) ? local(&p, 1) : STEER_PASSED;
}

static __always_inline enum steer_counter decide(void *data, void *end)
{
	const struct ethhdr *eth = data;
	const struct steer_settings *s;
	__u32 zero = 0, different = 0;

	if ((void *)(eth + 1) > end)
		return STEER_PASSED;
	s = bpf_map_lookup_elem(&settings, &zero);
	if (s == NULL)
		return STEER_PASSED;
	for (int i = 0; i < 6; i++)
		different |= eth->h_dest[i] ^ s->mac[i];
	if (different != 0)
		return STEER_PASSED;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return ipv4((void *)(eth + 1), end);
	return eth->h_proto == bpf_htons(ETH_P_IPV6) ? ipv6((void *)(eth + 1), end) : STEER_PASSED;
}

/* Frames of several buffers too: all that is looked at is in the first. */
SEC("xdp.frags")
int podlane_steer(struct xdp_md *ctx)
{
	enum steer_counter verdict = decide((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	long action;

	count(verdict);
	if (verdict == STEER_PASSED)
		return XDP_PASS;
	action = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
	if (action != XDP_REDIRECT)
		count(STEER_NO_SOCKET);
	return (int)action;
}

/* No helper in here is reserved to GPL programs. */
char _license[] SEC("license") = "Apache-2.0";
