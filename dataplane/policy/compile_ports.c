/* SPDX-License-Identifier: Apache-2.0 */
/* Protocols, ports and families of flat rules, as bitmaps. */
#include "dataplane/policy/compile.h"

#include <stdlib.h>

struct port_event {
	uint32_t at; /* 65536 = past the end */
	uint32_t rule;
	bool on;
};

static int event_order(const void *a, const void *b)
{
	const struct port_event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static bool rule_has_protocol(const struct flat_rule *f, int protocol)
{
	if (f->protocol != 0)
		return f->protocol == protocol;
	return f->not_protocol == 0 || f->not_protocol != protocol;
}

/** The ranges of values in which the same rules match. `protocol` -1 stands for all that no rule mentions. */
static void compile_ports(struct policy_program *p, struct row_set *set, int protocol, bool source,
	struct program_ports *out)
{
	const struct flat_rules *flat = &p->control->flat;
	struct port_event *events;
	uint32_t n = 0, total = 0;
	uint64_t *row = policy_alloc(p->words * sizeof(*row));

	for (uint32_t i = 0; i < flat->count; i++)
		total += 2 * (source ? flat->items[i].sports.count : flat->items[i].dports.count);
	events = policy_alloc((total + 1) * sizeof(*events));
	for (uint32_t i = 0; i < flat->count; i++) {
		const struct flat_rule *f = &flat->items[i];
		const struct ranges *ranges = source ? &f->sports : &f->dports;

		if (!source && !rule_has_protocol(f, protocol))
			continue;
		if (ranges->items == NULL) {
			rule_on(row, i);
			continue;
		}
		for (uint32_t r = 0; r < ranges->count; r++) {
			events[n++] = (struct port_event){ ranges->items[r].first, i, true };
			events[n++] = (struct port_event){ (uint32_t)ranges->items[r].last + 1, i,
				false };
		}
	}
	qsort(events, n, sizeof(*events), event_order);
	out->begins = policy_alloc((n + 1) * sizeof(out->begins[0]));
	out->rows = policy_alloc((n + 1) * sizeof(out->rows[0]));
	out->count = 0;
	for (uint32_t e = 0, at = 0; at <= UINT16_MAX;) {
		uint32_t r;

		/* Ranges of a rule are apart, so one never ends where the next begins. */
		for (; e < n && events[e].at == at; e++)
			(events[e].on ? rule_on : rule_off)(row, events[e].rule);
		r = row_intern(set, row);
		if (out->count == 0 || out->rows[out->count - 1] != r) {
			out->begins[out->count] = (uint16_t)at;
			out->rows[out->count++] = r;
		}
		if (e == n)
			break;
		at = events[e].at;
	}
	free(events);
	free(row);
}

void compile_protocols(struct policy_program *p)
{
	const struct flat_rules *flat = &p->control->flat;
	struct row_set set = { .program = p, .rows = &p->port_rows };
	int number[256];

	for (uint32_t i = 0; i < flat->count; i++) {
		const struct flat_rule *f = &flat->items[i];

		p->protocol[f->protocol] = p->protocol[f->not_protocol] = 1;
		p->has_sports = p->has_sports || f->sports.items != NULL;
		p->has_family = p->has_family || f->ip_version != RULE_IP_ANY;
	}
	p->protocol[0] = 0;
	number[p->n_protocols++] = -1;
	for (int protocol = 1; protocol < 256; protocol++) {
		if (p->protocol[protocol] != 0) {
			p->protocol[protocol] = (uint8_t)p->n_protocols;
			number[p->n_protocols++] = protocol;
		}
	}
	p->dports = policy_alloc(p->n_protocols * sizeof(p->dports[0]));
	p->sports = policy_alloc(p->n_protocols * sizeof(p->sports[0]));
	for (uint32_t i = 0; i < p->n_protocols; i++) {
		compile_ports(p, &set, number[i], false, &p->dports[i]);
		if (p->has_sports)
			compile_ports(p, &set, number[i], true, &p->sports[i]);
	}
	free(set.slots);
	for (unsigned f = 0; p->has_family && f < 2; f++) {
		p->family[f] = policy_alloc(p->stride * sizeof(uint64_t));
		for (uint32_t i = 0; i < flat->count; i++) {
			if (flat->items[i].ip_version == RULE_IP_ANY ||
				(flat->items[i].ip_version == RULE_IP_V6) == (f == 1))
				rule_on(p->family[f] + p->summary, i);
		}
		summarize(p, p->family[f]);
	}
}
