/* SPDX-License-Identifier: Apache-2.0 */
/** The one place that knows what encapsulation costs. Pure functions, any thread. Bytes of IP packets throughout.
 * Overheads: IP-in-IP 20 (40 over IPv6), VXLAN 50 (70), WireGuard 60 (80), direct 0.
 */
#ifndef DATAPLANE_MTU_H
#define DATAPLANE_MTU_H

#include "config/model.h"

#define MTU_MIN4 68   /* RFC 791 */
#define MTU_MIN6 1280 /* RFC 8200 section 5 */

uint16_t mtu_overhead(enum encap encap, uint8_t underlay_family);
/** Largest inner packet through a tunnel on an underlay path; never below MTU_MIN6. */
uint16_t mtu_inner(enum encap encap, uint8_t underlay_family, uint16_t underlay_mtu);
/** What pods get as interface MTU: the smallest inner MTU over what the node may use. ENCAP_AUTO counts as VXLAN. */
uint16_t mtu_for_pods(
	uint16_t underlay_mtu, const enum encap *encaps, const uint8_t *families, unsigned n);
/** TCP MSS that fits. */
uint16_t mtu_tcp_mss(uint16_t mtu, bool v6);

#endif
