/* SPDX-License-Identifier: Apache-2.0 */
/** Whether a network namespace is still anybody's. A TAP descriptor that was opened inside a namespace, as one must be to take an
 * interface over there, keeps the namespace alive, so the kernel never tells that it was deleted.
 *
 * Control thread.
 */
#ifndef DATAPLANE_NETNS_WATCH_H
#define DATAPLANE_NETNS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/** All zero: none. */
struct netns_id {
	dev_t device;
	ino_t inode;
};

/** Path of a namespace given as a path or as a name below /run/netns. */
void netns_path(const char *netns, char *path, size_t size);
/** Which namespace that is now. */
struct netns_id netns_identify(const char *netns);
/** The name means another one by now, or nothing, and no process is left inside. Looks at all processes when the first is so, a
 * millisecond for each thousand. */
bool netns_is_deserted(const char *netns, const struct netns_id *id);

#endif
