/* SPDX-License-Identifier: Apache-2.0 */
/** Entry of a worker thread. */
#ifndef DATAPLANE_LOOP_H
#define DATAPLANE_LOOP_H

#include "dataplane/worker_state.h"

/** arg is a struct worker whose fields from `Loop` on are set. Returns when w->stop is set. */
void *worker_main(void *arg);

/** Stop a worker's thread and lend its state to the caller, who runs the stages on a thread of its own (podlane-bench,
 * tests). The caller registers as that RCU reader. Not returned: stop the data plane afterwards. */
struct worker *dataplane_borrow_worker(unsigned id);

#endif
