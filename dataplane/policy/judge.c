/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict. Workers, and whoever wants an explanation. */
#include "dataplane/policy/program.h"

#include "dataplane/fib.h"
#include "dataplane/resolve.h"

#include <rte_branch_prediction.h>

#define ROWS_MAX 6 /* identity, leaf, ports, source ports, own leaf, family */

/** One end of a connection, as the other end's program sees it. */
struct end {
	const uint8_t *address;
	uint32_t identity, leaf;
	bool known; /* identity and leaf have been looked up */
};

/** What is asked. */
struct question {
	const struct policy_table *table;
	struct end source, destination;
	uint16_t sport, dport; /* host order */
	uint8_t protocol;
	bool v6;
	const struct recorder *recorder;
};

struct answer {
	bool allow;
	const struct program_rule *rule; /* that decided; NULL = none did, allowed */
	uint32_t logged;
};

static void look_up(const struct question *q, struct end *end)
{
	if (end->known)
		return;
	end->identity = fib_lookup(q->table->identities[q->v6], end->address);
	end->leaf = fib_lookup(q->table->leaves[q->v6], end->address);
	end->known = true;
}

static uint32_t port_row(const struct program_ports *ports, uint16_t value)
{
	uint32_t low = 0, n = ports->count;

	/* The last range that begins at or below the value: without branches, for the cost is theirs. */
	while (n > 1) {
		uint32_t half = n / 2;

		low += ports->begins[low + half] <= value ? half : 0;
		n -= half;
	}
	return ports->rows[low];
}

/** The bitmaps whose conjunction has the rules that match. @return how many. */
static unsigned gather(const struct policy_program *p, const struct question *q,
	const struct end *peer, const struct end *self, const uint64_t **rows)
{
	const uint32_t protocol = p->protocol[q->protocol];
	unsigned n = 0;

	rows[n++] = rows_at(p, &p->identity_rows, p->identity_class[peer->identity]);
	rows[n++] = rows_at(p, &p->port_rows, port_row(&p->dports[protocol], q->dport));
	if (p->has_peer_leaf)
		rows[n++] = rows_at(p, &p->leaf_rows, p->leaf_class[peer->leaf]);
	if (p->has_sports)
		rows[n++] = rows_at(p, &p->port_rows, port_row(&p->sports[protocol], q->sport));
	if (p->has_self_leaf)
		rows[n++] = rows_at(p, &p->self_rows, p->leaf_class[self->leaf]);
	if (p->has_family)
		rows[n++] = p->family[q->v6];
	return n;
}

static inline uint64_t conjunction(const uint64_t *const *rows, unsigned n, uint32_t word)
{
	uint64_t bits = rows[0][word];

	for (unsigned i = 1; i < n; i++)
		bits &= rows[i][word];
	return bits;
}

/** The first rule at or behind `from` that matches; n_rules = none. */
static uint32_t first_match(
	const struct policy_program *p, const uint64_t *const *rows, unsigned n, uint32_t from)
{
	uint32_t word = from / 64;
	uint64_t bits;

	if (from >= p->n_rules)
		return p->n_rules;
	bits = conjunction(rows, n, p->summary + word) & ~UINT64_C(0) << from % 64;
	if (p->summary == 0) {
		while (bits == 0 && ++word < p->words)
			bits = conjunction(rows, n, word);
		return bits != 0 ? word * 64 + (uint32_t)__builtin_ctzll(bits) : p->n_rules;
	}
	while (bits == 0 && ++word < p->words) {
		uint64_t summary = conjunction(rows, n, word / 64) & ~UINT64_C(0) << word % 64;

		while (summary == 0 && (word = (word / 64 + 1) * 64) < p->words)
			summary = conjunction(rows, n, word / 64);
		if (summary == 0)
			break;
		word = word / 64 * 64 + (uint32_t)__builtin_ctzll(summary);
		bits = conjunction(rows, n, p->summary + word);
	}
	return bits != 0 ? word * 64 + (uint32_t)__builtin_ctzll(bits) : p->n_rules;
}

static void run(const struct policy_program *p, struct question *q, struct end *peer,
	struct end *self, struct answer *answer)
{
	const uint64_t *rows[ROWS_MAX];
	uint32_t at = 0;
	unsigned n;

	*answer = (struct answer){ .allow = true, .logged = POLICY_RULE_NONE };
	look_up(q, peer);
	if (p->has_self_leaf)
		look_up(q, self);
	n = gather(p, q, peer, self, rows);
	while ((at = first_match(p, rows, n, at)) < p->n_rules) {
		const struct program_rule *rule = &p->rules[at];

		switch ((enum rule_action)rule->action) {
		case RULE_PASS:
			at = rule->next;
			continue;
		case RULE_LOG:
			if (answer->logged == POLICY_RULE_NONE)
				answer->logged = rule->id;
			at++;
			continue;
		case RULE_ALLOW:
		case RULE_DENY:
			answer->allow = rule->action == RULE_ALLOW;
			answer->rule = rule;
			return;
		}
	}
}

static void record(
	const struct question *q, const char *who, const char *how, const struct answer *answer)
{
	const struct recorder *r = q->recorder;
	struct policy_rule_text text;

	if (answer->rule == NULL)
		r->step(r->arg, "policy", "%s%s: no rule decides, allowed", who, how);
	else if (!policy_rule_describe(q->table->state, answer->rule->id, &text))
		return;
	else if (text.policy[0] == '\0' && text.tier[0] != '\0')
		r->step(r->arg, "policy",
			"%s%s: %s by tier %s: policies of it select the pod, and no rule of theirs "
			"matches",
			who, how, answer->allow ? "allowed" : "denied", text.tier);
	else
		r->step(r->arg, "policy", "%s%s: %s by tier %s, policy %s%s%s, rule %s", who, how,
			answer->allow ? "allowed" : "denied", text.tier, text.namespace,
			text.namespace[0] != '\0' ? "/" : "", text.policy, text.rule);
}

/** What one end says, with and without staged policies. */
struct opinion {
	struct answer real, staged;
};

static void ask(const struct policy_program *p, struct question *q, bool egress, struct opinion *o)
{
	struct end *peer = egress ? &q->destination : &q->source,
		   *self = egress ? &q->source : &q->destination;
	const char *who = egress ? "egress of the sender" : "ingress of the receiver";

	*o = (struct opinion){ { .allow = true }, { .allow = true } };
	if (p == NULL) {
		if (unlikely(q->recorder != NULL))
			q->recorder->step(q->recorder->arg, "policy",
				"%s: no policy selects it, allowed", who);
		return;
	}
	run(p, q, peer, self, &o->real);
	o->staged = o->real;
	if (unlikely(p->staged != NULL))
		run(p->staged, q, peer, self, &o->staged);
	if (unlikely(q->recorder != NULL)) {
		record(q, who, "", &o->real);
		if (p->staged != NULL && o->staged.rule != o->real.rule)
			record(q, who, ", if staged policies were in force", &o->staged);
	}
}

/** The answer that stands for two: the first that denies, else the last that a rule gave. */
static const struct answer *both(const struct answer *egress, const struct answer *ingress)
{
	if (!egress->allow)
		return egress;
	return ingress->rule != NULL || !ingress->allow ? ingress : egress;
}

static void judge(struct question *q, uint16_t from, uint16_t to, struct policy_verdict *verdict)
{
	const struct policy_table *t = q->table;
	struct opinion egress = { { .allow = true }, { .allow = true } }, ingress = egress;
	const struct answer *real, *staged;

	*verdict = (struct policy_verdict){ .allow = true };
	if (t == NULL || (from == to && from != POLICY_PORT_NONE))
		return;
	if (from < t->n_ports)
		ask(t->ports[from].egress, q, true, &egress);
	if (to < t->n_ports && (egress.real.allow || egress.staged.allow))
		ask(t->ports[to].ingress, q, false, &ingress);
	real = both(&egress.real, &ingress.real);
	staged = both(&egress.staged, &ingress.staged);
	verdict->allow = real->allow;
	if (real->rule != NULL) {
		verdict->rule = real->rule->id;
		verdict->on_change = real->rule->on_change;
		verdict->stateless = real->rule->stateless;
	}
	verdict->logged =
		egress.real.logged != POLICY_RULE_NONE ? egress.real.logged : ingress.real.logged;
	if (staged->allow != real->allow) {
		verdict->staged_differs = true;
		verdict->staged_rule = staged->rule != NULL ? staged->rule->id : POLICY_RULE_NONE;
	}
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

void policy_judge4(const struct policy_table *table, const struct flow_key4 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict)
{
	struct question q = { .table = table,
		.source.address = (const uint8_t *)&key->src,
		.destination.address = (const uint8_t *)&key->dst,
		.sport = has_ports((uint8_t)key->zone_proto) ? ntohs(key->sport) : 0,
		.dport = ntohs(key->dport),
		.protocol = (uint8_t)key->zone_proto,
		.recorder = recorder };

	judge(&q, from, to, verdict);
}

void policy_judge6(const struct policy_table *table, const struct flow_key6 *key, uint16_t from,
	uint16_t to, const struct recorder *recorder, struct policy_verdict *verdict)
{
	struct question q = { .table = table,
		.source.address = key->src,
		.destination.address = key->dst,
		.sport = has_ports((uint8_t)key->zone_proto) ? ntohs(key->sport) : 0,
		.dport = ntohs(key->dport),
		.protocol = (uint8_t)key->zone_proto,
		.v6 = true,
		.recorder = recorder };

	judge(&q, from, to, verdict);
}

static void count(const struct rule_hits *hits, unsigned worker, uint32_t rule)
{
	_Atomic uint64_t *page, *counter;

	if (rule == POLICY_RULE_NONE || worker >= hits->n_workers)
		return;
	page = atomic_load_explicit(
		&hits->pages[(size_t)worker * HITS_PAGES + rule / HITS_PAGE], memory_order_acquire);
	counter = &page[rule % HITS_PAGE];
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

void policy_count(
	const struct policy_table *table, unsigned worker, const struct policy_verdict *verdict)
{
	if (table == NULL)
		return;
	count(table->hits, worker, verdict->rule);
	count(table->hits, worker, verdict->logged);
	if (verdict->staged_differs)
		count(table->hits, worker, verdict->staged_rule);
}
