/* SPDX-License-Identifier: Apache-2.0 */
/** The maps of the pods' tc programs as kernel_flows.h wants them. Control thread only. */
#ifndef DATAPLANE_KERNEL_MAPS_H
#define DATAPLANE_KERNEL_MAPS_H

#include "config/error.h"

struct pod_program;

/** Let the kernel have flows from now on: map the program's slots and call kernel_flows_start. The program must stay loaded.
 * @return 0; -errno: it goes without. */
int kernel_maps_start(const struct pod_program *p, struct error *err);

#endif
