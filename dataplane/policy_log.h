/* SPDX-License-Identifier: Apache-2.0 */
/** Connections that log rules matched, on their way from workers to the log: a bounded ring a worker, single producer, single
 * consumer. What does not fit is counted (event policy_log_lost), never waited for.
 */
#ifndef DATAPLANE_POLICY_LOG_H
#define DATAPLANE_POLICY_LOG_H

#include "dataplane/packet.h"

/** Lines in the log a drain; control drains every 100 ms. The rest is counted as lost. */
#define POLICY_LOG_LINES 50

struct policy_log_entry {
	bool v6, allow;
	uint32_t logged; /* the log rule */
	uint32_t rule;	 /* the one that decided */
	union {
		struct flow_key4 key4;
		struct flow_key6 key6;
	};
};

/** Worker `worker`: @return false when there is no room. */
bool policy_log_put(unsigned worker, const struct policy_log_entry *entry);
/** Control: hand over what waits. @return how many. */
unsigned policy_log_drain(
	void (*visit)(const struct policy_log_entry *entry, void *arg), void *arg);

#endif
