/* SPDX-License-Identifier: Apache-2.0 */
/** A kernel pod's interface as one end of a veth pair. The other, the host end, is in the daemon's network namespace beside the
 * TAP that workers read and write, so that a program of the kernel can see the pod's packets outside of the pod:
 *
 *     pod: eth0 ---veth--- plv0123456789ab ==tc/pod.bpf.c== plt0123456789ab ---descriptors--- worker
 *
 * Both names come from the port's, so that the next daemon finds them, and both links have its alias, by which it knows
 * them. Neither has IPv6 or any address, and their MTU is the largest there is: sizes are judged by the worker, and by the
 * pod's own interface.
 *
 * Control thread; in its namespace unless said otherwise; blocks, but only on the kernel's own answers.
 */
#ifndef DATAPLANE_POD_VETH_H
#define DATAPLANE_POD_VETH_H

#include "config/error.h"
#include "dataplane/pod_program.h"
#include "dataplane/port.h"
#include "dataplane/rtnetlink.h"

/** host_ifindex 0: there is no pair, the TAP is in the pod. */
struct pod_veth {
	uint32_t host_ifindex, tap_ifindex;
	char host[IFNAMSIZ], tap[IFNAMSIZ];
};

/** The names that a port's links have; no indices. */
struct pod_veth pod_veth_of(const char *port);

/** Load the programs when it is the first time. @return 1; 0: this kernel has not what it takes, which was said in the log, and pods
 * get TAPs; -errno: not now, with a message. */
int pod_veth_ready(const char *port, struct error *err);
/** The programs; NULL until the first pod that has a pair. */
struct pod_program *pod_veth_program(void);

/** Make the pair: params->interface in the namespace, down, and the host end.
 * @return 0, -EOPNOTSUPP: never, as with pod_veth_ready, or another -errno. */
int pod_veth_make(const struct pod_veth *veth, int netns_fd, const struct port_params *params,
	struct error *err);
/** With host end and TAP there, for the first time or again: set them up, join them, bring them up, and put their indices
 * into veth. @return as pod_veth_make. */
int pod_veth_join(struct pod_veth *veth, const char *port, struct error *err);
/** Is `pod`, a link in the pod's namespace, the other end of the port's host end? */
bool pod_veth_is_end(const struct pod_veth *veth, const char *port, const struct link_facts *pod);
/** Remove a host end that is the port's, and with it what is in the pod. -EEXIST: it is somebody else's; -errno. */
int pod_veth_remove_host(const struct pod_veth *veth, const char *port, struct error *err);
/** The TAP of the port. 0; -ENODEV: none; -EEXIST: somebody else's; -errno. */
int pod_veth_find_tap(
	const struct pod_veth *veth, const char *port, struct link_facts *tap, struct error *err);
/** Remove it. 0, also when there is none; -EEXIST: somebody else's; -errno. */
int pod_veth_remove_tap(const struct pod_veth *veth, const char *port, struct error *err);
/** Remove both, and with the host end what is in the pod. -errno, after what can be removed is. */
int pod_veth_remove(const struct pod_veth *veth, const char *port, struct error *err);
/** From now on the pair's packets are dropped. */
void pod_veth_part(const struct pod_veth *veth);

enum pod_veth_state {
	POD_VETH_UP,
	POD_VETH_DOWN,	  /* the pod has set its interface down */
	POD_VETH_GONE,	  /* the interface, or its namespace, was deleted */
	POD_VETH_UNKNOWN, /* the kernel could not be asked */
};
enum pod_veth_state pod_veth_state(const struct pod_veth *veth);
/** What the pod's end is called now, and its MAC address, without entering the pod. 0 or -errno. */
int pod_veth_look(const struct pod_veth *veth, struct link_facts *pod);

#endif
