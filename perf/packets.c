/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/packets.h"

#include "perf/bench.h"

#include <stdlib.h>
#include <unistd.h>

#define PORTS_A_HOST  50000 /* source ports used before the destination port changes */
#define FRAME_MIN     64
#define FRAME_MAX     1900 /* headers and all, a packet stays in one buffer */
#define TOUCHED_BYTES 256  /* of each packet: buffer header and headers */

/* --- sizes -------------------------------------------------------------------------------------------------------- */

bool packets_sizes_parse(const char *text, struct packets_sizes *sizes)
{
	char *end;
	long bytes;

	if (strcmp(text, "imix") == 0) {
		*sizes = (struct packets_sizes){ 3, { { 64, 7 }, { 594, 4 }, { 1518, 1 } } };
		return true;
	}
	bytes = strtol(text, &end, 10);
	if (end == text || *end != '\0' || bytes < FRAME_MIN || bytes > FRAME_MAX)
		return false;
	*sizes = (struct packets_sizes){ 1, { { (uint16_t)bytes, 1 } } };
	return true;
}

double packets_sizes_mean(const struct packets_sizes *sizes)
{
	double bytes = 0, count = 0;

	for (unsigned i = 0; i < sizes->count; i++) {
		bytes += (double)sizes->items[i].bytes * sizes->items[i].share;
		count += sizes->items[i].share;
	}
	return count > 0 ? bytes / count : 0;
}

/** Sizes spread evenly: each step gives to the one that is furthest behind its share. */
static void make_pattern(struct packets *set)
{
	const struct packets_sizes *sizes = &set->conf.sizes;
	uint32_t given[PACKETS_SIZES_MAX] = { 0 };

	set->pattern_len = 0;
	for (unsigned i = 0; i < sizes->count; i++)
		set->pattern_len += sizes->items[i].share;
	if (set->pattern_len > sizeof(set->pattern))
		bench_die("the pattern of sizes is too long", NULL);
	for (uint32_t at = 0; at < set->pattern_len; at++) {
		unsigned best = 0;

		for (unsigned i = 1; i < sizes->count; i++) {
			int64_t lag_i = (int64_t)sizes->items[i].share * (at + 1) -
					(int64_t)given[i] * set->pattern_len;
			int64_t lag_best = (int64_t)sizes->items[best].share * (at + 1) -
					   (int64_t)given[best] * set->pattern_len;

			if (lag_i > lag_best)
				best = i;
		}
		given[best]++;
		set->pattern[at] = (uint8_t)best;
	}
}

/* --- headers ------------------------------------------------------------------------------------------------------ */

static uint8_t *put_ip(
	uint8_t *at, bool v6, const char *src, const char *dst, uint8_t proto, uint16_t ip_len)
{
	struct ip_addr s, d;

	ip_addr_parse(src, &s);
	ip_addr_parse(dst, &d);
	if (v6) {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;

		*ip = (struct rte_ipv6_hdr){ .vtc_flow = rte_cpu_to_be_32(6u << 28),
			.payload_len = rte_cpu_to_be_16((uint16_t)(ip_len - sizeof(*ip))),
			.proto = proto,
			.hop_limits = 64 };
		memcpy(ip->src_addr, s.bytes, 16);
		memcpy(ip->dst_addr, d.bytes, 16);
		return at + sizeof(*ip);
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;

		*ip = (struct rte_ipv4_hdr){ .version_ihl = 0x45,
			.total_length = rte_cpu_to_be_16(ip_len),
			.time_to_live = 64,
			.next_proto_id = proto };
		memcpy(&ip->src_addr, s.bytes, 4);
		memcpy(&ip->dst_addr, d.bytes, 4);
		ip->hdr_checksum = rte_ipv4_cksum(ip);
		return at + sizeof(*ip);
	}
}

static uint8_t *put_ether(
	uint8_t *at, const struct mac_addr *dst, const struct mac_addr *src, uint16_t type)
{
	memcpy(at, dst->bytes, 6);
	memcpy(at + 6, src->bytes, 6);
	at[12] = (uint8_t)(type >> 8);
	at[13] = (uint8_t)type;
	return at + 14;
}

static uint8_t *put_udp(uint8_t *at, uint16_t sport, uint16_t dport, uint16_t len)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)at;

	*udp = (struct rte_udp_hdr){ rte_cpu_to_be_16(sport), rte_cpu_to_be_16(dport),
		rte_cpu_to_be_16(len), 0 };
	return at + sizeof(*udp);
}

/** What the peer puts around an inner packet. */
static uint8_t *put_outer(
	uint8_t *at, const struct plane_scenario *s, const struct mac_addr *self, uint16_t ip_len)
{
	static const struct mac_addr peer = { { 2, 0, 0, 0, 2, 2 } };
	static const struct mac_addr vtep_a = { { 2, 0, 0xc0, 0, 2, 1 } },
				     vtep_b = { { 2, 0, 0xc0, 0, 2, 2 } };
	bool vxlan = strcmp(s->encap, "vxlan") == 0;
	uint16_t outer = (uint16_t)(20 + (vxlan ? 8 + 8 + 14 : 0) + ip_len);
	uint16_t type = s->v6 ? 0x86dd : 0x0800;

	if (strcmp(s->encap, "direct") == 0)
		return put_ether(at, self, &peer, type);
	at = put_ether(at, self, &peer, 0x0800);
	at = put_ip(at, false, "192.0.2.2", "192.0.2.1",
		vxlan	? IPPROTO_UDP
		: s->v6 ? IPPROTO_IPV6
			: IPPROTO_IPIP,
		outer);
	if (!vxlan)
		return at;
	at = put_udp(at, 50000, 8472, (uint16_t)(outer - 20));
	memcpy(at, "\x08\0\0\0\0\0\1\0", 8);
	return put_ether(at + 8, &vtep_a, &vtep_b, type);
}

/** Whether packets come from the peer: decap, and the replies of encap. */
static bool from_peer(const struct packets_conf *c)
{
	return c->scenario->work != PLANE_L3 && (c->scenario->work == PLANE_DECAP) != c->reply;
}

static void make_template(struct packets *set, struct packets_template *t, uint16_t size)
{
	const struct plane_scenario *s = set->conf.scenario;
	static const struct mac_addr pod[2] = { { { 2, 0, 0, 0, 0, 0x0a } },
		{ { 2, 0, 0, 0, 0, 0x0b } } };
	const char *a = s->v6 ? "fd00:244:1::10" : "10.244.1.10",
		   *b = s->v6 ? "fd00:244:1::11" : "10.244.1.11";
	const char *remote = s->v6 ? "fd00:245::10" : "10.245.0.10";
	uint16_t header = s->v6 ? 40 : 20;
	uint16_t ip_len = (uint16_t)RTE_MAX(size - 18, header + 8);
	uint8_t *at = t->bytes;

	if (from_peer(&set->conf))
		at = put_outer(at, s, &set->in->mac, ip_len);
	else
		at = put_ether(at, &set->in->mac, &pod[set->conf.reply], s->v6 ? 0x86dd : 0x0800);
	set->inner_ip = (uint32_t)(at - t->bytes);
	if (from_peer(&set->conf))
		at = put_ip(at, s->v6, remote, a, IPPROTO_UDP, ip_len);
	else if (s->work == PLANE_L3 && set->conf.reply)
		at = put_ip(at, s->v6, b, a, IPPROTO_UDP, ip_len);
	else
		at = put_ip(at, s->v6, a, s->work == PLANE_L3 ? b : remote, IPPROTO_UDP, ip_len);
	set->inner_l4 = (uint32_t)(at - t->bytes);
	at = put_udp(at, 0, 0, (uint16_t)(ip_len - header));
	t->len = (uint32_t)(at - t->bytes);
	t->frame = set->inner_ip + ip_len;
}

/** With a route table, the far ends are spread over its prefixes. */
static void put_far_end(const struct packets *set, uint8_t *at, uint32_t flow)
{
	uint32_t route = (uint32_t)(((uint64_t)flow * 2246822519u) % set->routes);
	bool is_source = from_peer(&set->conf);

	if (set->conf.scenario->v6) {
		uint16_t words[2] = { rte_cpu_to_be_16((uint16_t)(route >> 16)),
			rte_cpu_to_be_16((uint16_t)route) };
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)at;
		uint8_t *addr = is_source ? ip->src_addr : ip->dst_addr;

		memset(addr, 0, 16);
		addr[0] = 0x2a;
		memcpy(addr + 2, words, sizeof(words));
		addr[15] = 9;
	} else {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)at;
		uint32_t addr = rte_cpu_to_be_32((11u << 24) + (route << 8) + 9);

		if (is_source)
			ip->src_addr = addr;
		else
			ip->dst_addr = addr;
		ip->hdr_checksum = 0;
		ip->hdr_checksum = rte_ipv4_cksum(ip);
	}
}

/* --- sets --------------------------------------------------------------------------------------------------------- */

static void scatter(struct rte_mbuf **m, uint32_t count)
{
	uint64_t state = 0x9e3779b97f4a7c15u;

	for (uint32_t i = count - 1; i > 0; i--) {
		struct rte_mbuf *other;
		uint32_t k;

		state = state * 6364136223846793005u + 1442695040888963407u;
		k = (uint32_t)((state >> 33) % (i + 1));
		other = m[k];
		m[k] = m[i];
		m[i] = other;
	}
}

void packets_new(struct packets *set, const struct plane *plane, const struct packets_conf *conf)
{
	*set = (struct packets){ .conf = *conf, .routes = plane->conf.routes };
	set->in = from_peer(conf)				    ? plane->uplink
		  : conf->scenario->work == PLANE_L3 && conf->reply ? plane->pod_b
								    : plane->pod_a;
	for (unsigned i = 0; i < conf->sizes.count; i++)
		make_template(set, &set->templates[i], conf->sizes.items[i].bytes);
	make_pattern(set);
	set->m = calloc(conf->count, sizeof(*set->m));
	if (set->m == NULL || rte_pktmbuf_alloc_bulk(plane->pool, set->m, conf->count) != 0)
		bench_die("not enough packet buffers", NULL);
	if (conf->scattered)
		scatter(set->m, conf->count);
}

void packets_prepare(struct packets *set, uint32_t first_flow)
{
	const struct packets_conf *c = &set->conf;
	/* Only the far side of a tunnel is routed; the replies' own way is pod:a, whoever they are from. */
	bool routed = set->routes > 0 &&
		      (c->scenario->work == PLANE_ENCAP || c->scenario->work == PLANE_NEW_FLOW);

	for (uint32_t i = 0, turn = 0; i < c->count;
		i++, turn = turn + 1 == set->pattern_len ? 0 : turn + 1) {
		uint32_t flow =
			c->scenario->work == PLANE_NEW_FLOW
				? first_flow + i
				: c->first + (uint32_t)(((uint64_t)(first_flow + i) * 2654435761u) %
							c->flows);
		const struct packets_template *t = &set->templates[set->pattern[turn]];
		struct rte_mbuf *m = set->m[i];
		uint16_t ports_be[2];
		uint8_t *data;

		m->data_off = RTE_PKTMBUF_HEADROOM;
		m->data_len = (uint16_t)t->frame;
		m->pkt_len = t->frame;
		m->ol_flags = 0;
		m->nb_segs = 1;
		m->next = NULL;
		data = rte_pktmbuf_mtod(m, uint8_t *);
		memcpy(data, t->bytes, t->len);
		ports_be[c->reply] = rte_cpu_to_be_16((uint16_t)(1024 + flow % PORTS_A_HOST));
		ports_be[!c->reply] = rte_cpu_to_be_16((uint16_t)(5000 + flow / PORTS_A_HOST));
		memcpy(data + set->inner_l4, ports_be, sizeof(ports_be));
		if (routed)
			put_far_end(set, data + set->inner_ip, flow);
	}
}

uint32_t packets_cold_count(void)
{
	long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
	uint64_t count = 4 * (uint64_t)(l2 > 0 ? l2 : 2 << 20) / TOUCHED_BYTES;

	return (uint32_t)RTE_MIN(RTE_MAX(count / VECTOR_SIZE * VECTOR_SIZE, 16384u), 131072u);
}
