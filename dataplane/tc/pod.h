/* SPDX-License-Identifier: Apache-2.0 */
/** What the tc programs of kernel pods (pod.bpf.c) and who loads them (pod_program.c) share: the names, keys and sizes of
 * their maps. Integers are in host byte order.
 */
#ifndef DATAPLANE_TC_POD_H
#define DATAPLANE_TC_POD_H

#include <linux/types.h>

#define POD_LINKS_MAX 4096 /* two a pod */

/** Map `links`, by the index of the interface (u32) that a packet came in by. */
struct pod_link {
	__u32 ifindex; /* whose egress it goes to */
};

#endif
