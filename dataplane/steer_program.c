/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/steer_program.h"

#include "config/log.h"
#include "dataplane/bpf_print.h"
#include "dataplane/steer_object.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

struct steer_program {
	struct bpf_object *object;
	struct xdp_program
		*beside; /* attached through libxdp's dispatcher; NULL = by our own link */
	int ifindex;
	int fd, link; /* -1 = none */
	bool native;
	int xsks, settings, counters, ports, locals, peers, prefixes4, prefixes6;
};

/* --- loading -------------------------------------------------------------------------------------------------- */

static struct steer_program *open_object(void)
{
	struct bpf_object_open_opts opts = { .sz = sizeof(opts), .object_name = "podlane_steer" };
	struct steer_program *p = calloc(1, sizeof(*p));

	bpf_print_to_log();
	if (p == NULL)
		return NULL;
	p->fd = p->link = -1;
	p->object = bpf_object__open_mem(steer_object, sizeof(steer_object), &opts);
	if (p->object == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

/** The object is loaded: find what is in it. */
static int find_maps(struct steer_program *p)
{
	const struct {
		const char *name;
		int *fd;
	} maps[] = { { "xsks_map", &p->xsks }, { "settings", &p->settings },
		{ "counters", &p->counters }, { "tunnel_ports", &p->ports },
		{ "locals", &p->locals }, { "tunnel_peers", &p->peers },
		{ "prefixes4", &p->prefixes4 }, { "prefixes6", &p->prefixes6 } };

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		*maps[i].fd = bpf_object__find_map_fd_by_name(p->object, maps[i].name);
		if (*maps[i].fd < 0)
			return -ENOENT;
	}
	return 0;
}

static int load(struct steer_program *p, const char *name, struct error *err)
{
	int ret = bpf_object__load(p->object);

	if (ret == -EPERM || ret == -EACCES)
		return error_set(err, -ret, NULL,
			"port %s: no permission to load the XDP program: the daemon needs CAP_BPF "
			"and CAP_NET_ADMIN",
			name);
	if (ret == 0)
		ret = find_maps(p);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: the kernel refuses the XDP program: %s (log_level \"debug\" "
			"shows its reasons); Linux 5.18 "
			"or newer is needed",
			name, strerror(-ret));
	p->fd = bpf_program__fd(bpf_object__find_program_by_name(p->object, "podlane_steer"));
	return 0;
}

int steer_program_load(const char *name, struct steer_program **out, struct error *err)
{
	struct steer_program *p = open_object();
	int ret;

	if (p == NULL)
		return error_set(
			err, ENOMEM, NULL, "port %s: out of memory for the XDP program", name);
	ret = load(p, name, err);
	if (ret < 0) {
		steer_program_close(p);
		return ret;
	}
	*out = p;
	return 0;
}

void steer_program_close(struct steer_program *p)
{
	char name[IFNAMSIZ];

	if (p == NULL)
		return;
	if (p->link >= 0)
		close(p->link);
	if (p->beside != NULL) {
		if (xdp_program__detach(p->beside, p->ifindex,
			    p->native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0) < 0 &&
			if_indextoname((unsigned)p->ifindex, name) != NULL)
			LOG_WARNING("the XDP program stays attached, passing everything ifindex=%d",
				p->ifindex);
		xdp_program__close(p->beside);
	}
	bpf_object__close(p->object);
	free(p);
}

/* --- attaching ------------------------------------------------------------------------------------------------ */

/** Other programs cooperate there by libxdp. */
static bool has_dispatcher(int ifindex)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(ifindex);
	bool dispatcher;

	if (libxdp_get_error(mp) != 0)
		return false;
	dispatcher = !xdp_multiprog__is_legacy(mp);
	xdp_multiprog__close(mp);
	return dispatcher;
}

static int attach_beside(struct steer_program *p, const char *name, bool native, struct error *err)
{
	struct xdp_program *program = xdp_program__from_bpf_obj(p->object, "xdp.frags");
	int ret = (int)libxdp_get_error(program);

	if (ret == 0)
		ret = xdp_program__attach(
			program, p->ifindex, native ? XDP_MODE_NATIVE : XDP_MODE_SKB, 0);
	if (ret == 0) {
		p->beside = program;
		p->fd = xdp_program__fd(program);
		ret = find_maps(p);
	}
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: other XDP programs are on the interface and libxdp cannot add "
			"Podlane's: %s: see `xdp-loader "
			"status`",
			name, strerror(-ret));
	return 0;
}

static int attach_link(struct steer_program *p, bool native)
{
	struct bpf_link_create_opts opts = { .sz = sizeof(opts),
		.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE };

	p->link = bpf_link_create(p->fd, p->ifindex, BPF_XDP, &opts);
	return p->link < 0 ? -errno : 0;
}

static int refuse_rival(
	const struct steer_program *p, const char *name, const char *interface, struct error *err)
{
	struct bpf_prog_info info = { 0 };
	uint32_t id = 0, len = sizeof(info);
	int fd = -1;

	if (bpf_xdp_query_id(p->ifindex, 0, &id) == 0 && id != 0)
		fd = bpf_prog_get_fd_by_id(id);
	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	return error_set(err, EBUSY, NULL,
		"port %s: interface %s has the XDP program \"%s\" (id %u) of somebody else: stop "
		"what attached it, or `ip link "
		"set dev %s xdp off`",
		name, interface, info.name, id, interface);
}

static int attach(struct steer_program *p, const char *name, const char *interface,
	enum xdp_mode mode, struct error *err)
{
	int ret = -EOPNOTSUPP, native_ret;

	if (mode != XDP_GENERIC)
		ret = attach_link(p, true);
	p->native = ret == 0;
	native_ret = ret;
	if (ret < 0 && ret != -EBUSY && ret != -EEXIST && mode != XDP_NATIVE)
		ret = attach_link(p, false);
	if (ret == -EBUSY || ret == -EEXIST)
		return refuse_rival(p, name, interface, err);
	if (ret < 0)
		return error_set(err, -ret, NULL,
			"port %s: interface %s takes no XDP program%s: %s%s", name, interface,
			mode == XDP_NATIVE ? " in its driver" : "", strerror(-ret),
			mode == XDP_NATIVE ? ": write xdp_mode = \"auto\"" : "");
	if (mode == XDP_AUTO && !p->native)
		LOG_WARNING("the driver runs no XDP program: using generic mode, which is slower "
			    "port=%s interface=%s "
			    "reason=\"%s\"",
			name, interface, strerror(-native_ret));
	return 0;
}

int steer_program_attach(const char *name, const char *interface, enum xdp_mode mode,
	struct steer_program **out, struct error *err)
{
	struct steer_program *p = open_object();
	int ret;

	if (p == NULL)
		return error_set(
			err, ENOMEM, NULL, "port %s: out of memory for the XDP program", name);
	p->ifindex = (int)if_nametoindex(interface);
	if (has_dispatcher(p->ifindex)) {
		p->native = mode != XDP_GENERIC;
		ret = attach_beside(p, name, p->native, err);
	} else {
		ret = load(p, name, err);
		if (ret == 0)
			ret = attach(p, name, interface, mode, err);
	}
	if (ret < 0) {
		steer_program_close(p);
		return ret;
	}
	*out = p;
	return 0;
}

bool steer_program_native(const struct steer_program *p)
{
	return p->native;
}

int steer_program_fd(const struct steer_program *p)
{
	return p->fd;
}

/* --- maps ----------------------------------------------------------------------------------------------------- */

int steer_program_set_mac(struct steer_program *p, const struct mac_addr *mac)
{
	struct steer_settings settings = { 0 };
	uint32_t zero = 0;

	memcpy(settings.mac, mac->bytes, sizeof(settings.mac));
	return bpf_map_update_elem(p->settings, &zero, &settings, BPF_ANY) < 0 ? -errno : 0;
}

int steer_program_set_socket(struct steer_program *p, uint32_t queue, int fd)
{
	int ret = fd >= 0 ? bpf_map_update_elem(p->xsks, &queue, &fd, BPF_ANY)
			  : bpf_map_delete_elem(p->xsks, &queue);

	return ret < 0 ? -errno : 0;
}

static struct steer_address mapped(const struct ip_addr *addr)
{
	struct steer_address a = { .bytes = { [10] = 0xff, [11] = 0xff } };

	if (addr->family == IP_V4)
		memcpy(a.bytes + 12, addr->bytes, 4);
	else
		memcpy(a.bytes, addr->bytes, 16);
	return a;
}

static int edit(int map, const void *key, bool add)
{
	uint8_t one = 1;
	int ret =
		add ? bpf_map_update_elem(map, key, &one, BPF_ANY) : bpf_map_delete_elem(map, key);

	if (ret == 0 || (!add && errno == ENOENT))
		return 0;
	return errno == E2BIG ? -ENOSPC : -errno;
}

static int edit_one(const struct steer_program *p, const struct steer_item *item, bool add)
{
	struct steer_address address = mapped(&item->addr);
	struct steer_prefix4 key4 = { .len = item->len };
	struct steer_prefix6 key6 = { .len = item->len };
	uint16_t port = htons(item->port);

	switch ((enum steer_kind)item->kind) {
	case STEER_ITEM_LOCAL:
		return edit(p->locals, &address, add);
	case STEER_ITEM_PEER:
		return edit(p->peers, &address, add);
	case STEER_ITEM_PORT:
		return edit(p->ports, &port, add);
	case STEER_ITEM_PREFIX:
		if (item->addr.family == IP_V4) {
			memcpy(key4.bytes, item->addr.bytes, sizeof(key4.bytes));
			return edit(p->prefixes4, &key4, add);
		}
		memcpy(key6.bytes, item->addr.bytes, sizeof(key6.bytes));
		return edit(p->prefixes6, &key6, add);
	}
	return -EINVAL;
}

int steer_program_edit(struct steer_program *p, const struct steering *items, bool add)
{
	for (size_t i = 0; i < items->count; i++) {
		int ret = edit_one(p, &items->items[i], add);

		if (ret == 0 || !add)
			continue;
		while (i-- > 0)
			edit_one(p, &items->items[i], false);
		return ret;
	}
	return 0;
}

void steer_program_counters(const struct steer_program *p, uint64_t counters[STEER_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;

	memset(counters, 0, STEER_COUNTERS * sizeof(counters[0]));
	for (uint32_t which = 0; values != NULL && which < STEER_COUNTERS; which++) {
		if (bpf_map_lookup_elem(p->counters, &which, values) < 0)
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			counters[which] += values[cpu];
	}
	free(values);
}
