/* SPDX-License-Identifier: Apache-2.0 */
/** Many memif pods in one process: sends numbered UDP packets from one to another and counts what arrives, what is lost and
 * what comes out of order. Written from the protocol's description; shares nothing with the code under test.
 *
 *   memif_load [--ring LOG2] [--seconds N] --pod SOCKET,IPV4,MAC ... --flow FROM,TO[,count=N][,rate=N][,window=N][,ports=N] ...
 *
 * FROM and TO count pods from 0. A flow sends `count` packets (0 = until the others are done), at most `rate` a second, and
 * has at most `window` on their way; 0 = no limit. Its packets have `ports` source ports in turn, so each port is a flow to
 * a router. Ends when every counted flow has arrived, or nothing has moved for three seconds, or after --seconds. Prints one
 * JSON object: flows with sent, received, late (out of order) and full (times the ring had no room).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PODS_MAX    64
#define FLOWS_MAX   64
#define BUFFER	    2048u
#define RING_HEADER 128u
#define DESC_BYTES  16u
#define BURST	    32
#define MAGIC	    0x706f646cu
#define FRAME	    (14u + 20u + 8u + 16u)
#define QUIET_NS    3000000000ull

enum { ACK = 1, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED };
enum { C2S, S2C };
enum { AT_FLAGS = 4, AT_HEAD = 6, AT_TAIL = 64 };

struct pod {
	int fd, region_fd, event[2];
	uint8_t *memory, mac[6];
	uint32_t ip;
	uint16_t head[2], seen;
};

struct flow {
	unsigned from, to, ports;
	uint64_t count, rate, window, sent, received, late, full, next;
};

struct payload {
	uint32_t magic, flow;
	uint64_t number;
};

static unsigned log2_ring = 10, n_pods, n_flows;
static struct pod pods[PODS_MAX];
static struct flow flows[FLOWS_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "memif_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- the protocol --------------------------------------------------------------------------------------------- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static int answer(const struct pod *p)
{
	uint8_t msg[128] = { 0 };

	if (recv(p->fd, msg, sizeof(msg), 0) != sizeof(msg))
		fail("no answer");
	return msg[0] | msg[1] << 8;
}

static void say(const struct pod *p, const uint8_t *msg, int fd, int expected)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)msg, 128 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), &fd, sizeof(fd));
	}
	if (sendmsg(p->fd, &mh, MSG_NOSIGNAL) != 128)
		fail("cannot send");
	if (answer(p) != expected)
		fail("refused");
}

static size_t ring_offset(unsigned ring)
{
	return ring * (RING_HEADER + ((size_t)DESC_BYTES << log2_ring));
}

static uint16_t *field(const struct pod *p, unsigned ring, unsigned at)
{
	return (uint16_t *)(p->memory + ring_offset(ring) + at);
}

static uint8_t *buffer(const struct pod *p, unsigned ring, uint16_t position)
{
	unsigned slot = position & ((1u << log2_ring) - 1);

	return p->memory + ring_offset(2) + (((size_t)ring << log2_ring) + slot) * BUFFER;
}

static void describe(const struct pod *p, unsigned ring, uint16_t position, uint32_t length)
{
	uint8_t *d = p->memory + ring_offset(ring) + RING_HEADER +
		     (size_t)(position & ((1u << log2_ring) - 1)) * DESC_BYTES;

	put(d, 0, 4);
	put(d + 4, length, 4);
	put(d + 8, (uint64_t)(buffer(p, ring, position) - p->memory), 4);
}

static void pod_memory(struct pod *p)
{
	size_t size = ring_offset(2) + ((size_t)2 * BUFFER << log2_ring);
	uint8_t msg[128] = { ADD_REGION };

	p->region_fd = memfd_create("memif_load", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (p->region_fd < 0 || ftruncate(p->region_fd, (off_t)size) < 0 ||
		fcntl(p->region_fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		fail("memfd");
	p->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, p->region_fd, 0);
	if (p->memory == MAP_FAILED)
		fail("mmap");
	put(p->memory, 0x3E31F20, 4);
	put(p->memory + ring_offset(1), 0x3E31F20, 4);
	put(msg + 4, size, 8);
	say(p, msg, p->region_fd, ACK);
}

static void pod_connect(struct pod *p, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	uint8_t init[128] = { INIT }, last[128] = { CONNECT };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(p->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fail(path);
	if (answer(p) != HELLO)
		fail("no hello");
	put(init + 2, 0x200, 2);
	memcpy(init + 33, "memif_load", 10);
	say(p, init, -1, ACK);
	pod_memory(p);
	for (unsigned ring = C2S; ring <= S2C; ring++) {
		uint8_t msg[128] = { ADD_RING };

		p->event[ring] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		put(msg + 2, ring == C2S, 2);
		put(msg + 8, ring_offset(ring), 4);
		msg[12] = (uint8_t)log2_ring;
		say(p, msg, p->event[ring], ACK);
	}
	memcpy(last + 2, "load", 4);
	say(p, last, -1, CONNECTED);
	__atomic_store_n(field(p, S2C, AT_FLAGS), 1, __ATOMIC_RELAXED); /* this end polls */
	for (unsigned i = 0; i < 1u << log2_ring; i++)
		describe(p, S2C, p->head[S2C]++, BUFFER);
	__atomic_store_n(field(p, S2C, AT_HEAD), p->head[S2C], __ATOMIC_RELEASE);
}

/* --- packets -------------------------------------------------------------------------------------------------- */

static void frame_write(uint8_t *to, unsigned id, uint64_t number)
{
	static const uint8_t gateway[6] = { 2, 0x70, 0x6f, 0x64, 0x6c, 1 };
	const struct flow *f = &flows[id];
	struct payload payload = { MAGIC, id, number };
	const uint16_t head[] = { htons(0x4500), htons(FRAME - 14), 0, 0, htons(0x4011) };
	uint32_t sum = 0;
	uint16_t word;

	memcpy(to, gateway, 6);
	memcpy(to + 6, pods[f->from].mac, 6);
	put(to + 12, htons(0x0800), 2);
	memcpy(to + 14, head, sizeof(head));
	put(to + 24, 0, 2);
	memcpy(to + 26, &pods[f->from].ip, 4);
	memcpy(to + 30, &pods[f->to].ip, 4);
	for (unsigned i = 0; i < 20; i += 2) {
		memcpy(&word, to + 14 + i, 2);
		sum += word;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put(to + 24, (uint16_t)~sum, 2);
	put(to + 34, htons((uint16_t)(1024 + number % f->ports)), 2);
	put(to + 36, htons((uint16_t)(5000 + id)), 2);
	put(to + 38, htons(FRAME - 34), 2);
	put(to + 40, 0, 2);
	memcpy(to + 42, &payload, sizeof(payload));
}

static bool flow_may_send(const struct flow *f, uint64_t elapsed_ns)
{
	if (f->count != 0 && f->sent >= f->count)
		return false;
	if (f->window != 0 && f->sent - f->received >= f->window)
		return false;
	return f->rate == 0 || f->sent < (uint64_t)((double)f->rate * (double)elapsed_ns / 1e9);
}

static bool flow_send(unsigned id, uint64_t elapsed_ns)
{
	struct flow *f = &flows[id];
	struct pod *p = &pods[f->from];
	uint64_t one = 1;
	unsigned n = 0;

	for (; n < BURST && flow_may_send(f, elapsed_ns); n++) {
		if ((uint16_t)(p->head[C2S] - __atomic_load_n(field(p, C2S, AT_TAIL),
						      __ATOMIC_ACQUIRE)) >= 1u << log2_ring) {
			f->full++;
			break;
		}
		frame_write(buffer(p, C2S, p->head[C2S]), id, f->sent++);
		describe(p, C2S, p->head[C2S]++, FRAME);
	}
	if (n == 0)
		return false;
	__atomic_store_n(field(p, C2S, AT_HEAD), p->head[C2S], __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(field(p, C2S, AT_FLAGS), __ATOMIC_RELAXED) & 1) == 0 &&
		write(p->event[C2S], &one, sizeof(one)) < 0)
		fail("eventfd");
	return true;
}

static bool pod_receive(struct pod *p)
{
	const uint16_t tail = __atomic_load_n(field(p, S2C, AT_TAIL), __ATOMIC_ACQUIRE);
	const bool any = p->seen != tail;

	for (; p->seen != tail; p->seen++) {
		struct payload payload;
		struct flow *f;

		memcpy(&payload, buffer(p, S2C, p->seen) + 42, sizeof(payload));
		if (payload.magic == MAGIC && payload.flow < n_flows &&
			&pods[flows[payload.flow].to] == p) {
			f = &flows[payload.flow];
			f->received++;
			f->late += payload.number < f->next;
			f->next = payload.number >= f->next ? payload.number + 1 : f->next;
		}
		describe(p, S2C, p->head[S2C]++, BUFFER);
	}
	if (any)
		__atomic_store_n(field(p, S2C, AT_HEAD), p->head[S2C], __ATOMIC_RELEASE);
	return any;
}

static bool all_arrived(void)
{
	bool counted = false;

	for (unsigned i = 0; i < n_flows; i++) {
		counted = counted || flows[i].count != 0;
		if (flows[i].count != 0 && flows[i].received < flows[i].count)
			return false;
	}
	return counted;
}

static void run(uint64_t seconds)
{
	const uint64_t start = now_ns();
	uint64_t now = start, moved = start;

	while (!all_arrived() && now - moved < QUIET_NS &&
		(seconds == 0 || now - start < seconds * 1000000000u)) {
		now = now_ns();
		for (unsigned i = 0; i < n_flows; i++) {
			if (flow_send(i, now - start) && flows[i].count != 0)
				moved = now;
		}
		for (unsigned i = 0; i < n_pods; i++) {
			if (pod_receive(&pods[i]))
				moved = now;
		}
	}
	/* What is on its way. */
	for (moved = now_ns(); now_ns() - moved < 200000000u;) {
		for (unsigned i = 0; i < n_pods; i++)
			pod_receive(&pods[i]);
	}
}

/* --- arguments ------------------------------------------------------------------------------------------------ */

static void pod_add(char *text)
{
	struct pod *p = &pods[n_pods++];
	char *path = strtok(text, ","), *ip = strtok(NULL, ","), *mac = strtok(NULL, ",");

	if (n_pods > PODS_MAX || path == NULL || ip == NULL || mac == NULL ||
		inet_pton(AF_INET, ip, &p->ip) != 1 ||
		sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &p->mac[0], &p->mac[1], &p->mac[2],
			&p->mac[3], &p->mac[4], &p->mac[5]) != 6) {
		errno = EINVAL;
		fail("--pod SOCKET,IPV4,MAC");
	}
	pod_connect(p, path);
}

static void flow_add(char *text)
{
	struct flow *f = &flows[n_flows++];
	char *word = strtok(text, ",");

	*f = (struct flow){ .ports = 1 };
	f->from = word != NULL ? (unsigned)atoi(word) : PODS_MAX;
	word = strtok(NULL, ",");
	f->to = word != NULL ? (unsigned)atoi(word) : PODS_MAX;
	if (n_flows > FLOWS_MAX || f->from >= n_pods || f->to >= n_pods) {
		errno = EINVAL;
		fail("--flow FROM,TO: no such pod");
	}
	while ((word = strtok(NULL, ",")) != NULL) {
		if (sscanf(word, "count=%lu", &f->count) != 1 &&
			sscanf(word, "rate=%lu", &f->rate) != 1 &&
			sscanf(word, "window=%lu", &f->window) != 1 &&
			sscanf(word, "ports=%u", &f->ports) != 1) {
			errno = EINVAL;
			fail(word);
		}
	}
}

int main(int argc, char **argv)
{
	const struct timespec settle = { .tv_nsec = 100000000 };
	uint64_t seconds = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--ring") == 0)
			log2_ring = (unsigned)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = (uint64_t)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--pod") == 0)
			pod_add(argv[i + 1]);
		else if (strcmp(argv[i], "--flow") == 0)
			flow_add(argv[i + 1]);
	}
	nanosleep(&settle, NULL); /* the other side may still be at what follows CONNECTED */
	run(seconds);
	printf("{\"flows\": [");
	for (unsigned i = 0; i < n_flows; i++)
		printf("%s{\"sent\": %lu, \"received\": %lu, \"late\": %lu, \"full\": %lu}",
			i > 0 ? ", " : "", flows[i].sent, flows[i].received, flows[i].late,
			flows[i].full);
	printf("]}\n");
	return 0;
}
