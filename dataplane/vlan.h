/* SPDX-License-Identifier: Apache-2.0 */
/** The 802.1Q tag of uplinks that have a VLAN (IEEE 802.1Q-2018 section 9.6). It exists at the edge only: behind vlan_accept and
 * before vlan_tag, that is in all of the data plane but drivers and observers, frames have none, and l2_len is 14.
 *
 * Received tags are in the frame, or a driver or device took them off and says so as ethdev does (RTE_MBUF_F_RX_VLAN_STRIPPED,
 * m->vlan_tci). Sent ones a driver with PORT_TX_VLAN puts in where RTE_MBUF_F_TX_VLAN is set; for others they are put into the
 * frame here.
 *
 * Worker threads; pure functions of the packets. Tags are TCIs in host byte order: priority, DEI, VLAN id. What is sent has
 * priority 0.
 */
#ifndef DATAPLANE_VLAN_H
#define DATAPLANE_VLAN_H

#include "dataplane/port.h"

#define VLAN_ID_MASK 0x0fffu

/** As a driver that took a tag off says it. */
static inline void vlan_set_stripped(struct rte_mbuf *m, uint16_t tci)
{
	m->vlan_tci = tci;
	m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
}

/** Is a received frame of the VLAN? Its tag is off then. One of another VLAN, without a tag, with a priority tag (id 0) or an
 * 802.1ad one is left as it is. What is too short to tell is the parser's to refuse: true. */
bool vlan_accept(struct rte_mbuf *m, uint16_t vlan);

/** Put back into a received frame what was taken off, if there was anything. @return false when there is no room. */
bool vlan_restore(struct rte_mbuf *m);

/** Tag packets for a port that has a VLAN; a packet may be replaced by another. @return how many are, from the first on; the others, for
 * which there was no buffer, are behind them. */
uint16_t vlan_tag(const struct port *port, struct rte_mbuf **pkts, uint16_t n);

/** Take off again what vlan_tag put on packets that were not sent. */
void vlan_untag(struct rte_mbuf **pkts, uint16_t n);

#endif
