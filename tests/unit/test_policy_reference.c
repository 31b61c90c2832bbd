/* SPDX-License-Identifier: Apache-2.0 */
/** The classifier against a reference that walks the rules one by one, written from the semantics in docs/policy.md and sharing
 * no code with it: selectors are trees that are evaluated here and only printed for the other side; prefixes are compared bit
 * by bit. Worlds are random, and change by random transactions, some of them undone.
 *
 * POLICY_PAIRS sets how many (state of the world, packet) pairs there are, POLICY_SEED the beginning. */
#include "tests/unit/policy_worlds.h"

#include <time.h>

static struct cidr make_address(bool v6)
{
	const struct thing *t = &world.things[chance(1 + PODS + ENDPOINTS)];
	struct cidr c;

	if (t->there && chance(4) != 0)
		return t->addresses[v6];
	do {
		c = make_cidr();
	} while (c.v6 != v6);
	if (chance(3) == 0)
		c.bytes[v6 ? 15 : 3] ^= (uint8_t)(1u << chance(6));
	c.len = v6 ? 128 : 32;
	return c;
}

static struct world spare;
static unsigned long denied, differ_staged;

static int port_of_thing(const struct thing *t)
{
	ptrdiff_t i = t != NULL ? t - world.things : -1;

	return i == 0 ? HOST_PORT : i >= 1 && i <= PODS ? (int)i : POLICY_PORT_NONE;
}

static void show(const struct packet *p)
{
	char *text = model_to_text(f.model), a[64], b[64];

	inet_ntop(p->addr[0].v6 ? AF_INET6 : AF_INET, p->addr[0].bytes, a, sizeof(a));
	inet_ntop(p->addr[1].v6 ? AF_INET6 : AF_INET, p->addr[1].bytes, b, sizeof(b));
	printf("\n%s\n%s port %d to %s port %d, protocol %d\n", text, a, p->port[0], b, p->port[1],
		p->protocol);
	free(text);
}

/** @return false: they differ. */
static bool compare_one(void)
{
	static const int protocols[] = { 6, 6, 6, 17, 132, 1, 58, 47, 99 };
	struct packet p = { .protocol = protocols[chance(9)] };
	const bool v6 = p.protocol == 58 || (p.protocol != 1 && chance(2) == 0);
	const struct thing *things[2];
	struct policy_verdict v;
	char text[2][64];
	bool egress, ingress, staged_egress, staged_ingress, allow, staged;
	int ports[2];

	for (int s = 0; s < 2; s++) {
		p.addr[s] = make_address(v6);
		things[s] = thing_at(&p.addr[s]);
		ports[s] = port_of_thing(things[s]);
		inet_ntop(v6 ? AF_INET6 : AF_INET, p.addr[s].bytes, text[s], sizeof(text[s]));
	}
	if (p.protocol == 6 || p.protocol == 17 || p.protocol == 132) {
		const struct thing *t = things[1];
		int name = (int)chance(3);

		p.port[0] = chance(3) == 0 ? SOME_PORT : 1024 + (int)chance(60000);
		p.port[1] = t != NULL && t->named_port[name] != 0 && chance(2) == 0
				    ? t->named_port[name]
			    : chance(5) == 0 ? 1 + (int)chance(65535)
					     : SOME_PORT;
	} else if (p.protocol == 1 || p.protocol == 58) {
		p.port[1] = (chance(2) == 0 ? 8 : 128) << 8 | (int)chance(3);
	}
	v = fixture_judge(text[0], text[1], (uint8_t)p.protocol, (uint16_t)p.port[0],
		(uint16_t)p.port[1], ports[0], ports[1]);
	if (things[0] == things[1] && ports[0] != POLICY_PORT_NONE) {
		egress = ingress = staged_egress = staged_ingress = true; /* to itself */
	} else {
		egress = ports[0] == POLICY_PORT_NONE || end_allows(things[0], 1, &p, false);
		ingress = ports[1] == POLICY_PORT_NONE || end_allows(things[1], 0, &p, false);
		staged_egress = ports[0] == POLICY_PORT_NONE || end_allows(things[0], 1, &p, true);
		staged_ingress = ports[1] == POLICY_PORT_NONE || end_allows(things[1], 0, &p, true);
	}
	allow = egress && ingress;
	staged = staged_egress && staged_ingress;
	denied += !allow;
	differ_staged += staged != allow;
	if (v.allow == allow && v.staged_differs == (staged != allow))
		return true;
	show(&p);
	printf("the classifier says %s, staged %s; the reference %s (egress %d, ingress %d), "
	       "staged %s\n",
		v.allow ? "allow" : "deny", v.allow != v.staged_differs ? "allow" : "deny",
		allow ? "allow" : "deny", egress, ingress, staged ? "allow" : "deny");
	return false;
}

static void worlds_of(uint64_t begin, unsigned long pairs)
{
	unsigned long done = 0, undone = 0, transactions = 0;

	printf("POLICY_SEED=%ju ", (uintmax_t)begin);
	chance_state = begin * 0x9e3779b97f4a7c15u + 1;
	while (done < pairs) {
		memset(&world, 0, sizeof(world));
		for (int i = 0; i < TIERS; i++)
			world.tiers[i].order = 1000000;
		fixture_start();
		for (int i = 0; i < NAMESPACES; i++)
			change_namespace(i);
		for (int i = 0; i < 1 + PODS + ENDPOINTS; i++)
			change_thing(i);
		for (int i = 0; i < SETS; i++)
			change_set(i);
		for (int i = 0; i < TIERS; i++)
			change_tier(i);
		for (int i = 0; i < POLICIES; i++)
			change_policy(i);
		fixture_end(true);
		for (int step = 0; step < 30 && done < pairs; step++) {
			bool keep = chance(5) != 0;

			for (int n = 0; n < 400; n++, done++) {
				if (!compare_one()) {
					CU_FAIL("they differ");
					fixture_stop();
					return;
				}
			}
			spare = world;
			for (uint32_t n = 1 + chance(chance(4) == 0 ? 20 : 3); n > 0; n--)
				change_something();
			fixture_end(keep);
			transactions++;
			if (!keep) {
				world = spare;
				undone++;
			}
		}
		fixture_stop();
	}
	printf("%lu pairs, %lu denied, %lu differ when staged, %lu transactions, %lu undone ", done,
		denied, differ_staged, transactions, undone);
	CU_ASSERT_TRUE(denied > done / 20 &&
		       differ_staged > done / 1000); /* neither side of the question is rare */
	CU_PASS("the same");
}

static void worlds(void)
{
	const char *seed = getenv("POLICY_SEED"), *wanted = getenv("POLICY_PAIRS");

	worlds_of(seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL),
		wanted != NULL ? strtoul(wanted, NULL, 0) : 1000000);
}

/** A number that belonged to somebody with named ports goes to somebody without. */
static void worlds_that_differed(void)
{
	worlds_of(1795871506, 100000);
}

static const struct test_case cases[] = { { "worlds that differed once", worlds_that_differed },
	{ "random worlds", worlds } };
SUITE_MAIN("policy reference", cases)
