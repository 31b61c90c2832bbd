/* SPDX-License-Identifier: Apache-2.0 */
/** What a kernel interface is asked and told by ioctl: flags, MTU, receive queues, merging of packets. Any thread; in its
 * network namespace.
 */
#ifndef DATAPLANE_KERNEL_ETHTOOL_H
#define DATAPLANE_KERNEL_ETHTOOL_H

#include <stdbool.h>
#include <stdint.h>

/** IFF_UP, IFF_RUNNING..., or -errno when there is no such interface. */
int kernel_interface_flags(const char *name);
/** Bring it up. 0 or -errno. */
int kernel_interface_up(const char *name);
/** IP bytes, or -errno. */
int kernel_interface_mtu(const char *name);
/** Receive queues in use; 1 when the driver does not say. */
unsigned kernel_interface_rx_queues(const char *name);

/** Frames leave it with checksums that nobody has computed yet, and go to whoever is at the other end of a veth as they are. */
bool kernel_interface_leaves_checksums(const char *name);

/** What kernel_merging_stop turned off. */
struct kernel_merging {
	bool gro, lro;
};
/** The kernel and some NICs merge received packets, and a merged one fits no buffer of ours. */
void kernel_merging_stop(const char *name, struct kernel_merging *was);
/** Only what stop turned off. */
void kernel_merging_restore(const char *name, const struct kernel_merging *was);

#endif
