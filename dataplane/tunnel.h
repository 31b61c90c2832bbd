/* SPDX-License-Identifier: Apache-2.0 */
/** The tunnel interface: what an encapsulation supplies. The types live in vxlan/ (and wg/); adding one means a file
 * that fills a struct tunnel_ops and one line in vxlan/tunnel.c.
 *
 * Encapsulation itself is not a call: a tunnel builds the header once, into an adjacency (control thread), and
 * dataplane/rewrite.h prepends it. Decapsulation is a pure function a packet (worker threads).
 *
 * The table and what all decapsulations share are in dataplane/tunnel.c.
 */
#ifndef DATAPLANE_TUNNEL_H
#define DATAPLANE_TUNNEL_H

#include "config/error.h"
#include "config/model.h"
#include "dataplane/adjacency.h"
#include "dataplane/packet.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <string.h>

#define TUNNEL_PORTS_MAX 8 /* UDP ports on which tunnels are received */

/** One peer as decapsulation sees it; immutable, part of a published tunnel_table. */
struct tunnel_peer {
	struct ip_addr underlay; /* outer source address to believe */
	uint32_t vni;		 /* VXLAN network identifier to accept from it */
	uint32_t peer;		 /* number of the peer, for statistics */
};

/** Everything receive needs; immutable, replaced as a whole. Open-addressed hash by underlay address. */
struct tunnel_table {
	uint64_t serial;	  /* no other table has it, even at the same address later */
	struct mac_addr vtep_mac; /* inner destination MAC of VXLAN for this node */
	uint16_t vxlan_ports
		[TUNNEL_PORTS_MAX]; /* UDP, host order: 4789, 8472 and what peers or node.vxlan_port add */
	uint8_t n_vxlan_ports;
	uint8_t n_local; /* own underlay addresses: outer destination must be one of them */
	struct ip_addr local[32];
	uint32_t mask;		    /* slots - 1 */
	struct tunnel_peer slots[]; /* underlay.family == IP_NONE: empty */
};

/** Control: build a table; peers need not be unique by name but must be by underlay. NULL when out of memory. */
struct tunnel_table *tunnel_table_new(const struct mac_addr *vtep_mac, const uint16_t *ports,
	size_t n_ports, const struct ip_addr *local, size_t n_local,
	const struct tunnel_peer *peers, size_t n_peers);
void tunnel_table_free(void *table);
/** Whether an address of that family (constant at the call) is `bytes`: inline words instead of
 * a call. */
static __rte_always_inline bool tunnel_address_is(
	const struct ip_addr *addr, bool v6, const uint8_t *bytes)
{
	if (addr->family != (v6 ? IP_V6 : IP_V4))
		return false;
	return memcmp(addr->bytes, bytes, v6 ? 16 : 4) == 0;
}

/** The slot where the search for an address begins. Chains are as long as configured peers make
 * them, whatever comes from outside, so that the hash needs no secret. */
static __rte_always_inline uint32_t tunnel_peer_slot(
	const struct tunnel_table *table, bool v6, const uint8_t *addr)
{
	uint64_t word[2] = { 0, 0 };

	memcpy(word, addr, v6 ? 16 : 4);
	word[0] = (word[0] ^ (word[1] >> 29) ^ (word[1] << 31)) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(word[0] >> 32) & table->mask;
}

/** Worker: the peer with that outer source (4 or 16 bytes, network order), or NULL. */
static __rte_always_inline const struct tunnel_peer *tunnel_peer_find(
	const struct tunnel_table *table, uint8_t family, const uint8_t *addr)
{
	const bool v6 = family == IP_V6;

	for (uint32_t slot = tunnel_peer_slot(table, v6, addr);; slot = (slot + 1) & table->mask) {
		const struct tunnel_peer *peer = &table->slots[slot];

		if (likely(tunnel_address_is(&peer->underlay, v6, addr)))
			return peer;
		if (peer->underlay.family == IP_NONE)
			return NULL;
	}
}
bool tunnel_is_local(const struct tunnel_table *table, uint8_t family, const uint8_t *addr);

/** Worker, end of a decapsulation: strip `off` bytes (outer headers) and everything that was known or asked of them, parse
 * what is left (`version` 0: an Ethernet frame, else the IP version) with zone ZONE_TUNNEL, and merge the outer TOS into
 * it. ARP and ND become drops: nobody resolves inside a routed tunnel. */
struct parsed tunnel_inner(struct rte_mbuf *m, struct pkt *p, uint32_t off, unsigned version);
/** Worker: is this a UDP port (network order) on which VXLAN is received? */
static __rte_always_inline bool tunnel_is_vxlan_port(
	const struct tunnel_table *table, uint16_t port_be)
{
	const uint16_t port = rte_be_to_cpu_16(port_be);

	for (unsigned i = 0; i < table->n_vxlan_ports; i++) {
		if (table->vxlan_ports[i] == port)
			return true;
	}
	return false;
}

/** Forget what receive offloads said about outer headers, and what senders asked to be done to them. */
static __rte_always_inline void tunnel_strip_offloads(struct rte_mbuf *m)
{
	m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK |
			 RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG |
			 RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
	m->packet_type = 0;
}
/** RFC 6040 section 4.2, figure 4: the ECN field (0..3) to forward, or -1 for a drop. */
int tunnel_ecn_merge(uint8_t outer, uint8_t inner);

/** What an adjacency for one peer is built from. Ethernet header included. */
struct tunnel_endpoint {
	struct ip_addr local, remote;	    /* outer addresses, one family */
	struct mac_addr src_mac, dst_mac;   /* outer Ethernet */
	struct mac_addr vtep_src, vtep_dst; /* inner Ethernet of VXLAN */
	uint32_t vni;
	uint16_t udp_port;     /* outer destination, host order */
	uint16_t port;	       /* output port id */
	uint16_t underlay_mtu; /* IP bytes */
	bool udp6_checksum;
};

/** Result of decapsulating: a reason, or the inner packet parsed like any other with zone ZONE_TUNNEL. */
struct tunnel_ops {
	const char *name; /* "vxlan" */
	enum encap encap;
	/** Bytes added to an inner IP packet by underlay family: MTU calculator. */
	uint16_t (*overhead)(uint8_t underlay_family);
	/** Control: fill type, flags, port, next_hop, MTU, header and all that describes it of a zeroed adjacency; generation,
	 * index, tunnel_hash and text are the caller's. -EINVAL: one sentence in err. */
	int (*build)(
		const struct tunnel_endpoint *endpoint, struct adjacency *adj, struct error *err);
	/** Worker: is this parsed outer packet (addressed to this node) mine? */
	bool (*claims)(const struct tunnel_table *table, const struct pkt *outer);
	/** Worker: outer headers begin at p->l2_len. On PKT_FLOW4/6, PKT_FRAG: m and p describe the inner packet, m starts
	 * at its Ethernet or IP header. Otherwise class PKT_DROP and a reason. ECN is merged per RFC 6040 section 4.2. */
	struct parsed (*decap)(const struct tunnel_table *table, struct rte_mbuf *m, struct pkt *p);
};

/** NULL-terminated; defined in vxlan/tunnel.c. The data plane gets it from dataplane_conf (it links without vxlan/). */
extern const struct tunnel_ops *const tunnel_types[];

#endif
