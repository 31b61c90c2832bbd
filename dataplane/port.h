/* SPDX-License-Identifier: Apache-2.0 */
/** The port layer: what moves packets in and out of the daemon. Pods are many and come and go all day, so ports are
 * our own small objects, not ethdevs; `ethdev` is one of the drivers.
 *
 * Threads: open, close, describe, link and timer functions run on the control thread. rx_burst(q) and tx_burst(q)
 * run on workers: each (port, rx queue) belongs to one worker at a time, each (port, tx queue) to one worker, or to
 * several under the port's tx lock when there are fewer tx queues than workers (port.c does that).
 * Control closes a port only after it left every worker's list and a grace period has passed.
 *
 * Packets in flight between ports carry DPDK's own offload words. On receive a driver sets, as requirements on
 * whoever sends the packet on, RTE_MBUF_F_TX_TCP_SEG (l2/l3/l4_len, tso_segsz), RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM
 * with RTE_MBUF_F_TX_IPV4/_IPV6, meaning "the L4 checksum holds only the pseudo-header sum"; and RX_L4_CKSUM_GOOD
 * where the source vouches. RTE_MBUF_F_TX_UDP_SEG with _UDP_CKSUM is a run of datagrams of one flow behind one header,
 * tso_segsz bytes each but the last: each gets a UDP header of its own. With _TCP_SEG as well (OFFLOAD_DATAGRAM, offload.h)
 * it is one datagram, to become IP fragments. Such large packets have
 * _TCP_CKSUM or _UDP_CKSUM as well. l2_len is 14 on all Ethernet ports. A driver that lacks PORT_TX_CSUM / PORT_TX_TSO /
 * PORT_TX_USO / PORT_TX_UFO never sees such packets: dataplane/offload.c completes or segments them first. One that has PORT_TX_TSO or
 * _USO gets small packets of a flow as a large one where they were waiting together: dataplane/gro.c.
 *
 * On a port with a VLAN, frames received may have their tag or say that it was taken off, and those sent have it or ask for it: vlan.h.
 */
#ifndef DATAPLANE_PORT_H
#define DATAPLANE_PORT_H

#include "config/address.h"
#include "config/error.h"
#include "config/log.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PORT_MAX       1024
#define PORT_NAME_MAX  64
#define PORT_QUEUE_MAX 16
#define PORT_NONE      UINT16_MAX

enum port_role { PORT_UPLINK, PORT_POD, PORT_HOST };

enum port_offload {
	PORT_TX_CSUM = 1 << 0, /* takes packets with a partial L4 checksum */
	PORT_TX_TSO = 1 << 1,  /* takes TCP segments larger than the MTU, both families */
	PORT_TX_USO = 1 << 2,  /* takes UDP datagrams to be cut, both families */
	PORT_TX_UFO = 1 << 3,  /* takes a UDP datagram larger than the MTU, to be fragmented */
	/* The first two for what is inside a tunnel that this daemon made, any families: tunnel_offload.h. */
	PORT_TX_VXLAN_CSUM = 1 << 4,
	PORT_TX_VXLAN_TSO = 1 << 5,
	PORT_TX_IPIP_CSUM = 1 << 6,
	PORT_TX_IPIP_TSO = 1 << 7,
	PORT_TX_OUTER_UDP_CSUM = 1 << 8, /* and the tunnel's own UDP checksum */
	PORT_TX_VLAN = 1 << 9, /* puts the tag in where RTE_MBUF_F_TX_VLAN is set: vlan.h */
};

/** What a NIC can finish, besides its offloads; packets beyond are finished in software. All zero: any, the kernel or a guest
 * sees to it. */
struct port_large {
	uint16_t segment_min; /* smallest tso_segsz */
	uint16_t
		buffers_max; /* of a packet; nothing is merged (gro.h) for a port that has a limit */
};

/** What a driver needs to open a port; strings belong to the caller and live during open only. */
struct port_params {
	const char *name; /* unique: "eth0", "pod:web-1", "podlane0" */
	enum port_role role;
	const char *device; /* ethdev: a DPDK device string; af_xdp: an interface */
	const char *netns;  /* tap: path, or name below /run/netns; NULL = the daemon's own */
	bool veth; /* tap, in a netns: as one end of a veth pair, unless what is there already is not (pod_veth.h) */
	const char *
		interface; /* tap: interface name inside netns; exchange, af_packet: of the kernel's interface */
	const char *socket; /* memif, vhost: path of the socket to listen on, or to connect to */
	bool vhost_client;  /* vhost: connect to the socket, instead of listening on it */
	const char *secret; /* memif: NULL = none */
	uint32_t memif_id;
	bool memif_client; /* memif: connect to the socket, instead of listening on it */
	bool memif_ip; /* memif: rings carry IP packets; we give them Ethernet headers, with pod_mac as the peer's */
	uint32_t ring_size; /* memif: most descriptors a ring, power of two */
	uint16_t n_queues;  /* wanted rx = tx queues; the driver may give fewer, never more */
	uint16_t mtu;	    /* IP bytes; af_xdp: 0 = the interface's */
	uint8_t xdp_mode;   /* af_xdp: enum xdp_mode */
	uint16_t vlan;	    /* uplinks: 802.1Q id that its frames are tagged with; 0 = untagged */
	struct mac_addr port_mac;	 /* our side; zero = the device's own */
	struct mac_addr pod_mac;	 /* tap, memif in IP mode: the pod's interface */
	const struct ip_addr *addresses; /* tap: the interface's, as /32 and /128 */
	size_t n_addresses;
	struct ip_addr gateway
		[2]; /* tap: on-link next hops of the default routes, IPv4 and IPv6; IP_NONE = none */
	const struct ip_prefix *
		routes; /* tap: routed through the gateways instead of default, when n_routes > 0 */
	size_t n_routes;
	struct rte_mempool *pool;	/* buffers of 2 KiB */
	struct rte_mempool *large_pool; /* of nearly 16 KiB for large segments; NULL = use pool */
	int socket_id;			/* NUMA node */
	const char *const *disabled;	/* ethdev: offloads not to use, by name (nic_offloads.h) */
	size_t n_disabled;
};

struct port;
struct port_limits;

/** What a port costs: bytes, and buffers of the pools at this moment. Control reads what workers write: a snapshot. */
struct port_memory {
	size_t fixed;			 /* the daemon's, as long as the port exists */
	size_t rings;			 /* shared with the peer, or a device's */
	uint32_t buffers, large_buffers; /* held for receiving */
};

struct steering;

/** What the kernel says about a neighbour (its NUD states, boiled down). */
enum neighbour_news {
	NEIGHBOUR_NEWS_CONFIRMED, /* reachable, permanent or noarp, with a MAC address */
	NEIGHBOUR_NEWS_KNOWN,	  /* stale, being probed: with a MAC address */
	NEIGHBOUR_NEWS_FAILED,	  /* no answer */
	NEIGHBOUR_NEWS_GONE,	  /* forgotten by the kernel */
};

/** Uplinks whose interface stays the kernel's: its addresses, ARP and neighbour discovery are the kernel's business, and
 * just what is steered comes here. Control thread. */
struct port_shared_ops {
	/** The kernel's addresses there, host bits kept, link-local ones too. Good until the next call of any function. */
	const struct ip_prefix *(*addresses)(const struct port *port, size_t *count);
	/** Take these packets from now on, or no more. All or none; -ENOSPC: no room for more. */
	int (*steer)(struct port *port, const struct steering *items, bool on);
	/** Have the kernel find a neighbour's MAC address, or (`confirm`) look whether it is still right. It comes back by
	 * port_neighbour_told, maybe at once. */
	void (*resolve)(struct port *port, const struct ip_addr *address, bool confirm);
	/** Give the kernel's interface a configured address, or take it away; 0 or -errno. NULL: it has its own. */
	int (*assign)(struct port *port, const struct ip_prefix *address, bool on);
};

struct port_ops {
	const char *name; /* "ethdev", "tap", "memif", "vhost", "af_packet" */
	/** Allocate and start. On success *out embeds struct port as its first member with ops, name, mac, mtu, n_rxq,
	 * n_txq, offloads filled. On error nothing is left behind. */
	int (*open)(const struct port_params *params, struct port **out, struct error *err);
	/** Stop and free. Interfaces and sockets the driver made go away. */
	void (*close)(struct port *port);
	/** Up to n packets; ownership passes to the caller. Never blocks. */
	uint16_t (*rx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	/** Takes ownership of the first `return value` packets; the rest stay the caller's. Never blocks. */
	uint16_t (*tx_burst)(struct port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	/** A descriptor that polls readable while the queue has packets, or -1 when there is none. */
	int (*rx_fd)(struct port *port, uint16_t queue);
	/** Before a worker sleeps on rx_fd: ask the peer for a wake-up; afterwards: stop asking. NULL = not needed.
	 * @return false when packets are already waiting (do not sleep). */
	bool (*rx_arm)(struct port *port, uint16_t queue, bool on);
	/** Control thread, every 100 ms: reconnects, link state, expiry. NULL = nothing to do. */
	void (*tick)(struct port *port);
	/** Descriptors the control loop must watch (memif control channel): called when one is readable. */
	void (*control_ready)(struct port *port, int fd);
	/** Control: make the interface behind the port carry params->addresses and params->routes (through
	 * params->gateway) instead of what it has; the rest of params is as it was at opening. NULL = there is no
	 * interface to configure. On error what it had stays. */
	int (*configure)(struct port *port, const struct port_params *params, struct error *err);
	/** NUMA node of the device behind the port, -1 = it is near none. NULL = there is no device. */
	int (*numa_node)(const struct port *port);
	/** Add what this driver's part of the port holds. NULL = only what port.c knows. */
	void (*memory)(const struct port *port, struct port_memory *memory);
	/** Driver-specific facts for `podlane show ports` (new keys into obj). NULL = none. */
	void (*describe)(const struct port *port, json_t *obj);
	/** NULL: the port is not shared with the kernel. */
	const struct port_shared_ops *shared;
};

extern const struct port_ops port_ethdev_ops, port_tap_ops, port_memif_ops, port_xdp_ops,
	port_exchange_ops, port_packet_ops, port_vhost_ops;
/** NULL-terminated; adding a driver is one more line here. */
extern const struct port_ops *const port_drivers[];
const struct port_ops *port_driver_find(const char *name);

/** Set once by the control thread: how a driver asks the loop to watch a descriptor. */
extern void (*port_watch_fd)(struct port *port, int fd, bool on);

/** Set by the control thread: who hears what the kernel says about neighbours on a shared port. mac is zero when it has
 * none. */
extern void (*port_neighbour_told)(const struct port *port, const struct ip_addr *address,
	const struct mac_addr *mac, enum neighbour_news news);

/** One rx queue: what its worker remembers of it, and where control has put it. polling.h and placement.h say how both are
 * used. */
struct port_rx {
	/* Writer: the queue's worker; control only between two workers. */
	uint64_t debt;	   /* cycles this queue has had beyond its share */
	uint64_t last_tsc; /* when it last had a packet */
	uint32_t slot;	   /* its place in the worker's list */
	bool cold;	   /* not polled each round: the worker's epoll instance tells of packets */
	bool armed;	   /* the peer was asked for a wake-up */
	/* Writer: the queue's worker. Readers: control. */
	_Atomic uint64_t packets;
	_Atomic uint64_t cycles; /* from taking packets until they were sent */
	/* Control only. */
	uint16_t worker __rte_cache_aligned; /* which polls it; PORT_NONE = placed nowhere yet */
	uint16_t target;		     /* while it moves: where to */
	uint16_t id, queue;		     /* of the port, for those who have only this */
	bool moving;			     /* no worker has it */
	uint32_t moves;
	double load, rate; /* share of a CPU, packets a second: moving averages */
	uint64_t seen_packets, seen_cycles;
} __rte_cache_aligned;

/** Addresses a port answers for or may send from; immutable, replaced as a whole. */
struct port_addresses {
	uint16_t count;
	struct ip_prefix items
		[]; /* pods: /32 and /128 they may send from; uplinks: this node's, host bits kept */
};

struct port {
	/* Written before publication, then constant. */
	const struct port_ops *ops;
	uint16_t id; /* index in ports[] and the flow zone */
	uint16_t n_rxq, n_txq;
	uint16_t mtu;	     /* IP bytes */
	uint16_t vlan;	     /* 802.1Q id of an uplink, 0 = untagged: vlan.h */
	uint8_t role;	     /* enum port_role */
	struct mac_addr mac; /* our MAC address on it */
	bool tx_shared;	     /* fewer tx queues than workers: take tx_lock */
	struct port_large large;
	/* Writer: control, or the driver's own thread (vhost), or a worker that had a packet (tap). Readers: workers and control. */
	_Atomic bool link_up;
	_Atomic uint16_t offloads; /* enum port_offload; changes where a guest has a say in it */
	_Atomic bool forwarding;   /* false until its policy and routes are in force: born closed */
	_Atomic uint32_t
		kernel_ifindex; /* kernel_flows.h: of the interface here that stands for it, 0 = none; writer: control */
	_Atomic uint32_t connections_max;     /* of its pod, 0 = no limit; writer: control */
	_Atomic(struct port_limits *) limits; /* NULL = none, which is most: see limit.h */
	_Atomic(struct port_addresses *) addresses;
	/* Written before publication, then constant. */
	struct port_rx *rx;	      /* [n_rxq], owned */
	struct rte_mempool *tag_pool; /* with a VLAN: for packets without room for the tag */
	char name[PORT_NAME_MAX];
	/* Control only. */
	uint16_t pinned; /* worker of all its rx queues; PORT_NONE = placed by load */
	bool leave; /* set before port_close when the daemon ends: what others use stays, for the next daemon to take over */
	struct log_source
		log; /* lines that its peer, its guest or the interface's owner can cause */
	bool ending; /* set before port_close when the daemon ends: nobody will ask this process for the same again (last_close.h) */
	bool renewed;	 /* set by tick: rx_fd has changed, the workers must be told */
	bool peer_moved; /* set by tick: the other end has peer_mac now, neighbours must follow */
	struct mac_addr peer_mac;
	/* Writers: workers without a tx queue of their own. */
	rte_spinlock_t tx_lock[PORT_QUEUE_MAX];
	/* Writers: rx: the queue's worker; tx errors counted in the worker's own counters. */
	_Atomic uint64_t
		rx_errors; /* frames a driver could not hand over (no buffer, malformed descriptors) */
};

/** Published table; a reader may keep a pointer until its next quiescent state. */
extern _Atomic(struct port *) ports[PORT_MAX];
static inline struct port *port_get(uint16_t id)
{
	return id < PORT_MAX ? atomic_load_explicit(&ports[id], memory_order_acquire) : NULL;
}

/** Control: open through the named driver, take a free id and publish it, closed for forwarding and polled by
 * nobody. @return 0, -EEXIST (name), -ENOSPC (PORT_MAX), or the driver's error. */
int port_open(const char *driver, const struct port_params *params, unsigned n_workers,
	struct port **out, struct error *err);
/** Control: unpublish, and close after a grace period without waiting. No worker may still poll it. */
void port_close(struct port *port);
struct port *port_find(const char *name);
/** Control, every 100 ms: the driver's tick, and a word about lines that were left out. */
void port_tick(struct port *port);
/** Control: what it costs. */
void port_memory(const struct port *port, struct port_memory *memory);
/** Control: replace the address list. */
int port_set_addresses(struct port *port, const struct ip_prefix *items, size_t count);
/** Worker: send through ops->tx_burst with the right queue, locking when shared. Completes or segments offloads the
 * driver lacks is NOT done here but in offload.c before. */
uint16_t port_tx(struct port *port, unsigned worker, struct rte_mbuf **pkts, uint16_t n);

/** For tx_burst of drivers: packet i of n can never be sent. Move it behind the others, so that it stays the caller's
 * and does not hold them up. @return how many are left to send. */
static inline uint16_t port_tx_refuse(struct rte_mbuf **pkts, uint16_t i, uint16_t n)
{
	struct rte_mbuf *refused = pkts[i];

	n--;
	memmove(&pkts[i], &pkts[i + 1], (size_t)(n - i) * sizeof(pkts[0]));
	pkts[n] = refused;
	return n;
}

#endif
