/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/show.h"

#include "ctrl/daemon/protocol.h"
#include "dataplane/adjacency.h"
#include "dataplane/flow.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/policies.h"
#include "dataplane/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

struct flow_filter {
	uint64_t family;
	uint64_t port; /* 0 = any */
	int proto;     /* -1 = any */
	const char *from;
	struct ip_prefix src, dst; /* family IP_NONE: any */
	bool dropped;
};

/* A record in one form for both families. */
struct flow_view {
	struct ip_addr src, dst;
	uint16_t sport, dport; /* host order */
	uint32_t zone;
	uint8_t proto;
};

static void view(const struct flow_record *r, struct flow_view *v)
{
	uint32_t zone_proto = r->v6 ? r->key6.zone_proto : r->key4.zone_proto;

	*v = (struct flow_view){ .zone = zone_proto >> 8, .proto = (uint8_t)zone_proto };
	v->src.family = v->dst.family = r->v6 ? IP_V6 : IP_V4;
	if (r->v6) {
		memcpy(v->src.bytes, r->key6.src, 16);
		memcpy(v->dst.bytes, r->key6.dst, 16);
		v->sport = ntohs(r->key6.sport);
		v->dport = ntohs(r->key6.dport);
	} else {
		memcpy(v->src.bytes, &r->key4.src, 4);
		memcpy(v->dst.bytes, &r->key4.dst, 4);
		v->sport = ntohs(r->key4.sport);
		v->dport = ntohs(r->key4.dport);
	}
}

static bool outside(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	return prefix->addr.family != IP_NONE && !ip_prefix_contains(prefix, addr);
}

static bool matches(const struct flow_filter *f, const struct flow_view *v, bool dropped)
{
	if ((f->family != 0 && f->family != v->src.family) ||
		(f->proto >= 0 && f->proto != v->proto) ||
		(f->port != 0 && f->port != v->sport && f->port != v->dport) ||
		(f->dropped && !dropped))
		return false;
	if (f->from != NULL) {
		json_t *zone = json_zone(v->zone);
		bool same = strcmp(json_string_value(zone), f->from) == 0;

		json_decref(zone);
		if (!same)
			return false;
	}
	return !outside(&f->src, &v->src) && !outside(&f->dst, &v->dst);
}

static json_t *flow_json(
	const struct flow_record *r, const struct flow_view *v, const struct adjacency *adj)
{
	bool dropped = adj->type == ADJ_DROP;
	json_t *obj = json_pack("{s:o, s:o, s:o, s:o}", "from", json_zone(v->zone), "src",
		json_address(&v->src), "dst", json_address(&v->dst), "proto",
		json_protocol(v->proto));

	if (v->proto == IPPROTO_TCP || v->proto == IPPROTO_UDP || v->proto == IPPROTO_SCTP) {
		json_object_set_new(obj, "sport", json_integer(v->sport));
		json_object_set_new(obj, "dport", json_integer(v->dport));
	} else if (v->proto == IPPROTO_ICMP || v->proto == IPPROTO_ICMPV6) {
		json_object_set_new(obj, "id", json_integer(v->sport));
		json_object_set_new(obj, "type", json_integer(v->dport >> 8));
		json_object_set_new(obj, "code", json_integer(v->dport & 0xff));
	}
	json_object_update_new(obj,
		json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "verdict", dropped ? "drop" : "forward",
			"next_hop",
			dropped ? drop_reason_name((enum drop_reason)adj->drop) : adj->text,
			"reply", (r->flags & FLOW_REPLY) != 0, "packets", (json_int_t)r->packets,
			"bytes", (json_int_t)r->bytes, "idle_ms", (json_int_t)r->idle_ms));
	/* The other direction may have been seen later: then it stays longer than this says. */
	json_object_set_new(obj, "state",
		json_string(r->flags & FLOW_NEGATIVE ? "denied"
						     : flow_kind_text(flow_state_kind(r->state))));
	json_object_set_new(obj, "left_ms",
		json_integer(r->timeout_ms > r->idle_ms ? r->timeout_ms - r->idle_ms : 0));
	json_object_set_new(obj, "kernel", json_boolean(r->kernel));
	if (r->rule != POLICY_RULE_NONE) {
		char text[RULE_TEXT_MAX];

		json_object_set_new(obj, "rule",
			json_string(forwarding_rule_text(r->rule, text, sizeof(text))));
	}
	return obj;
}

static int visit_flow(const struct flow_record *r, void *arg)
{
	struct show_list *show = arg;
	const struct adjacency *adj =
		adjacency_get(r->decision.adjacency < ADJACENCY_MAX ? r->decision.adjacency : 0);
	struct flow_view v;

	if (adj == NULL)
		return 0;
	view(r, &v);
	if (!matches(show->filter, &v, adj->type == ADJ_DROP))
		return 0;
	return show_append(show, flow_json(r, &v, adj));
}

static int read_prefix(
	const struct request *req, const char *name, struct ip_prefix *prefix, struct error *err)
{
	const char *text = request_query(req, name);

	if (text == NULL || ip_prefix_parse(text, prefix) == 0)
		return 0;
	return error_set(err, EBADMSG, name,
		"query parameter %s: \"%.60s\" is not an address or prefix", name, text);
}

static int read_filter(const struct request *req, struct flow_filter *f, struct error *err)
{
	const char *proto = request_query(req, "proto");
	int ret = request_query_uint(req, "family", 6, &f->family, err);

	f->from = request_query(req, "from");
	f->proto = proto != NULL ? protocol_parse(proto) : -1;
	if (ret == 0 && f->family != 0 && f->family != IP_V4 && f->family != IP_V6)
		ret = error_set(err, EBADMSG, "family", "query parameter family: expected 4 or 6");
	if (ret == 0 && proto != NULL && f->proto < 0)
		ret = error_set(err, EBADMSG, "proto",
			"query parameter proto: \"%.40s\" is not tcp, udp, sctp, icmp, icmp6 or a "
			"number to 255",
			proto);
	if (ret == 0)
		ret = request_query_uint(req, "port", UINT16_MAX, &f->port, err);
	if (ret == 0)
		ret = request_query_bool(req, "dropped", &f->dropped, err);
	if (ret == 0)
		ret = read_prefix(req, "src", &f->src, err);
	return ret == 0 ? read_prefix(req, "dst", &f->dst, err) : ret;
}

int show_flows(struct request *req, struct error *err)
{
	struct flow_filter filter = { 0 };
	struct show_list show = { .limit = 1000, .filter = &filter };
	int ret = request_query_uint(req, "limit", UINT32_MAX, &show.limit, err);

	if (ret == 0)
		ret = read_filter(req, &filter, err);
	if (ret < 0)
		return ret;
	show.list = json_array();
	kernel_flows_harvest();
	flow_table_each(dataplane_flows(), dataplane_control_reader(), 0, dataplane_now_ms(),
		visit_flow, &show);
	reply_json(req, 200, show.list);
	return 0;
}

int flush_flows(struct request *req, struct error *err)
{
	struct flow_stats stats;

	(void)err;
	flow_table_stats(dataplane_flows(), &stats);
	kernel_flows_changed();
	flow_table_flush(dataplane_flows());
	reply_json(
		req, 200, json_pack("{s:I}", "flushed", (json_int_t)(stats.used4 + stats.used6)));
	return 0;
}
