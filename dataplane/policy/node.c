/* SPDX-License-Identifier: Apache-2.0 */
/* The node among endpoints: a local of its own, whose identity its own addresses and those of its uplinks have. */
#include "dataplane/policy/state.h"

#include <stdlib.h>
#include <string.h>

static void map_uplink(
	struct policy_txn *txn, const struct policy_uplink *uplink, uint32_t identity)
{
	for (size_t i = 0; i < uplink->addresses.count; i++)
		map_address(txn, &uplink->addresses.items[i].addr, identity);
}

void node_change(struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	struct identity *identity = NULL;

	if (after != NULL) {
		identity = identity_use(txn, ENDPOINT_NODE, "", &after->node.labels, NULL);
		object_ref((struct object *)(uintptr_t)after);
	}
	if (before != NULL) {
		struct local_pod *host = (struct local_pod *)intern_find(&s->pods, HOST_NAME, 0);
		struct identity *old = host->local->identity;

		pod_leave(txn, HOST_NAME);
		map_addresses(txn, &before->node.host_addresses, 0);
		identity_unuse(txn, old);
	}
	object_unref(s->node);
	s->node = (struct object *)(uintptr_t)after;
	if (after == NULL)
		return;
	pod_enter(txn, HOST_NAME, identity,
		txn->ports != NULL ? txn->ports->port_of(txn->ports->arg, NULL) : POLICY_PORT_NONE);
	dirty(((struct local_pod *)intern_find(&s->pods, HOST_NAME, 0))->local);
	map_addresses(txn, &after->node.host_addresses, identity->id);
	for (size_t i = 0; s->uplinks.buckets != NULL && i <= s->uplinks.mask; i++) {
		for (struct interned *t = s->uplinks.buckets[i]; t != NULL; t = t->next)
			map_uplink(txn, (struct policy_uplink *)t, identity->id);
	}
}

static uint32_t node_identity(const struct policy_state *s)
{
	const struct local_pod *host =
		(const struct local_pod *)intern_find(&s->pods, HOST_NAME, 0);

	return host != NULL ? host->local->identity->id : 0;
}

void uplink_change(struct policy_txn *txn, const struct object *before, const struct object *after)
{
	struct policy_state *s = txn->state;
	const char *name = after != NULL ? after->uplink.name : before->uplink.name;
	struct policy_uplink *uplink =
		(struct policy_uplink *)intern_find(&s->uplinks, name, strlen(name));
	struct prefix_list list = { NULL, 0 };

	if (before != NULL) {
		map_uplink(txn, uplink, 0);
		free(uplink->addresses.items);
		if (after == NULL)
			intern_remove(&s->uplinks, &uplink->in);
	}
	if (after == NULL)
		return;
	if (uplink == NULL)
		uplink = intern_add(&s->uplinks, name, strlen(name), sizeof(*uplink));
	if (after->uplink.addresses.count > 0)
		list = after->uplink.addresses;
	else if (txn->ports != NULL && txn->ports->kernel_addresses != NULL)
		list = txn->ports->kernel_addresses(txn->ports->arg, name);
	uplink->addresses.count = list.count;
	uplink->addresses.items =
		policy_realloc(NULL, (list.count + 1) * sizeof(uplink->addresses.items[0]));
	if (list.count > 0)
		memcpy(uplink->addresses.items, list.items, list.count * sizeof(list.items[0]));
	map_uplink(txn, uplink, node_identity(s));
}

void uplinks_free(struct policy_state *s)
{
	for (size_t i = 0; s->uplinks.buckets != NULL && i <= s->uplinks.mask; i++) {
		for (struct interned *t = s->uplinks.buckets[i]; t != NULL; t = t->next)
			free(((struct policy_uplink *)t)->addresses.items);
	}
	intern_free(&s->uplinks);
}
