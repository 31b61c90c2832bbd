/* SPDX-License-Identifier: Apache-2.0 */
/** The neighbour table: entries, their adjacencies, their claims. See neighbour_state.c for what happens to one. */
#include "dataplane/neighbour_table.h"

#include "dataplane/paths.h"
#include "dataplane/punt.h"

#include <errno.h>
#include <rte_jhash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct neighbour_table neighbour_table;
#define table neighbour_table

int neighbours_init(const struct neighbour_conf *conf)
{
	memset(&table, 0, sizeof(table));
	table.conf = *conf;
	port_neighbour_told = neighbours_told;
	TAILQ_INIT(&table.unresolved);
	TAILQ_INIT(&table.resolved);
	TAILQ_INIT(&table.claims);
	table.buckets = calloc(NEIGHBOUR_BUCKETS, sizeof(*table.buckets));
	table.of_adjacency = calloc(ADJACENCY_MAX, sizeof(*table.of_adjacency));
	if (table.buckets == NULL || table.of_adjacency == NULL) {
		neighbours_fini();
		return -ENOMEM;
	}
	return 0;
}

static void destroy(struct neighbour *n)
{
	table.of_adjacency[n->adjacency] = NULL;
	adjacency_free(n->adjacency);
	free(n);
}

void neighbours_fini(void)
{
	struct neighbour *n;

	for (uint32_t b = 0; table.buckets != NULL && b < NEIGHBOUR_BUCKETS; b++) {
		while ((n = table.buckets[b]) != NULL) {
			table.buckets[b] = n->next;
			neighbour_drop_held(n, DROP_daemon_stopping);
			if (n->claiming)
				TAILQ_REMOVE(&table.claims, n, claim);
			destroy(n);
		}
	}
	/* What is left waited for its claim to go. */
	while (table.buckets != NULL && (n = TAILQ_FIRST(&table.claims)) != NULL) {
		TAILQ_REMOVE(&table.claims, n, claim);
		destroy(n);
	}
	free(table.buckets);
	free(table.of_adjacency);
	table.buckets = NULL;
	table.of_adjacency = NULL;
}

void neighbours_configure(const struct neighbour_conf *conf)
{
	table.conf = *conf;
}

/* --- adjacency ------------------------------------------------------------------------------------------------ */

static void fill_adjacency(const struct neighbour *n, struct adjacency *adj)
{
	const struct port *port = port_get(n->port);
	char text[IP_TEXT_MAX];

	memset(adj, 0, sizeof(*adj));
	ip_addr_format(&n->address, text);
	adj->next_hop = n->address;
	adj->port = n->port;
	adj->mtu = UINT16_MAX;
	if (port == NULL || n->state == NEIGHBOUR_FAILED) {
		adj->type = ADJ_DROP;
		adj->drop = port == NULL ? DROP_no_route : DROP_neighbour_unresolved;
		snprintf(adj->text, sizeof(adj->text), "via %.45s%s", text,
			port == NULL ? ", no uplink" : ", no answer");
		return;
	}
	adj->mtu = port->mtu;
	if (n->fixed)
		snprintf(adj->text, sizeof(adj->text), "%.15s (%.45s)", port->name, text);
	else
		snprintf(adj->text, sizeof(adj->text), "via %.45s dev %.9s", text, port->name);
	if (!neighbour_complete(n)) {
		adj->type = ADJ_RESOLVING;
		return;
	}
	adj->type = ADJ_REWRITE;
	adj->header_len = RTE_ETHER_HDR_LEN;
	memcpy(adj->header, n->mac.bytes, sizeof(n->mac.bytes));
	memcpy(adj->header + 6, port->mac.bytes, sizeof(port->mac.bytes));
	/* The ethertype is written a packet: rewrite.h. */
}

void neighbour_publish(struct neighbour *n)
{
	struct neighbour_user *user, *next;
	struct adjacency adj;
	bool grouped;

	fill_adjacency(n, &adj);
	/* Flows keep to an adjacency: when a member of a path group fails they must choose again among the rest. */
	grouped = paths_usable(n->adjacency, adj.type != ADJ_DROP) && adj.type == ADJ_DROP;
	table.generation_due = table.generation_due || grouped;
	adjacency_update(n->adjacency, &adj, !grouped);
	for (user = LIST_FIRST(&n->users); user != NULL; user = next) {
		next = LIST_NEXT(user, link);
		user->changed(user);
	}
}

void neighbour_bind(uint32_t adjacency, struct neighbour *n)
{
	table.of_adjacency[adjacency] = n;
}

struct neighbour *neighbour_of(uint32_t adjacency)
{
	return adjacency < ADJACENCY_MAX ? table.of_adjacency[adjacency] : NULL;
}

void neighbour_watch(struct neighbour *n, struct neighbour_user *user)
{
	neighbour_unwatch(user);
	user->neighbour = n;
	LIST_INSERT_HEAD(&n->users, user, link);
}

void neighbour_unwatch(struct neighbour_user *user)
{
	if (user->neighbour != NULL)
		LIST_REMOVE(user, link);
	user->neighbour = NULL;
}

bool neighbours_generation_due(void)
{
	bool due = table.generation_due;

	table.generation_due = false;
	return due;
}

/* --- table ---------------------------------------------------------------------------------------------------- */

static struct neighbour **bucket_of(uint16_t port, const struct ip_addr *address)
{
	uint32_t words[4]; /* aligned for the hash */

	memcpy(words, address->bytes, sizeof(words));
	return &table.buckets[rte_jhash_32b(words, 4, (uint32_t)port << 8 | address->family) &
			      (NEIGHBOUR_BUCKETS - 1)];
}

struct neighbour *neighbour_find(uint16_t port, const struct ip_addr *address)
{
	struct neighbour *n = *bucket_of(port, address);

	while (n != NULL && (n->port != port || !ip_addr_equal(&n->address, address)))
		n = n->next;
	return n;
}

static void insert(struct neighbour *n)
{
	struct neighbour **at = bucket_of(n->port, &n->address);

	n->next = *at;
	*at = n;
}

/* Two entries may share a key for a moment, while a pod's addresses change places: compare pointers. */
static void take_out(struct neighbour *n)
{
	struct neighbour **at = bucket_of(n->port, &n->address);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
}

static void age_leave(struct neighbour *n)
{
	if (n->ageing)
		TAILQ_REMOVE(n->in_unresolved ? &table.unresolved : &table.resolved, n, age);
	n->ageing = false;
}

void neighbour_touch(struct neighbour *n)
{
	age_leave(n);
	if (n->fixed || n->refs > 0 || n->doomed)
		return;
	n->ageing = true;
	n->in_unresolved = !n->mac_known;
	if (n->in_unresolved)
		TAILQ_INSERT_TAIL(&table.unresolved, n, age);
	else
		TAILQ_INSERT_TAIL(&table.resolved, n, age);
}

void neighbour_want_claim(struct neighbour *n, bool wanted)
{
	n->claim_wanted = wanted;
	if (n->claiming)
		TAILQ_REMOVE(&table.claims, n, claim);
	n->claiming = n->claim_wanted != n->claimed;
	if (n->claiming)
		TAILQ_INSERT_TAIL(&table.claims, n, claim);
}

void neighbour_doom(struct neighbour *n)
{
	struct neighbour_user *user;

	while ((user = LIST_FIRST(&n->users)) != NULL)
		neighbour_unwatch(user);
	neighbour_drop_held(n, DROP_neighbour_unresolved);
	neighbour_schedule(n, 0);
	age_leave(n);
	take_out(n);
	if (!n->fixed)
		table.count--;
	n->doomed = true;
	/* Its claim may be in the FIB for a while yet: nobody shall find the way back here through it. */
	neighbour_bind(n->adjacency, NULL);
	neighbour_want_claim(n, false);
	if (!n->claiming)
		destroy(n);
}

/** Make room for one more: who was quiet longest goes. */
static bool make_room(void)
{
	struct neighbour *n;

	if (table.count < table.conf.limit)
		return true;
	n = TAILQ_FIRST(&table.unresolved);
	if (n == NULL)
		n = TAILQ_FIRST(&table.resolved);
	if (n == NULL)
		return false;
	neighbour_doom(n);
	return true;
}

static struct neighbour *create(
	uint16_t port, const struct ip_addr *address, bool fixed, uint64_t now_ms)
{
	struct adjacency adj = { .type = ADJ_DROP, .drop = DROP_no_route };
	struct neighbour *n;

	if (!fixed && !make_room())
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->adjacency = adjacency_new(&adj);
	if (n->adjacency == ADJACENCY_NONE) {
		free(n);
		return NULL;
	}
	n->port = port;
	n->address = *address;
	n->fixed = fixed;
	n->state = NEIGHBOUR_INCOMPLETE;
	LIST_INIT(&n->users);
	insert(n);
	if (!fixed)
		table.count++;
	neighbour_bind(n->adjacency, n);
	neighbour_touch(n);
	neighbour_publish(n);
	neighbour_schedule(n, now_ms);
	return n;
}

struct neighbour *neighbour_get(uint16_t port, const struct ip_addr *address, uint64_t now_ms)
{
	struct neighbour *n = neighbour_find(port, address);

	return n != NULL ? n : create(port, address, false, now_ms);
}

struct neighbour *neighbour_acquire(uint16_t port, const struct ip_addr *address, uint64_t now_ms)
{
	struct neighbour *n = neighbour_get(port, address, now_ms);

	if (n != NULL)
		neighbour_ref(n);
	return n;
}

struct neighbour *neighbour_fixed(
	uint16_t port, const struct ip_addr *address, const struct mac_addr *mac, uint64_t now_ms)
{
	struct neighbour *n = create(port, address, true, now_ms);

	if (n == NULL)
		return NULL;
	n->refs = 1;
	if (mac != NULL && !mac_addr_is_zero(mac)) {
		n->mac = *mac;
		n->mac_known = true;
		n->state = NEIGHBOUR_STATIC;
		neighbour_schedule(n, 0);
		neighbour_publish(n);
	}
	return n;
}

void neighbour_ref(struct neighbour *n)
{
	n->refs++;
	if (n->refs == 1)
		age_leave(n);
}

void neighbour_release(struct neighbour *n, uint64_t now_ms)
{
	if (--n->refs > 0)
		return;
	if (n->fixed || n->port == PORT_NONE) {
		neighbour_doom(n);
		return;
	}
	neighbour_touch(n);
	if (n->deadline_ms == 0)
		neighbour_schedule(n, now_ms);
}

void neighbour_readdress(struct neighbour *n, const struct ip_addr *address, uint64_t now_ms)
{
	take_out(n);
	n->address = *address;
	insert(n);
	if (n->state == NEIGHBOUR_STATIC)
		neighbour_publish(n);
	else
		neighbour_reset(n, now_ms);
}

void neighbour_moved(struct neighbour *n, const struct mac_addr *mac)
{
	if (n->state != NEIGHBOUR_STATIC)
		return;
	n->mac = *mac;
	neighbour_publish(n);
}

void neighbour_restart(struct neighbour *n, uint64_t now_ms)
{
	if (n->state != NEIGHBOUR_STATIC)
		neighbour_reset(n, now_ms);
}

/* --- ports that change ---------------------------------------------------------------------------------------- */

/** @return true when the table changed. */
static bool move(struct neighbour *n, uint16_t port, uint64_t now_ms)
{
	struct neighbour *other = port != PORT_NONE ? neighbour_find(port, &n->address) : NULL;

	if (other != NULL && other->refs > 0)
		port = PORT_NONE; /* two entries, each referred to, cannot become one: this one's routes end */
	if (n->port == port)
		return false;
	if (other != NULL && other->refs == 0)
		neighbour_doom(other);
	take_out(n);
	n->port = port;
	insert(n);
	if (port == PORT_NONE)
		neighbour_want_claim(n, false);
	neighbour_reset(n, now_ms);
	return true;
}

/** Run over all entries. f says whether it changed the table, and must find nothing to do the next time. */
static void for_all(bool (*f)(struct neighbour *n, const void *arg, uint64_t now_ms),
	const void *arg, uint64_t now_ms)
{
	for (uint32_t b = 0; b < NEIGHBOUR_BUCKETS; b++) {
		struct neighbour *n = table.buckets[b];

		while (n != NULL)
			n = f(n, arg, now_ms) ? table.buckets[b] : n->next;
	}
}

struct egress {
	uint16_t (*find)(const struct ip_addr *address);
};

static bool relocate(struct neighbour *n, const void *arg, uint64_t now_ms)
{
	const struct port *port = port_get(n->port);
	const struct egress *egress = arg;

	if (n->fixed || (port != NULL && neighbour_on_link(port, &n->address) &&
				!neighbour_is_own(port, &n->address)))
		return false;
	if (n->refs > 0)
		return move(n, egress->find(&n->address), now_ms);
	neighbour_doom(n);
	return true;
}

void neighbours_relocate(uint16_t (*egress)(const struct ip_addr *address), uint64_t now_ms)
{
	struct egress arg = { egress };

	for_all(relocate, &arg, now_ms);
}

static bool port_gone(struct neighbour *n, const void *arg, uint64_t now_ms)
{
	if (n->port != *(const uint16_t *)arg)
		return false;
	if (n->refs > 0)
		return move(n, PORT_NONE, now_ms);
	neighbour_doom(n);
	return true;
}

void neighbours_port_gone(uint16_t port, uint64_t now_ms)
{
	for_all(port_gone, &port, now_ms);
}

/* --- claims --------------------------------------------------------------------------------------------------- */

struct neighbour *neighbours_claim_next(void)
{
	return TAILQ_FIRST(&table.claims);
}

void neighbours_claim_take(struct neighbour *n)
{
	TAILQ_REMOVE(&table.claims, n, claim);
	n->claiming = false;
}

void neighbours_claimed(struct neighbour *n, bool published)
{
	if (published)
		n->claimed = n->claim_wanted;
	neighbour_want_claim(n, n->claim_wanted);
	if (n->doomed && !n->claiming)
		destroy(n);
}

/* --- for people ----------------------------------------------------------------------------------------------- */

const char *neighbour_state_name(enum neighbour_state state)
{
	static const char *const names[] = { [NEIGHBOUR_INCOMPLETE] = "incomplete",
		[NEIGHBOUR_REACHABLE] = "reachable",
		[NEIGHBOUR_STALE] = "stale",
		[NEIGHBOUR_PROBE] = "probe",
		[NEIGHBOUR_FAILED] = "failed",
		[NEIGHBOUR_STATIC] = "static" };

	return (size_t)state < RTE_DIM(names) ? names[state] : "unknown";
}

uint32_t neighbours_count(void)
{
	return table.count;
}

int neighbours_each(
	int (*visit)(const struct neighbour_record *, void *), void *arg, uint64_t now_ms)
{
	for (uint32_t b = 0; b < NEIGHBOUR_BUCKETS; b++) {
		for (const struct neighbour *n = table.buckets[b]; n != NULL; n = n->next) {
			const struct port *port = port_get(n->port);
			struct neighbour_record record = { .port = port != NULL ? port->name : "",
				.address = n->address,
				.mac = n->mac,
				.state = n->state,
				.held = n->n_held,
				.age_ms = n->confirmed_ms > 0 ? now_ms - n->confirmed_ms : 0,
				.adjacency = n->adjacency };
			int ret = visit(&record, arg);

			if (ret != 0)
				return ret;
		}
	}
	return 0;
}
