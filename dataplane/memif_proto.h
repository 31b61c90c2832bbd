/* SPDX-License-Identifier: Apache-2.0 */
/** The memif 2.0 wire: control messages, shared rings, and their safe reception. Host byte order
 * throughout, because both ends run on one machine. The layout is that of the public format, as
 * DPDK documents it (NIC guide, "Memif Poll Mode Driver"; drivers/net/memif/memif.h) and VPP and
 * libmemif speak it.
 *
 * The client owns the memory: it creates regions and rings and passes their descriptors; the
 * server maps them. We are either. C2S rings carry packets from the client, S2C rings carry buffers
 * the client offers us to fill. In both, the client moves head and the server moves tail; both run
 * freely modulo 2^16.
 *
 * Threads: the control thread, except for the ring structures, which workers access. Everything in
 * shared memory may change at any time under a hostile peer: fields are atomic so that each is read
 * once, into a local.
 */
#ifndef DATAPLANE_MEMIF_PROTO_H
#define DATAPLANE_MEMIF_PROTO_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMIF_COOKIE	      0x3E31F20u
#define MEMIF_VERSION	      0x0200 /* 2.0 */
#define MEMIF_VERSION_FMT     "%u.%u"
#define MEMIF_NAME_SIZE	      32
#define MEMIF_SECRET_SIZE     24
#define MEMIF_REASON_SIZE     96
#define MEMIF_RING_LOG2_MAX   14
#define MEMIF_REGION_MAX      16
#define MEMIF_VERSION_ARGS(v) (unsigned)(v) >> 8, (unsigned)(v)&0xff /* for MEMIF_VERSION_FMT */
/* Of all regions of a connection: 16 + 16 rings of 2^14 buffers of 2 KiB need a little over 1 GiB. */
#define MEMIF_MEMORY_MAX (UINT64_C(4) << 30)
/* Of ordinary pages at least so much, and 4 KiB for each descriptor that the interface may have. Such a page belongs to whoever
 * touches it first: what a client leaves sparse, or punches out again, is charged to this process when frames are copied. Nobody
 * can be made to allocate for us, and DPDK's client leaves its buffers untouched, so the size is what bounds it. Clients whose
 * buffers are all of their memory (zero-copy) have it in huge pages, which somebody had to reserve. */
#define MEMIF_ORDINARY_MIN	  (UINT64_C(256) << 20)
#define MEMIF_ORDINARY_DESCRIPTOR 4096

enum memif_msg_type {
	MEMIF_MSG_NONE,
	MEMIF_MSG_ACK,	      /* both ways: the last message was taken */
	MEMIF_MSG_HELLO,      /* server: its limits, on accept */
	MEMIF_MSG_INIT,	      /* client: which interface it wants */
	MEMIF_MSG_ADD_REGION, /* client, with the memory's descriptor */
	MEMIF_MSG_ADD_RING,   /* client, with the ring's eventfd */
	MEMIF_MSG_CONNECT,    /* client: all is added */
	MEMIF_MSG_CONNECTED,  /* server: packets may flow */
	MEMIF_MSG_DISCONNECT, /* both ways, the last message */
};

enum memif_mode { MEMIF_MODE_ETHERNET, MEMIF_MODE_IP, MEMIF_MODE_PUNT_INJECT };

struct memif_hello {
	char name[MEMIF_NAME_SIZE];
	uint16_t min_version, max_version;
	uint16_t max_region; /* this and the next two: the largest index, not a count */
	uint16_t max_s2c_ring, max_c2s_ring;
	uint8_t max_log2_ring_size;
} __attribute__((packed));

struct memif_init {
	uint16_t version;
	uint32_t id;
	uint8_t mode; /* enum memif_mode */
	uint8_t secret[MEMIF_SECRET_SIZE];
	char name[MEMIF_NAME_SIZE]; /* of the peer's application; not always terminated */
} __attribute__((packed));

struct memif_add_region {
	uint16_t index;
	uint64_t size;
} __attribute__((packed));

#define MEMIF_ADD_RING_C2S 0x1
struct memif_add_ring {
	uint16_t flags;
	uint16_t index;
	uint16_t region;
	uint32_t offset; /* of struct memif_ring in the region */
	uint8_t log2_size;
	uint16_t private_header; /* bytes of metadata before each frame */
} __attribute__((packed));

struct memif_disconnect {
	uint32_t code;
	char reason[MEMIF_REASON_SIZE];
} __attribute__((packed));

struct memif_msg {
	uint16_t type;
	union {
		struct memif_hello hello;
		struct memif_init init;
		struct memif_add_region add_region;
		struct memif_add_ring add_ring;
		char if_name[MEMIF_NAME_SIZE]; /* CONNECT, CONNECTED */
		struct memif_disconnect disconnect;
		uint8_t bytes[126];
	} __attribute__((packed));
} __attribute__((packed));
static_assert(sizeof(struct memif_msg) == 128, "every message is 128 bytes");
static_assert(offsetof(struct memif_msg, init.secret) == 9, "packed");
static_assert(offsetof(struct memif_msg, add_ring.offset) == 8, "packed");
static_assert(offsetof(struct memif_msg, hello.max_log2_ring_size) == 44, "packed");

#define MEMIF_DESC_NEXT 0x1 /* the frame goes on in the next descriptor */
/* A local copy of a descriptor; in shared memory it is read and written as two words. */
union memif_desc {
	struct {
		uint16_t flags;
		uint16_t region;
		uint32_t length; /* C2S: bytes of data. S2C: room offered, then bytes filled */
		uint32_t offset; /* in the region */
		uint32_t metadata;
	};
	uint64_t word[2];
};
static_assert(sizeof(union memif_desc) == 16, "two words");

#define MEMIF_RING_MASK_INT 0x1 /* set by the consumer of packets: no interrupts, please */
struct memif_ring {
	uint32_t cookie;
	_Atomic uint16_t flags; /* writer: whoever takes packets from the ring */
	_Atomic uint16_t head;	/* writer: the client */
	uint8_t pad0[56];
	_Atomic uint16_t tail; /* writer: the server */
	uint8_t pad1[62];
	_Atomic uint64_t desc[][2];
};
static_assert(offsetof(struct memif_ring, head) == 6, "fixed by the format");
static_assert(offsetof(struct memif_ring, tail) == 64, "fixed by the format");
static_assert(offsetof(struct memif_ring, desc) == 128, "fixed by the format");

/** Bytes a ring of 2^log2_size descriptors takes. */
static inline uint64_t memif_ring_bytes(uint8_t log2_size)
{
	return sizeof(struct memif_ring) + (sizeof(union memif_desc) << log2_size);
}

/** Send one message, with a copy of passed_fd unless that is -1. Never blocks. @return 0, -EAGAIN
 * when the peer does not read, or another -errno. */
int memif_msg_send(int fd, const struct memif_msg *msg, int passed_fd);
/** Tell the peer why this is the end. Whether it still hears us does not matter. */
void memif_msg_goodbye(int fd, const char *reason);

/** Receive one message and the descriptor passed with it (*passed_fd, owned by the caller; -1 =
 * none). Never blocks. More than one descriptor is more than any message carries: all are closed.
 * @return 0; -EAGAIN: nothing there; -EPIPE: the peer is gone; -EMSGSIZE: not 128 bytes; -EBADMSG:
 * too many descriptors. On errors nothing is passed. */
int memif_msg_recv(int fd, struct memif_msg *msg, int *passed_fd);

/** Whether fd is an eventfd, so that signalling and polling it does what it should. */
bool memif_fd_is_eventfd(int fd);

/** Map a region the peer passed. Only shared memory is taken, of ordinary or of huge pages, that
 * holds at least size bytes now: touching a mapping of any other file could block at the peer's
 * will. The peer may take the memory away later, unless it sealed the file: memif_guard.h is for
 * that. fd stays the caller's and may be closed afterwards. *mapped is what munmap needs, *huge says
 * which pages it has.
 * @return 0, -EINVAL (size), -EMEDIUMTYPE (not on tmpfs or hugetlbfs), -EFBIG (the file is shorter
 * than size), or mmap's error: -EPERM for a file sealed against writing. */
int memif_region_map(int fd, uint64_t size, uint8_t **addr, uint64_t *mapped, bool *huge);

/** Copy a fixed-size text field of the peer, terminated; what is not printable ASCII becomes '?'. */
void memif_text_copy(char *to, size_t to_size, const char *from, size_t from_size);
/** Fill a text field of a message: cut to fit, terminated, and nothing of ours behind it. */
void memif_text_put(char *to, size_t size, const char *text);

#endif
