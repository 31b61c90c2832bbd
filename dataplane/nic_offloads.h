/* SPDX-License-Identifier: Apache-2.0 */
/** Which offloads of a NIC are in use, and why one is not. What a device announces is a claim: it is used unless the
 * configuration disables it, the driver refuses a packet that asks for it, or the self-test (nic_selftest.h) saw it do wrong.
 * What is not in use is done in software (offload.c); an offload is in use for all family pairs or for none.
 *
 * Control thread, before the port is published; constant afterwards.
 */
#ifndef DATAPLANE_NIC_OFFLOADS_H
#define DATAPLANE_NIC_OFFLOADS_H

#include <jansson.h>
#include <rte_ethdev.h>
#include <stdbool.h>
#include <stdint.h>

enum nic_offload {
	NIC_RX_CSUM,	/* believe what it says about received checksums */
	NIC_TX_CSUM,	/* TCP and UDP checksums */
	NIC_TX_TSO,	/* cut TCP segments */
	NIC_VXLAN_CSUM, /* the same inside VXLAN */
	NIC_VXLAN_TSO,
	NIC_IPIP_CSUM, /* and inside IP */
	NIC_IPIP_TSO,
	NIC_OUTER_UDP_CSUM, /* checksum of the tunnel's own UDP header, together with what is inside */
	NIC_OFFLOADS,
};

enum nic_offload_state {
	NIC_LACKED,   /* the device does not announce it */
	NIC_DISABLED, /* by the configuration */
	NIC_REFUSED,  /* the driver takes no packet that asks for it */
	NIC_WRONG,    /* what the device made of a packet was not what was asked for */
	NIC_CLAIMED,  /* in use; nobody could look */
	NIC_VERIFIED, /* in use; the self-test saw it do right */
};

struct nic_offloads {
	bool ipv4_checksum; /* the device computes those of IPv4 headers, and wants to be asked */
	struct {
		uint8_t state; /* enum nic_offload_state */
		char why[128]; /* "" = the state says it all */
	} of[NIC_OFFLOADS];
};

/** As in `podlane show ports` and in disabled_offloads of an uplink. */
const char *nic_offload_name(enum nic_offload offload);
/** From what the device announces. `disabled`: names, or "all". */
void nic_offloads_choose(struct nic_offloads *o, const struct rte_eth_dev_info *info,
	const char *const *disabled, size_t n_disabled);
bool nic_offloads_used(const struct nic_offloads *o, enum nic_offload offload);
/** Set the state of one that was in use, and why. */
void nic_offloads_set(struct nic_offloads *o, enum nic_offload offload,
	enum nic_offload_state state, const char *why);
/** Is any in use? */
bool nic_offloads_any(const struct nic_offloads *o);
/** Nobody could look at those in use: say why. */
void nic_offloads_unverified(struct nic_offloads *o, const char *why);
/** RTE_ETH_TX_OFFLOAD_* to configure the device with. Chains of buffers are sent wherever the device can. */
uint64_t nic_offloads_tx(const struct nic_offloads *o, const struct rte_eth_dev_info *info);
/** RTE_ETH_RX_OFFLOAD_*: checksums only. */
uint64_t nic_offloads_rx(const struct nic_offloads *o, const struct rte_eth_dev_info *info);
/** As enum port_offload. */
uint16_t nic_offloads_port(const struct nic_offloads *o);
/** One object an offload: name, state, in_use, and why when there is more to say. A new reference. */
json_t *nic_offloads_json(const struct nic_offloads *o);

#endif
