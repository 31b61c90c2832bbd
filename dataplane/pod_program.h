/* SPDX-License-Identifier: Apache-2.0 */
/** The tc programs between kernel pods and workers (tc/pod.bpf.c, which the binary carries): loading, attaching, their maps.
 * Control thread only.
 *
 * One object serves all pods. Attached, the programs and their maps stay when the daemon is killed: packets go on crossing
 * between a pod and its TAP, and a new daemon's programs take the place of the old ones' in one step each.
 */
#ifndef DATAPLANE_POD_PROGRAM_H
#define DATAPLANE_POD_PROGRAM_H

#include "config/error.h"
#include "dataplane/tc/pod.h"

#include <stdint.h>

struct pod_program;

/** Load without attaching. -ENOMEM, -EPERM, or what the kernel said; the message says why, for a warning. */
int pod_program_load(struct pod_program **out, struct error *err);
/** Unload. What is attached stays attached. NULL is allowed. */
void pod_program_close(struct pod_program *p);

/** Join two interfaces of this network namespace: what comes from the pod by host_ifindex is sent on by tap_ifindex, what the
 * worker writes to tap_ifindex goes to the pod. In place of another daemon's programs, if there are. While they are not
 * both attached packets are dropped or, before the first, given to the namespace's stack: neither interface may be up yet.
 * @return 0, or -errno with the step that failed. On error neither is joined. */
int pod_program_attach(
	struct pod_program *p, uint32_t host_ifindex, uint32_t tap_ifindex, struct error *err);
/** Their packets are dropped from now on. For interfaces that are about to be deleted, or are. */
void pod_program_detach(struct pod_program *p, uint32_t host_ifindex, uint32_t tap_ifindex);

/** Descriptor of the program on the pods' side. */
int pod_program_fd(const struct pod_program *p);
/** Descriptor of a map of the object, by its name in pod.bpf.c; -ENOENT. */
int pod_program_map(const struct pod_program *p, const char *name);

#endif
