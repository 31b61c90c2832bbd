/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pod_program.h"

#include "dataplane/bpf_print.h"
#include "dataplane/pod_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a daemon finds its predecessor's. */
#define FILTER_HANDLE	1
#define FILTER_PRIORITY 1

struct pod_program {
	struct bpf_object *object;
	int from_pod, from_worker; /* programs */
	int links;
};

static int find(struct pod_program *p)
{
	p->from_pod = bpf_program__fd(bpf_object__find_program_by_name(p->object, "from_pod"));
	p->from_worker =
		bpf_program__fd(bpf_object__find_program_by_name(p->object, "from_worker"));
	p->links = bpf_object__find_map_fd_by_name(p->object, "links");
	return p->from_pod < 0 || p->from_worker < 0 || p->links < 0 ? -ENOENT : 0;
}

int pod_program_load(struct pod_program **out, struct error *err)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts), .object_name = "podlane_pod" };
	struct pod_program *p = calloc(1, sizeof(*p));
	int ret;

	bpf_print_to_log();
	if (p != NULL)
		p->object = bpf_object__open_mem(pod_object, sizeof(pod_object), &opts);
	if (p == NULL || p->object == NULL) {
		free(p);
		return error_set(err, ENOMEM, NULL, "out of memory for the pods' tc programs");
	}
	ret = bpf_object__load(p->object);
	if (ret == 0)
		ret = find(p);
	if (ret == 0) {
		*out = p;
		return 0;
	}
	pod_program_close(p);
	if (ret == -EPERM || ret == -EACCES)
		return error_set(err, -ret, NULL,
			"no permission to load the pods' tc programs: the daemon needs CAP_BPF and "
			"CAP_NET_ADMIN");
	return error_set(err, -ret, NULL,
		"the kernel refuses the pods' tc programs: %s (log_level \"debug\" shows its "
		"reasons)",
		strerror(-ret));
}

void pod_program_close(struct pod_program *p)
{
	if (p == NULL)
		return;
	bpf_object__close(p->object);
	free(p);
}

static int attach_one(int program, uint32_t ifindex, struct error *err)
{
	struct bpf_tc_hook hook = {
		.sz = sizeof(hook), .ifindex = (int)ifindex, .attach_point = BPF_TC_INGRESS
	};
	struct bpf_tc_opts opts = { .sz = sizeof(opts),
		.prog_fd = program,
		.handle = FILTER_HANDLE,
		.priority = FILTER_PRIORITY,
		.flags = BPF_TC_F_REPLACE };
	int ret = bpf_tc_hook_create(&hook);

	if (ret < 0 && ret != -EEXIST)
		return error_set(err, -ret, NULL, "the kernel makes no clsact qdisc: %s%s",
			strerror(-ret),
			ret == -ENOENT || ret == -EOPNOTSUPP ? ": it needs CONFIG_NET_SCH_INGRESS"
							     : "");
	ret = bpf_tc_attach(&hook, &opts);
	if (ret < 0)
		return error_set(err, -ret, NULL, "the kernel attaches no tc program: %s%s",
			strerror(-ret),
			ret == -ENOENT || ret == -EOPNOTSUPP ? ": it needs CONFIG_NET_CLS_BPF"
							     : "");
	return 0;
}

static int link_set(const struct pod_program *p, uint32_t from, uint32_t to, struct error *err)
{
	const struct pod_link link = { .ifindex = to };

	if (bpf_map_update_elem(p->links, &from, &link, BPF_ANY) == 0)
		return 0;
	return error_set(err, errno, NULL, "the map of the pods' tc programs: %s",
		errno == E2BIG ? "full" : strerror(errno));
}

int pod_program_attach(
	struct pod_program *p, uint32_t host_ifindex, uint32_t tap_ifindex, struct error *err)
{
	int ret = link_set(p, host_ifindex, tap_ifindex, err);

	/* What takes a predecessor's place knows the way already. */
	if (ret == 0)
		ret = link_set(p, tap_ifindex, host_ifindex, err);
	if (ret == 0)
		ret = attach_one(p->from_pod, host_ifindex, err);
	if (ret == 0)
		ret = attach_one(p->from_worker, tap_ifindex, err);
	if (ret < 0)
		pod_program_detach(p, host_ifindex, tap_ifindex);
	return ret;
}

void pod_program_detach(struct pod_program *p, uint32_t host_ifindex, uint32_t tap_ifindex)
{
	bpf_map_delete_elem(p->links, &host_ifindex);
	bpf_map_delete_elem(p->links, &tap_ifindex);
}

int pod_program_fd(const struct pod_program *p)
{
	return p->from_pod;
}

int pod_program_map(const struct pod_program *p, const char *name)
{
	return bpf_object__find_map_fd_by_name(p->object, name);
}
