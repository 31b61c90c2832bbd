/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire_arp.h"

#include "dataplane/arp_nd.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ANSWERS_MAX (WIRE_ANSWERS_MAX + 8)
#define QUEUE	    256
#define ASK_AGAIN   0.2 /* seconds between requests */

struct answer {
	struct ip_prefix prefix;
	struct mac_addr mac;
};

struct wire_arp {
	const struct wire_port *ports;
	unsigned n_ports;
	struct rte_mempool *pool;
	struct rte_ring *out[WIRE_PORTS]; /* receiving to sending thread */
	struct answer answers[WIRE_PORTS][ANSWERS_MAX];
	unsigned n_answers[WIRE_PORTS];
	struct ip_addr asked[WIRE_PORTS]; /* main thread, while it resolves */
	struct mac_addr found[WIRE_PORTS];
};

static void answer_add(struct wire_arp *arp, unsigned port, const struct ip_prefix *prefix,
	const struct mac_addr *mac)
{
	if (prefix->addr.family != IP_NONE && arp->n_answers[port] < ANSWERS_MAX)
		arp->answers[port][arp->n_answers[port]++] = (struct answer){ *prefix, *mac };
}

static struct ip_prefix host(const struct ip_addr *addr)
{
	return (struct ip_prefix){ *addr, (uint8_t)ip_family_bits(addr->family) };
}

int wire_arp_start(struct wire *w, struct error *err)
{
	struct wire_arp *arp = calloc(1, sizeof(*arp));

	if (arp == NULL)
		return error_set(err, ENOMEM, NULL, "no memory");
	arp->ports = w->ports;
	arp->n_ports = w->n_ports;
	arp->pool = rte_pktmbuf_pool_create(
		"arp", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	arp->out[0] = rte_ring_create("arp_a", QUEUE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	arp->out[1] = rte_ring_create("arp_b", QUEUE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (arp->pool == NULL || arp->out[0] == NULL || arp->out[1] == NULL)
		return error_set(
			err, ENOMEM, NULL, "no memory to answer neighbours: raise --memory");
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		const struct wire_keys *k = &w->o.keys[d];
		unsigned from = w->n_ports == 1 ? 0 : d, to = w->n_ports == 1 ? 0 : 1 - d;
		struct ip_prefix src = host(&k->src), outer_src = host(&k->outer_src),
				 outer_dst = host(&k->outer_dst);

		if (!w->o.active[d])
			continue;
		answer_add(arp, from, &src, &k->src_mac);
		answer_add(arp, from, &outer_src, &k->src_mac);
		answer_add(arp, to, &k->dst, &w->ports[to].mac);
		answer_add(arp, to, &outer_dst, &w->ports[to].mac);
	}
	for (unsigned p = 0; p < w->n_ports; p++) {
		for (unsigned i = 0; i < w->o.n_answers[p]; i++)
			answer_add(arp, p, &w->o.answers[p][i], &w->ports[p].mac);
	}
	w->arp = arp;
	return 0;
}

void wire_arp_input(struct wire_arp *arp, unsigned port, struct rte_mbuf *m)
{
	struct neighbour_info info;
	struct rte_mbuf *reply = NULL;
	struct pkt p;
	enum pkt_class kind = pkt_parse_ether(m, &p, 0).class;

	if ((kind != PKT_ARP && kind != PKT_ND) ||
		neighbour_parse(m, &p, kind == PKT_ARP, &info) != DROP_NONE)
		return;
	if (info.kind == NEIGHBOUR_REPLY && ip_addr_equal(&info.target, &arp->asked[port]))
		arp->found[port] = info.sender_mac;
	for (unsigned i = 0;
		info.kind == NEIGHBOUR_REQUEST && reply == NULL && i < arp->n_answers[port]; i++) {
		const struct answer *a = &arp->answers[port][i];

		if (ip_prefix_contains(&a->prefix, &info.target) && info.sender.family != IP_NONE &&
			!ip_addr_equal(&info.sender, &info.target))
			reply = neighbour_reply_make(arp->pool, &info.target, &a->mac, &info.sender,
				&info.sender_mac, false, true, true);
	}
	if (reply != NULL && rte_ring_enqueue(arp->out[port], reply) != 0)
		rte_pktmbuf_free(reply);
}

void wire_arp_flush(struct wire_arp *arp)
{
	for (unsigned p = 0; p < arp->n_ports; p++) {
		void *reply;

		while (!rte_ring_empty(arp->out[p]) && rte_ring_dequeue(arp->out[p], &reply) == 0) {
			struct rte_mbuf *m = reply;

			if (rte_eth_tx_burst(arp->ports[p].id, 0, &m, 1) == 0)
				rte_pktmbuf_free(m); /* it will be asked again */
		}
	}
}

static void receive_all(struct wire *w)
{
	struct rte_mbuf *pkts[WIRE_BURST];

	for (unsigned i = 0; i < w->n_ports * w->o.rx_queues; i++) {
		unsigned p = i / w->o.rx_queues;
		uint16_t n = rte_eth_rx_burst(
			w->ports[p].id, (uint16_t)(i % w->o.rx_queues), pkts, WIRE_BURST);

		for (uint16_t k = 0; k < n; k++)
			wire_arp_input(w->arp, p, pkts[k]);
		rte_pktmbuf_free_bulk(pkts, n);
	}
	wire_arp_flush(w->arp);
}

static int ask(struct wire *w, unsigned port, const struct ip_addr *target,
	const struct wire_keys *k, struct mac_addr *mac, struct error *err)
{
	const struct ip_addr *sender = k->encap != WIRE_PLAIN ? &k->outer_src : &k->src;
	const struct mac_addr anyone = { 0 };
	uint64_t hz = rte_get_tsc_hz(), now = rte_rdtsc(),
		 until = now + (uint64_t)(w->o.wait * (double)hz), next = 0;
	struct wire_arp *arp = w->arp;
	char text[IP_TEXT_MAX];

	arp->asked[port] = *target;
	arp->found[port] = anyone;
	while (mac_addr_is_zero(&arp->found[port])) {
		now = rte_rdtsc();
		if (atomic_load(&wire_interrupted))
			return error_set(err, EINTR, NULL, "interrupted");
		if (now > until)
			return error_set(err, EHOSTUNREACH, NULL,
				"port %c: nobody answers for %s within %.1f s: name the gateway "
				"with gw=, or give dst_mac (--wait)",
				w->ports[port].name, ip_addr_format(target, text), w->o.wait);
		if (now >= next) {
			struct rte_mbuf *m = neighbour_request_make(
				arp->pool, target, sender, &k->src_mac, &anyone);

			next = now + (uint64_t)(ASK_AGAIN * (double)hz);
			if (m != NULL && rte_eth_tx_burst(w->ports[port].id, 0, &m, 1) == 0)
				rte_pktmbuf_free(m);
		}
		receive_all(w);
		rte_delay_us_sleep(50);
	}
	*mac = arp->found[port];
	return 0;
}

int wire_arp_resolve(struct wire *w, struct error *err)
{
	for (unsigned d = 0; d < WIRE_DIRECTIONS; d++) {
		struct wire_keys *k = &w->o.keys[d];
		const struct ip_addr *target = k->gateway.family != IP_NONE ? &k->gateway
					       : k->encap != WIRE_PLAIN	    ? &k->outer_dst
									    : &k->dst.addr;
		int ret = 0;

		if (w->o.active[d] && mac_addr_is_zero(&k->dst_mac))
			ret = ask(w, w->n_ports == 1 ? 0 : d, target, k, &k->dst_mac, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}
