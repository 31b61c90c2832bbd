/* SPDX-License-Identifier: Apache-2.0 */
/** What must hold of any packet that pkt_parse_* or a decapsulation has looked at. One thread. */
#ifndef TESTS_FUZZ_PARSED_H
#define TESTS_FUZZ_PARSED_H

#include "tests/fuzz/mbufs.h"

static inline bool is_flow(struct parsed parsed)
{
	return parsed.class == PKT_FLOW4 || parsed.class == PKT_FLOW6;
}

/** Ends the process unless p and parsed describe the packet truly. */
static inline void check_parsed(struct rte_mbuf *m, const struct pkt *p, struct parsed parsed)
{
	static uint8_t bytes[FRAME_MAX];
	uint32_t len = mbufs_bytes(m, bytes);

	REQUIRE(parsed.class <= PKT_DROP && parsed.class != PKT_TUNNEL, "class %d", parsed.class);
	if (parsed.class == PKT_DROP) {
		REQUIRE(parsed.reason > DROP_NONE && parsed.reason < DROP_REASON_COUNT, "reason %d",
			parsed.reason);
		return;
	}
	REQUIRE(parsed.reason == DROP_NONE, "class %d with reason %d", parsed.class, parsed.reason);
	if (parsed.class == PKT_ARP)
		return;
	REQUIRE(len == (uint32_t)p->l2_len + p->ip_len, "%u bytes, headers say %u + %u", len,
		p->l2_len, p->ip_len);
	REQUIRE(p->l3_len <= p->ip_len, "header of %u in %u bytes", p->l3_len, p->ip_len);
	REQUIRE(m->data_len >= RTE_MIN(len, (uint32_t)p->l2_len + p->l3_len + 60),
		"headers are spread: %u of %u", m->data_len, len);
	REQUIRE((parsed.class == PKT_FRAG) == ((p->flags & PKT_FRAGMENT) != 0), "flags %#x",
		p->flags);
	REQUIRE(!(p->flags & PKT_V6) || (p->flags & PKT_DF), "flags %#x", p->flags);
	REQUIRE(bytes[p->l2_len] >> 4 == (p->flags & PKT_V6 ? 6 : 4), "version");
	if (!(p->flags & PKT_V6)) {
		struct flow_key4 back, again;

		REQUIRE(slow_sum(bytes + p->l2_len, p->l3_len, 0) == 0xffff, "header checksum");
		pkt_reverse_key4(&p->key4, p->key4.zone_proto >> 8, &back);
		pkt_reverse_key4(&back, p->key4.zone_proto >> 8, &again);
		REQUIRE(memcmp(&again, &p->key4, sizeof(again)) == 0, "reversed twice");
	} else {
		struct flow_key6 back, again;

		pkt_reverse_key6(&p->key6, p->key6.zone_proto >> 8, &back);
		pkt_reverse_key6(&back, p->key6.zone_proto >> 8, &again);
		REQUIRE(memcmp(&again, &p->key6, sizeof(again)) == 0, "reversed twice");
	}
}

#endif
