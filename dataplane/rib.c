/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/rib.h"

#include "dataplane/generation.h"
#include "dataplane/rcu.h"

#include <errno.h>
#include <rte_jhash.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 16384u
#define TOUCHED_MAX \
	2048u /* more changed prefixes than this bump every destination: about as many slots either way */

struct entry {
	struct entry *next;
	struct ip_prefix prefix;
	uint32_t value[RIB_SOURCES];
};

/* How an entry was before an edit. Changes of the FIB alone need none: the version is dropped. */
struct undo {
	struct ip_prefix prefix;
	enum rib_source source;
	uint32_t value;
};

static struct {
	struct fib *base[2], *edit[2]; /* IPv4, IPv6; edit NULL = no edits of that family */
	struct entry **buckets;
	struct undo *undo;
	size_t n_undo, room_undo;
	struct ip_prefix *touched;
	size_t n_touched;      /* > TOUCHED_MAX: too many to remember */
	struct fib *retire[2]; /* sealed over, not yet published over */
} rib;

const char *rib_source_name(enum rib_source source)
{
	static const char *const names[RIB_SOURCES] = { "local", "pod", "neighbour", "route",
		"peer", "connected", "pool" };

	return (size_t)source < RIB_SOURCES ? names[source] : "unknown";
}

static unsigned family_of(uint8_t family)
{
	return family == IP_V6;
}

int rib_init(void)
{
	memset(&rib, 0, sizeof(rib));
	rib.base[0] = fib_new(IP_V4);
	rib.base[1] = fib_new(IP_V6);
	rib.buckets = calloc(BUCKETS, sizeof(*rib.buckets));
	rib.touched = calloc(TOUCHED_MAX, sizeof(*rib.touched));
	if (rib.base[0] == NULL || rib.base[1] == NULL || rib.buckets == NULL ||
		rib.touched == NULL) {
		rib_fini();
		return -ENOMEM;
	}
	fib_seal(rib.base[0]);
	fib_seal(rib.base[1]);
	return 0;
}

void rib_fini(void)
{
	rib_abort();
	for (size_t b = 0; rib.buckets != NULL && b < BUCKETS; b++) {
		struct entry *e, *next;

		for (e = rib.buckets[b]; e != NULL; e = next) {
			next = e->next;
			free(e);
		}
	}
	for (unsigned f = 0; f < 2; f++) {
		if (rib.base[f] != NULL)
			fib_free(rib.base[f]);
	}
	free(rib.buckets);
	free(rib.undo);
	free(rib.touched);
	memset(&rib, 0, sizeof(rib));
}

/* --- entries: prefixes with a claim that is no route object's ------------------------------------------------- */

static struct entry **entry_at(const struct ip_prefix *prefix)
{
	struct entry **at;
	uint32_t words[4]; /* aligned for the hash */

	memcpy(words, prefix->addr.bytes, sizeof(words));
	at = &rib.buckets[rte_jhash_32b(
				  words, 4, (uint32_t)prefix->addr.family << 8 | prefix->len) &
			  (BUCKETS - 1)];
	while (*at != NULL && !ip_prefix_equal(&(*at)->prefix, prefix))
		at = &(*at)->next;
	return at;
}

static enum rib_source winner_of(const struct entry *e)
{
	enum rib_source s = RIB_LOCAL;

	while (s < RIB_SOURCES && e->value[s] == FIB_NONE)
		s++;
	return s;
}

static uint32_t winning(const struct entry *e)
{
	enum rib_source s = winner_of(e);

	return s < RIB_SOURCES ? e->value[s] : FIB_NONE;
}

static const struct fib *current(uint8_t family)
{
	unsigned f = family_of(family);

	return rib.edit[f] != NULL ? rib.edit[f] : rib.base[f];
}

static void touch(const struct ip_prefix *prefix)
{
	if (rib.n_touched < TOUCHED_MAX)
		rib.touched[rib.n_touched] = *prefix;
	if (rib.n_touched <= TOUCHED_MAX)
		rib.n_touched++;
}

static int edit_fib(const struct ip_prefix *prefix, uint32_t value, uint32_t *old)
{
	unsigned f = family_of(prefix->addr.family);
	uint32_t was;
	int ret;

	if (rib.edit[f] == NULL)
		rib.edit[f] = fib_edit(rib.base[f]);
	if (rib.edit[f] == NULL)
		return -ENOMEM;
	ret = fib_set(rib.edit[f], prefix, value, &was);
	if (ret < 0)
		return ret;
	if (was != value)
		touch(prefix);
	if (old != NULL)
		*old = was;
	return 0;
}

static int remember(const struct entry *e, enum rib_source source)
{
	if (rib.n_undo == rib.room_undo) {
		size_t room = rib.room_undo > 0 ? 2 * rib.room_undo : 64;
		struct undo *undo = realloc(rib.undo, room * sizeof(*undo));

		if (undo == NULL)
			return -ENOMEM;
		rib.undo = undo;
		rib.room_undo = room;
	}
	rib.undo[rib.n_undo++] = (struct undo){ e->prefix, source, e->value[source] };
	return 0;
}

/** Drop entries that the edits left with nothing or with a route object alone, which needs none. */
static void sweep(void)
{
	for (size_t i = 0; i < rib.n_undo; i++) {
		struct entry **at = entry_at(&rib.undo[i].prefix), *e = *at;
		bool needed = false;

		for (unsigned s = 0; e != NULL && s < RIB_SOURCES; s++)
			needed = needed || (s != RIB_ROUTE && e->value[s] != FIB_NONE);
		if (e == NULL || needed)
			continue;
		*at = e->next;
		free(e);
	}
	rib.n_undo = 0;
	rib.n_touched = 0;
}

/* --- edits ---------------------------------------------------------------------------------------------------- */

int rib_set(const struct ip_prefix *prefix, enum rib_source source, uint32_t value, uint32_t *old)
{
	struct entry **at = entry_at(prefix), *e = *at;
	uint32_t was, before;
	int ret;

	if (e == NULL) {
		if (source == RIB_ROUTE)
			return edit_fib(prefix, value, old);
		if (old != NULL)
			*old = FIB_NONE;
		if (value == FIB_NONE)
			return 0;
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			return -ENOMEM;
		e->prefix = *prefix;
		e->value[RIB_ROUTE] = fib_get(current(prefix->addr.family), prefix);
		*at = e;
	}
	ret = remember(e, source);
	if (ret < 0)
		return ret;
	was = e->value[source];
	before = winning(e);
	e->value[source] = value;
	if (winning(e) != before) {
		ret = edit_fib(prefix, winning(e), NULL);
		if (ret < 0) {
			/* The entry stays until the edits end, with what it had. */
			e->value[source] = was;
			return ret;
		}
	}
	if (old != NULL)
		*old = was;
	return 0;
}

int rib_clear(const struct ip_prefix *prefix, enum rib_source source, uint32_t value)
{
	return rib_get(prefix, source) == value ? rib_set(prefix, source, FIB_NONE, NULL) : 0;
}

uint32_t rib_get(const struct ip_prefix *prefix, enum rib_source source)
{
	const struct entry *e = *entry_at(prefix);

	if (e != NULL)
		return e->value[source];
	return source == RIB_ROUTE ? fib_get(current(prefix->addr.family), prefix) : FIB_NONE;
}

enum rib_source rib_winner(const struct ip_prefix *prefix)
{
	const struct entry *e = *entry_at(prefix);

	return e != NULL ? winner_of(e) : RIB_ROUTE;
}

uint32_t rib_lookup(const struct ip_addr *addr)
{
	return fib_lookup(current(addr->family), addr->bytes);
}

bool rib_edited(void)
{
	return rib.edit[0] != NULL || rib.edit[1] != NULL;
}

void rib_seal(struct fib **fib4, struct fib **fib6)
{
	struct fib **out[2] = { fib4, fib6 };

	for (unsigned f = 0; f < 2; f++) {
		rib.retire[f] = NULL;
		if (rib.edit[f] != NULL) {
			fib_seal(rib.edit[f]);
			rib.retire[f] = rib.base[f];
			rib.base[f] = rib.edit[f];
			rib.edit[f] = NULL;
		}
		*out[f] = rib.base[f];
	}
}

void rib_published(void)
{
	static const struct ip_prefix everything = { .addr.family = IP_V4 };

	if (rib.n_touched > TOUCHED_MAX) {
		generation_bump_prefix(&everything); /* both families share the slots */
	} else {
		for (size_t i = 0; i < rib.n_touched; i++) {
			const struct ip_prefix *p = &rib.touched[i];
			unsigned f = family_of(p->addr.family);

			/* Given up and claimed again in one go is no change. */
			if (fib_get(rib.retire[f], p) != fib_get(rib.base[f], p))
				generation_bump_prefix(p);
		}
	}
	for (unsigned f = 0; f < 2; f++) {
		rcu_retire(rib.retire[f], fib_free_version);
		rib.retire[f] = NULL;
	}
	sweep();
}

void rib_abort(void)
{
	for (unsigned f = 0; f < 2; f++) {
		if (rib.edit[f] != NULL)
			fib_abort(rib.edit[f]);
		rib.edit[f] = NULL;
	}
	for (size_t i = rib.n_undo; i-- > 0;) {
		const struct undo *u = &rib.undo[i];
		struct entry *e = *entry_at(&u->prefix);

		e->value[u->source] =
			u->value; /* entries are freed by sweep alone, so it is there */
	}
	if (rib.buckets != NULL)
		sweep();
}
