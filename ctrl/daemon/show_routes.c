/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "config/schema.h"
#include "dataplane/forwarding.h"

#include <errno.h>
#include <string.h>

static const char *encap_name(enum encap encap)
{
	const struct field *field = schema_field(&object_schemas[OBJECT_PEER], "encap");

	return field->names[encap];
}

static int visit_peer(const struct peer_record *r, void *arg)
{
	json_t *obj = json_pack("{s:s, s:s, s:o, s:b, s:o, s:o, s:s, s:i, s:I}", "name", r->name,
		"configured", encap_name(r->configured), "used",
		r->used == ENCAP_AUTO ? json_null() : json_string(encap_name(r->used)), "up", r->up,
		"local", json_address(&r->local), "remote", json_address(&r->remote), "port",
		r->port, "mtu", r->mtu, "adjacency", (json_int_t)r->adjacency);

	return show_append(arg, obj);
}

int show_peers(struct request *req, struct error *err)
{
	struct show_list show = { .list = json_array() };

	(void)err;
	forwarding_each_peer(visit_peer, &show);
	reply_json(req, 200, show.list);
	return 0;
}

static int visit_neighbour(const struct neighbour_record *r, void *arg)
{
	struct show_list *show = arg;

	if (show->filter != NULL && strcmp(show->filter, r->port) != 0)
		return 0;
	return show_append(show,
		json_pack("{s:o, s:s, s:o, s:s, s:i, s:I, s:I}", "address",
			json_address(&r->address), "port", r->port, "mac", json_mac(&r->mac),
			"state", neighbour_state_name(r->state), "held", (int)r->held, "age_ms",
			(json_int_t)r->age_ms, "adjacency", (json_int_t)r->adjacency));
}

int show_neighbours(struct request *req, struct error *err)
{
	struct show_list show = { .list = json_array(), .filter = request_query(req, "port") };

	(void)err;
	forwarding_each_neighbour(visit_neighbour, &show);
	reply_json(req, 200, show.list);
	return 0;
}

struct route_filter {
	const char *source;
	struct ip_prefix within; /* family IP_NONE: any */
};

static int visit_route(const struct route_record *r, void *arg)
{
	struct show_list *show = arg;
	const struct route_filter *filter = show->filter;
	char text[512];

	if (filter->source != NULL && strcmp(filter->source, r->source) != 0)
		return 0;
	if (filter->within.addr.family != IP_NONE &&
		(r->prefix.len < filter->within.len ||
			!ip_prefix_contains(&filter->within, &r->prefix.addr)))
		return 0;
	forwarding_value_text(r->value, text, sizeof(text));
	return show_append(show, json_pack("{s:o, s:s, s:s}", "prefix", json_prefix(&r->prefix),
					 "source", r->source, "next_hop", text));
}

int show_routes(struct request *req, struct error *err)
{
	const char *within = request_query(req, "within");
	struct route_filter filter = { .source = request_query(req, "source") };
	struct show_list show = { .limit = 1000, .filter = &filter };
	uint64_t family = 0;
	int ret = request_query_uint(req, "limit", UINT32_MAX, &show.limit, err);

	if (ret == 0)
		ret = request_query_uint(req, "family", 6, &family, err);
	if (ret == 0 && family != 0 && family != IP_V4 && family != IP_V6)
		ret = error_set(err, EBADMSG, "family", "query parameter family: expected 4 or 6");
	if (ret == 0 && within != NULL && ip_prefix_parse(within, &filter.within) < 0)
		ret = error_set(err, EBADMSG, "within",
			"query parameter within: \"%.60s\" is not a prefix", within);
	if (ret < 0)
		return ret;
	show.list = json_array();
	if (family != IP_V6)
		ret = forwarding_each_route(IP_V4, 0, visit_route, &show);
	if (family != IP_V4 && ret == 0)
		forwarding_each_route(IP_V6, 0, visit_route, &show);
	reply_json(req, 200, show.list);
	return 0;
}
