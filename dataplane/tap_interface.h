/* SPDX-License-Identifier: Apache-2.0 */
/** The interface behind a tap port: made, or taken over from a daemon that ended. Control thread only; blocks on the
 * kernel's own answers.
 *
 * A pod's interface stays in the pod, with addresses, routes and connections, when its daemon is killed or ends, and so does what
 * belongs to it: it is a persistent TAP itself, or one end of a veth pair with a persistent TAP beside the other end
 * (pod_veth.h). What is found is taken over as what it is. The host port's goes with the daemon, unless that ends for a
 * successor. The alias (`ip link`) names the port an interface belongs to; only one with the right alias is taken over.
 */
#ifndef DATAPLANE_TAP_INTERFACE_H
#define DATAPLANE_TAP_INTERFACE_H

#include "config/error.h"
#include "dataplane/pod_veth.h"
#include "dataplane/port.h"
#include "dataplane/tap_netlink.h"

struct tap_interface {
	uint16_t n;
	int fds[PORT_QUEUE_MAX]; /* of the queues: they do not block, and have virtio headers of struct virtio_net_hdr */
	uint8_t offloads; /* what it takes whole (enum port_offload), and may give: UDP only when this kernel knows */
	struct pod_veth veth;
};

/** Open n queues of params->interface in params->netns, set up as params say.
 * @return 0; -EEXIST: an interface of that name is there and is not ours; another -errno. On error no descriptor is left
 * open, and nothing has been made; what was there stays. */
int tap_interface_open(
	const struct port_params *params, uint16_t n, struct tap_interface *out, struct error *err);

/** Close all queues. keep: the interface stays for the next daemon; otherwise it goes. ending: the daemon does, and need not wait
 * for that. */
void tap_interface_close(
	const struct tap_interface *interface, const char *port, bool keep, bool ending);

/** Give the interface the addresses and routes of `after` instead of those of `before` (tap_link_change), with params->name and
 * params->gateway. @param netns NULL: the daemon's own. On error what it had stays. */
int tap_interface_change(const char *netns, const char *interface,
	const struct tap_addressing *before, const struct tap_addressing *after,
	const struct port_params *params, struct error *err);

/** Remove what an earlier daemon left for the port of this name ("pod:web").
 * @return 0, also when there is nothing or it belongs to somebody else; -errno. */
int tap_interface_remove(
	const char *netns, const char *interface, const char *port, struct error *err);

#endif
