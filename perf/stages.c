/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/stages.h"

/** Parse, and what worker_burst does with a tunnel packet: strip it and parse again, so that keys are the inner ones. */
static void parse(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	const struct tunnel_table *t = w->tables->tunnels;
	struct vector *v = &w->vector;

	v->n4 = v->n6 = 0;
	for (uint16_t i = 0; i < n; i++) {
		struct pkt *p = &w->meta[i];
		struct parsed parsed;

		p->m = packets[i];
		parsed = pkt_parse_ether(p->m, p, in->id);
		for (unsigned k = 0; in->role == PORT_UPLINK && tunnel_types[k] != NULL; k++) {
			if (tunnel_types[k]->claims(t, p)) {
				parsed = tunnel_types[k]->decap(t, p->m, p);
				break;
			}
		}
		if (parsed.class == PKT_FLOW4) {
			p->hash = flow_hash4(w->flows, &p->key4);
			v->flow4[v->n4++] = p;
		} else if (parsed.class == PKT_FLOW6) {
			p->hash = flow_hash6(w->flows, &p->key6);
			v->flow6[v->n6++] = p;
		}
	}
}

static void lookup(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	struct vector *v = &w->vector;

	(void)in;
	(void)packets;
	(void)n;
	if (v->n4 > 0)
		flow_lookup4(w->flows, v->flow4, w->found, v->n4);
	if (v->n6 > 0)
		flow_lookup6(w->flows, v->flow6, w->found, v->n6);
}

const struct stage stages[] = {
	{ "parse", parse, { "pkt_parse_ether", "vxlan_decap", "ipip_decap" } },
	{ "lookup", lookup, { "flow_lookup4", "flow_lookup6" } },
	{ "send", NULL, { "worker_flush_port" } },
	{ NULL },
};
