/* SPDX-License-Identifier: Apache-2.0 */
/** What the state endpoints share. Control thread only. */
#ifndef CTRL_DAEMON_SHOW_H
#define CTRL_DAEMON_SHOW_H

#include "config/address.h"
#include "ctrl/daemon/http.h"

#include <jansson.h>

json_t *json_address(const struct ip_addr *addr); /* null when absent */
json_t *json_prefix(const struct ip_prefix *prefix);
json_t *json_mac(const struct mac_addr *mac); /* null when zero */
/** A port's name, "tunnel", or "port 17" for one that has gone. */
json_t *json_zone(uint32_t zone);

/** A visitor's state: the list, and how long it may become (0 = any length). */
struct show_list {
	json_t *list;
	uint64_t limit;
	const void *filter;
};
/** Append and say whether to stop. Takes the reference. */
int show_append(struct show_list *show, json_t *item);

int show_ports(struct request *req, struct error *err); /* show_ports.c */
int show_queues(struct request *req, struct error *err);
int show_offloads(struct request *req, struct error *err);
int show_peers(struct request *req, struct error *err); /* show_routes.c */
int show_routes(struct request *req, struct error *err);
int show_neighbours(struct request *req, struct error *err);
int show_flows(struct request *req, struct error *err); /* show_flows.c */
int flush_flows(struct request *req, struct error *err);
int show_policy_rules(struct request *req, struct error *err); /* show_policies.c */
int show_policy_size(struct request *req, struct error *err);
int show_identity(struct request *req, struct error *err);
int test_policies(struct request *req, struct error *err);
int show_node(struct request *req, struct error *err); /* show_node.c */
int show_workers(struct request *req, struct error *err);
int show_memory(struct request *req, struct error *err);
int show_tables(struct request *req, struct error *err);
int show_drops(struct request *req, struct error *err);
int show_events(struct request *req, struct error *err);

#endif
