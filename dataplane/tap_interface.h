/* SPDX-License-Identifier: Apache-2.0 */
/** The interface behind a tap port: made, or taken over from a daemon that ended. Control thread only; blocks on the
 * kernel's own answers.
 *
 * A pod's interface is persistent: it stays in the pod, with addresses, routes and connections, when its daemon is
 * killed or ends. The host port's goes with the daemon, unless that ends for a successor. Its alias (`ip link`) names the
 * port an interface belongs to; only one with the right alias is taken over.
 */
#ifndef DATAPLANE_TAP_INTERFACE_H
#define DATAPLANE_TAP_INTERFACE_H

#include "config/error.h"
#include "dataplane/port.h"

/** Open n queues of params->interface in params->netns, set up as params say: descriptors that do not block, with virtio
 * headers of struct virtio_net_hdr.
 * @param offloads what the interface takes whole (enum port_offload), and may give: UDP only when this kernel knows.
 * @return 0; -EEXIST: an interface of that name is there and is not ours; another -errno. On error no descriptor is left
 * open, and nothing has been made; what was there stays. */
int tap_interface_open(const struct port_params *params, uint16_t n, int *fds, uint8_t *offloads,
	struct error *err);

/** Close all queues. keep: the interface stays for the next daemon; otherwise it goes. ending: the daemon does, and need not wait
 * for that. */
void tap_interface_close(const int *fds, uint16_t n, bool keep, bool ending);

/** Remove what an earlier daemon left for the port of this name ("pod:web").
 * @return 0, also when there is nothing or it belongs to somebody else; -errno. */
int tap_interface_remove(
	const char *netns, const char *interface, const char *port, struct error *err);

#endif
