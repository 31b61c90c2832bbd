/* SPDX-License-Identifier: Apache-2.0 */
/** Watching packets: `trace` follows single packets through the stages, `capture` copies packets at rx, tx or drop.
 *
 * Control starts, drains and stops; workers see one published pointer and, while it is NULL (the usual case), pay one
 * predicted branch a burst. Filters are BPF expressions compiled by libpcap for Ethernet, matched against the packet as
 * received on its port, after decapsulation also against the inner packet.
 */
#ifndef DATAPLANE_OBSERVE_H
#define DATAPLANE_OBSERVE_H

#include "config/error.h"
#include "dataplane/drop.h"
#include "dataplane/packet.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum observe_point {
	OBSERVE_RX = 1 << 0,	/* as received */
	OBSERVE_INNER = 1 << 1, /* after decapsulation; before encapsulation */
	OBSERVE_TX = 1 << 2,	/* as handed to the output port */
	OBSERVE_DROP = 1 << 3,	/* when dropped, with its reason */
};

struct observer;
/** NULL = nobody watches. */
extern _Atomic(struct observer *) observer;

struct observe_conf {
	const char *filter; /* "" = everything */
	unsigned points;    /* capture: enum observe_point bits */
	const char *port; /* only packets received on (or, for tx, sent to) this port; NULL = any */
	unsigned count;	  /* stop after so many; trace: at most 1000; capture: 0 = no limit */
	unsigned snaplen; /* capture: bytes kept, 0 = all */
	bool trace;	  /* follow packets instead of copying them */
};
/** Control: begin watching; one watcher at a time (-EBUSY). -EINVAL with libpcap's message for a bad filter. */
int observe_start(const struct observe_conf *conf, struct error *err);
/** Control: end; records not drained are gone. */
void observe_stop(void);
bool observe_active(void);
/** All `count` packets were seen. */
bool observe_done(void);
/** Readable while there is something to drain. */
int observe_event_fd(void);
/** Control, trace: hand over finished traces as JSON-able text: one line a step, "stage\ttext\n". */
unsigned trace_drain(void (*visit)(uint64_t tsc, const char *steps, void *arg), void *arg);
/** Set by the control thread: the name of a policy's rule for people, into buf. NULL = rules are numbers. */
extern const char *(*observe_rule_name)(uint32_t rule, char *buf, size_t size);
/** Control, capture: pcapng bytes (section and interface blocks first; a packet's comment carries port, point, drop
 * reason and the rule of a policy that denied it), through write(). Bare IP packets get an Ethernet header with zero addresses. */
unsigned capture_drain(void (*write)(const void *bytes, size_t len, void *arg), void *arg);
/** Packets a watcher missed because its ring was full. */
uint64_t observe_missed(void);

/* Worker side; call only when the published pointer, read once a burst, is not NULL. */

/** At receive: trace: decides whether this packet is followed and gives it a record (id in p, 0 = none). */
void observe_rx(struct observer *o, const struct rte_mbuf *m, uint16_t port, uint16_t *trace_id);
void observe_point(struct observer *o, enum observe_point point, const struct rte_mbuf *m,
	uint16_t port, enum drop_reason reason);
/** Append a step to a followed packet's record. */
void trace_step(struct observer *o, uint16_t trace_id, const char *stage, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/** The packet's way ends here (sent, delivered, dropped, held). */
void trace_end(struct observer *o, uint16_t trace_id);

#endif
