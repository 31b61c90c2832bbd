/* SPDX-License-Identifier: Apache-2.0 */
/** A hostile memif server, over a real socket: control messages of its choice, and writes anywhere in the memory that our
 * client gave it, between bursts. The input is a list of operations, see enum operation. Whatever it does, no packet may
 * have other bytes than the buffers can hold, no buffer and no descriptor may be lost, and an honest server is had next.
 */
#include "config/log.h"
#include "dataplane/memif_client.h"
#include "dataplane/rcu.h"
#include "tests/fuzz/mbufs.h"
#include "tests/fuzz/memif_worker.h"
#include "tests/fuzz/regions.h"
#include "tests/unit/control_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPERATIONS 200
#define RINGS	   4 /* C2S 0, C2S 1, S2C 0, S2C 1, as our client places them */
#define LOG2	   4u

enum operation {
	OP_RAW,
	OP_STEP,
	OP_MEMORY,
	OP_DESC,
	OP_TAIL,
	OP_RX,
	OP_TX,
	OP_ARM,
	OP_TICK,
	OP_HANGUP,
	OP_COUNT
};

static struct port *port, *by_mode[2]; /* in Ethernet and in IP mode; the session's is the first */
static char directory[] = "/tmp/podlane-fuzz-XXXXXX", paths[2][64];
static int listeners[2], session = -1, event;
static uint8_t *memory; /* the client's region, once it came */
static uint64_t memory_size;
static uint16_t said; /* the type of the client's last message */

static void cleanup(void)
{
	for (unsigned i = 0; i < 2; i++) {
		by_mode[i]->ops->close(by_mode[i]);
		unlink(paths[i]);
	}
	rcu_barrier();
	rmdir(directory);
}

static void setup(void)
{
	struct port_params params = { .role = PORT_POD,
		.memif_id = 1,
		.memif_client = true,
		.ring_size = 1u << LOG2,
		.n_queues = 2,
		.mtu = 1500,
		.socket_id = SOCKET_ID_ANY };
	struct error err;

	log_level_set(LOG_LEVEL_ERROR);
	mbufs_setup();
	REQUIRE(rcu_init() == 0 && mkdtemp(directory) != NULL, "%s", strerror(errno));
	port_watch_fd = control_loop_watch;
	params.pool = mbufs_pool;
	for (unsigned i = 0; i < 2; i++) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };

		snprintf(paths[i], sizeof(paths[i]), "%s/%u.sock", directory, i);
		strcpy(addr.sun_path, paths[i]);
		params.name = i == 0 ? "pod:fuzz" : "pod:fuzz-ip";
		params.socket = paths[i];
		params.memif_ip = i == 1;
		/* It fails to connect, and waits until it is told to try again. */
		REQUIRE(port_memif_ops.open(&params, &by_mode[i], &err) == 0, "%s", err.text);
		listeners[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		REQUIRE(bind(listeners[i], (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
				listen(listeners[i], 4) == 0,
			"%s", strerror(errno));
	}
	port = by_mode[0];
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	memif_kick(event); /* opens what it keeps for the thread's life, before files are counted */
	atexit(cleanup);
}

/* --- the server's side -------------------------------------------------------------------------------------- */

/** What the client says: its region is mapped, other descriptors are not needed. */
static void client_hear(void)
{
	struct memif_msg msg;
	int fd;

	while (control_loop_run(0) > 0)
		;
	while (memif_msg_recv(session, &msg, &fd) == 0) {
		said = msg.type;
		if (msg.type == MEMIF_MSG_ADD_REGION && fd >= 0 && memory == NULL) {
			memory_size = msg.add_region.size;
			memory = __real_mmap64(
				NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			REQUIRE(memory != MAP_FAILED, "%s", strerror(errno));
		}
		if (fd >= 0)
			close(fd);
	}
}

static void server_accept(void)
{
	struct memif_client *client = ((struct port_memif *)port)->client;

	client->redial_ms = 0;
	port->ops->tick(port);
	session = accept4(listeners[port == by_mode[1]], NULL, NULL, SOCK_CLOEXEC);
	REQUIRE(session >= 0, "no client: %s", strerror(errno));
	said = MEMIF_MSG_NONE;
}

static void server_hangup(void)
{
	close(session);
	if (memory != NULL)
		__real_munmap(memory, memory_size);
	memory = NULL;
	while (control_loop_run(0) > 0)
		;
}

static void message_send(const void *bytes, size_t len, bool pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (pass) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &event, sizeof(int));
	}
	/* The client may have hung up. */
	if (sendmsg(session, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		client_hear();
}

/** The answer an honest server gives to what the client said last. */
static void handshake_step(void)
{
	struct memif_msg msg = { .type = MEMIF_MSG_ACK };

	if (said == MEMIF_MSG_NONE) {
		msg.type = MEMIF_MSG_HELLO;
		msg.hello.min_version = msg.hello.max_version = MEMIF_VERSION;
		msg.hello.max_s2c_ring = msg.hello.max_c2s_ring = 15;
		msg.hello.max_log2_ring_size = 14;
	} else if (said == MEMIF_MSG_CONNECT) {
		msg.type = MEMIF_MSG_CONNECTED;
	}
	message_send(&msg, sizeof(msg), false);
}

static struct memif_ring *ring_at(unsigned ring)
{
	return (struct memif_ring *)(memory + ring % RINGS * memif_ring_bytes(LOG2));
}

static void memory_play(uint8_t op, uint8_t a, struct input *in)
{
	union memif_desc desc = { 0 };
	uint8_t bytes[32];
	uint32_t at = op == OP_DESC ? input_u8(in) : input_u16(in);
	size_t len = a % sizeof(bytes);

	if (op == OP_MEMORY)
		input_bytes(in, bytes, len);
	if (op == OP_DESC) {
		desc.flags = input_u16(in);
		desc.region = input_u16(in);
		desc.length = input_u32(in);
		desc.offset = input_u32(in);
	}
	if (memory == NULL)
		return;
	if (op == OP_MEMORY)
		memcpy(memory + RTE_MIN((uint64_t)at, memory_size - len), bytes, len);
	else if (op == OP_DESC)
		memcpy((void *)ring_at(a)->desc[at % (1u << LOG2)], &desc, sizeof(desc));
	else
		atomic_store(&ring_at(a)->tail, (uint16_t)at);
}

static void operation_play(struct input *in)
{
	const uint8_t op = input_u8(in) % OP_COUNT, a = op == OP_STEP ? 0 : input_u8(in);
	uint8_t bytes[160];
	size_t len;

	switch (op) {
	case OP_RAW:
		len = input_u8(in) % sizeof(bytes);
		input_bytes(in, bytes, len);
		message_send(bytes, len, a & 1);
		break;
	case OP_STEP:
		handshake_step();
		break;
	case OP_MEMORY:
	case OP_DESC:
	case OP_TAIL:
		memory_play(op, a, in);
		break;
	case OP_RX:
		worker_receives(port, a);
		break;
	case OP_TX:
		worker_sends(port, a, input_u16(in));
		break;
	case OP_ARM:
		port->ops->rx_arm(port, 0, a & 1);
		break;
	case OP_TICK:
		port->ops->tick(port);
		break;
	default:
		server_hangup();
		port = by_mode[a & 1];
		server_accept();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned before;

	if (port == NULL)
		setup();
	for (unsigned i = 0; i < 2; i++) /* what inputs before this one taught it */
		((struct port_memif *)by_mode[i])->client->rings_max = MEMIF_QUEUE_MAX;
	before = open_files();
	port = by_mode[0];
	server_accept();
	for (unsigned i = 0; i < OPERATIONS && in.left > 0; i++) {
		operation_play(&in);
		mbufs_all_back("an operation");
	}
	server_hangup();
	/* The next servers are honest, and had. */
	for (unsigned i = 0; i < 2; i++) {
		port = by_mode[i];
		server_accept();
		for (unsigned k = 0; k < 3 + 2 * MEMIF_QUEUE_MAX && !atomic_load(&port->link_up);
			k++)
			handshake_step();
		REQUIRE(atomic_load(&port->link_up), "an honest server is not had");
		server_hangup();
		REQUIRE(!atomic_load(&port->link_up), "the link stays up");
	}
	rcu_barrier();
	REQUIRE(open_files() == before, "%u descriptors, %u before", open_files(), before);
	return 0;
}
