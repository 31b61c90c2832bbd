/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/observe.h"

#include "dataplane/kernel_flows.h"
#include "dataplane/pcapng.h"
#include "dataplane/port.h"
#include "dataplane/punt.h"
#include "dataplane/rcu.h"
#include "dataplane/vlan.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define OBSERVE_RULE_MAX 640
#define TRACE_MAX	 1000
#define TRACE_TEXT	 4096
#define CAPTURE_RING	 4096
#define CAPTURE_SNAPLEN	 65535

/** One followed packet. Claimed by a worker through observer.claimed; its fields then belong to whoever holds the packet;
 * `done` hands it to control. */
struct trace_record {
	_Atomic bool done;
	bool drained; /* control */
	uint64_t tsc;
	size_t len;
	char text[TRACE_TEXT];
};

/** One captured packet, in a ring to control. */
struct captured {
	uint64_t time_ns;
	uint32_t captured, length;
	uint16_t port;
	uint8_t point; /* enum observe_point */
	uint8_t reason;
	uint32_t rule; /* of a policy that denied it; 0 = none */
	uint8_t bytes[];
};

struct observer {
	struct bpf_program ether, raw; /* the filter for frames and for bare IP packets */
	bool match_all;
	bool trace;
	unsigned points;
	uint16_t port; /* PORT_NONE = any */
	unsigned count;
	uint32_t snaplen;
	int event_fd;
	_Atomic uint32_t claimed; /* packets taken so far; written by all workers */
	_Atomic uint64_t missed;
	struct rte_ring *ring;	      /* capture: many workers to one control thread */
	struct trace_record *records; /* trace */
	bool header_written;	      /* control */
};

_Atomic(struct observer *) observer;
const char *(*observe_rule_name)(uint32_t rule, char *buf, size_t size);

/* --- control -------------------------------------------------------------------------------------------------- */

static void observer_free(void *arg)
{
	struct observer *o = arg;
	void *item;

	if (o->ring != NULL) {
		while (rte_ring_dequeue(o->ring, &item) == 0)
			free(item);
		free(o->ring);
	}
	free(o->records);
	pcap_freecode(&o->ether);
	pcap_freecode(&o->raw);
	if (o->event_fd >= 0)
		close(o->event_fd);
	free(o);
}

static int compile(struct bpf_program *program, int link, const char *filter, struct error *err)
{
	pcap_t *pcap = pcap_open_dead(link, CAPTURE_SNAPLEN);
	int ret = 0;

	if (pcap == NULL)
		return error_set(err, ENOMEM, "filter", "out of memory for the filter");
	/* Filters on Ethernet fields have no meaning on bare IP packets: there they match nothing. */
	if (pcap_compile(pcap, program, filter, 1, PCAP_NETMASK_UNKNOWN) < 0 && link == DLT_EN10MB)
		ret = error_set(err, EINVAL, "filter",
			"filter \"%s\" is not a pcap-filter expression: %s", filter,
			pcap_geterr(pcap));
	pcap_close(pcap);
	return ret;
}

static int observer_memory(struct observer *o, const struct observe_conf *conf, struct error *err)
{
	ssize_t size = rte_ring_get_memsize(CAPTURE_RING);

	o->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (o->event_fd < 0)
		return error_set(err, errno, "", "no event descriptor left");
	if (conf->trace) {
		o->records = calloc(o->count, sizeof(*o->records));
		return o->records != NULL ? 0
					  : error_set(err, ENOMEM, "count",
						    "out of memory for %u traces", o->count);
	}
	o->ring = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)size, RTE_CACHE_LINE_SIZE));
	if (o->ring == NULL || rte_ring_init(o->ring, "capture", CAPTURE_RING, RING_F_SC_DEQ) < 0)
		return error_set(err, ENOMEM, "", "out of memory for the capture ring");
	return 0;
}

int observe_start(const struct observe_conf *conf, struct error *err)
{
	const char *filter = conf->filter != NULL ? conf->filter : "";
	const struct port *port = conf->port != NULL ? port_find(conf->port) : NULL;
	struct observer *o;
	int ret;

	if (rcu_own(&observer) != NULL)
		return error_set(
			err, EBUSY, "", "another trace or capture is running: wait for its end");
	if (conf->port != NULL && port == NULL)
		return error_set(err, ENOENT, "port",
			"there is no port %s: see `podlane show ports`", conf->port);
	if (conf->trace && (conf->count == 0 || conf->count > TRACE_MAX))
		return error_set(
			err, EINVAL, "count", "a trace follows 1 to %d packets", TRACE_MAX);
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return error_set(err, ENOMEM, "", "out of memory");
	o->event_fd = -1;
	o->match_all = filter[0] == '\0';
	o->trace = conf->trace;
	o->points = conf->points;
	o->port = port != NULL ? port->id : PORT_NONE;
	o->count = conf->count;
	o->snaplen = conf->snaplen != 0 && conf->snaplen < CAPTURE_SNAPLEN ? conf->snaplen
									   : CAPTURE_SNAPLEN;
	ret = compile(&o->ether, DLT_EN10MB, filter, err);
	if (ret == 0)
		ret = compile(&o->raw, DLT_RAW, filter, err);
	if (ret == 0)
		ret = observer_memory(o, conf, err);
	if (ret < 0) {
		observer_free(o);
		return ret;
	}
	kernel_flows_pause(KERNEL_PAUSE_OBSERVER, true);
	(void)rcu_publish(&observer, o);
	return 0;
}

void observe_stop(void)
{
	struct observer *o = rcu_publish(&observer, NULL);

	rcu_retire(o, observer_free);
	kernel_flows_pause(KERNEL_PAUSE_OBSERVER, false);
}

bool observe_active(void)
{
	return rcu_own(&observer) != NULL;
}

bool observe_done(void)
{
	struct observer *o = rcu_own(&observer);

	if (o == NULL)
		return true;
	if (o->count == 0 || atomic_load_explicit(&o->claimed, memory_order_acquire) < o->count)
		return false;
	for (unsigned i = 0; o->trace && i < o->count; i++) {
		if (!o->records[i].drained)
			return false;
	}
	return o->trace || rte_ring_empty(o->ring);
}

int observe_event_fd(void)
{
	struct observer *o = rcu_own(&observer);

	return o != NULL ? o->event_fd : -1;
}

uint64_t observe_missed(void)
{
	struct observer *o = rcu_own(&observer);

	return o != NULL ? atomic_load_explicit(&o->missed, memory_order_relaxed) : 0;
}

static void event_clear(const struct observer *o)
{
	uint64_t n;

	if (read(o->event_fd, &n, sizeof(n)) < 0)
		return; /* nothing signalled */
}

unsigned trace_drain(void (*visit)(uint64_t tsc, const char *steps, void *arg), void *arg)
{
	struct observer *o = rcu_own(&observer);
	unsigned n = 0;

	if (o == NULL || !o->trace)
		return 0;
	event_clear(o);
	for (unsigned i = 0; i < o->count; i++) {
		struct trace_record *r = &o->records[i];

		if (r->drained || !atomic_load_explicit(&r->done, memory_order_acquire))
			continue;
		visit(r->tsc, r->text, arg);
		r->drained = true;
		n++;
	}
	return n;
}

static const char *point_name(uint8_t point)
{
	switch (point) {
	case OBSERVE_RX:
		return "rx";
	case OBSERVE_INNER:
		return "inner";
	case OBSERVE_TX:
		return "tx";
	default:
		return "drop";
	}
}

unsigned capture_drain(void (*write_bytes)(const void *bytes, size_t len, void *arg), void *arg)
{
	struct observer *o = rcu_own(&observer);
	static uint8_t block[CAPTURE_SNAPLEN + 512]; /* control thread only */
	unsigned n = 0;
	void *item;
	size_t len;

	if (o == NULL || o->trace)
		return 0;
	event_clear(o);
	if (!o->header_written) {
		write_bytes(block, pcapng_header(block, sizeof(block)), arg);
		o->header_written = true;
	}
	while (n < CAPTURE_RING && rte_ring_dequeue(o->ring, &item) == 0) {
		struct captured *c = item;
		const struct port *port = port_get(c->port);
		char comment[OBSERVE_RULE_MAX + 192], rule[OBSERVE_RULE_MAX] = "";

		if (c->rule != 0 && observe_rule_name != NULL)
			observe_rule_name(c->rule, rule, sizeof(rule));
		snprintf(comment, sizeof(comment), "%s port=%s%s%s%s%s", point_name(c->point),
			port != NULL ? port->name : "-", c->reason != DROP_NONE ? " reason=" : "",
			c->reason != DROP_NONE ? drop_reason_name(c->reason) : "",
			rule[0] != '\0' ? " rule=" : "", rule);
		len = pcapng_packet(block, sizeof(block), c->time_ns, c->bytes, c->captured,
			c->length, comment);
		if (len > 0)
			write_bytes(block, len, arg);
		free(c);
		n++;
	}
	return n;
}

/* --- workers: somebody watches, so speed is second ------------------------------------------------------------- */

static void event_signal(const struct observer *o)
{
	uint64_t one = 1;

	if (write(o->event_fd, &one, sizeof(one)) < 0)
		return; /* full counter: already signalled */
}

/** The VLAN tag that a frame has on the wire and not in its buffers: bytes to be put in after the addresses. */
struct wire_tag {
	uint32_t len; /* 0 = none */
	uint16_t words[2];
};

static struct wire_tag wire_tag(
	enum observe_point point, const struct rte_mbuf *m, const struct port *port)
{
	struct wire_tag tag = { .words = { RTE_BE16(RTE_ETHER_TYPE_VLAN) } };

	if (rte_pktmbuf_pkt_len(m) < RTE_ETHER_HDR_LEN)
		return tag;
	if (point == OBSERVE_RX && (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED)) {
		tag.len = sizeof(tag.words);
		tag.words[1] = rte_cpu_to_be_16(m->vlan_tci);
	} else if (point == OBSERVE_TX && port != NULL && port->vlan != 0) {
		tag.len = sizeof(tag.words);
		tag.words[1] = rte_cpu_to_be_16(port->vlan);
	}
	return tag;
}

static void copy_bytes(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint8_t *out)
{
	const void *bytes = rte_pktmbuf_read(m, off, len, out);

	if (bytes != out && bytes != NULL)
		memcpy(out, bytes, len);
}

/** The first `len` bytes as they are on the wire. */
static void copy_wire(
	const struct rte_mbuf *m, const struct wire_tag *tag, uint32_t len, uint8_t *out)
{
	const uint32_t macs = RTE_MIN(len, 2u * RTE_ETHER_ADDR_LEN),
		       own = RTE_MIN(len - macs, tag->len);

	copy_bytes(m, 0, macs, out);
	memcpy(out + macs, tag->words, own);
	if (len > macs + own)
		copy_bytes(m, macs, len - macs - own, out + macs + own);
}

/** Filters see the whole packet, chained or not, with its tag. */
static bool matches(
	const struct observer *o, const struct rte_mbuf *m, const struct wire_tag *tag, bool raw)
{
	const struct bpf_program *program = raw ? &o->raw : &o->ether;
	const uint32_t wire = rte_pktmbuf_pkt_len(m) + tag->len;
	uint8_t copy[2048];
	uint32_t len = RTE_MIN(wire, (uint32_t)sizeof(copy));

	if (o->match_all)
		return true;
	if (program->bf_insns == NULL)
		return false;
	copy_wire(m, tag, len, copy);
	return bpf_filter(program->bf_insns, copy, wire, len) != 0;
}

/** Packets are watched with and without their Ethernet header: an IP length that fits exactly tells. */
static bool starts_at_ip(const struct rte_mbuf *m)
{
	const struct rte_ipv4_hdr *ip4 = pkt_hdr(m, 0, struct rte_ipv4_hdr);
	const struct rte_ipv6_hdr *ip6 = pkt_hdr(m, 0, struct rte_ipv6_hdr);
	uint32_t len = rte_pktmbuf_pkt_len(m);

	if (ip4 != NULL && ip4->version_ihl >> 4 == 4)
		return rte_be_to_cpu_16(ip4->total_length) == len;
	return ip6 != NULL && (rte_be_to_cpu_32(ip6->vtc_flow) >> 28) == 6 &&
	       rte_be_to_cpu_16(ip6->payload_len) + sizeof(*ip6) == len;
}

/** Take one of the packets asked for. @return its number, from 1, or 0 when there were enough. */
static uint32_t claim(struct observer *o)
{
	uint32_t n;

	if (o->count != 0 && atomic_load_explicit(&o->claimed, memory_order_relaxed) >= o->count)
		return 0;
	n = atomic_fetch_add_explicit(&o->claimed, 1, memory_order_acq_rel) + 1;
	return o->count == 0 || n <= o->count ? n : 0;
}

void observe_rx(struct observer *o, const struct rte_mbuf *m, uint16_t port, uint16_t *trace_id)
{
	const struct port *in = port_get(port);
	const struct wire_tag tag = wire_tag(OBSERVE_RX, m, in);
	char vlan[16] = "";

	*trace_id = 0;
	if (!o->trace) {
		observe_point(o, OBSERVE_RX, m, port, DROP_NONE);
		return;
	}
	if ((o->port != PORT_NONE && o->port != port) || !matches(o, m, &tag, false))
		return;
	*trace_id = (uint16_t)claim(o);
	if (*trace_id == 0)
		return;
	o->records[*trace_id - 1].tsc = rte_rdtsc();
	if (tag.len > 0)
		snprintf(vlan, sizeof(vlan), ", VLAN %u", m->vlan_tci & VLAN_ID_MASK);
	trace_step(o, *trace_id, "receive", "%s, %u bytes%s", in != NULL ? in->name : "-",
		rte_pktmbuf_pkt_len(m) + tag.len, vlan);
}

static bool claim_refused(
	struct observer *o, const struct rte_mbuf *m, const struct wire_tag *tag, bool raw)
{
	return !matches(o, m, tag, raw) || claim(o) == 0;
}

void observe_point(struct observer *o, enum observe_point point, const struct rte_mbuf *m,
	uint16_t port, enum drop_reason reason)
{
	struct captured *c;
	uint32_t len, keep, header;
	struct wire_tag tag;
	struct timespec now;
	bool raw;

	if (o->trace || (o->points & point) == 0 || (o->port != PORT_NONE && o->port != port))
		return;
	raw = starts_at_ip(m);
	tag = wire_tag(point, m, port_get(port));
	if (claim_refused(o, m, &tag, raw))
		return;
	len = rte_pktmbuf_pkt_len(m) + tag.len;
	keep = RTE_MIN(len, o->snaplen);
	/* A file has one link type: what starts at its IP header gets an Ethernet header without addresses. */
	header = raw ? RTE_ETHER_HDR_LEN : 0;
	c = malloc(sizeof(*c) + header + keep);
	if (c == NULL) {
		atomic_fetch_add_explicit(&o->missed, 1, memory_order_relaxed);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	*c = (struct captured){ .time_ns =
					(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.captured = header + keep,
		.length = header + len,
		.port = port,
		.point = (uint8_t)point,
		.reason = (uint8_t)reason,
		.rule = reason == DROP_policy_egress || reason == DROP_policy_ingress
				? pkt_note((struct rte_mbuf *)(uintptr_t)m)->rule
				: 0 };
	copy_wire(m, &tag, keep, c->bytes + header);
	if (raw) {
		const uint16_t type = c->bytes[header] >> 4 == 6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6)
								 : RTE_BE16(RTE_ETHER_TYPE_IPV4);

		memset(c->bytes, 0, header);
		memcpy(c->bytes + header - sizeof(type), &type, sizeof(type));
	}
	if (rte_ring_enqueue(o->ring, c) != 0) {
		atomic_fetch_add_explicit(&o->missed, 1, memory_order_relaxed);
		free(c);
		return;
	}
	event_signal(o);
}

void trace_step(struct observer *o, uint16_t trace_id, const char *stage, const char *fmt, ...)
{
	struct trace_record *r;
	va_list ap;
	int n;

	if (!o->trace || trace_id == 0 || trace_id > o->count)
		return;
	r = &o->records[trace_id - 1];
	if (atomic_load_explicit(&r->done, memory_order_relaxed) || r->len + 2 >= sizeof(r->text))
		return;
	n = snprintf(r->text + r->len, sizeof(r->text) - r->len, "%s\t", stage);
	r->len = RTE_MIN(r->len + (size_t)RTE_MAX(n, 0), sizeof(r->text) - 2);
	va_start(ap, fmt);
	n = vsnprintf(r->text + r->len, sizeof(r->text) - r->len - 1, fmt, ap);
	va_end(ap);
	r->len = RTE_MIN(r->len + (size_t)RTE_MAX(n, 0), sizeof(r->text) - 2);
	r->text[r->len++] = '\n';
	r->text[r->len] = '\0';
}

void trace_end(struct observer *o, uint16_t trace_id)
{
	if (!o->trace || trace_id == 0 || trace_id > o->count)
		return;
	atomic_store_explicit(&o->records[trace_id - 1].done, true, memory_order_release);
	event_signal(o);
}
