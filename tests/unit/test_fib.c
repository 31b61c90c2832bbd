/* SPDX-License-Identifier: Apache-2.0 */
/* The FIB against a linear reference: every answer of every living version, and every byte. */
#include "dataplane/fib.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#define REF_MAX	    192
#define CANDIDATES  256
#define TABLES	    40
#define COMMITS	    25
#define LOOKUPS	    1000 /* a commit: 1 M a family */
#define WAITING_MAX 3

static uint64_t random_state = 88172645463325252u;

static uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static uint32_t random_below(uint32_t n)
{
	return random32() % n;
}

/* The reference: an unordered list, searched from end to end. */
struct reference {
	struct route {
		struct ip_prefix prefix;
		uint32_t value;
	} routes[REF_MAX];
	size_t count;
};

static bool covers(const struct ip_prefix *p, const uint8_t *addr)
{
	unsigned full = p->len / 8, rest = p->len % 8;

	return memcmp(p->addr.bytes, addr, full) == 0 &&
	       (rest == 0 || ((p->addr.bytes[full] ^ addr[full]) >> (8 - rest)) == 0);
}

static const struct route *reference_match(const struct reference *ref, const uint8_t *addr)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < ref->count; i++) {
		const struct route *r = &ref->routes[i];

		if ((best == NULL || r->prefix.len > best->prefix.len) && covers(&r->prefix, addr))
			best = r;
	}
	return best;
}

static struct route *reference_find(struct reference *ref, const struct ip_prefix *prefix)
{
	for (size_t i = 0; i < ref->count; i++) {
		if (ip_prefix_equal(&ref->routes[i].prefix, prefix))
			return &ref->routes[i];
	}
	return NULL;
}

static void reference_set(struct reference *ref, const struct ip_prefix *prefix, uint32_t value)
{
	struct route *r = reference_find(ref, prefix);

	if (value == FIB_NONE) {
		if (r != NULL)
			*r = ref->routes[--ref->count];
		return;
	}
	if (r == NULL)
		r = &ref->routes[ref->count++];
	*r = (struct route){ *prefix, value };
}

static int address_order(const void *a, const void *b)
{
	const struct ip_prefix *p = &((const struct route *)a)->prefix;
	const struct ip_prefix *q = &((const struct route *)b)->prefix;
	int order = memcmp(p->addr.bytes, q->addr.bytes, sizeof(p->addr.bytes));

	return order != 0 ? order : p->len - q->len;
}

/* Prefixes that nest and share long stems: each starts from an earlier one, with a bit flipped
 * somewhere. */
static void candidates_make(struct ip_prefix *candidates, uint8_t family)
{
	unsigned bits = ip_family_bits(family);

	for (unsigned i = 0; i < CANDIDATES; i++) {
		struct ip_prefix p = { .addr.family = family };

		if (i % 16 == 0) {
			for (unsigned b = 0; b < bits / 8; b++)
				p.addr.bytes[b] = (uint8_t)random32();
		} else {
			unsigned flip = random_below(bits);

			p = candidates[i - 1 - random_below(i % 16)];
			p.addr.bytes[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
			for (unsigned b = p.len / 8 + 1; b < bits / 8; b++)
				p.addr.bytes[b] = (uint8_t)random32();
		}
		p.len = (uint8_t)(i % 8 == 7 ? bits : random_below(bits + 1));
		candidates[i] = ip_prefix_canonical(&p);
	}
}

/* An address in, at the ends of, or just beside a prefix. */
static void address_near(const struct ip_prefix *prefix, uint8_t *addr)
{
	unsigned bytes = ip_family_bits(prefix->addr.family) / 8;
	unsigned how = random_below(5);

	memcpy(addr, prefix->addr.bytes, 16);
	for (unsigned bit = prefix->len; bit < bytes * 8; bit++) {
		bool one = how == 0 ? (random32() & 1) != 0 : how == 1 || how == 3;

		if (one)
			addr[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	/* The address after the last and the one before the first: carry through the bytes. */
	for (unsigned b = bytes; how == 3 && b-- > 0 && ++addr[b] == 0;)
		;
	for (unsigned b = bytes; how == 4 && b-- > 0 && addr[b]-- == 0;)
		;
}

static unsigned lookups_wrong(const struct fib *fib, const struct reference *ref,
	const struct ip_prefix *candidates, unsigned n)
{
	uint8_t addrs[64][16];
	const uint8_t *pointers[64];
	uint32_t values[64];
	unsigned wrong = 0;

	for (unsigned done = 0; done < n;) {
		unsigned burst = 1 + random_below(64);

		for (unsigned i = 0; i < burst; i++) {
			address_near(&candidates[random_below(CANDIDATES)], addrs[i]);
			pointers[i] = addrs[i];
		}
		fib_lookup_bulk(fib, pointers, values, burst);
		for (unsigned i = 0; i < burst; i++) {
			const struct route *want = reference_match(ref, addrs[i]);
			struct ip_prefix none = { .addr.family = candidates[0].addr.family };
			struct ip_prefix matched;
			uint32_t value = want != NULL ? want->value : FIB_NONE;

			wrong += values[i] != value;
			wrong += fib_lookup(fib, addrs[i]) != value;
			wrong += fib_lookup_prefix(fib, addrs[i], &matched) != value;
			wrong += !ip_prefix_equal(&matched, want != NULL ? &want->prefix : &none);
		}
		done += burst;
	}
	return wrong;
}

struct listing {
	const struct reference *sorted;
	size_t at;
	unsigned wrong;
};

static int list_one(const struct ip_prefix *prefix, uint32_t value, void *arg)
{
	struct listing *l = arg;
	const struct route *want = &l->sorted->routes[l->at];

	if (l->at >= l->sorted->count || !ip_prefix_equal(prefix, &want->prefix) ||
		value != want->value)
		l->wrong++;
	l->at++;
	return 0;
}

static unsigned listing_wrong(const struct fib *fib, const struct reference *ref)
{
	struct reference sorted = *ref;
	struct listing l = { .sorted = &sorted };

	qsort(sorted.routes, sorted.count, sizeof(sorted.routes[0]), address_order);
	if (fib_each(fib, list_one, &l) != 0 || fib_count(fib) != ref->count)
		l.wrong++;
	return l.wrong + (l.at != ref->count);
}

/* A few random edits of an open version; deletes outnumber sets when drain is set. */
static unsigned edits_wrong(
	struct fib *fib, struct reference *ref, const struct ip_prefix *candidates, bool drain)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < 20; i++) {
		struct ip_prefix prefix = candidates[random_below(CANDIDATES)];
		bool clear = random_below(8) < (drain ? 7u : 3u) || ref->count == REF_MAX;
		uint32_t value = clear ? FIB_NONE : 1 + random_below(1000);
		struct route *had = reference_find(ref, &prefix);
		uint32_t want = had != NULL ? had->value : FIB_NONE;
		uint32_t old;

		wrong += fib_get(fib, &prefix) != want;
		reference_set(ref, &prefix, value);
		if (prefix.len < ip_family_bits(prefix.addr.family)) /* host bits don't matter */
			prefix.addr.bytes[prefix.len / 8] |= (uint8_t)(0x7f >> prefix.len % 8);
		wrong += fib_set(fib, &prefix, value, &old) != 0 || old != want;
		wrong += fib_get(fib, &prefix) != value;
	}
	return wrong;
}

static void clear_all(struct fib *fib, const struct ip_prefix *candidates)
{
	for (unsigned i = 0; i < CANDIDATES; i++)
		CU_ASSERT_EQUAL(fib_set(fib, &candidates[i], FIB_NONE, NULL), 0);
}

static void table_random(uint8_t family)
{
	static struct ip_prefix candidates[CANDIDATES];
	static struct reference refs[WAITING_MAX],
		next_ref; /* refs[0] is the oldest living version */
	struct fib *versions[WAITING_MAX], *next;
	size_t living = 1, empty, held;

	candidates_make(candidates, family);
	refs[0].count = 0;
	versions[0] = fib_new(family);
	CU_ASSERT_PTR_NOT_NULL_FATAL(versions[0]);
	empty = fib_memory(versions[0]);
	for (unsigned commit = 0; commit < COMMITS; commit++) {
		next_ref = refs[living - 1];
		held = fib_memory_held(versions[0]);
		next = fib_edit(versions[living - 1]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(next);
		CU_ASSERT_EQUAL(edits_wrong(next, &next_ref, candidates, commit % 10 == 9), 0);
		CU_ASSERT_EQUAL(lookups_wrong(next, &next_ref, candidates, LOOKUPS / 2), 0);
		CU_ASSERT_EQUAL(listing_wrong(next, &next_ref), 0);
		for (size_t i = 0; i < living; i++) {
			CU_ASSERT_EQUAL(lookups_wrong(versions[i], &refs[i], candidates,
						LOOKUPS / 2 / WAITING_MAX + 1),
				0);
			CU_ASSERT_EQUAL(listing_wrong(versions[i], &refs[i]), 0);
		}
		if (random_below(4) == 0) {
			if (random_below(2) == 0)
				fib_seal(next);
			fib_abort(next);
			CU_ASSERT_EQUAL(fib_memory_held(versions[0]), held);
			continue;
		}
		fib_seal(next);
		while (living == WAITING_MAX || (living > 0 && random_below(3) == 0)) {
			fib_free_version(versions[0]);
			living--;
			memmove(versions, versions + 1, living * sizeof(versions[0]));
			memmove(refs, refs + 1, living * sizeof(refs[0]));
		}
		versions[living] = next;
		refs[living++] = next_ref;
		if (living == 1)
			CU_ASSERT_EQUAL(fib_memory_held(next), fib_memory(next));
	}
	next = fib_edit(versions[living - 1]);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	clear_all(next, candidates);
	fib_seal(next);
	for (size_t i = 0; i < living; i++)
		fib_free_version(versions[i]);
	CU_ASSERT_EQUAL(fib_count(next), 0);
	CU_ASSERT_EQUAL(fib_memory(next), empty);
	CU_ASSERT_EQUAL(fib_memory_held(next), empty);
	fib_free(next);
}

static void random_v4(void)
{
	for (unsigned i = 0; i < TABLES; i++)
		table_random(IP_V4);
}

static void random_v6(void)
{
	for (unsigned i = 0; i < TABLES; i++)
		table_random(IP_V6);
}

/* All lengths of one address at once: each flipped bit must fall back to the length before it. */
static void nest(uint8_t family, uint8_t fill, bool shorter_first)
{
	unsigned bits = ip_family_bits(family);
	struct fib *fib = fib_new(family);
	struct ip_prefix host = { .addr.family = family }, matched;
	size_t empty;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
	empty = fib_memory(fib);
	memset(host.addr.bytes, fill, bits / 8);
	for (unsigned i = 0; i <= bits; i++) {
		struct ip_prefix p = host;

		p.len = (uint8_t)(shorter_first ? i : bits - i);
		CU_ASSERT_EQUAL(fib_set(fib, &p, p.len + 1u, NULL), 0);
	}
	CU_ASSERT_EQUAL(fib_count(fib), bits + 1);
	for (unsigned gone = 0; gone <= bits; gone++) { /* lengths below gone are deleted by now */
		for (unsigned len = 0; len <= bits; len++) {
			struct ip_addr addr = host.addr;
			uint32_t want = len >= gone ? len + 1 : FIB_NONE;

			if (len < bits)
				addr.bytes[len / 8] ^= (uint8_t)(0x80 >> len % 8);
			CU_ASSERT_EQUAL(fib_lookup(fib, addr.bytes), want);
			CU_ASSERT_EQUAL(fib_lookup_prefix(fib, addr.bytes, &matched), want);
			CU_ASSERT_EQUAL(matched.len, want != FIB_NONE ? len : 0);
		}
		host.len = (uint8_t)gone;
		CU_ASSERT_EQUAL(fib_set(fib, &host, FIB_NONE, NULL), 0);
	}
	CU_ASSERT_EQUAL(fib_memory(fib), empty);
	fib_free(fib);
}

static void all_lengths(void)
{
	static const uint8_t fills[] = { 0x00, 0xff, 0xa5 };

	for (size_t i = 0; i < sizeof(fills); i++) {
		nest(IP_V4, fills[i], true);
		nest(IP_V4, fills[i], false);
		nest(IP_V6, fills[i], true);
		nest(IP_V6, fills[i], false);
	}
}

/* Two hosts that part at every bit in turn, joined and separated: path compression splits and
 * merges everywhere. */
static void hosts_part_at_every_bit(void)
{
	for (unsigned bit = 0; bit < 128; bit++) {
		struct ip_prefix a = { .addr.family = IP_V6, .len = 128 }, b = a, mid = a;
		struct fib *fib = fib_new(IP_V6);
		size_t alone;

		CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
		memset(a.addr.bytes, 0x5a, 16);
		b = mid = a;
		b.addr.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		mid.len = (uint8_t)bit;
		fib_set(fib, &a, 1, NULL);
		alone = fib_memory(fib);
		fib_set(fib, &b, 2, NULL);
		fib_set(fib, &mid, 3, NULL);
		CU_ASSERT_EQUAL(fib_lookup(fib, a.addr.bytes), 1);
		CU_ASSERT_EQUAL(fib_lookup(fib, b.addr.bytes), 2);
		b.addr.bytes[15] ^= bit != 127 ? 1 : 2;
		CU_ASSERT_EQUAL(fib_lookup(fib, b.addr.bytes), bit != 127 ? 3 : FIB_NONE);
		b.addr.bytes[15] ^= bit != 127 ? 1 : 2;
		fib_set(fib, &b, FIB_NONE, NULL);
		CU_ASSERT_EQUAL(fib_lookup(fib, b.addr.bytes), 3);
		fib_set(fib, &mid, FIB_NONE, NULL);
		CU_ASSERT_EQUAL(fib_lookup(fib, b.addr.bytes), FIB_NONE);
		CU_ASSERT_EQUAL(fib_lookup(fib, a.addr.bytes), 1);
		/* Two nodes that could be one only cost a block each. */
		CU_ASSERT_TRUE(fib_memory(fib) <= alone + 64);
		fib_free(fib);
	}
}

static struct ip_prefix prefix4(uint32_t addr, unsigned len)
{
	struct ip_prefix p = { .addr.family = IP_V4, .len = (uint8_t)len };

	for (unsigned i = 0; i < 4; i++)
		p.addr.bytes[i] = (uint8_t)(addr >> (24 - 8 * i));
	return p;
}

/* Every prefix of 12 to 26 bits in 10.64.0.0/12: nodes with all 63 prefixes and all 64 children. */
static void full_nodes(void)
{
	struct fib *fib = fib_new(IP_V4), *next;
	size_t empty, count = 0;
	unsigned wrong = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
	empty = fib_memory(fib);
	for (unsigned len = 26; len >= 12; len--) {
		for (uint32_t i = 0; i < 1u << (len - 12); i++, count++) {
			struct ip_prefix p = prefix4(0x0a400000u + (i << (32 - len)), len);

			wrong += fib_set(fib, &p, len << 16 | i | 1u << 31, NULL) != 0;
		}
	}
	CU_ASSERT_EQUAL(fib_count(fib), count);
	next = fib_edit(fib);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	for (unsigned len = 26; len >= 12;
		len--) { /* the longest are always the match, until deleted */
		for (uint32_t i = 0; i < 1u << (len - 12); i++) {
			struct ip_prefix p = prefix4(0x0a400000u + (i << (32 - len)), len);

			wrong += fib_lookup(next, p.addr.bytes) != (len << 16 | i | 1u << 31);
			wrong += fib_lookup(fib, p.addr.bytes) >> 16 != (26 | 1u << 15);
			wrong += fib_set(next, &p, FIB_NONE, NULL) != 0;
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(fib_memory(next), empty);
	fib_seal(next);
	fib_free_version(fib);
	CU_ASSERT_EQUAL(fib_memory_held(next), empty);
	fib_free(next);
}

/* Many routes, loaded and removed in unrelated orders; memory goes all the way up and down,
 * twice. */
static void load_and_drain(void)
{
	enum { ROUTES = 100000 };
	struct fib *fib = fib_new(IP_V6), *next;
	size_t empty;
	unsigned wrong = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
	empty = fib_memory(fib);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned pass = 0; pass < 2; pass++) {
			next = fib_edit(fib);
			CU_ASSERT_PTR_NOT_NULL_FATAL(next);
			for (uint32_t i = 0; i < ROUTES; i++) {
				/* Multipliers coprime to ROUTES permute: the same routes in
				 * another order. */
				uint64_t spread = (uint64_t)i * (pass == 0 ? 40503u : 69621u);
				uint32_t route = (uint32_t)(spread % ROUTES);
				uint32_t mixed = route * 0x9e3779b1u;
				struct ip_prefix p = { .addr = { { 0x20, 0x01 }, IP_V6 } };
				uint32_t old;

				memcpy(p.addr.bytes + 2, &mixed, 4);
				memcpy(p.addr.bytes + 12, &mixed, 4);
				p.len = (uint8_t)(route % 3 == 0 ? 128 : 48 + route % 17);
				p = ip_prefix_canonical(&p);
				wrong += fib_set(next, &p, pass == 0 ? 7 : FIB_NONE, &old) != 0;
				wrong += old != (pass == 0 ? FIB_NONE : 7);
			}
			CU_ASSERT_EQUAL(fib_count(next), pass == 0 ? ROUTES : 0);
			fib_seal(next);
			fib_free_version(fib);
			fib = next;
			CU_ASSERT_EQUAL(fib_memory_held(fib), fib_memory(fib));
		}
		CU_ASSERT_EQUAL(fib_memory(fib), empty);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	fib_free(fib);
}

static int stop_at_second(const struct ip_prefix *prefix, uint32_t value, void *arg)
{
	(void)prefix;
	(void)value;
	return ++*(int *)arg == 2 ? -ECANCELED : 0;
}

static void refusals(void)
{
	struct ip_prefix v4 = prefix4(0x0a000000, 8), v6 = { .addr.family = IP_V6, .len = 8 }, bad;
	struct fib *fib = fib_new(IP_V4), *next;
	uint32_t old = 99;
	int visits = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
	bad = v4;
	bad.len = 33;
	CU_ASSERT_EQUAL(fib_set(fib, &v6, 1, &old), -EINVAL);
	CU_ASSERT_EQUAL(fib_set(fib, &bad, 1, &old), -EINVAL);
	CU_ASSERT_EQUAL(fib_get(fib, &v6), FIB_NONE);
	CU_ASSERT_EQUAL(fib_get(fib, &bad), FIB_NONE);
	CU_ASSERT_EQUAL(fib_set(fib, &v4, FIB_NONE, &old), 0);
	CU_ASSERT_EQUAL(old, FIB_NONE);
	CU_ASSERT_EQUAL(fib_each(fib, stop_at_second, &visits), 0);
	for (unsigned len = 0; len < 20; len += 5) {
		struct ip_prefix p = prefix4(0x0a000000, len);

		CU_ASSERT_EQUAL(fib_set(fib, &p, 5, NULL), 0);
	}
	CU_ASSERT_EQUAL(fib_each(fib, stop_at_second, &visits), -ECANCELED);
	CU_ASSERT_EQUAL(visits, 2);
	next = fib_edit(fib);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	CU_ASSERT_EQUAL(fib_set(fib, &v4, 1, NULL), -EINVAL);
	CU_ASSERT_EQUAL(fib_set(next, &v4, 1, NULL), 0);
	fib_seal(next);
	CU_ASSERT_EQUAL(fib_set(next, &v4, 2, NULL), -EINVAL);
	CU_ASSERT_EQUAL(fib_get(next, &v4), 1);
	fib_abort(next);
	CU_ASSERT_EQUAL(fib_get(fib, &v4), FIB_NONE);
	fib_free(fib);
}

/* The sanitizers' own allocators end the process when the system refuses memory. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void out_of_memory_changes_nothing(void)
{
	struct fib *base = fib_new(IP_V4), *fib;
	struct rlimit before, tight;
	uint32_t n, old = 99;
	unsigned wrong = 0;
	size_t memory = 0;
	int ret = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(base);
	fib = fib_edit(base);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fib);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)1 << 20; /* less than is in use: no new mapping succeeds */
	for (n = 0; n < 1u << 24 && ret == 0; n++) {
		struct ip_prefix p = prefix4(n << 8, 24);

		if (n == 1000)
			setrlimit(RLIMIT_AS, &tight);
		memory = fib_memory(fib);
		ret = fib_set(fib, &p, n + 1, &old);
	}
	setrlimit(RLIMIT_AS, &before);
	CU_ASSERT_EQUAL(ret, -ENOMEM);
	CU_ASSERT_EQUAL(fib_count(fib), n - 1);
	CU_ASSERT_EQUAL(fib_memory(fib), memory);
	for (uint32_t i = 0; i < n; i++) {
		struct ip_prefix p = prefix4(i << 8, 24);

		wrong += fib_lookup(fib, p.addr.bytes) != (i < n - 1 ? i + 1 : FIB_NONE);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	fib_abort(fib);
	CU_ASSERT_EQUAL(fib_memory_held(base), fib_memory(base));
	fib_free(base);
}
#endif

static const struct test_case cases[] = {
	{ "random IPv4 tables against a linear search", random_v4 },
	{ "random IPv6 tables against a linear search", random_v6 },
	{ "all lengths nested", all_lengths },
	{ "hosts part at every bit", hosts_part_at_every_bit },
	{ "full nodes", full_nodes },
	{ "load and drain", load_and_drain },
	{ "refusals", refusals },
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	{ "out of memory changes nothing", out_of_memory_changes_nothing },
#endif
};
SUITE_MAIN("fib", cases)
