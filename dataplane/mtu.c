/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/mtu.h"

#define HEADER4	  20u
#define HEADER6	  40u
#define TCP	  20u
#define VXLAN	  (8u + 8u + 14u)  /* UDP, VXLAN, inner Ethernet: RFC 7348 section 5 */
#define WIREGUARD (8u + 16u + 16u) /* UDP, data header, tag */

uint16_t mtu_overhead(enum encap encap, uint8_t underlay_family)
{
	const unsigned ip = underlay_family == IP_V6 ? HEADER6 : HEADER4;

	switch (encap) {
	case ENCAP_AUTO: /* may come to be VXLAN */
	case ENCAP_VXLAN:
		return (uint16_t)(ip + VXLAN);
	case ENCAP_IPIP:
		return (uint16_t)ip;
	case ENCAP_WIREGUARD:
		return (uint16_t)(ip + WIREGUARD);
	case ENCAP_DIRECT:
		break;
	}
	return 0;
}

uint16_t mtu_inner(enum encap encap, uint8_t underlay_family, uint16_t underlay_mtu)
{
	const int inner = underlay_mtu - mtu_overhead(encap, underlay_family);

	return (uint16_t)(inner > MTU_MIN6 ? inner : MTU_MIN6);
}

uint16_t mtu_for_pods(
	uint16_t underlay_mtu, const enum encap *encaps, const uint8_t *families, unsigned n)
{
	uint16_t mtu = mtu_inner(ENCAP_DIRECT, IP_V4, underlay_mtu);

	for (unsigned i = 0; i < n; i++) {
		const uint16_t inner = mtu_inner(encaps[i], families[i], underlay_mtu);

		if (inner < mtu)
			mtu = inner;
	}
	return mtu;
}

uint16_t mtu_tcp_mss(uint16_t mtu, bool v6)
{
	const unsigned headers = (v6 ? HEADER6 : HEADER4) + TCP;

	return (uint16_t)(mtu > headers ? mtu - headers : 0);
}
