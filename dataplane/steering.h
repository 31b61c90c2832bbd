/* SPDX-License-Identifier: Apache-2.0 */
/** What an uplink that is shared with the kernel takes out of its traffic: a sorted list of items, compared with what the
 * driver was told before. Control thread only.
 */
#ifndef DATAPLANE_STEERING_H
#define DATAPLANE_STEERING_H

#include "config/address.h"

#include <stddef.h>
#include <stdint.h>

enum steer_kind {
	STEER_ITEM_LOCAL,  /* addr: this node's on that uplink, where tunnels end */
	STEER_ITEM_PEER,   /* addr: source of tunnels */
	STEER_ITEM_PORT,   /* port: UDP, host byte order, of tunnels */
	STEER_ITEM_PREFIX, /* addr/len: of pods and what is behind them */
};

struct steer_item {
	uint8_t kind; /* enum steer_kind */
	uint8_t len;
	uint16_t port;
	struct ip_addr addr;
};

/** Grows as needed. Zeroed = empty. */
struct steering {
	struct steer_item *items;
	size_t count, room;
};

/** @return 0 or -ENOMEM. */
int steering_add(struct steering *s, const struct steer_item *item);
/** Sort and drop what is there twice. */
void steering_sort(struct steering *s);
void steering_free(struct steering *s);

/** Both sorted: append to `out` what `of` has and `without` has not. @return 0 or -ENOMEM. */
int steering_difference(
	const struct steering *of, const struct steering *without, struct steering *out);

#endif
