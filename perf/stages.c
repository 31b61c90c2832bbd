/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/stages.h"

#include "dataplane/burst.h"

static void parse(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	memcpy(w->pkts, packets, n * sizeof(packets[0]));
	burst_selected()->parse(w, in, n);
}

static void lookup(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	(void)in;
	(void)packets;
	(void)n;
	burst_selected()->lookup(w);
}

static void forward(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	(void)packets;
	(void)n;
	burst_selected()->forward(w, in);
}

static void flush(struct worker *w, struct port *in, struct rte_mbuf *const *packets, uint16_t n)
{
	(void)in;
	(void)packets;
	(void)n;
	worker_flush(w);
}

#define VARIANTS(stage) { stage "_portable", stage "_avx2", stage "_avx512" }

const struct stage stages[] = {
	{ "parse", parse, VARIANTS("stage_parse") },
	{ "lookup", lookup, VARIANTS("stage_lookup") },
	{ "forward", forward, VARIANTS("stage_forward") },
	{ "send", flush, { "worker_flush" } },
	{ NULL },
};
