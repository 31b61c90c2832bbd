/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/protocol.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int number;
	const char *name;
} protocols[] = {
	{ IPPROTO_TCP, "tcp" },
	{ IPPROTO_UDP, "udp" },
	{ IPPROTO_SCTP, "sctp" },
	{ IPPROTO_ICMP, "icmp" },
	{ IPPROTO_ICMPV6, "icmp6" },
};

int protocol_parse(const char *text)
{
	unsigned long number;
	char *end;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(protocols[i].name, text) == 0)
			return protocols[i].number;
	}
	number = strtoul(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end != '\0' || number > 255 ? -1 : (int)number;
}

json_t *json_protocol(unsigned proto)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (protocols[i].number == (int)proto)
			return json_string(protocols[i].name);
	}
	return json_integer((json_int_t)proto);
}
