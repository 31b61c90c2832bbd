/* SPDX-License-Identifier: Apache-2.0 */
/** What the machine takes without any device: a thread on a CPU of its own that sends every frame back through memory, and
 * looks at none. It polls, as a busy packet loop does, or sleeps until it is told of frames, as an idle one. What a device
 * adds to that is the device's.
 */
#ifndef PERF_WIRE_ECHO_H
#define PERF_WIRE_ECHO_H

#include "config/error.h"

#include <stdbool.h>

#define WIRE_ECHO_DEVICE "net_ring_echo"

/** Make the device and start its thread. Main thread, once, after DPDK. @return 0 or -errno with a message. */
int wire_echo_start(int cpu, bool sleeps, struct error *err);
/** After frames were sent, by the sender: tell the thread, if it sleeps. */
void wire_echo_kick(void);
void wire_echo_stop(void);

#endif
