/* SPDX-License-Identifier: Apache-2.0 */
/** ICMP errors and the flows they are about: see conntrack.h. Worker threads. */
#include "dataplane/conntrack.h"

#include "dataplane/adjacency.h"
#include "dataplane/flow_lookup.h"
#include "dataplane/worker_state.h"

#define ICMP_HEADER 8u

/** Unreachable, too big, time exceeded, parameter problem; over IPv4 also source quench and redirect are none: obsolete, and
 * for hosts on one link. */
static bool is_error(uint8_t proto, unsigned type)
{
	if (proto == IPPROTO_ICMPV6)
		return type >= 1 && type <= 4;
	return type == 3 || type == 11 || type == 12;
}

/** Ports as flow keys have them, from the first bytes of a header. */
static bool inner_ports(const uint8_t *l4, uint8_t proto, uint16_t *sport, uint16_t *dport)
{
	*sport = *dport = 0;
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		memcpy(sport, l4, sizeof(*sport));
		memcpy(dport, l4 + 2, sizeof(*dport));
		return true;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		*dport = rte_cpu_to_be_16((uint16_t)(l4[0] << 8 | l4[1]));
		/* About errors there are no errors. */
		if (proto == IPPROTO_ICMP ? l4[0] != 8 && l4[0] != 0 : l4[0] != 128 && l4[0] != 129)
			return false;
		memcpy(sport, l4 + 4, sizeof(*sport));
		return true;
	default:
		return true;
	}
}

/** The flow entry that an answer to the packet in the error would have, coming from `zone`. */
static struct flow *find4(
	struct worker *w, const uint8_t *ip, uint32_t len, uint32_t zone, uint32_t *answerer)
{
	const uint32_t header = (uint32_t)(ip[0] & 15) * 4;
	struct flow_key4 key, back;
	struct flow_place place;
	uint32_t index;

	if (ip[0] >> 4 != 4 || header < 20 || header + 8 > len || (ip[6] & 0x1f) != 0 || ip[7] != 0)
		return NULL;
	memcpy(&key.src, ip + 12, 4);
	memcpy(&key.dst, ip + 16, 4);
	if (!inner_ports(ip + header, ip[9], &key.sport, &key.dport))
		return NULL;
	key.zone_proto = zone << 8 | ip[9];
	pkt_reverse_key4(&key, zone, &back);
	*answerer = back.src;
	place = flow_place(w->flows, &w->flows->pool[0], flow_hash4(w->flows, &back));
	index = flow_find(&w->flows->pool[0], &place, &back, false);
	return index != 0 ? flow_at(&w->flows->pool[0], index, false) : NULL;
}

static struct flow *find6(
	struct worker *w, const uint8_t *ip, uint32_t len, uint32_t zone, uint8_t answerer[16])
{
	struct flow_key6 key, back;
	struct flow_place place;
	uint32_t index;

	if (ip[0] >> 4 != 6 || len < 48)
		return NULL;
	memcpy(key.src, ip + 8, 16);
	memcpy(key.dst, ip + 24, 16);
	if (!inner_ports(ip + 40, ip[6], &key.sport, &key.dport))
		return NULL;
	key.zone_proto = zone << 8 | ip[6];
	pkt_reverse_key6(&key, zone, &back);
	memcpy(answerer, back.src, 16);
	place = flow_place(w->flows, &w->flows->pool[1], flow_hash6(w->flows, &back));
	index = flow_find(&w->flows->pool[1], &place, &back, true);
	return index != 0 ? flow_at(&w->flows->pool[1], index, true) : NULL;
}

uint32_t conntrack_related(struct worker *w, const struct port *in, const struct pkt *p, bool v6)
{
	const uint32_t zone = (v6 ? p->key6.zone_proto : p->key4.zone_proto) >> 8;
	const unsigned type = rte_be_to_cpu_16(v6 ? p->key6.dport : p->key4.dport) >> 8;
	const uint32_t least = ICMP_HEADER + (v6 ? 48 : 28);
	const uint32_t payload = p->ip_len > p->l3_len ? p->ip_len - (uint32_t)p->l3_len : 0;
	const uint32_t at = (uint32_t)p->l2_len + p->l3_len + ICMP_HEADER;
	/* An IPv4 header with options may be longer than the least. */
	const uint32_t want = RTE_MIN(payload, least + (v6 ? 0u : 40u));
	uint8_t answerer[16], from_v6[16], to_v6[16];
	uint32_t from, to, answerer4 = 0, adjacency;
	const uint8_t *inner;
	struct flow *flow;

	if (!is_error(p->proto, type) || p->flags & PKT_FRAGMENT || payload < least ||
		!pkt_pull(p->m, (uint32_t)p->l2_len + p->l3_len + want))
		return 0;
	inner = rte_pktmbuf_mtod_offset(p->m, const uint8_t *, at);
	/* It must go to who sent what it is about; and a pod may complain only about what was sent to itself, because nobody looks
	 * at its address here. */
	if (v6) {
		memcpy(from_v6, p->key6.src, 16);
		memcpy(to_v6, p->key6.dst, 16);
		flow = find6(w, inner, want - ICMP_HEADER, zone, answerer);
		if (flow == NULL || memcmp(to_v6, inner + 8, 16) != 0 ||
			(in != NULL && in->role == PORT_POD && memcmp(from_v6, answerer, 16) != 0))
			return 0;
	} else {
		from = p->key4.src;
		to = p->key4.dst;
		flow = find4(w, inner, want - ICMP_HEADER, zone, &answerer4);
		if (flow == NULL || memcmp(&to, inner + 12, 4) != 0 ||
			(in != NULL && in->role == PORT_POD && from != answerer4))
			return 0;
	}
	if (atomic_load_explicit(&flow->flags, memory_order_relaxed) & FLOW_NEGATIVE)
		return 0;
	if (atomic_load_explicit(&flow->epoch, memory_order_acquire) != w->epoch &&
		!slow_still_true(w, flow, v6))
		return 0;
	adjacency = flow_decision_get(flow).adjacency;
	if (adjacency < DROP_REASON_COUNT || adjacency_get(adjacency)->type == ADJ_LOCAL)
		return 0;
	counter_add(&w->counters->events[EVENT_conntrack_related], 1);
	return adjacency;
}
