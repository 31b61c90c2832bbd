/* SPDX-License-Identifier: Apache-2.0 */
/** Entering network namespaces. Control thread only. */
#ifndef DATAPLANE_NETNS_H
#define DATAPLANE_NETNS_H

#include "config/error.h"

/** Open a network namespace: a path, or a name below /run/netns.
 * @return a descriptor; -ENOENT, -EINVAL when it is no network namespace, or another -errno. */
int netns_open(const char *netns, const char *port, struct error *err);

/** Run fn(arg) inside a namespace, on a thread of its own that ends with it: the caller's namespace
 * never changes.
 * @return what fn returned, or -errno. */
int netns_run(int netns_fd, int (*fn)(void *arg), void *arg);

#endif
