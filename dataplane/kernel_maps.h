/* SPDX-License-Identifier: Apache-2.0 */
/** The maps of the pods' tc programs as kernel_flows.h wants them. Control thread only. */
#ifndef DATAPLANE_KERNEL_MAPS_H
#define DATAPLANE_KERNEL_MAPS_H

struct flow_table;

/** Every 100 ms: as soon as the pods' tc programs are loaded (pod_veth.h) let the kernel have flows. Tried once; what fails is
 * logged, and workers forward everything. */
void kernel_maps_tick(struct flow_table *table, unsigned reader);

#endif
