/* SPDX-License-Identifier: Apache-2.0 */
/** Packets that ask a NIC for each of its offloads, and what has to come out: the same packets as the software path makes
 * them. Both are built with the packet path's own functions, from the offload words to the tunnel headers.
 *
 * Control thread. Addresses are those set aside for benchmarks (RFC 2544, RFC 5180), Ethernet source and destination
 * are the port's own: a frame that gets out nevertheless is nobody's.
 */
#ifndef DATAPLANE_NIC_PROBE_H
#define DATAPLANE_NIC_PROBE_H

#include "config/address.h"
#include "dataplane/nic_offloads.h"

#include <rte_mbuf.h>

#define NIC_PROBE_PARTS 4 /* packets one probe becomes, at most */

struct nic_probe {
	uint8_t offload; /* enum nic_offload: that this packet cannot do without */
	uint8_t tunnel;	 /* PROBE_* */
	bool outer_v6, v6, udp, large;
};
enum {
	PROBE_PLAIN,
	PROBE_VXLAN,
	PROBE_VXLAN_SUM,
	PROBE_IPIP
}; /* _SUM: the outer UDP checksum too */

/** All there are; the number of them in *count. */
const struct nic_probe *nic_probes(size_t *count);
/** Whose probes: large segments fill the MTU, up to 1500. */
struct nic_probe_port {
	struct mac_addr mac;
	uint16_t mtu;
	struct rte_mempool *pool;
};
/** For messages: "IPv6 in VXLAN over IPv4, TCP". */
void nic_probe_text(const struct nic_probe *probe, char *text, size_t size);
/** The packet as a worker gives it to port.tx_burst. @return NULL: no buffer. */
struct rte_mbuf *nic_probe_ask(const struct nic_probe *probe, const struct nic_probe_port *port);
/** What is to be on the wire. @return number of packets, 0 = no buffer. */
uint16_t nic_probe_expect(
	const struct nic_probe *probe, const struct nic_probe_port *port, struct rte_mbuf **out);
/** Are these the same frame? IPv4 identifications may differ, as long as header sums are right. */
bool nic_probe_same(const struct rte_mbuf *got, const struct rte_mbuf *want);

#endif
