/* SPDX-License-Identifier: Apache-2.0 */
/** The control thread's side of policy. Private to dataplane/policy/.
 *
 *   identity   what a pod, endpoint or node is to policies: kind, namespace, labels, named ports
 *   leaf       a prefix that a rule or set names
 *   matcher    what a rule asks of one end's identity, and which identities satisfy it
 *   local      an identity that pods of this node have (or the node itself): the policies that select it, its programs
 *
 * A transaction applies its changes one by one (state.c), which marks locals as dirty, then compiles those (compile.c).
 * To undo it, the changes are applied backwards. Things whose last user goes wait in the transaction until then.
 */
#ifndef DATAPLANE_POLICY_STATE_H
#define DATAPLANE_POLICY_STATE_H

#include "config/selector.h"
#include "dataplane/policy/intern.h"
#include "dataplane/policy/program.h"

#define DIRECTIONS 2
enum direction { INGRESS, EGRESS };

/** Bits by number. */
struct bits {
	uint64_t *words;
	uint32_t room; /* bits */
};
static inline bool bit_get(const struct bits *bits, uint32_t i)
{
	return i < bits->room && (bits->words[i / 64] >> i % 64 & 1) != 0;
}
void bit_set(struct bits *bits, uint32_t i, bool on);

struct named_port {
	const char *name; /* in the object's text, not ended: name_len */
	uint8_t name_len, protocol;
	uint16_t port;
};

struct policy_namespace {
	struct interned in;
	struct label_set *labels; /* with kubernetes.io/metadata.name */
};

struct identity {
	struct interned in;
	uint32_t id;
	enum endpoint_kind kind;
	struct policy_namespace *namespace; /* NULL: of a node */
	struct label_set *labels;
	struct named_port *ports;
	char *port_text;
	uint32_t n_ports;
	bool dying; /* in a transaction's list of those without users */
};

struct leaf {
	struct interned in;
	uint32_t id;
	struct ip_prefix prefix;
	/* While a program is compiled: */
	uint32_t mark; /* index in its list + 1 */
	bool dying;
};

/** What a rule asks of one end's identity. All that is given holds. */
struct matcher {
	struct interned in;
	struct selector *selector, *namespaces; /* NULL = any */
	struct policy_namespace
		*namespace;  /* of the policy, when namespaces is not given; NULL = any */
	bool nodes;	     /* selects nodes instead of pods */
	struct bits members; /* identities */
};

struct policy_set {
	struct interned in; /* by name */
	struct object *object;
	struct label_set *labels;
	struct policy_namespace *namespace; /* NULL = none */
};

struct policy_uplink {
	struct interned in;	      /* by name */
	struct prefix_list addresses; /* the configured ones, or the kernel's */
};

struct policy_tier {
	struct interned
		in; /* by name; a policy may name one that comes later in the same transaction */
	uint32_t order, default_action;
	uint32_t default_rule[DIRECTIONS]; /* rule numbers of its end */
	bool dying;
};

struct rule_ends {
	struct matcher *is[2], *is_not[2]; /* source, destination; NULL = nothing asked */
};

struct policy_entry {
	struct interned in; /* by name */
	struct object *object;
	struct policy_tier *tier;
	struct selector *selector, *namespace_selector; /* NULL = all */
	bool applies[DIRECTIONS];
	uint32_t users;			    /* locals it selects */
	struct rule_ends *ends[DIRECTIONS]; /* while it has users */
	uint32_t *rules[DIRECTIONS];	    /* rule numbers, [numbered] */
	uint32_t n_rules[DIRECTIONS], numbered[DIRECTIONS];
	bool touched; /* by the transaction, whose end may free it when object is NULL */
};

/** A local identity. */
struct local {
	struct identity *identity;
	bool host;
	uint32_t pods;
	struct policy_entry **policies; /* that select it, in order */
	uint32_t n_policies, room;
	struct policy_program *programs[DIRECTIONS];
	bool dirty[DIRECTIONS];
	struct local *next;
};

/** A pod of this node, or the node. */
struct local_pod {
	struct interned in; /* by name; the node's is empty */
	struct local *local;
	uint16_t port;
};

/** What a rule number means. */
struct rule_entry {
	struct policy_entry *policy; /* NULL: end of a tier, or fail-safe, or free */
	struct policy_tier *tier;
	uint8_t direction;
	uint32_t index; /* in the policy's list */
	bool failsafe;
};

struct policy_state {
	struct intern namespaces, identities, leaves, matchers, sets, tiers, policies, pods,
		uplinks;
	struct identity **identity_by_id;
	uint32_t identity_room, identity_next;
	uint32_t *free_identities, n_free_identities;
	struct leaf **leaf_by_id;
	uint32_t leaf_room, leaf_next;
	uint32_t *free_leaves, n_free_leaves;
	uint32_t leaf_lengths[2][129]; /* leaves of each length */
	struct rule_entry *rules;
	uint32_t rule_room, rule_next;
	uint32_t *free_rules, n_free_rules, free_rules_first; /* oldest first */
	uint32_t failsafe_rule[DIRECTIONS];
	struct rule_hits hits;
	struct local *locals;
	struct object *node;			   /* labels, fail-safe ports, addresses */
	struct policy_table *table;		   /* published, or about to be */
	struct fib *identity_fib[2], *leaf_fib[2]; /* newest versions */
	struct policy_program *
		*stale; /* replaced by an undone transaction, but the published table reads them */
	size_t n_stale;
};

struct policy_txn {
	struct policy_state *state;
	const struct change *changes;
	size_t count, applied;
	const struct policy_ports *ports;
	struct fib *old_identity_fib[2], *old_leaf_fib[2];
	struct policy_table *table, *old_table;
	/* Things without users. */
	struct interned **dead_identities, **dead_leaves;
	size_t n_dead_identities, n_dead_leaves;
	struct policy_entry **touched;
	struct policy_tier **dead_tiers;
	size_t n_touched, n_dead_tiers;
	uint32_t *dead_rules;
	size_t n_dead_rules;
	/* Programs that were replaced: free them after a grace period, or at once when they were never published. */
	struct policy_program **replaced;
	size_t n_replaced;
	struct ip_prefix *addresses; /* whose identity changed */
	size_t n_addresses, addresses_room;
	bool ports_changed, undoing;
};

/* identity.c */
struct policy_namespace *namespace_use(struct policy_state *s, const char *name);
void namespace_unuse(struct policy_state *s, struct policy_namespace *ns);
void namespace_set_labels(
	struct policy_state *s, struct policy_namespace *ns, const struct string_list *labels);
struct identity *identity_use(struct policy_txn *txn, enum endpoint_kind kind,
	const char *namespace, const struct string_list *labels, const struct string_list *ports);
void identity_unuse(struct policy_txn *txn, struct identity *identity);
/** Free for good those without users: their ids are used again after a grace period. */
void identities_reap(struct policy_txn *txn, bool published);
void identity_free(struct policy_state *s, struct identity *identity);
/** Give numbers back, after a grace period if readers may know them. */
void policy_numbers_free(
	struct policy_state *s, bool leaves, const uint32_t *items, size_t count, bool published);

/* matcher.c */
struct matcher *matcher_use(struct policy_state *s, const char *namespace, const char *selector,
	const char *namespaces, const char *nodes);
void matcher_unuse(struct policy_state *s, struct matcher *m);
bool matcher_selects(const struct matcher *m, const struct identity *identity);
bool matcher_selects_set(const struct matcher *m, const struct policy_set *set);
/** A new identity: add it to the matchers that it satisfies. */
void matchers_add_identity(struct policy_state *s, struct identity *identity);
/** A namespace's labels changed: judge its identities again. @return whether any matcher changed. */
bool matchers_renew_namespace(struct policy_state *s, const struct policy_namespace *ns);
void matchers_free(struct policy_state *s);

/* leaf.c */
struct leaf *leaf_use(struct policy_txn *txn, const struct ip_prefix *prefix);
void leaf_unuse(struct policy_txn *txn, const struct ip_prefix *prefix);
struct leaf *leaf_find(const struct policy_state *s, const struct ip_prefix *prefix);
/** The innermost leaf that contains this one, not itself; NULL = none. */
struct leaf *leaf_parent(const struct policy_state *s, const struct leaf *leaf);
void leaves_unmap(struct policy_txn *txn);
void leaves_reap(struct policy_txn *txn, bool published);

/* rules.c */
void rules_init(struct policy_state *s, unsigned n_workers);
void rules_fini(struct policy_state *s);
uint32_t rule_number(struct policy_state *s, struct rule_entry entry);
void rule_retire(struct policy_txn *txn, uint32_t number);
void rules_reap(struct policy_txn *txn);
uint64_t rule_hit_count(const struct policy_state *s, uint32_t number);

/* compile.c */
/** Build the program of a local's direction from its policies; NULL when none selects it. */
struct policy_program *program_compile(
	struct policy_txn *txn, const struct local *local, enum direction direction);
/** Teach a program a new identity or leaf in place. @return false: compile it again. */
bool program_add_identity(struct policy_program *program, const struct identity *identity);
bool program_add_leaf(
	const struct policy_state *s, struct policy_program *program, const struct leaf *leaf);

/* state.c */
/** One change; either side may be NULL. */
void policy_apply(struct policy_txn *txn, const struct object *before, const struct object *after);
/** Numbers and names that the transaction leaves without a use. */
void policies_reap(struct policy_txn *txn);
void program_replaced(struct policy_txn *txn, struct policy_program *program);
/** From now on an address has that identity; 0 = none. */
void map_address(struct policy_txn *txn, const struct ip_addr *addr, uint32_t identity);
void map_addresses(struct policy_txn *txn, const struct addr_list *list, uint32_t identity);
/** A pod of this node, or the node itself (HOST_NAME). */
struct local_pod *pod_enter(
	struct policy_txn *txn, const char *name, struct identity *identity, uint16_t port);
void pod_leave(struct policy_txn *txn, const char *name);
void dirty(struct local *local);
uint8_t protocol_number(const char *text); /* 0 = any */
int policy_order(const struct policy_entry *a, const struct policy_entry *b);

/* node.c */
#define HOST_NAME "" /* of the node among local pods */
void node_change(struct policy_txn *txn, const struct object *before, const struct object *after);
void uplink_change(struct policy_txn *txn, const struct object *before, const struct object *after);
void uplinks_free(struct policy_state *s);

#endif
