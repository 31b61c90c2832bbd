/* SPDX-License-Identifier: Apache-2.0 */
/** forwarding.h from the inside: what its parts share. Control thread only.
 *
 *   forwarding.c         transactions, publication, punted packets, timers
 *   uplinks.c            uplinks: ports, own addresses, connected subnets
 *   uplinks_shared.c     uplinks shared with the kernel: its addresses, what is steered to us
 *   attachments.c        pods and the host port: ports, addresses, their neighbours
 *   peers.h              peers: tunnel endpoints and their adjacencies
 *   routes.c             route objects and the references their values hold
 *   policies.c           policy: its part of transactions, which flows are judged again (policies.h)
 *   forwarding_show.c    what people see
 *
 * A transaction stages: each thing it touches remembers the object it will have (`next`; NULL = it goes) beside the one
 * it has (`obj`; NULL = it is new). Commit and abort then walk what is staged. Whatever may fail happens while staging.
 */
#ifndef DATAPLANE_FORWARDING_STATE_H
#define DATAPLANE_FORWARDING_STATE_H

#include "dataplane/forwarding.h"
#include "dataplane/neighbour.h"
#include "dataplane/paths.h"
#include "dataplane/peers.h"
#include "dataplane/policy/policy.h"
#include "dataplane/rib.h"
#include "dataplane/steering.h"

#include <sys/queue.h>

struct staged {
	struct object *obj, *next; /* a reference each */
	bool staged;
};
/** The object a thing will have after the transaction; NULL = gone. */
static inline const struct object *staged_future(const struct staged *s)
{
	return s->staged ? s->next : s->obj;
}
static inline void staged_begin(struct staged *s, struct object *next)
{
	s->staged = true;
	s->next = next != NULL ? object_ref(next) : NULL;
}
/** After commit (keep = true) or abort. @return false when the thing is to be freed. */
bool staged_end(struct staged *s, bool commit);

struct uplink_state {
	struct staged s;
	TAILQ_ENTRY(uplink_state) link;
	struct port *port;
	uint32_t glean; /* adjacency of its connected subnets */
	struct ip_addr
		link_local; /* derived from the MAC address; IP_NONE when one is configured or the kernel's */
	struct prefix_list
		kernel; /* shared uplinks without configured addresses: the kernel's, as in the tables */
	struct steering steered; /* shared uplinks: what the driver was told to take */
	bool was_up;
	uint8_t announcements; /* still to send */
	uint64_t announce_ms;
};
TAILQ_HEAD(uplink_list, uplink_state);

struct pool_state {
	struct staged s;
	TAILQ_ENTRY(pool_state) link;
};
TAILQ_HEAD(pool_list, pool_state);

/** A pod, or the host port (its object is the node). */
struct attachment {
	struct staged s;
	TAILQ_ENTRY(attachment) link;
	bool host;
	uint8_t ticks_up; /* since its link came up, no more than ASK_TICKS */
	struct port *port;
	struct neighbour **neighbours, **planned; /* one an address, in the order of the object's */
	size_t n_neighbours, n_planned;
	struct port_limits *limits; /* to publish at the commit, when limits_change */
	bool limits_change;
};
TAILQ_HEAD(attachment_list, attachment);

struct value_list {
	uint32_t *items;
	size_t count, room;
};

struct forwarding_txn {
	struct tables *tables;	      /* to publish */
	struct tunnel_table *tunnels; /* NULL = as before */
	struct value_list acquired,
		released;	   /* route values that got, and will lose, a reference */
	bool node, uplinks, peers; /* some of these are staged */
	bool host_routes;	   /* pools or peers are */
	bool ports;		   /* the list of ports will change */
	bool steering;		   /* what shared uplinks take will change */
	struct policy_txn *policy;
	bool judged_anew; /* the change may deny what was allowed */
};

struct forwarding {
	struct forwarding_conf conf;
	struct staged node;
	struct uplink_list uplinks;
	struct pool_list pools;
	struct attachment_list attachments;
	struct attachment *host; /* also in attachments */
	struct policy_state *policy;
	struct policy_table
		*policy_table; /* of the last commit; published unless there is nothing in it */
	struct forwarding_txn *txn;
	uint64_t now_ms;	/* of the last tick */
	uint64_t token;		/* RCU: workers beyond it have seen the last commit */
	uint32_t opening;	/* ports that wait for a grace period to forward */
	bool published_in_tick; /* neighbours found now wait for the next tick */
};
extern struct forwarding forwarding;

/** The node object as the transaction will leave it, or now; NULL before the first. */
static inline const struct node *forwarding_node(void)
{
	const struct object *obj = staged_future(&forwarding.node);

	return obj != NULL ? &obj->node : NULL;
}
/** A host prefix (/32, /128) of an address. */
struct ip_prefix forwarding_host_prefix(const struct ip_addr *addr);
uint32_t forwarding_name_hash(const char *name, uint32_t seed);
/** A locally administered MAC address that follows from a name. */
struct mac_addr forwarding_derived_mac(const char *kind, const char *name);
/** Port drivers name the parameter at fault: make that the path of the object's field. */
void forwarding_blame(struct error *err, const char *plural, const char *name);
/** Let a port forward once every worker has passed a grace period. */
void forwarding_open(struct port *port);
/** Tell the workers what to poll: ports that forward. What comes in on others waits in its driver, rather than being
 * dropped. */
void forwarding_poll(void);

/* uplinks.c */
int uplink_stage(const struct change *change, struct error *err);
/** Before publication: addresses, neighbours of subnets that moved. */
void uplinks_commit(void);
/** After it: close ports. */
void uplinks_finish(void);
void uplinks_abort(void);
void uplinks_fini(void);
void uplinks_tick(uint64_t now_ms);
/** By the future's addresses: the uplink whose subnet has the address, longest prefix first. */
struct uplink_state *uplink_for(const struct ip_addr *addr);
struct uplink_state *uplink_find(const char *name);
/** Port id for neighbours_relocate. */
uint16_t uplink_egress(const struct ip_addr *addr);
/** This node's address on a port for traffic towards `towards` (same family, not link-local). IP_NONE = none. */
struct ip_addr uplink_source(uint16_t port, const struct ip_addr *towards);
/** The smallest MTU of the future's uplinks; 1500 without. */
uint16_t uplinks_mtu(void);

/** Its addresses on that network, host bits kept: configured ones, or the kernel's; of the future. */
const struct ip_prefix *uplink_addresses(const struct uplink_state *u, size_t *count);
/** The RIB and the port follow other addresses, by a transaction of their own. False = not now, try again. */
bool uplink_readdress(struct uplink_state *u, const struct ip_prefix *items, size_t count);

/* uplinks_shared.c */
/** Take the kernel's addresses at opening. 0 or -ENOMEM. */
int uplink_shared_open(struct uplink_state *u);
/** Where the interface is of our making: it gets (or loses) the addresses of one configuration that another has not. */
void uplink_shared_assign(
	struct uplink_state *u, const struct uplink *of, const struct uplink *without, bool on);
/** Follow the kernel's addresses. */
void uplink_shared_tick(struct uplink_state *u);
/** What the future needs is steered as well, from here on: at the end of staging. */
int uplinks_steer_more(struct error *err);
/** What the present does not need is not steered any more: after publication, or an abort. */
void uplinks_steer_less(void);
/** A route through a pod. 0 or -ENOMEM. */
int steer_route_stage(const struct change *change);
void steer_routes_end(bool commit);
void steer_routes_fini(void);

/* attachments.c */
int pod_stage(const struct change *change, struct error *err);
/** After everything else is staged: the host port, whose routes come from pools and peers. */
int host_stage(struct error *err);
void attachments_commit(void);
void attachments_finish(void);
void attachments_abort(void);
void attachments_fini(bool successor);
void attachments_tick(uint64_t now_ms);
/** The next hop of routes via a pod, in the future: its first address of a family. */
struct neighbour *pod_next_hop(const char *name, uint8_t family);
bool attachment_any(void);
/** The adjacency of the host port's first address of a family there will be; 0 = none. */
uint32_t host_adjacency(uint8_t family);
struct attachment *pod_find(const char *name);

/* policies.c */
int policies_init(unsigned n_workers);
/** No worker runs; the last table goes too. */
void policies_fini(void);
/** After all else is staged: ports are known. */
int policies_prepare(struct forwarding_txn *txn, const struct changeset *set,
	const struct change *changes, size_t count, struct error *err);
/** To be published. */
const struct policy_table *policies_table(const struct forwarding_txn *txn);
/** After publication and attachments_finish, before generation_commit: flows that the change concerns are
 * judged again. */
void policies_commit(struct forwarding_txn *txn);
/** After attachments_abort: ports are as before. */
void policies_abort(struct forwarding_txn *txn);
/** Log lines of log rules. */
void policies_tick(void);
/** The host port there will be, PORT_NONE = none. */
uint16_t forwarding_host_port(void);

/* routes.c */
int route_stage(struct forwarding_txn *txn, const struct change *change, struct error *err);
/** Drop one reference that a route value holds to what it names. */
void route_value_release(uint32_t value);

#endif
