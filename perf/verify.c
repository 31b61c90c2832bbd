/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/verify.h"

#include "dataplane/counters.h"
#include "dataplane/worker.h"
#include "perf/bench.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The plane's own addresses: perf/plane.h. */
static const uint8_t vtep_self[6] = { 2, 0, 0xc0, 0, 2, 1 }, vtep_peer[6] = { 2, 0, 0xc0, 0, 2, 2 },
		     peer_mac[6] = { 2, 0, 0, 0, 2, 2 },
		     gateway_mac[6] = { 2, 0x70, 0x6f, 0x64, 0x6c, 1 },
		     pod_mac[2][6] = { { 2, 0, 0, 0, 0, 0x0a }, { 2, 0, 0, 0, 0, 0x0b } };
static const uint8_t self_ip[4] = { 192, 0, 2, 1 }, peer_ip[4] = { 192, 0, 2, 2 };

#define ETHER	  14u
#define IPV4	  20u
#define VXLAN_ALL 16u /* UDP and VXLAN */

/* --- one frame --------------------------------------------------------------------------------------------------- */

static uint16_t word(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/** The Internet checksum, the slow way: 0 over a header whose sum is right. */
static uint16_t sum_of(const uint8_t *at, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += word(at + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static const char *check_ether(
	const uint8_t *at, const uint8_t *dst, const uint8_t *src, uint16_t type)
{
	return memcmp(at, dst, 6) != 0	     ? "destination MAC address"
	       : memcmp(at + 6, src, 6) != 0 ? "source MAC address"
	       : word(at + 12) != type	     ? "ether type"
					     : NULL;
}

/** The packet itself: one hop older, nothing else. */
static const char *check_inner(bool v6, const uint8_t *in, const uint8_t *out, uint32_t len)
{
	const uint32_t ttl = v6 ? 7 : 8, header = v6 ? 40 : IPV4;

	if (out[ttl] != in[ttl] - 1)
		return v6 ? "hop limit" : "TTL";
	if (!v6 && sum_of(out, IPV4) != 0)
		return "IPv4 checksum";
	for (uint32_t i = 0; i < header; i++) {
		if (in[i] != out[i] && i != ttl && (v6 || (i != 10 && i != 11)))
			return "IP header";
	}
	return memcmp(in + header, out + header, len - header) != 0 ? "what is behind the IP header"
								    : NULL;
}

static const char *check_outer_ip(const uint8_t *ip, uint8_t protocol, uint32_t len)
{
	return ip[0] != 0x45 || ip[1] != 0	  ? "outer version, length or TOS"
	       : word(ip + 2) != len		  ? "outer total length"
	       : (word(ip + 6) & 0x1fff) != 0	  ? "outer fragment offset"
	       : ip[8] == 0			  ? "outer TTL"
	       : ip[9] != protocol		  ? "outer protocol"
	       : sum_of(ip, IPV4) != 0		  ? "outer IPv4 checksum"
	       : memcmp(ip + 12, self_ip, 4) != 0 ? "outer source"
	       : memcmp(ip + 16, peer_ip, 4) != 0 ? "outer destination"
						  : NULL;
}

static const char *check_vxlan(const uint8_t *udp, uint32_t len, uint16_t type)
{
	static const uint8_t vxlan[8] = { 8, 0, 0, 0, 0, 0, 1, 0 };

	return word(udp) < 1024	       ? "outer source port"
	       : word(udp + 2) != 8472 ? "outer destination port"
	       : word(udp + 4) != len  ? "outer UDP length"
	       : word(udp + 6) != 0    ? "outer UDP checksum"
	       : memcmp(udp + 8, vxlan, 8) != 0
		       ? "VXLAN header"
		       : check_ether(udp + VXLAN_ALL, vtep_peer, vtep_self, type);
}

static bool is_encap(const struct verify *v)
{
	return v->scenario->work == PLANE_ENCAP || v->scenario->work == PLANE_NEW_FLOW;
}

const char *verify_frame(const struct verify *v, const uint8_t *in, uint32_t in_len,
	const uint8_t *out, uint32_t out_len)
{
	const bool v6 = v->scenario->v6, vxlan = strcmp(v->scenario->encap, "vxlan") == 0;
	const uint16_t type = v6 ? 0x86dd : 0x0800;
	const uint32_t len = in_len - v->inner_ip;
	const uint32_t outer = is_encap(v) ? IPV4 + (vxlan ? VXLAN_ALL + ETHER : 0) : 0;
	const char *wrong;

	if (out_len != ETHER + outer + len)
		return "length";
	if (!is_encap(v)) {
		wrong = check_ether(out, v->pod.bytes, v->gateway.bytes, type);
	} else {
		wrong = check_ether(out, peer_mac, v->uplink.bytes, 0x0800);
		if (wrong == NULL)
			wrong = check_outer_ip(out + ETHER,
				vxlan ? IPPROTO_UDP
				: v6  ? IPPROTO_IPV6
				      : IPPROTO_IPIP,
				outer + len);
		if (wrong == NULL && vxlan)
			wrong = check_vxlan(out + ETHER + IPV4, outer - IPV4 + len, type);
	}
	return wrong != NULL ? wrong : check_inner(v6, in + v->inner_ip, out + ETHER + outer, len);
}

void verify_init(struct verify *v, const struct plane *plane, const struct packets *set)
{
	*v = (struct verify){ .scenario = set->conf.scenario,
		.inner_ip = set->inner_ip,
		.uplink = plane->uplink->mac };
	memcpy(v->gateway.bytes, gateway_mac, 6);
	memcpy(v->pod.bytes, pod_mac[set->conf.scenario->work == PLANE_L3], 6);
}

/* --- a set ------------------------------------------------------------------------------------------------------- */

/** What is counted, of all the workers and the uplink or pod where packets leave. */
struct counted {
	struct counter_totals all;
	struct port_totals out;
	uint64_t flow_packets, flow_bytes; /* in all flow entries */
};

static int add_flow(const struct flow_record *record, void *arg)
{
	struct counted *c = arg;

	c->flow_packets += record->packets;
	c->flow_bytes += record->bytes;
	return 0;
}

static void count_now(struct counted *c, struct worker *w, const struct port *out)
{
	*c = (struct counted){ 0 };
	counters_sum(&c->all);
	counters_sum_port(out->id, &c->out);
	flow_table_each(w->flows, RCU_WORKERS_MAX, 0, w->now_ms, add_flow, c);
}

_Noreturn static void wrong_packet(uint32_t packet, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "packet %" PRIu32 " did not come out as it must: %s", packet,
		what);
	bench_die(text, NULL);
}

static void must_be(const char *what, uint64_t is, uint64_t should)
{
	char text[160];

	if (is == should)
		return;
	snprintf(text, sizeof(text), "%s: %" PRIu64 " were counted of %" PRIu64, what, is, should);
	bench_die(text, NULL);
}

static void check_counters(const struct counted *before, const struct counted *now,
	const struct plane_scenario *s, uint64_t packets, uint64_t ip_bytes, bool new_flows)
{
	const uint64_t *b = before->all.events, *n = now->all.events;

	must_be("packets whose flow was known", n[EVENT_flow_hit] - b[EVENT_flow_hit],
		new_flows ? 0 : packets);
	must_be("packets whose flow was new", n[EVENT_flow_miss] - b[EVENT_flow_miss],
		new_flows ? packets : 0);
	must_be("encapsulated packets", n[EVENT_encapsulated] - b[EVENT_encapsulated],
		s->work == PLANE_ENCAP || s->work == PLANE_NEW_FLOW ? packets : 0);
	must_be("decapsulated packets", n[EVENT_decapsulated] - b[EVENT_decapsulated],
		s->work == PLANE_DECAP ? packets : 0);
	must_be("packets sent", now->all.transmitted - before->all.transmitted, packets);
	must_be("packets sent by the port", now->out.tx_packets - before->out.tx_packets, packets);
	must_be("packets dropped", now->all.dropped - before->all.dropped, 0);
	must_be("packets in flow entries", now->flow_packets - before->flow_packets, packets);
	must_be("bytes in flow entries", now->flow_bytes - before->flow_bytes, ip_bytes);
}

static struct port *port_of(struct plane *plane, const struct packets *set)
{
	return set->conf.scenario->work == PLANE_L3	 ? plane->pod_b
	       : set->conf.scenario->work == PLANE_DECAP ? plane->pod_a
							 : plane->uplink;
}

/** One burst. @return bytes of its packets, from the inner IP header on. */
static uint64_t verify_burst(struct plane *plane, struct worker *w, const struct verify *v,
	const struct packets *set, uint32_t first, uint16_t n)
{
	static uint8_t before[VECTOR_SIZE][VERIFY_FRAME_MAX];
	static struct plane_taken taken[2 * VECTOR_SIZE];
	const struct port *out = port_of(plane, set);
	struct rte_mbuf *const *m = set->m + first;
	uint64_t bytes = 0;
	uint32_t count, len[VECTOR_SIZE];

	for (uint16_t i = 0; i < n; i++) {
		len[i] = m[i]->pkt_len;
		memcpy(before[i], rte_pktmbuf_mtod(m[i], uint8_t *), len[i]);
		bytes += len[i] - v->inner_ip;
	}
	plane_take(taken, RTE_DIM(taken));
	plane_burst(w, set->in, m, n);
	count = plane_take(NULL, 0);
	must_be("packets handed over", count, n);
	for (uint16_t i = 0; i < n; i++) {
		uint32_t at = 0;
		const char *wrong;

		while (at < count && taken[at].m != m[i])
			at++;
		if (at == count)
			wrong_packet(first + i, "it is missing");
		if (taken[at].port != out)
			wrong_packet(first + i, "it is at the wrong port");
		taken[at].m = NULL;
		wrong = verify_frame(
			v, before[i], len[i], rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->pkt_len);
		if (wrong != NULL)
			wrong_packet(first + i, wrong);
	}
	plane_burst_begin(w);
	return bytes;
}

void verify_set(struct plane *plane, struct worker *w, struct packets *set, uint32_t first_flow,
	bool new_flows)
{
	static struct counted before, now;
	uint64_t bytes = 0;
	struct verify v;

	verify_init(&v, plane, set);
	packets_prepare(set, first_flow);
	count_now(&before, w, port_of(plane, set));
	for (uint32_t i = 0; i < set->conf.count; i += VECTOR_SIZE)
		bytes += verify_burst(plane, w, &v, set, i,
			(uint16_t)RTE_MIN(set->conf.count - i, (uint32_t)VECTOR_SIZE));
	count_now(&now, w, port_of(plane, set));
	check_counters(&before, &now, set->conf.scenario, set->conf.count, bytes, new_flows);
}
