/* SPDX-License-Identifier: Apache-2.0 */
/** The tc programs between a pod and its TAP: what comes in by one interface goes out of the other, and nowhere else. */
#include "dataplane/pod_program.h"
#include "tests/unit/suite.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SKIPPED 77

/* Both ends of the pair are in the test's own namespace: who is where does not matter to the programs. */
static int tap = -1, pod = -1;
static uint32_t host_ifindex, tap_ifindex;

static int packet_socket(const char *interface)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
		.sll_protocol = __builtin_bswap16(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, at.sll_protocol), one = 1;

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	CU_ASSERT_EQUAL_FATAL(
		setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	return fd;
}

static void interfaces_make(void)
{
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (tap >= 0)
		return;
	CU_ASSERT_EQUAL_FATAL(system("ip link add host0 type veth peer name eth0 && "
				     "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"),
		0);
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	CU_ASSERT_EQUAL_FATAL(ioctl(tap, TUNSETIFF, &ifr), 0);
	host_ifindex = if_nametoindex("host0");
	tap_ifindex = if_nametoindex("tap0");
	CU_ASSERT_EQUAL_FATAL(system("for i in host0 eth0 tap0; do ip link set $i up; done"), 0);
	pod = packet_socket("eth0");
}

/** A frame that is no protocol's, told from others by `mark`. */
static void frame_make(uint8_t frame[60], uint8_t mark)
{
	memset(frame, mark, 60);
	memset(frame, 0xff, 6);
	frame[12] = 0x88;
	frame[13] = 0xb5; /* IEEE: local experimental */
}

static bool arrives(int fd, uint8_t mark)
{
	uint8_t bytes[2048];

	for (unsigned tries = 0; tries < 20; tries++) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };

		if (poll(&pfd, 1, 20) <= 0)
			continue;
		if (read(fd, bytes, sizeof(bytes)) == 60 && bytes[12] == 0x88 && bytes[20] == mark)
			return true;
	}
	return false;
}

static bool crosses(int from, int to)
{
	static uint8_t mark;
	uint8_t frame[60];

	frame_make(frame, ++mark);
	return write(from, frame, sizeof(frame)) == sizeof(frame) && arrives(to, mark);
}

static void packets_cross(void)
{
	struct pod_program *first, *second;
	struct error err;

	interfaces_make();
	CU_ASSERT_EQUAL_FATAL(pod_program_load(&first, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pod_program_attach(first, host_ifindex, tap_ifindex, &err), 0);
	CU_ASSERT_TRUE(crosses(pod, tap));
	CU_ASSERT_TRUE(crosses(tap, pod));
	/* Twice is once, and a daemon that ended takes nothing with it. */
	CU_ASSERT_EQUAL(pod_program_attach(first, host_ifindex, tap_ifindex, &err), 0);
	pod_program_close(first);
	CU_ASSERT_TRUE(crosses(pod, tap));
	CU_ASSERT_TRUE(crosses(tap, pod));
	/* The next one's take the place of its own. */
	CU_ASSERT_EQUAL_FATAL(pod_program_load(&second, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pod_program_attach(second, host_ifindex, tap_ifindex, &err), 0);
	CU_ASSERT_TRUE(crosses(pod, tap));
	CU_ASSERT_TRUE(crosses(tap, pod));
	CU_ASSERT_EQUAL(
		system("test $(tc filter show dev host0 ingress | grep -c from_pod) = 1"), 0);
	CU_ASSERT_EQUAL(
		system("test $(tc filter show dev tap0 ingress | grep -c from_worker) = 1"), 0);
	pod_program_detach(second, host_ifindex, tap_ifindex);
	CU_ASSERT_FALSE(crosses(pod, tap));
	CU_ASSERT_FALSE(crosses(tap, pod));
	pod_program_close(second);
}

static void refusals_say_why(void)
{
	struct pod_program *p;
	struct error err;

	interfaces_make();
	CU_ASSERT_EQUAL_FATAL(pod_program_load(&p, &err), 0);
	CU_ASSERT_TRUE(pod_program_attach(p, host_ifindex, 4711, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(err.text, "the kernel makes no clsact qdisc: No such device"));
	CU_ASSERT_FALSE(crosses(pod, tap));
	CU_ASSERT_TRUE(pod_program_map(p, "links") >= 0);
	CU_ASSERT_TRUE(pod_program_map(p, "no_such_map") < 0);
	pod_program_close(p);
	pod_program_close(NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		{ "packets cross", packets_cross },
		{ "refusals say why", refusals_say_why },
	};

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0) {
		printf("skipped: needs root to make a network namespace\n");
		return SKIPPED;
	}
	return suite_run("pod_program", cases, sizeof(cases) / sizeof(cases[0]));
}
