/* SPDX-License-Identifier: Apache-2.0 */
/** podlane-bench wire: a tester in the manner of RFC 2544 and RFC 8219 (IPv6, encapsulations) over DPDK ports.
 *
 * The tester sends UDP packets of many flows through a device under test, from port a to port b and, when asked, from b to
 * a, and counts what comes back. One thread (or two: sending and receiving) polls; the main thread is the sending one.
 *
 *   wire.c          the command: opens ports, runs what the options ask for
 *   wire_options.c  the command line
 *   wire_keys.c     what a stream's packets look like: "src=..,dst=..,..."
 *   wire_frame.c    templates of frames, and what differs from packet to packet
 *   wire_port.c     DPDK's environment and ports
 *   wire_arp.c      answering and asking for neighbours
 *   wire_echo.c     no device: a thread that sends every frame back
 *   wire_run.c      one trial
 *   wire_search.c   the highest rate for a loss ratio
 *   wire_latency.c  histograms, reordering, duplicates
 *   wire_report.c   text and JSON
 */
#ifndef PERF_WIRE_H
#define PERF_WIRE_H

#include "config/address.h"
#include "config/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_DIRECTIONS	   2 /* a to b, b to a */
#define WIRE_PORTS	   2
#define WIRE_BURST	   32
#define WIRE_SIZES_MAX	   16
#define WIRE_LOSSES_MAX	   4
#define WIRE_ANSWERS_MAX   16
#define WIRE_RX_QUEUES_MAX 8
#define WIRE_CLASSES	   3 /* frame sizes of one trial: 1, or IMIX's 3 */
#define WIRE_SIZE_IMIX	   0u
#define WIRE_FRAME_MAX	   9600u
#define WIRE_PORT_FLOWS	   50000u /* flows that differ in their source port alone */
#define WIRE_RATE_MAX	   0.0	  /* as fast as the ports take it */

extern const char *const wire_direction_names[WIRE_DIRECTIONS]; /* "a-to-b", "b-to-a" */
extern _Atomic bool wire_interrupted; /* by SIGINT or SIGTERM: finish and report */

enum wire_encap { WIRE_PLAIN, WIRE_VXLAN, WIRE_IPIP };

/** What the packets of one direction look like. */
struct wire_keys {
	struct ip_addr src;
	struct ip_prefix dst;
	struct ip_addr gateway; /* asked for its MAC address with --arp; family 0: dst itself */
	struct mac_addr src_mac, dst_mac; /* of the frame; zero: the port's own; to be resolved */
	enum wire_encap encap;
	struct ip_addr outer_src, outer_dst;
	struct mac_addr inner_src_mac, inner_dst_mac; /* vxlan */
	uint32_t vni;
	uint16_t vxlan_port;
};
/** Fill from "key=value,...". @return 0, or -EINVAL with a message that names the key. */
int wire_keys_parse(const char *text, struct wire_keys *keys, struct error *err);

struct wire_options {
	const char *device[WIRE_PORTS]; /* [1] NULL: traffic comes back on the first */
	bool active[WIRE_DIRECTIONS];
	struct wire_keys keys[WIRE_DIRECTIONS];
	struct ip_prefix answers[WIRE_PORTS]
				[WIRE_ANSWERS_MAX]; /* further addresses a port answers for */
	unsigned n_answers[WIRE_PORTS];
	uint32_t flows;
	uint32_t sizes
		[WIRE_SIZES_MAX]; /* frames with their checksum, RFC 2544; of the inner frame where there is one */
	unsigned n_sizes;
	double losses[WIRE_LOSSES_MAX];
	unsigned n_losses;
	bool search, fixed;  /* throughput search, or trials at `rate` */
	double rate;	     /* packets a second and direction, WIRE_RATE_MAX */
	double latency_rate; /* 0: none */
	double seconds, resolution, settle, wait; /* resolution: a ratio; settle, wait: seconds */
	uint32_t
		rx_queues; /* a port: some devices use a queue of their peer's for each of their threads */
	uint32_t repeats, buffers, memory_mb; /* memory_mb 0: what the buffers need */
	bool latency, arp, json, no_huge, self_test;
	int cpu_tx, cpu_rx; /* cpu_rx -1: one thread does both */
	unsigned cacheline_cpus[2];
	bool cacheline;
	int echo_cpu; /* --echo: frames come back from a thread there; -1: from a device */
	bool echo_sleeps;
};
/** @return 0 to go on; else the process's exit code is -1 - value: help was printed (0) or an option is wrong (2). */
int wire_options_parse(int argc, char **argv, struct wire_options *options);
/** Text of a size in the options: "64", "imix". */
const char *wire_size_name(uint32_t size, char buf[12]);

#endif
