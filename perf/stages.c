/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/stages.h"

static void parse(struct worker *w, struct port *in, uint16_t n)
{
	burst_selected()->parse(w, in, n);
}

static void lookup(struct worker *w, struct port *in, uint16_t n)
{
	(void)in;
	(void)n;
	burst_selected()->lookup(w);
}

static void forward(struct worker *w, struct port *in, uint16_t n)
{
	(void)n;
	burst_selected()->forward(w, in);
}

static void flush(struct worker *w, struct port *in, uint16_t n)
{
	(void)in;
	(void)n;
	worker_flush(w);
}

const struct stage stages[] = {
	{ "parse", parse },
	{ "lookup", lookup },
	{ "forward", forward },
	{ "flush", flush },
	{ NULL },
};
