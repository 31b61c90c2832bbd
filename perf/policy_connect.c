/* SPDX-License-Identifier: Apache-2.0 */
/** TCP connections, one after the other: connect, close, again. For perf/policy.
 *
 *   policy_connect server ADDRESS PORT
 *   policy_connect client ADDRESS PORT SECONDS    prints connections a second
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int serve(const struct sockaddr_in *addr)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (s < 0 || bind(s, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
		listen(s, 1024) < 0) {
		perror("server");
		return EXIT_FAILURE;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int c = accept(s, NULL, NULL);

		/* The server closes first: the state that waits a minute is its own, and the client's port is free. */
		if (c >= 0)
			close(c);
	}
}

static int ask(const struct sockaddr_in *addr, double seconds)
{
	const double start = now();
	unsigned long n = 0;

	while (now() - start < seconds) {
		char byte;
		int s = socket(AF_INET, SOCK_STREAM, 0);

		if (s < 0 || connect(s, (const struct sockaddr *)addr, sizeof(*addr)) < 0) {
			perror("client");
			return EXIT_FAILURE;
		}
		while (read(s, &byte, 1) > 0)
			;
		close(s);
		n++;
	}
	printf("%.1f\n", (double)n / (now() - start));
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };

	if (argc < 4 || inet_pton(AF_INET, argv[2], &addr.sin_addr) != 1)
		return EXIT_FAILURE;
	addr.sin_port = htons((uint16_t)atoi(argv[3]));
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(argv[1], "server") == 0)
		return serve(&addr);
	return argc > 4 ? ask(&addr, atof(argv[4])) : EXIT_FAILURE;
}
