/* SPDX-License-Identifier: Apache-2.0 */
/** The XDP program of a shared uplink (xdp/steer.bpf.c, which the binary carries): loading, attaching, its maps. Control
 * thread only.
 *
 * It is attached by a BPF link that only this process holds, so whatever ends the process detaches it. Where other XDP
 * programs share the interface through libxdp's dispatcher it joins them by libxdp instead; there a killed daemon leaves
 * it behind, without sockets, so that it passes everything.
 */
#ifndef DATAPLANE_STEER_PROGRAM_H
#define DATAPLANE_STEER_PROGRAM_H

#include "config/error.h"
#include "config/model.h"
#include "dataplane/steering.h"
#include "dataplane/xdp/steer.h"

#include <stdbool.h>

struct steer_program;

/** Load without attaching. -ENOMEM, -EPERM, or what the kernel said. `name` is the port's, for messages. */
int steer_program_load(const char *name, struct steer_program **out, struct error *err);
/** Load, and attach to an interface of this network namespace with empty maps: everything passes. "auto" tries the
 * driver first and falls back to generic mode with a line in the log. -EBUSY: another program is there. */
int steer_program_attach(const char *name, const char *interface, enum xdp_mode mode,
	struct steer_program **out, struct error *err);
/** Detach and unload. NULL is allowed. */
void steer_program_close(struct steer_program *p);

/** The driver runs it, before the kernel makes a packet of the frame. */
bool steer_program_native(const struct steer_program *p);
int steer_program_fd(const struct steer_program *p);

/** Frames for this MAC address only. 0 or -errno. */
int steer_program_set_mac(struct steer_program *p, const struct mac_addr *mac);
/** An AF_XDP socket for a receive queue; fd -1: none. 0 or -errno. */
int steer_program_set_socket(struct steer_program *p, uint32_t queue, int fd);
/** Add items, all or none, or take them away (which cannot fail for those that are there). -ENOSPC: a map is full. */
int steer_program_edit(struct steer_program *p, const struct steering *items, bool add);
/** Sums over CPUs since it was loaded. */
void steer_program_counters(const struct steer_program *p, uint64_t counters[STEER_COUNTERS]);

#endif
