/* SPDX-License-Identifier: Apache-2.0 */
/** Receiving from a packet socket: frames become packets as port.h wants them. Large UDP packets are taken apart, so are TCP
 * segments in tunnels; other large TCP segments and partial checksums stay what they are, as offload words. Tunnel packets
 * (UDP to a port VXLAN is received on) whose checksum the kernel vouches for, or has left out because they never saw a wire,
 * say "no checksum" afterwards, which is how the hit path knows them.
 *
 * The worker of the queue, within its RCU section. */
#ifndef DATAPLANE_PACKET_RX_H
#define DATAPLANE_PACKET_RX_H

#include "dataplane/packet_socket.h"
#include "dataplane/udp_split.h"

#include <rte_mbuf.h>
#include <stdatomic.h>

#define PACKET_RX_LARGE	  (65536 + 32) /* a frame as long as lengths in IP headers can say */
#define PACKET_RX_PENDING 256 /* packets one TCP segment may become: see CUT_MAX in slowpath.c */

struct packet_rx {
	struct packet_frame frame; /* the one being worked on, when held */
	bool held;
	struct udp_split split; /* of that frame */
	uint16_t n_pending, next_pending;
	struct rte_mbuf *pending[PACKET_RX_PENDING];
	uint8_t scratch[PACKET_RX_LARGE];
};

/** Of the port. */
struct packet_rx_conf {
	struct rte_mempool *small, *large;
	uint16_t vlan; /* frames of it have no tag, and say so (vlan.h); 0 = none has */
};

/** Up to n packets; ownership passes to the caller. *errors counts frames that could not be handed over. */
uint16_t packet_rx_burst(struct packet_rx *rx, struct packet_socket *socket,
	const struct packet_rx_conf *conf, struct rte_mbuf **pkts, uint16_t n,
	_Atomic uint64_t *errors);

/** Is there something that no descriptor tells of? */
static inline bool packet_rx_waiting(const struct packet_rx *rx)
{
	return rx->held || rx->next_pending < rx->n_pending;
}

/** Free what was not handed over. */
void packet_rx_fini(struct packet_rx *rx);

#endif
