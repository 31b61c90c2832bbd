/* SPDX-License-Identifier: Apache-2.0 */
/** What somebody inside a pod does to its interface: another MAC address, another name. Asked of the descriptor, or of a veth
 * pair's host end, so that nobody has to enter the namespace, and nothing keeps it alive. Control thread only.
 */
#ifndef DATAPLANE_TAP_FOLLOW_H
#define DATAPLANE_TAP_FOLLOW_H

#include "config/error.h"
#include "dataplane/port.h"
#include "dataplane/tap_interface.h"

#include <net/if.h>

struct tap_follow {
	char name[IFNAMSIZ]; /* as it is called now */
	struct mac_addr mac; /* as it is now */
	bool mac_told;	     /* the descriptor tells it */
	uint8_t ticks;	     /* until the next look */
};

/** Of an interface that was just made or taken over, under params->interface with params->pod_mac. */
void tap_follow_begin(
	struct tap_follow *f, const struct tap_interface *behind, const struct port_params *params);
/** Once a tick. @return true when name or address are others than before: the kernel may have taken addresses and routes
 * meanwhile, since an interface is set down for both. *moved: the address. Says so in the log. */
bool tap_follow_look(
	struct tap_follow *f, const struct tap_interface *behind, struct port *port, bool *moved);

/** Bring back addresses and routes of params that are missing (tap_link_restore), in params->netns; interface is as it is called
 * now. Says in the log what came of it. */
void tap_follow_restore(const struct tap_follow *f, struct port_params params, struct port *port);

#endif
