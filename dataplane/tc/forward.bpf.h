/* SPDX-License-Identifier: Apache-2.0 */
/** What the tc program does with a packet of a flow that the daemon has given to the kernel: kernel_flow.h. The same rules as those
 * of the worker's hit path (dataplane/plain.h, burst.c, rewrite.h): whole packets without options or extension headers, TCP without
 * SYN, FIN and RST and near the last sequence number, right lengths and header checksum, a TTL that survives a hop, no larger
 * than the path takes. Large segments stay whole; they are cut by the device that sends them, or never.
 *
 * Everything else returns FORWARD_NOT and has not been touched, but for what forward_sum_behind says.
 */
#ifndef DATAPLANE_TC_FORWARD_BPF_H
#define DATAPLANE_TC_FORWARD_BPF_H

#include "dataplane/tc/kernel_flow.h"

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FORWARD_NOT	    (-1)
#define FORWARD_SEQ_BACK    0x40000u /* FLOW_SEQ_BACK of dataplane/flow_state.h */
#define FORWARD_IP4_DF	    0x4000
#define FORWARD_IP4_PART    0x3fff /* more fragments, or an offset */
#define FORWARD_TCP_CONTROL 0x07   /* FIN, SYN, RST */

struct forward_ip4 {
	__u8 version_ihl, tos;
	__be16 len, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__u32 src, dst;
};
struct forward_ip6 {
	__be32 version;
	__be16 len;
	__u8 next, hop_limit;
	__u32 src[4], dst[4];
};
struct forward_udp {
	__be16 src, dst, len, checksum;
};
struct forward_tcp {
	__be16 src, dst;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window, checksum, urgent;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, KERNEL_SLOTS);
	__type(key, __u32);
	__type(value, struct kernel_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, KERNEL_SLOTS);
	__type(key, struct kernel_key4);
	__type(value, struct kernel_flow);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, KERNEL_SLOTS);
	__type(key, struct kernel_key6);
	__type(value, struct kernel_flow);
} flows6 SEC(".maps");

/** What was found out about a packet. */
struct forward_packet {
	__u32 len;     /* of the IP packet */
	__u32 headers; /* IP and L4 */
	__u32 sum;     /* where the checksum of L4 is */
	__u32 seq;
	__u8 tcp, df, tos;
};

static __always_inline __u16 forward_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (__u16)sum;
}

static __always_inline __u32 forward_sum4(const void *ip)
{
	return (__u32)bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(struct forward_ip4), 0);
}

/** Make sure that the headers can be read. @return whether they are there. */
static __always_inline int forward_pull(struct __sk_buff *skb, __u32 len)
{
	if ((__u64)skb->data + len <= (__u64)skb->data_end)
		return 1;
	return skb->len >= len && bpf_skb_pull_data(skb, len) == 0;
}

/** The header behind the IP header. @return 0: not plain. */
static __always_inline int forward_l4(struct __sk_buff *skb, struct forward_packet *p, void *l4,
	__u8 proto, __u32 ip_header, __u16 *ports)
{
	const void *end = (void *)(__u64)skb->data_end;
	const struct forward_udp *udp = l4;
	const struct forward_tcp *tcp = l4;

	if ((const void *)(udp + 1) > end)
		return 0;
	ports[0] = udp->src;
	ports[1] = udp->dst;
	p->tcp = proto == IPPROTO_TCP;
	if (proto == IPPROTO_UDP) {
		p->headers = ip_header + sizeof(*udp);
		p->sum = ip_header + offsetof(struct forward_udp, checksum);
		return p->len >= p->headers &&
		       (skb->gso_size != 0 || (bpf_ntohs(udp->len) >= sizeof(*udp) &&
						      bpf_ntohs(udp->len) <= p->len - ip_header));
	}
	if (proto != IPPROTO_TCP || (const void *)(tcp + 1) > end)
		return 0;
	p->headers = ip_header + (__u32)(tcp->offset >> 4) * 4;
	p->sum = ip_header + offsetof(struct forward_tcp, checksum);
	p->seq = bpf_ntohl(tcp->seq);
	return tcp->offset >= sizeof(*tcp) / 4 << 4 && p->headers <= p->len &&
	       (tcp->flags & FORWARD_TCP_CONTROL) == 0;
}

/** What is left to compute of the checksum at `at` will be written there, or behind it. The sender says where (a packet socket or a
 * TAP in the pod takes any place), and whoever completes it writes there after all was judged: into ports or addresses, say.
 * @return 0: no; such a packet may have been cut off after the checksum, for whoever judges it next. */
static __always_inline int forward_sum_behind(struct __sk_buff *skb, __u32 at)
{
	__u16 before, after;

	/* Replacing a word changes a checksum but one that is partial. */
	if (bpf_skb_load_bytes(skb, at, &before, sizeof(before)) != 0 ||
		bpf_l4_csum_replace(skb, at, 0, 1, sizeof(__u16)) != 0 ||
		bpf_skb_load_bytes(skb, at, &after, sizeof(after)) != 0)
		return 0;
	if (after != before)
		return bpf_skb_store_bytes(skb, at, &before, sizeof(before), 0) == 0;
	/* No packet becomes so short that its partial checksum has no room. */
	return bpf_skb_change_tail(skb, at + 1, 0) == -EINVAL;
}

/** The frame is addressed to the gateway, by one station. */
static __always_inline int forward_addressed(
	const struct __sk_buff *skb, const struct kernel_flow *flow)
{
	const __u16 *mac = (const void *)(__u64)skb->data, *want = (const void *)flow->mac;

	return (const void *)(mac + 4) <= (const void *)(__u64)skb->data_end && mac[0] == want[0] &&
	       mac[1] == want[1] && mac[2] == want[2] && (mac[3] & bpf_htons(0x0100)) == 0;
}

/** The flow, if it is the kernel's now and the packet is one for it; *flow becomes a copy of `found`, which may be another flow's at
 * any moment: memory of an element that was deleted is used again at once. */
static __always_inline struct kernel_slot *forward_slot(struct __sk_buff *skb,
	const struct kernel_slot *header, const struct kernel_flow *found, struct kernel_flow *flow,
	__u64 key, const struct forward_packet *p)
{
	struct kernel_slot *slot;
	__u32 which;

	__builtin_memcpy(flow, found, sizeof(*flow));
	barrier();
	which = flow->slot;
	slot = bpf_map_lookup_elem(&slots, &which);
	if (slot == NULL || !slot->on || slot->epoch != header->epoch || slot->key != key ||
		*(const volatile __u32 *)&found->slot != which)
		return NULL;
	if ((skb->gso_size != 0 ? p->headers + skb->gso_size : p->len) > flow->mtu ||
		p->len > flow->most)
		return NULL;
	if (p->tcp) {
		if (p->seq - slot->seq + FORWARD_SEQ_BACK > slot->span)
			return NULL;
		slot->seq = p->seq;
		slot->fresh = 1;
	}
	return slot;
}

static __always_inline void forward_count(
	struct kernel_slot *slot, __u32 segments, const struct forward_packet *p)
{
	__sync_fetch_and_add(&slot->packets, 1);
	__sync_fetch_and_add(&slot->segments, segments > 1 ? segments : 1);
	__sync_fetch_and_add(&slot->bytes, p->len);
}

/** Outer IPv4 header at h, `len` bytes with it. */
static __always_inline void forward_outer4(struct forward_ip4 *h, const struct kernel_flow *flow,
	const struct forward_packet *p, __u32 len, __u8 proto)
{
	if (flow->copy_tos)
		h->tos = p->tos;
	if (flow->copy_df && p->df)
		h->fragment |= bpf_htons(FORWARD_IP4_DF);
	h->len = bpf_htons((__u16)len);
	if (!(h->fragment & bpf_htons(FORWARD_IP4_DF)))
		h->id = (__u16)bpf_get_prandom_u32();
	if (proto != 0)
		h->protocol = proto;
	h->checksum = 0;
	h->checksum = (__u16)~forward_fold(forward_sum4(h));
}

static __always_inline void forward_outer6(struct forward_ip6 *h, const struct kernel_flow *flow,
	const struct forward_packet *p, __u32 len, __u8 proto)
{
	h->version =
		bpf_htonl(0x60000000u | (flow->copy_tos ? (__u32)p->tos << 20 : 0) | flow->label);
	h->len = bpf_htons((__u16)(len - sizeof(*h)));
	if (proto != 0)
		h->next = proto;
}

/** A TTL one lower, of the IP header at `at`. @return 0: it is not there. */
static __always_inline int forward_lower(struct __sk_buff *skb, __u32 at, int v6)
{
	void *data = (void *)(__u64)skb->data + at;
	struct forward_ip4 *ip4 = data;
	struct forward_ip6 *ip6 = data;
	__u32 sum;

	if (v6) {
		if ((void *)(ip6 + 1) > (void *)(__u64)skb->data_end)
			return 0;
		ip6->hop_limit--;
		return 1;
	}
	if ((void *)(ip4 + 1) > (void *)(__u64)skb->data_end)
		return 0;
	sum = (__u32)ip4->checksum + bpf_htons(0x0100); /* RFC 1624 */
	ip4->ttl--;
	ip4->checksum = (__u16)(sum + (sum >= 0xffff));
	return 1;
}

/** Put the packet into a tunnel of one shape. @return an action, or FORWARD_NOT. */
static __always_inline int forward_encapsulate(struct __sk_buff *skb, struct kernel_flow *flow,
	const struct forward_packet *p, int v6, int outer6, int vxlan)
{
	const __u32 ip_header = outer6 ? sizeof(struct forward_ip6) : sizeof(struct forward_ip4);
	const __u32 more = ip_header + (vxlan ? sizeof(struct forward_udp) + 8 + ETH_HLEN : 0);
	const __u8 proto = vxlan ? 0 : v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	const __u64 how = BPF_F_ADJ_ROOM_FIXED_GSO |
			  (outer6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) |
			  (vxlan ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) |
						  BPF_F_ADJ_ROOM_ENCAP_L2_ETH
				 : 0);
	__u8 *h = flow->header;
	struct forward_udp *udp = (void *)&h[ETH_HLEN + ip_header];

	if (vxlan) {
		udp->src = flow->sport;
		udp->len = bpf_htons((__u16)(p->len + more - ip_header));
		h[ETH_HLEN + more - 2] = v6 ? ETH_P_IPV6 >> 8 : ETH_P_IP >> 8;
		h[ETH_HLEN + more - 1] = v6 ? ETH_P_IPV6 & 0xff : ETH_P_IP & 0xff;
	}
	if (outer6)
		forward_outer6((void *)&h[ETH_HLEN], flow, p, p->len + more, proto);
	else
		forward_outer4((void *)&h[ETH_HLEN], flow, p, p->len + more, proto);
	/* What is in a tunnel of the pod's own already gets no room. Nothing has happened to it yet. */
	if (bpf_skb_adjust_room(skb, (__s32)more, BPF_ADJ_ROOM_MAC, how) != 0)
		return FORWARD_NOT;
	return bpf_skb_store_bytes(skb, 0, h, ETH_HLEN + more, 0) == 0 &&
			       forward_lower(skb, ETH_HLEN + more, v6)
		       ? (int)bpf_redirect(flow->ifindex, 0)
		       : TC_ACT_SHOT;
}

static __always_inline int forward_plain(
	struct __sk_buff *skb, const struct kernel_flow *flow, int v6)
{
	if (!forward_lower(skb, ETH_HLEN, v6) ||
		bpf_skb_store_bytes(skb, 0, flow->header, 2 * ETH_ALEN, 0) != 0)
		return TC_ACT_SHOT;
	if (flow->path != KERNEL_PATH_PEER)
		return (int)bpf_redirect(flow->ifindex, 0);
	/* It was addressed to the gateway, which is not this interface for the kernel; the pod takes what is for a host. */
	bpf_skb_change_type(skb, 0 /* PACKET_HOST */);
	return (int)bpf_redirect_peer(flow->ifindex, 0);
}

static __always_inline int forward_send(struct __sk_buff *skb, struct kernel_flow *flow,
	struct kernel_slot *slot, const struct forward_packet *p, int v6)
{
	/* Packet sockets do not say how many. */
	const __u32 segments =
		skb->gso_size != 0 ? (p->len - p->headers + skb->gso_size - 1) / skb->gso_size : 1;
	int action;

	/* A pod takes packets as they are. */
	if (flow->path != KERNEL_PATH_PEER && !forward_sum_behind(skb, ETH_HLEN + p->sum))
		return FORWARD_NOT;
	switch (flow->path) {
	case KERNEL_PATH_VXLAN4:
		action = forward_encapsulate(skb, flow, p, v6, 0, 1);
		break;
	case KERNEL_PATH_VXLAN6:
		action = forward_encapsulate(skb, flow, p, v6, 1, 1);
		break;
	case KERNEL_PATH_IPIP4:
		action = forward_encapsulate(skb, flow, p, v6, 0, 0);
		break;
	case KERNEL_PATH_IPIP6:
		action = forward_encapsulate(skb, flow, p, v6, 1, 0);
		break;
	default:
		action = forward_plain(skb, flow, v6);
	}
	if (action == TC_ACT_REDIRECT)
		forward_count(slot, segments, p);
	return action;
}

/** A plain packet, and what the map has for it. */
static __always_inline int forward_found(struct __sk_buff *skb, const struct kernel_slot *header,
	const struct kernel_flow *found, __u64 key, const struct forward_packet *p, int v6)
{
	struct kernel_flow flow;
	struct kernel_slot *slot;

	if (found == NULL || !forward_addressed(skb, found))
		return FORWARD_NOT;
	slot = forward_slot(skb, header, found, &flow, key, p);
	return slot != NULL ? forward_send(skb, &flow, slot, p, v6) : FORWARD_NOT;
}

static __always_inline int forward4(struct __sk_buff *skb, const struct kernel_slot *header)
{
	struct kernel_key4 key = { .ifindex = skb->ifindex };
	struct forward_packet p = { 0 };
	struct forward_ip4 *ip;
	__u16 ports[2];

	if (!forward_pull(skb, ETH_HLEN + sizeof(*ip) + sizeof(struct forward_udp)))
		return FORWARD_NOT;
	ip = (void *)(__u64)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(__u64)skb->data_end)
		return FORWARD_NOT;
	p.len = bpf_ntohs(ip->len);
	if (ip->version_ihl != 0x45 || (ip->fragment & bpf_htons(FORWARD_IP4_PART)) ||
		ip->ttl < 2 || p.len != skb->len - ETH_HLEN ||
		forward_fold(forward_sum4(ip)) != 0xffff)
		return FORWARD_NOT;
	p.df = (ip->fragment & bpf_htons(FORWARD_IP4_DF)) != 0;
	p.tos = ip->tos;
	if (!forward_l4(skb, &p, ip + 1, ip->protocol, sizeof(*ip), ports))
		return FORWARD_NOT;
	key.src = ip->src;
	key.dst = ip->dst;
	key.sport = ports[0];
	key.dport = ports[1];
	key.proto = ip->protocol;
	return forward_found(skb, header, bpf_map_lookup_elem(&flows4, &key),
		kernel_key_sum(&key, sizeof(key)), &p, 0);
}

static __always_inline int forward6(struct __sk_buff *skb, const struct kernel_slot *header)
{
	struct kernel_key6 key = { .ifindex = skb->ifindex };
	struct forward_packet p = { .df = 1 };
	struct forward_ip6 *ip;
	__u16 ports[2];

	if (!forward_pull(skb, ETH_HLEN + sizeof(*ip) + sizeof(struct forward_udp)))
		return FORWARD_NOT;
	ip = (void *)(__u64)skb->data + ETH_HLEN;
	if ((void *)(ip + 1) > (void *)(__u64)skb->data_end)
		return FORWARD_NOT;
	p.len = sizeof(*ip) + bpf_ntohs(ip->len);
	if ((bpf_ntohl(ip->version) >> 28) != 6 || ip->hop_limit < 2 ||
		p.len != skb->len - ETH_HLEN)
		return FORWARD_NOT;
	p.tos = (__u8)(bpf_ntohl(ip->version) >> 20);
	if (!forward_l4(skb, &p, ip + 1, ip->next, sizeof(*ip), ports))
		return FORWARD_NOT;
	__builtin_memcpy(key.src, ip->src, sizeof(key.src));
	__builtin_memcpy(key.dst, ip->dst, sizeof(key.dst));
	key.sport = ports[0];
	key.dport = ports[1];
	key.proto = ip->next;
	return forward_found(skb, header, bpf_map_lookup_elem(&flows6, &key),
		kernel_key_sum(&key, sizeof(key)), &p, 1);
}

/** @return an action, or FORWARD_NOT. */
static __always_inline int forward(struct __sk_buff *skb)
{
	const __u32 zero = 0;
	const struct kernel_slot *header = bpf_map_lookup_elem(&slots, &zero);

	if (header == NULL || !header->on || skb->vlan_present)
		return FORWARD_NOT;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return forward4(skb, header);
	return skb->protocol == bpf_htons(ETH_P_IPV6) ? forward6(skb, header) : FORWARD_NOT;
}

#endif
