/* SPDX-License-Identifier: Apache-2.0 */
/** What keeps neighbours of the tester's ports content: answers to ARP and ND requests for the addresses of the streams,
 * and requests of its own for the MAC address of a stream's gateway. */
#ifndef PERF_WIRE_ARP_H
#define PERF_WIRE_ARP_H

#include "perf/wire_run.h"

/** Begin to answer. w->ports are open. @return 0 or -ENOMEM with a message. */
int wire_arp_start(struct wire *w, struct error *err);
/** Receiving thread: look at a frame without tag, and line an answer up. The caller keeps m. */
void wire_arp_input(struct wire_arp *arp, unsigned port, struct rte_mbuf *m);
/** Sending thread: send what is lined up. */
void wire_arp_flush(struct wire_arp *arp);
/** Main thread, between trials: fill in missing dst_macs of the streams, waiting at most w->o.wait seconds. @return 0,
 * -EHOSTUNREACH or -EINTR with a message. */
int wire_arp_resolve(struct wire *w, struct error *err);

#endif
