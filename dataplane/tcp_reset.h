/* SPDX-License-Identifier: Apache-2.0 */
/** TCP RST in the name of a connection's ends, for a connection that policy ends (RFC 9293 section 3.5.3, RFC 5961 section
 * 3.2: the sequence number must be exactly the next one expected, so it is taken from a packet of the connection).
 * Pure functions.
 */
#ifndef DATAPLANE_TCP_RESET_H
#define DATAPLANE_TCP_RESET_H

#include "dataplane/packet.h"

/** From the packet (m, p), which goes from S to R: the RST that S would send to R, or, `back`, R to S. It starts at its IP
 * header. NULL: the packet is itself an RST, its bytes are not all there, or no buffer was free. */
struct rte_mbuf *tcp_reset_make(
	struct rte_mempool *pool, const struct rte_mbuf *m, const struct pkt *p, bool back);

#endif
