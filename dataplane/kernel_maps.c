/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_maps.h"

#include "dataplane/kernel_flows.h"
#include "dataplane/pod_program.h"
#include "dataplane/worker.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static int flows[2]; /* IPv4, IPv6 */

static int put(void *arg, bool v6, const void *key, const struct kernel_flow *flow)
{
	(void)arg;
	return bpf_map_update_elem(flows[v6], key, flow, BPF_ANY) < 0 ? -errno : 0;
}

static int del(void *arg, bool v6, const void *key)
{
	(void)arg;
	return bpf_map_delete_elem(flows[v6], key) < 0 ? -errno : 0;
}

static int slot(void *arg, bool v6, const void *key)
{
	struct kernel_flow flow;

	(void)arg;
	return bpf_map_lookup_elem(flows[v6], key, &flow) < 0 ? -errno : (int)flow.slot;
}

int kernel_maps_start(const struct pod_program *p, struct error *err)
{
	const struct kernel_maps maps = { put, del, NULL, slot };
	const size_t size = KERNEL_SLOTS * sizeof(struct kernel_slot);
	int fd = pod_program_map(p, KERNEL_SLOTS_MAP);
	struct kernel_slot *slots;

	flows[0] = pod_program_map(p, KERNEL_FLOWS4_MAP);
	flows[1] = pod_program_map(p, KERNEL_FLOWS6_MAP);
	slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (slots == MAP_FAILED)
		return error_set(err, errno, NULL, "the slots of the pods' tc programs: %s",
			strerror(errno));
	if (kernel_flows_start(&maps, slots, dataplane_flows(), dataplane_control_reader()) == 0)
		return 0;
	munmap(slots, size);
	return error_set(err, ENOMEM, NULL, "out of memory for flows that the kernel forwards");
}
