/* SPDX-License-Identifier: Apache-2.0 */
/** memif ports and their socket file: shared by ports, left behind by the dead, in the way of
 * others. */
#include "tests/unit/memif_client.h"

void (*port_watch_fd)(struct port *port, int fd, bool on) = control_loop_watch;

static void ports_share_a_socket(void)
{
	struct port *first = port_begin(1, NULL), *second, *third;
	struct port_params params = port_defaults(2, 4);
	struct client a, b, waiting;
	struct error err;

	CU_ASSERT_EQUAL(port_memif_ops.open(&params, &second, &err), 0);
	CU_ASSERT_EQUAL(port_memif_ops.open(&params, &third, &err), -EEXIST);
	CU_ASSERT_STRING_EQUAL(err.path, "memif_id");
	client_open(&a, 1, NULL, 4, 1, 2048);
	CU_ASSERT_TRUE(link_up(first));
	CU_ASSERT_FALSE(link_up(second));
	client_open(&b, 2, NULL, 4, 1, 2048);
	CU_ASSERT_TRUE(link_up(second));
	client_new(&waiting);
	/* Whoever leaves, the others and those who wait keep being served. */
	first->ops->close(first);
	CU_ASSERT_TRUE(link_up(second));
	CU_ASSERT_EQUAL(access(client_socket, F_OK), 0);
	CU_ASSERT_EQUAL(client_init(&waiting, 1, 0, NULL), DISCONNECT);
	client_close(&waiting);
	client_close(&a);
	client_close(&b);
	CU_ASSERT_FALSE(link_up(second));
	client_open(&b, 2, NULL, 4, 4, 2048);
	CU_ASSERT_TRUE(link_up(second));
	client_close(&b);
	port_end(second);
}

static void open_fails(struct port_params *params, int want, const char *path)
{
	struct error err = { 0 };
	struct port *port;

	CU_ASSERT_EQUAL(port_memif_ops.open(params, &port, &err), want);
	CU_ASSERT_NOT_EQUAL(err.text[0], '\0');
	CU_ASSERT_STRING_EQUAL(err.path, path);
	CU_ASSERT_EQUAL(open_files(), files_before);
}

static void socket_file(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct port *port = port_begin(1, NULL);
	struct port_params params = port_defaults(1, 1);
	char deep[256], long_path[256];
	struct stat st;
	mode_t mask;
	int fd;

	port_end(port);
	mask = umask(077);
	port = port_started(&params);
	umask(mask);
	CU_ASSERT_EQUAL(stat(client_socket, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660);
	port_end(port);

	/* A socket somebody listens on stays; when he is dead it is replaced. */
	memcpy(addr.sun_path, client_socket, sizeof(client_socket));
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	files_before++;
	open_fails(&params, -EADDRINUSE, "socket");
	files_before--;
	close(fd);
	port = port_started(&params);
	CU_ASSERT_TRUE(serves(port));
	/* A file that took the path meanwhile is not ours to remove. */
	unlink(client_socket);
	fd = open(client_socket, O_CREAT | O_RDWR | O_EXCL, 0600);
	close(fd);
	port_stopped(port);
	CU_ASSERT_EQUAL(access(client_socket, F_OK), 0);
	open_fails(&params, -EEXIST, "socket");
	unlink(client_socket);

	snprintf(deep, sizeof(deep), "%s/missing/memif.sock", client_directory);
	params.socket = deep;
	open_fails(&params, -EINVAL, "socket");
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	params.socket = long_path;
	open_fails(&params, -ENAMETOOLONG, "socket");
}

static void parameters(void)
{
	struct port *port = port_begin(1, NULL);
	struct port_params params;

	port_end(port);
	params = port_defaults(1, 1);
	params.socket = NULL;
	open_fails(&params, -EINVAL, "socket");
	params.socket = "relative.sock";
	open_fails(&params, -EINVAL, "socket");
	params = port_defaults(1, 1);
	for (uint32_t i = 0; i < 4; i++) {
		params.ring_size = (uint32_t[]){ 0, 1000, 32768, UINT32_MAX }[i];
		open_fails(&params, -EINVAL, "ring_size");
	}
	params = port_defaults(1, 1);
	params.secret = "this secret is longer than 24";
	open_fails(&params, -EINVAL, "secret");
	params.secret = "";
	open_fails(&params, -EINVAL, "secret");
	params = port_defaults(1, 64);
	port = port_started(&params);
	CU_ASSERT_EQUAL(port->n_rxq, 16);
	CU_ASSERT_EQUAL(port->n_txq, 16);
	CU_ASSERT_FALSE(mac_addr_is_zero(&port->mac));
	port_end(port);
}

static const struct test_case cases[] = {
	{ "ports share a socket", ports_share_a_socket },
	{ "the socket file", socket_file },
	{ "parameters", parameters },
};
SUITE_MAIN("memif socket", cases)
