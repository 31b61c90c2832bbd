/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/kernel_quiet.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

struct deaf {
	LIST_ENTRY(deaf) next;
	struct ip_addr address;
	uint16_t port;	  /* UDP; 0 = a raw socket */
	uint8_t protocol; /* of that */
	bool wanted;
	int fd;
};
static LIST_HEAD(, deaf) all = LIST_HEAD_INITIALIZER(all);

static int open_bound(const struct ip_addr *address, int type, int protocol, uint16_t port)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = { .len = 1, .filter = &nothing };
	const bool v4 = address->family == IP_V4;
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *addr =
		v4 ? (const struct sockaddr *)&a4 : (const struct sockaddr *)&a6;
	int fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

	if (fd < 0)
		return -1;
	memcpy(v4 ? (void *)&a4.sin_addr : (void *)&a6.sin6_addr, address->bytes, v4 ? 4 : 16);
	/* First deaf, then bound: nothing is ever queued. */
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0 &&
		bind(fd, addr, v4 ? sizeof(a4) : sizeof(a6)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool kernel_has(const struct ip_addr *address)
{
	int fd = open_bound(address, SOCK_DGRAM, 0, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void want(const struct ip_addr *address, uint16_t port, uint8_t protocol)
{
	struct deaf *d;

	LIST_FOREACH (d, &all, next) {
		if (d->port == port && d->protocol == protocol &&
			ip_addr_equal(&d->address, address)) {
			d->wanted = true;
			return;
		}
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return; /* next time */
	d->fd = port != 0 ? open_bound(address, SOCK_DGRAM, 0, port)
			  : open_bound(address, SOCK_RAW, protocol, 0);
	if (d->fd < 0) { /* somebody has it, and so the kernel has no reason to answer */
		free(d);
		return;
	}
	d->address = *address;
	d->port = port;
	d->protocol = protocol;
	d->wanted = true;
	LIST_INSERT_HEAD(&all, d, next);
}

size_t kernel_quiet(const struct ip_addr *addresses, size_t n_addresses, const uint16_t *udp_ports,
	size_t n_ports)
{
	struct deaf *d, *following;
	size_t has = 0;

	LIST_FOREACH (d, &all, next)
		d->wanted = false;
	for (size_t i = 0; i < n_addresses; i++) {
		if (!kernel_has(&addresses[i]))
			continue;
		has++;
		for (size_t p = 0; p < n_ports; p++)
			want(&addresses[i], udp_ports[p], 0);
		want(&addresses[i], 0, IPPROTO_IPIP);
		want(&addresses[i], 0, IPPROTO_IPV6);
	}
	for (d = LIST_FIRST(&all); d != NULL; d = following) {
		following = LIST_NEXT(d, next);
		if (d->wanted)
			continue;
		LIST_REMOVE(d, next);
		close(d->fd);
		free(d);
	}
	return has;
}

size_t kernel_quiet_sockets(void)
{
	const struct deaf *d;
	size_t n = 0;

	LIST_FOREACH (d, &all, next)
		n++;
	return n;
}
