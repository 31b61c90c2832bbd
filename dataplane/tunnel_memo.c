/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/tunnel_memo.h"

static void want(struct tunnel_memo *memo, const uint8_t *frame, uint32_t at, uint8_t mask)
{
	memo->want[at] = frame[at] & mask;
	memo->mask[at] = mask;
}

static void want_all(struct tunnel_memo *memo, const uint8_t *frame, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		want(memo, frame, from + i, 0xff);
}

void tunnel_memo_keep(
	struct tunnel_memo *memo, const uint8_t *frame, uint32_t inner_off, const struct pkt *outer)
{
	const bool v6 = outer->flags & PKT_V6, udp = outer->proto == IPPROTO_UDP;
	const uint32_t ip = RTE_ETHER_HDR_LEN, l4 = ip + outer->l3_len;

	memo->shape = TUNNEL_NONE;
	if (outer->l2_len != RTE_ETHER_HDR_LEN ||
		(outer->flags & (PKT_OPTIONS | PKT_FRAGMENT)) != 0 ||
		outer->l3_len != (v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr)))
		return;
	if (udp ? inner_off != l4 + 16 || frame[l4 + 6] != 0 || frame[l4 + 7] != 0
		: inner_off != l4)
		return;
	memset(memo->want, 0, sizeof(memo->want));
	memset(memo->mask, 0, sizeof(memo->mask));
	want_all(memo, frame, 0, 6); /* for this port, from no group address */
	want(memo, frame, 6, 1);
	want_all(memo, frame, 12, 2);
	if (v6) {
		want(memo, frame, ip, 0xf0);
		want(memo, frame, ip + 6, 0xff);
		want_all(memo, frame, ip + 8, 32);
	} else {
		want(memo, frame, ip, 0xff);
		want(memo, frame, ip + 6, 0x3f);
		want(memo, frame, ip + 7, 0xff);
		want(memo, frame, ip + 9, 0xff);
		want_all(memo, frame, ip + 12, 8);
	}
	if (udp) {
		want_all(memo, frame, l4 + 2, 2);
		want_all(memo, frame, l4 + 6, 2);  /* no checksum */
		want(memo, frame, l4 + 8, 0x08);   /* the VNI is valid, */
		want_all(memo, frame, l4 + 12, 3); /* and the peer's */
		want_all(memo, frame, l4 + 16, 6); /* to this VTEP, */
		want(memo, frame, l4 + 22, 1);	   /* from no group address */
	}
	memo->inner_l2 = udp ? RTE_ETHER_HDR_LEN : 0;
	memo->inner_ip = (uint8_t)(inner_off + memo->inner_l2);
	memo->inner_version = udp ? 0 : outer->proto == IPPROTO_IPV6 ? 6 : 4;
	memo->shape =
		udp ? (v6 ? TUNNEL_VXLAN6 : TUNNEL_VXLAN4) : (v6 ? TUNNEL_IPIP6 : TUNNEL_IPIP4);
}
