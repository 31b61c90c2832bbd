/* SPDX-License-Identifier: Apache-2.0 */
/** One port in the client's role and one server of the test's own, for programs that have just these. */
#ifndef TESTS_UNIT_MEMIF_DIALLING_H
#define TESTS_UNIT_MEMIF_DIALLING_H

#include "tests/unit/memif_frames.h"
#include "tests/unit/memif_server.h"

static struct port *port;
static struct server server;

static inline void begin(uint16_t queues, uint32_t ring_size)
{
	client_setup();
	files_before = open_files();
	server_listen(&server);
	port = dialling_port(queues, ring_size);
}

static inline void end(void)
{
	server_end(&server);
	port_stopped(port);
	CU_ASSERT_EQUAL(open_files(), files_before);
	CU_ASSERT_EQUAL(control_loop_count, 0);
}

static inline bool good_frame_arrives(uint32_t seed)
{
	uint8_t bytes[100];
	struct rte_mbuf *m;
	bool ok;

	pattern(bytes, sizeof(bytes), seed);
	if (!server_write(&server, &server.s2c[0], bytes, sizeof(bytes)))
		return false;
	server_publish(&server, &server.s2c[0]);
	if (port->ops->rx_burst(port, 0, &m, 1) != 1)
		return false;
	ok = mbuf_is(m, sizeof(bytes), seed);
	rte_pktmbuf_free(m);
	return ok;
}

#endif
