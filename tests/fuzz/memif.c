/* SPDX-License-Identifier: Apache-2.0 */
/** A hostile memif client, over a real socket: control messages and descriptors of its choice, and writes to the shared
 * memory between bursts, which it may also take away. There is an interface in each mode, and after OP_HANGUP the client
 * goes to the other one, or comes with another kind of memory. The input is a list of operations, see enum operation.
 * Whatever it does, no packet may have other bytes than the shared memory can hold, no buffer and no descriptor may be
 * lost, and the next client must be served.
 */
#include "config/log.h"
#include "dataplane/memif_listener.h"
#include "dataplane/rcu.h"
#include "tests/fuzz/mbufs.h"
#include "tests/fuzz/memif_worker.h"
#include "tests/fuzz/regions.h"
#include "tests/unit/control_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MEMORY	   65536u
#define LOG2	   4u
#define BUFFERS_AT 4096u
#define OPERATIONS 200

enum operation {
	OP_RAW,
	OP_STEP,
	OP_MEMORY,
	OP_DESC,
	OP_HEAD,
	OP_RX,
	OP_TX,
	OP_ARM,
	OP_TICK,
	OP_HANGUP,
	OP_SHORTEN,
	OP_COUNT
};
enum passed {
	PASS_NONE,
	PASS_REGION,
	PASS_EVENT,
	PASS_UNSEALED,
	PASS_SHORT,
	PASS_FILE,
	PASS_TWO,
	PASS_COUNT
};

/* How the client of a session is, by the argument of OP_HANGUP. */
enum flavour { IN_IP_MODE = 1, UNSEALED = 2 };

static struct port *port, *by_mode[2]; /* in Ethernet and in IP mode; the session's is the first */
static char directory[] = "/tmp/podlane-fuzz-XXXXXX", path[64];
/* The client; its descriptors are made once and lent to every session. */
static int session, region_fd, events[2], unsealed_fd, short_fd, file_fd;
static unsigned step;
static uint8_t flavour;
static bool shortened; /* of the unsealed file nothing may be touched by us either */
static uint8_t *memory, *sealed_memory, *unsealed_memory;

static void cleanup(void)
{
	for (unsigned i = 0; i < 2; i++)
		by_mode[i]->ops->close(by_mode[i]);
	rcu_barrier();
	rmdir(directory);
}

static int memory_file(size_t size, int seals)
{
	int fd = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0,
		"%s", strerror(errno));
	return fd;
}

static void setup(void)
{
	struct port_params params = { .name = "pod:fuzz",
		.role = PORT_POD,
		.socket = path,
		.memif_id = 1,
		.ring_size = 16,
		.n_queues = 2,
		.mtu = 1500,
		.socket_id = SOCKET_ID_ANY };
	struct error err;

	log_level_set(LOG_LEVEL_ERROR);
	mbufs_setup();
	REQUIRE(rcu_init() == 0 && mkdtemp(directory) != NULL, "%s", strerror(errno));
	snprintf(path, sizeof(path), "%s/memif.sock", directory);
	port_watch_fd = control_loop_watch;
	params.pool = mbufs_pool;
	REQUIRE(port_memif_ops.open(&params, &by_mode[0], &err) == 0, "%s", err.text);
	params.name = "pod:fuzz-ip";
	params.memif_id = 2;
	params.memif_ip = true;
	REQUIRE(port_memif_ops.open(&params, &by_mode[1], &err) == 0, "%s", err.text);
	port = by_mode[0];
	atexit(cleanup);
	region_fd = memory_file(MEMORY, F_SEAL_SHRINK);
	unsealed_fd = memory_file(MEMORY, 0);
	short_fd = memory_file(4096, F_SEAL_SHRINK);
	file_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < 2; i++)
		events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	memif_kick(
		events[0]); /* opens what it keeps for the thread's life, before files are counted */
	sealed_memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, region_fd, 0);
	unsealed_memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, unsealed_fd, 0);
	REQUIRE(sealed_memory != MAP_FAILED && unsealed_memory != MAP_FAILED, "%s",
		strerror(errno));
	memory = sealed_memory;
}

/* --- the client's side -------------------------------------------------------------------------------------- */

static void answers_read(void)
{
	uint8_t message[128];

	while (control_loop_run(0) > 0)
		;
	while (recv(session, message, sizeof(message), MSG_DONTWAIT) > 0)
		;
}

static struct memif_ring *ring_at(unsigned ring)
{
	return (struct memif_ring *)(memory + (ring & 3) * memif_ring_bytes(LOG2));
}

static void memory_clear(void)
{
	memset(memory, 0, BUFFERS_AT);
	for (unsigned i = 0; i < 4; i++)
		ring_at(i)->cookie = MEMIF_COOKIE;
}

static void client_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (shortened)
		REQUIRE(ftruncate(unsealed_fd, MEMORY) == 0, "%s", strerror(errno));
	shortened = false;
	port = by_mode[flavour & IN_IP_MODE];
	memory = (flavour & UNSEALED) != 0 ? unsealed_memory : sealed_memory;
	memory_clear();
	strcpy(addr.sun_path, path);
	session = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	REQUIRE(connect(session, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect: %s",
		strerror(errno));
	step = 0;
	answers_read();
}

static void client_hangup(void)
{
	close(session);
	while (control_loop_run(0) > 0)
		;
}

static void message_send(const void *bytes, size_t len, enum passed pass)
{
	const int offered[PASS_COUNT] = { -1, region_fd, events[0], unsealed_fd, short_fd, file_fd,
		region_fd };
	const int fds[2] = { offered[pass], events[1] };
	const size_t n = pass == PASS_NONE ? 0 : pass == PASS_TWO ? 2 : 1;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, n * sizeof(int));
	}
	/* The server may have hung up; it tells nobody but the socket. */
	if (sendmsg(session, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
		answers_read();
}

/** The next message of an honest handshake: rings 0 and 2 from the client, 1 and 3 to it. */
static void handshake_step(void)
{
	struct memif_msg msg = { 0 };

	switch (step++) {
	case 0:
		msg.type = MEMIF_MSG_INIT;
		msg.init.version = MEMIF_VERSION;
		msg.init.id = 1 + (flavour & IN_IP_MODE);
		msg.init.mode = flavour & IN_IP_MODE;
		message_send(&msg, sizeof(msg), PASS_NONE);
		break;
	case 1:
		msg.type = MEMIF_MSG_ADD_REGION;
		msg.add_region.size = MEMORY;
		message_send(
			&msg, sizeof(msg), (flavour & UNSEALED) != 0 ? PASS_UNSEALED : PASS_REGION);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		msg.type = MEMIF_MSG_ADD_RING;
		msg.add_ring.flags = step & 1 ? MEMIF_ADD_RING_C2S : 0;
		msg.add_ring.index = (uint16_t)((step - 3) / 2);
		msg.add_ring.offset = (uint32_t)((step - 3) * memif_ring_bytes(LOG2));
		msg.add_ring.log2_size = LOG2;
		message_send(&msg, sizeof(msg), PASS_EVENT);
		break;
	case 6:
		msg.type = MEMIF_MSG_CONNECT;
		message_send(&msg, sizeof(msg), PASS_NONE);
		break;
	default:
		break;
	}
}

static void operation_play(struct input *in)
{
	const uint8_t op = input_u8(in) % OP_COUNT, a = op == OP_STEP ? 0 : input_u8(in);
	union memif_desc desc = { 0 };
	uint8_t bytes[160];
	uint32_t at;
	size_t len;

	switch (op) {
	case OP_RAW:
		len = input_u8(in) % sizeof(bytes);
		input_bytes(in, bytes, len);
		message_send(bytes, len, a % PASS_COUNT);
		break;
	case OP_STEP:
		handshake_step();
		break;
	case OP_MEMORY:
		at = input_u16(in);
		len = a % 32;
		input_bytes(in, bytes, len);
		if (!shortened)
			memcpy(memory + RTE_MIN(at, (uint32_t)(MEMORY - len)), bytes, len);
		break;
	case OP_DESC:
		at = input_u8(in);
		desc.flags = input_u16(in);
		desc.region = input_u16(in);
		desc.length = input_u32(in);
		desc.offset = input_u32(in);
		if (!shortened)
			memcpy((void *)ring_at(a)->desc[at % (1u << LOG2)], &desc, sizeof(desc));
		break;
	case OP_HEAD:
		at = input_u16(in);
		if (!shortened)
			atomic_store(&ring_at(a)->head, (uint16_t)at);
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
	case OP_SHORTEN:
		if ((flavour & UNSEALED) == 0)
			break;
		shortened = true;
		REQUIRE(ftruncate(unsealed_fd, a * 256) == 0, "%s", strerror(errno));
		break;
	default:
		client_hangup();
		flavour = a & (IN_IP_MODE | UNSEALED);
		client_connect();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned before;

	if (port == NULL)
		setup();
	before = open_files();
	flavour = 0;
	client_connect();
	for (unsigned i = 0; i < OPERATIONS && in.left > 0; i++) {
		operation_play(&in);
		mbufs_all_back("an operation");
	}
	client_hangup();
	/* The next clients are honest, and served. */
	for (flavour = 0; flavour < 4; flavour++) {
		client_connect();
		for (unsigned i = 0; i < 7; i++)
			handshake_step();
		REQUIRE(atomic_load(&port->link_up), "an honest client is not served");
		client_hangup();
	}
	rcu_barrier();
	REQUIRE(!atomic_load(&by_mode[0]->link_up) && !atomic_load(&by_mode[1]->link_up),
		"the link stays up");
	REQUIRE(open_files() == before, "%u descriptors, %u before", open_files(), before);
	return 0;
}
