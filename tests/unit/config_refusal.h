/* SPDX-License-Identifier: Apache-2.0 */
/** Configuration files that must be refused, each with the exact sentence, path and line. */
#ifndef TESTS_UNIT_CONFIG_REFUSAL_H
#define TESTS_UNIT_CONFIG_REFUSAL_H

#include "config/schema.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define A_NODE "node: { name = \"node-a\"; };\n"
#define AN_UPLINK                                                                   \
	"uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\"; " \
	"addresses = [ \"192.0.2.1/24\" ]; } );\n"
#define A_POOL "pools: ( { name = \"pods\"; cidr = \"10.244.1.0/24\"; } );\n"

/* Fields of one object on a line of their own, in a file that is fine otherwise. */
#define NODE(fields) "node: { name = \"node-a\";\n" fields "\n};\n"
#define UPLINK(fields)                                                                             \
	A_NODE "uplinks: ( { name = \"eth0\"; driver = \"af_packet\"; device = \"eth0\";\n" fields \
	       "\n} );\n"
#define PEER(fields)                                                                    \
	A_NODE AN_UPLINK "peers: ( { name = \"node-b\"; underlay = [ \"192.0.2.2\" ]; " \
			 "encap = \"direct\";\n" fields "\n} );\n"
#define POD(fields) \
	A_NODE A_POOL "pods: ( { name = \"web-1\"; netns = \"web-1\";\n" fields "\n} );\n"
#define MEMIF(fields)                                                                              \
	A_NODE A_POOL                                                                              \
		"pods: ( { name = \"web-1\"; kind = \"memif\"; socket = \"/run/w.sock\";\n" fields \
		"\n} );\n"
#define VHOST(fields)                                                                              \
	A_NODE A_POOL                                                                              \
		"pods: ( { name = \"web-1\"; kind = \"vhost\"; socket = \"/run/w.sock\";\n" fields \
		"\n} );\n"
#define PEERS(list)  A_NODE AN_UPLINK "peers: (\n" list "\n);\n"
#define PODS(list)   A_NODE A_POOL "pods: (\n" list "\n);\n"
#define ROUTES(list) A_NODE AN_UPLINK A_POOL "routes: (\n" list "\n);\n"

struct refusal {
	const char *text;
	unsigned line; /* 0: of no line */
	const char *path;
	const char *message;
};

static inline void refusals_check(const struct refusal *refusals, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct refusal *want = &refusals[i];
		struct model *model = model_new();
		struct changeset *set = changeset_new(model);
		struct error err = { 0 };
		int ret = config_load_text(want->text, "t.conf", set, &err);
		bool same;

		if (ret == 0)
			ret = changeset_validate(set, &err);
		same = ret == -EINVAL && strcmp(err.text, want->message) == 0 &&
		       strcmp(err.path, want->path) == 0 && err.line == want->line &&
		       strcmp(err.file, want->line > 0 ? "t.conf" : "") == 0;
		if (!same)
			printf("\n%s\n  expected line %u, %s: %s\n  got %d line %u, %s: %s\n",
				want->text, want->line, want->path, want->message, ret, err.line,
				err.path, err.text);
		CU_ASSERT_TRUE(same);
		changeset_free(set);
		model_free(model);
	}
}

#define REFUSALS(table)                                                    \
	static void refuses_##table(void)                                  \
	{                                                                  \
		refusals_check(table, sizeof(table) / sizeof((table)[0])); \
	}

#endif
