/* SPDX-License-Identifier: Apache-2.0 */
/** What people see of the forwarding tables. Control thread. */
#include "dataplane/forwarding_state.h"

#include "dataplane/rcu.h"

#include <stdio.h>
#include <string.h>

int forwarding_each_neighbour(int (*visit)(const struct neighbour_record *, void *), void *arg)
{
	return neighbours_each(visit, arg, forwarding.now_ms);
}

struct route_walk {
	int (*visit)(const struct route_record *, void *);
	void *arg;
	size_t left; /* SIZE_MAX = no limit */
	int ret;
};

static int visit_route(const struct ip_prefix *prefix, uint32_t value, void *arg)
{
	struct route_walk *walk = arg;
	struct route_record record = { *prefix, rib_source_name(rib_winner(prefix)), value };

	walk->ret = walk->visit(&record, walk->arg);
	if (walk->left != SIZE_MAX)
		walk->left--;
	return walk->ret != 0 || walk->left == 0;
}

int forwarding_each_route(
	uint8_t family, size_t limit, int (*visit)(const struct route_record *, void *), void *arg)
{
	const struct tables *t = rcu_own(&tables);
	struct route_walk walk = { visit, arg, limit > 0 ? limit : SIZE_MAX, 0 };

	if (t != NULL)
		fib_each(family == IP_V6 ? t->fib6 : t->fib4, visit_route, &walk);
	return walk.ret;
}

static void append(char *buf, size_t size, const char *text)
{
	size_t used = strlen(buf);

	snprintf(buf + used, size - used, "%s", text);
}

static const char *drop_text(enum drop_reason reason)
{
	switch (reason) {
	case DROP_route_blackhole:
		return "blackhole";
	case DROP_route_unreachable:
		return "unreachable";
	case DROP_route_prohibit:
		return "prohibit";
	case DROP_multicast_unsupported:
		return "broadcast";
	default:
		return NULL;
	}
}

static void adjacency_text(uint32_t index, char *buf, size_t size)
{
	const struct adjacency *adj = adjacency_get(index < ADJACENCY_MAX ? index : 0);
	const char *text = index < DROP_REASON_COUNT ? drop_text(adj->drop) : adj->text;

	append(buf, size, text != NULL ? text : adj->text);
}

void forwarding_value_text(uint32_t value, char *buf, size_t size)
{
	struct path_member members[PATH_MEMBERS_MAX];
	unsigned n;

	if (size == 0)
		return;
	buf[0] = '\0';
	if ((value & PATHS_FLAG) == 0) {
		adjacency_text(value, buf, size);
		return;
	}
	n = paths_members(value, members, PATH_MEMBERS_MAX);
	for (unsigned i = 0; i < n; i++) {
		char weight[32];

		append(buf, size, i > 0 ? ", " : "");
		adjacency_text(members[i].adjacency, buf, size);
		snprintf(weight, sizeof(weight), " weight %u", members[i].weight);
		append(buf, size, weight);
	}
}

uint16_t forwarding_pod_mtu(const char *pod)
{
	const struct attachment *a = pod_find(pod);

	return a != NULL ? a->port->mtu : 0;
}
