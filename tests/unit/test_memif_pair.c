/* SPDX-License-Identifier: Apache-2.0 */
/** Two memif ports of ours, one in each role, in one process: queues, ring sizes, IP mode, secrets,
 * and what is left after a hundred connections. */
#include "tests/unit/memif_frames.h"

#include "dataplane/memif_client.h"

#include <rte_ether.h>

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static const struct mac_addr server_mac = { { 2, 0, 0, 0, 0, 1 } },
			     client_mac = { { 2, 0, 0, 0, 0, 2 } },
			     peer_of_server = { { 2, 0, 0, 0, 1, 1 } },
			     peer_of_client = { { 2, 0, 0, 0, 1, 2 } };

static struct port *server, *client;

static void loop(void)
{
	while (control_loop_run(0) > 0)
		;
}

static void redial(void)
{
	((struct port_memif *)client)->client->redial_ms = 0;
	client->ops->tick(client);
	loop();
}

static void begin(const struct port_params *of_server, const struct port_params *of_client)
{
	server = port_started(of_server);
	client = port_started(of_client);
	loop();
}

/* Much memory is made beside the control thread. */
static void begin_large(const struct port_params *of_server, const struct port_params *of_client)
{
	begin(of_server, of_client);
	for (unsigned i = 0; i < 1000 && !(link_up(client) && link_up(server)); i++) {
		usleep(10000);
		client->ops->tick(client);
		loop();
	}
	CU_ASSERT_TRUE_FATAL(link_up(server) && link_up(client));
}

static void defaults(struct port_params *s, struct port_params *c, uint16_t queues, uint32_t size)
{
	client_setup();
	files_before = files_settled();
	*s = port_defaults(1, queues);
	s->ring_size = size;
	s->port_mac = server_mac;
	s->pod_mac = peer_of_server;
	*c = *s;
	c->name = "pod:client";
	c->memif_client = true;
	c->port_mac = client_mac;
	c->pod_mac = peer_of_client;
}

static void end(void)
{
	client->ops->close(client);
	loop();
	CU_ASSERT_FALSE(link_up(server));
	port_end(server);
}

/* A frame from one port's queue to the same of the other. */
static bool crosses(struct port *from, struct port *to, uint16_t queue, uint32_t length)
{
	struct rte_mbuf *m = mbuf_make(length, queue + length, 2048), *got;
	bool ok;

	if (from->ops->tx_burst(from, queue, &m, 1) != 1) {
		rte_pktmbuf_free(m);
		return false;
	}
	if (to->ops->rx_burst(to, queue, &got, 1) != 1)
		return false;
	ok = mbuf_is(got, length, queue + length);
	rte_pktmbuf_free(got);
	return ok;
}

static void queues_and_ring_sizes(void)
{
	static const struct {
		uint16_t queues;
		uint8_t log2;
	} shapes[] = { { 1, 0 }, { 1, 1 }, { 1, 14 }, { 2, 5 }, { 15, 3 }, { 16, 0 }, { 16, 6 } };

	for (unsigned i = 0; i < RTE_DIM(shapes); i++) {
		struct port_params s, c;
		struct memif_connection *connection;

		defaults(&s, &c, shapes[i].queues, 1u << shapes[i].log2);
		begin_large(&s, &c);
		connection = rcu_read(&((struct port_memif *)server)->connection);
		CU_ASSERT_EQUAL(connection->n_rx, shapes[i].queues);
		CU_ASSERT_EQUAL(connection->n_tx, shapes[i].queues);
		CU_ASSERT_EQUAL(connection->rx[0].size, 1u << shapes[i].log2);
		for (uint16_t q = 0; q < shapes[i].queues; q++) {
			for (unsigned k = 0; k < 5; k++) {
				CU_ASSERT_TRUE(crosses(client, server, q, 60 + k));
				CU_ASSERT_TRUE(crosses(server, client, q, 1400 + k));
			}
			/* As many slots as it takes, and no more than there are. */
			if (shapes[i].log2 >= 3) {
				CU_ASSERT_TRUE(crosses(client, server, q, 9000));
				CU_ASSERT_TRUE(crosses(server, client, q, 9000));
			} else {
				CU_ASSERT_FALSE(crosses(client, server, q, 9000));
				CU_ASSERT_FALSE(crosses(server, client, q, 9000));
			}
		}
		end();
	}
}

/* The whole of the largest ring at once. */
static void largest_ring_full(void)
{
	static struct rte_mbuf *pkts[64];
	struct port_params s, c;
	uint32_t sent = 0, got = 0;
	uint16_t n;

	defaults(&s, &c, 1, 16384);
	begin_large(&s, &c);
	do {
		for (uint16_t i = 0; i < 64; i++)
			pkts[i] = mbuf_make(60, sent + i, 2048);
		n = client->ops->tx_burst(client, 0, pkts, 64);
		rte_pktmbuf_free_bulk(&pkts[n], 64u - n);
		sent += n;
	} while (n == 64);
	CU_ASSERT_EQUAL(sent, 16384);
	while ((n = server->ops->rx_burst(server, 0, pkts, 64)) > 0) {
		for (uint16_t i = 0; i < n; i++)
			CU_ASSERT_TRUE_FATAL(mbuf_is(pkts[i], 60, got + i));
		rte_pktmbuf_free_bulk(pkts, n);
		got += n;
	}
	CU_ASSERT_EQUAL(got, sent);
	end();
}

/* A port that closes, and a server that goes, while memory is being made: the thread gives it back when it is through. */
static void nobody_wants_it_any_more(void)
{
	struct port_params s, c;

	for (unsigned i = 0; i < 4; i++) {
		defaults(&s, &c, 1, 16384);
		begin(&s, &c);
		CU_ASSERT_FALSE(link_up(client));
		CU_ASSERT_EQUAL(((struct port_memif *)client)->client->state, MEMIF_CLIENT_MAKING);
		if (i % 2 == 0) {
			client->ops->close(client);
			loop();
			port_stopped(server);
		} else {
			server->ops->close(server);
			loop();
			CU_ASSERT_EQUAL(
				((struct port_memif *)client)->client->state, MEMIF_CLIENT_WAITING);
			port_stopped(client);
		}
		for (unsigned k = 0; k < 1000 && open_files() != files_before; k++)
			usleep(10000);
		CU_ASSERT_EQUAL(open_files(), files_before);
	}
}

static void fewer_queues_on_one_side(void)
{
	struct port_params s, c;

	defaults(&s, &c, 2, 64);
	c.n_queues = 16;
	begin(&s, &c);
	CU_ASSERT_TRUE(rcu_read(&((struct port_memif *)client)->connection)->tx_locked);
	CU_ASSERT_TRUE(crosses(client, server, 1, 60));
	CU_ASSERT_TRUE(crosses(server, client, 1, 60));
	end();
	defaults(&s, &c, 16, 1024);
	c.n_queues = 3;
	c.ring_size = 32;
	begin(&s, &c);
	CU_ASSERT_TRUE(crosses(client, server, 2, 60));
	CU_ASSERT_TRUE(crosses(server, client, 2, 60));
	end();
}

static uint32_t maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	uint32_t lines = 0;

	for (int ch; f != NULL && (ch = fgetc(f)) != EOF;)
		lines += ch == '\n';
	if (f != NULL)
		fclose(f);
	return lines;
}

static void hundred_connections(void)
{
	struct port_params s, c;
	unsigned files = 0;
	uint32_t mapped = 0;

	defaults(&s, &c, 4, 64);
	begin(&s, &c);
	for (unsigned i = 0; i < 100; i++) {
		CU_ASSERT_TRUE_FATAL(link_up(server) && link_up(client));
		CU_ASSERT_TRUE(crosses(client, server, (uint16_t)(i % 4), 60));
		if (i == 3) /* malloc and others have what they keep */
			mapped = maps();
		/* By turns the one and the other goes. */
		if (i % 2 == 0) {
			client->ops->close(client);
			loop();
			client = port_started(&c);
		} else {
			server->ops->close(server);
			rcu_barrier();
			server = port_started(&s);
			loop();
			redial();
		}
		loop();
		rcu_barrier();
		if (i == 3) /* the same one goes last of all */
			files = files_settled();
	}
	CU_ASSERT_EQUAL(files_settled(), files);
	CU_ASSERT_TRUE(
		maps() <=
		mapped + 20); /* neighbours join and part as it happens; a leak would be 200 */
	end();
}

static void secrets(void)
{
	struct port_params s, c;

	defaults(&s, &c, 1, 16);
	s.secret = "open sesame";
	c.secret = "open sesamf";
	begin(&s, &c);
	CU_ASSERT_FALSE(link_up(server));
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)client)->last_refusal,
		"The server says: Wrong or missing secret (asked for id 1, memif 2.0, Ethernet "
		"mode, a secret)");
	CU_ASSERT_STRING_EQUAL(
		((struct port_memif *)server)->last_refusal, "Wrong or missing secret");
	end();
	defaults(&s, &c, 1, 16);
	s.secret = c.secret = "twenty-four bytes, all.."; /* the whole field */
	begin(&s, &c);
	CU_ASSERT_TRUE(link_up(server));
	end();
}

static void modes_must_agree(void)
{
	struct port_params s, c;

	defaults(&s, &c, 1, 16);
	s.memif_ip = true;
	begin(&s, &c);
	CU_ASSERT_FALSE(link_up(server));
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)client)->last_refusal,
		"The server says: The interface is in IP mode (asked for id 1, memif 2.0, Ethernet "
		"mode, no secret)");
	end();
	defaults(&s, &c, 1, 16);
	c.memif_ip = true;
	begin(&s, &c);
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)client)->last_refusal,
		"The server says: The interface is in Ethernet mode (asked for id 1, memif 2.0, IP "
		"mode, no secret)");
	end();
}

static void ids_must_agree(void)
{
	struct port_params s, c;

	defaults(&s, &c, 1, 16);
	c.memif_id = 7;
	begin(&s, &c);
	CU_ASSERT_FALSE(link_up(server));
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)client)->last_refusal,
		"The server says: No interface has the id 7 (asked for id 7, memif 2.0, Ethernet "
		"mode, no secret)");
	CU_ASSERT_STRING_EQUAL(((struct port_memif *)server)->last_refusal,
		"No interface has the id 7 that a client asked for: this one is 1");
	end();
}

/* An Ethernet frame around length bytes of a pattern that begins as IP does. */
static struct rte_mbuf *ip_frame(
	uint16_t ether_type, uint8_t version, uint32_t length, uint16_t part)
{
	static uint8_t bytes[10000];
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)bytes;

	memset(eth, 0x55, sizeof(*eth));
	eth->ether_type = rte_cpu_to_be_16(ether_type);
	pattern(bytes + sizeof(*eth), length, length);
	bytes[sizeof(*eth)] = (uint8_t)(version << 4);
	return mbuf_of(bytes, (uint32_t)sizeof(*eth) + length, part);
}

static bool ip_frame_is(const struct rte_mbuf *m, uint16_t ether_type, uint8_t version,
	uint32_t length, const struct mac_addr *to, const struct mac_addr *from)
{
	static uint8_t want[10000], buf[10000];
	struct rte_ether_hdr *eth = (struct rte_ether_hdr *)want;
	const void *got;

	memcpy(&eth->dst_addr, to, 6);
	memcpy(&eth->src_addr, from, 6);
	eth->ether_type = rte_cpu_to_be_16(ether_type);
	pattern(want + sizeof(*eth), length, length);
	want[sizeof(*eth)] = (uint8_t)(version << 4);
	got = rte_pktmbuf_read(m, 0, (uint32_t)sizeof(*eth) + length, buf);
	return m->pkt_len == sizeof(*eth) + length && got != NULL &&
	       memcmp(got, want, sizeof(*eth) + length) == 0;
}

static void ip_crosses(
	struct port *from, struct port *to, const struct mac_addr *own, const struct mac_addr *peer)
{
	for (uint32_t length = 20; length < 9000; length += length < 100 ? 1 : 331) {
		uint8_t version = length % 2 != 0 ? 6 : 4;
		uint16_t type = version == 6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4;
		struct rte_mbuf *m = ip_frame(type, version, length, 14 + 600), *got;

		CU_ASSERT_EQUAL_FATAL(from->ops->tx_burst(from, 0, &m, 1), 1);
		CU_ASSERT_EQUAL_FATAL(to->ops->rx_burst(to, 0, &got, 1), 1);
		CU_ASSERT_TRUE(ip_frame_is(got, type, version, length, own, peer));
		rte_pktmbuf_free(got);
	}
}

static void ip_mode(void)
{
	struct port_params s, c;
	struct rte_mbuf *pkts[4];

	defaults(&s, &c, 1, 16);
	s.memif_ip = c.memif_ip = true;
	begin(&s, &c);
	CU_ASSERT_TRUE_FATAL(link_up(server) && link_up(client));
	ip_crosses(client, server, &server_mac, &peer_of_server);
	ip_crosses(server, client, &client_mac, &peer_of_client);
	/* What is not IP stays the caller's, behind the others, as it was. */
	pkts[0] = ip_frame(RTE_ETHER_TYPE_ARP, 0, 28, 2048);
	pkts[1] = ip_frame(RTE_ETHER_TYPE_IPV4, 4, 40, 2048);
	pkts[2] = ip_frame(RTE_ETHER_TYPE_VLAN, 0, 40, 2048);
	pkts[3] = ip_frame(RTE_ETHER_TYPE_IPV6, 6, 60, 2048);
	CU_ASSERT_EQUAL_FATAL(server->ops->tx_burst(server, 0, pkts, 4), 2);
	CU_ASSERT_EQUAL(pkts[2]->pkt_len + pkts[3]->pkt_len, 42 + 54);
	rte_pktmbuf_free_bulk(&pkts[2], 2);
	CU_ASSERT_EQUAL_FATAL(client->ops->rx_burst(client, 0, pkts, 4), 2);
	CU_ASSERT_EQUAL(pkts[0]->pkt_len, 54);
	CU_ASSERT_EQUAL(pkts[1]->pkt_len, 74);
	rte_pktmbuf_free_bulk(pkts, 2);
	/* What a full ring left is whole again. */
	for (unsigned i = 0; i < 16; i++) {
		pkts[0] = ip_frame(RTE_ETHER_TYPE_IPV4, 4, 40, 2048);
		CU_ASSERT_EQUAL_FATAL(client->ops->tx_burst(client, 0, pkts, 1), 1);
	}
	pkts[0] = ip_frame(RTE_ETHER_TYPE_IPV4, 4, 41, 2048);
	CU_ASSERT_EQUAL(client->ops->tx_burst(client, 0, pkts, 1), 0);
	CU_ASSERT_EQUAL(pkts[0]->pkt_len, 55);
	CU_ASSERT_EQUAL(*rte_pktmbuf_mtod(pkts[0], const uint8_t *), 0x55);
	rte_pktmbuf_free(pkts[0]);
	end();
}

/* A peer that sends what is not IP over a ring for IP. */
static void ip_mode_refuses(void)
{
	struct port_params s, c;
	struct client peer;
	uint8_t bytes[64] = { 0x45 };
	struct rte_mbuf *m;

	defaults(&s, &c, 1, 16);
	s.memif_ip = true;
	server = port_started(&s);
	client_new(&peer);
	client_memory(&peer, 4, 1, 2048, F_SEAL_SHRINK);
	CU_ASSERT_EQUAL(client_init(&peer, 1, 1, NULL), ACK);
	CU_ASSERT_EQUAL(client_region(&peer, 0, peer.size, peer.region_fd), ACK);
	client_add_rings(&peer);
	CU_ASSERT_EQUAL(client_connect_msg(&peer), CONNECTED);
	for (unsigned version = 0; version < 16; version++) {
		bool good = version == 4 || version == 6;

		bytes[0] = (uint8_t)(version << 4);
		client_write(&peer, 0, bytes, sizeof(bytes));
		client_publish(&peer, 0);
		CU_ASSERT_EQUAL(server->ops->rx_burst(server, 0, &m, 1), good);
		if (good)
			rte_pktmbuf_free(m);
	}
	CU_ASSERT_EQUAL(atomic_load(&server->rx_errors), 14);
	client_close(&peer);
	port_end(server);
}

static const struct test_case cases[] = {
	{ "queues and ring sizes", queues_and_ring_sizes },
	{ "the largest ring, full", largest_ring_full },
	{ "nobody wants it any more", nobody_wants_it_any_more },
	{ "fewer queues on one side", fewer_queues_on_one_side },
	{ "100 connections leave nothing", hundred_connections },
	{ "secrets", secrets },
	{ "modes must agree", modes_must_agree },
	{ "ids must agree", ids_must_agree },
	{ "IP mode", ip_mode },
	{ "IP mode refuses what is not IP", ip_mode_refuses },
};
SUITE_MAIN("memif pair", cases)
