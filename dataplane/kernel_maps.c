/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_maps.h"

#include "config/log.h"
#include "dataplane/kernel_flows.h"
#include "dataplane/pod_program.h"
#include "dataplane/pod_veth.h"

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

static int start(const struct pod_program *p, struct flow_table *table, unsigned reader)
{
	const struct kernel_maps maps = { put, del, NULL, slot };
	const size_t size = KERNEL_SLOTS * sizeof(struct kernel_slot);
	struct kernel_slot *slots;
	int ret;

	flows[0] = pod_program_map(p, KERNEL_FLOWS4_MAP);
	flows[1] = pod_program_map(p, KERNEL_FLOWS6_MAP);
	slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		pod_program_map(p, KERNEL_SLOTS_MAP), 0);
	if (slots == MAP_FAILED)
		return -errno;
	ret = kernel_flows_start(&maps, slots, table, reader);
	if (ret < 0)
		munmap(slots, size);
	return ret;
}

void kernel_maps_tick(struct flow_table *table, unsigned reader)
{
	const struct pod_program *p = pod_veth_program();
	static bool tried;
	int ret;

	if (tried || p == NULL)
		return;
	tried = true;
	ret = start(p, table, reader);
	if (ret < 0)
		LOG_WARNING("workers forward all flows of kernel pods: their tc program cannot be "
			    "told of any error=\"%s\"",
			strerror(-ret));
}
