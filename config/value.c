/* SPDX-License-Identifier: Apache-2.0 */
/* What a single value may look like, and the sentence for each way to get it wrong. */
#include "config/object.h"
#include "config/selector.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct field_reason *why, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static int refuse(struct field_reason *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static const char *name_at(const void *list, size_t i)
{
	return ((const char *const *)list)[i];
}

static int refuse_choice(const struct field *field, const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX], all[192];
	const char *nearest;
	size_t n = 0, used = 0;

	for (; field->names[n] != NULL && used < sizeof(all); n++)
		used += (size_t)snprintf(
			all + used, sizeof(all) - used, "%s%s", n > 0 ? ", " : "", field->names[n]);
	while (field->names[n] != NULL)
		n++;
	nearest = nearest_name(text, name_at, field->names, n);
	message_text(text, shown);
	if (nearest != NULL)
		return refuse(
			why, "\"%s\" is not one of %s: did you mean \"%s\"?", shown, all, nearest);
	return refuse(why, "\"%s\" is not one of %s: write one of these", shown, all);
}

int field_parse_enum(
	const struct field *field, const char *text, uint32_t *value, struct field_reason *why)
{
	for (uint32_t i = 0; field->names[i] != NULL; i++) {
		if (strcmp(field->names[i], text) == 0) {
			*value = i;
			return 0;
		}
	}
	return refuse_choice(field, text, why);
}

/* --- strings -------------------------------------------------------------------------------------------------- */

static int check_name(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX];

	for (const char *p = text; *p != '\0'; p++) {
		if (!isascii(*p) || (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL))
			return refuse(why,
				"\"%s\" has characters that names cannot have: use letters, "
				"digits, \".\", \"_\" and \"-\"",
				message_text(text, shown));
	}
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return refuse(why, "\"%s\" means a directory: choose another name", text);
	return 0;
}

static int check_interface(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX];

	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '/' || *p == ':' || isspace((unsigned char)*p))
			return refuse(why,
				"\"%s\" cannot name an interface: leave out \"/\", \":\" and "
				"blanks",
				message_text(text, shown));
	}
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return refuse(why, "\"%s\" means a directory: choose another name", text);
	return 0;
}

static int check_netns(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX];

	if (text[0] != '\0' && text[0] != '/' && strchr(text, '/') != NULL)
		return refuse(why,
			"\"%s\" is a relative path: write a name below /run/netns or a path that "
			"begins with \"/\"",
			message_text(text, shown));
	if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return refuse(why, "\"%s\" means a directory: write a name below /run/netns", text);
	return 0;
}

static int check_socket(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX];

	if (text[0] != '\0' && text[0] != '/')
		return refuse(why, "\"%s\" is a relative path: begin it with \"/\"",
			message_text(text, shown));
	if (text[0] != '\0' && text[strlen(text) - 1] == '/')
		return refuse(why, "\"%s\" is a directory: name a socket in it",
			message_text(text, shown));
	return 0;
}

static int check_listen(const char *text, struct field_reason *why)
{
	const char *colon = strrchr(text, ':');
	char shown[LABEL_MAX], host[IP_TEXT_MAX];
	const char *begin = text, *end = colon;
	struct ip_addr addr;
	unsigned long port = 0;
	char *rest = NULL;

	if (text[0] == '\0')
		return 0;
	if (colon != NULL && isdigit((unsigned char)colon[1]))
		port = strtoul(colon + 1, &rest, 10);
	if (port == 0 || port > 65535 || *rest != '\0')
		return refuse(why,
			"\"%s\" has no port: write one such as 127.0.0.1:9099 or [::1]:9099",
			message_text(text, shown));
	if (*begin == '[' && end[-1] == ']') {
		begin++;
		end--;
	}
	if ((size_t)(end - begin) < sizeof(host)) {
		memcpy(host, begin, (size_t)(end - begin));
		host[end - begin] = '\0';
		/* Brackets are IPv6's, and IPv6 needs them. */
		if (ip_addr_parse(host, &addr) == 0 && (addr.family == IP_V6) == (begin != text))
			return 0;
	}
	return refuse(why,
		"\"%s\" has no IP address: write one such as 127.0.0.1:9099 or [::1]:9099",
		message_text(text, shown));
}

/* --- texts of policies ---------------------------------------------------------------------------------------- */

#define LABEL_NAME_MAX	 63 /* Kubernetes: of the part behind the slash, and of values */
#define LABEL_PREFIX_MAX 253

static bool label_text(const char *text, size_t len, size_t most)
{
	if (len > most || (len > 0 && (!isalnum((unsigned char)text[0]) ||
					      !isalnum((unsigned char)text[len - 1]))))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isascii(text[i]) ||
			(!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL))
			return false;
	}
	return true;
}

static int check_label(const char *text, struct field_reason *why)
{
	const char *equals = strchr(text, '='), *slash = strchr(text, '/'), *name;
	char shown[LABEL_MAX];

	if (equals == NULL || equals == text)
		return refuse(why, "\"%s\" is not a label: write KEY=VALUE, such as app=web",
			message_text(text, shown));
	if (slash != NULL && slash > equals)
		slash = NULL;
	name = slash != NULL ? slash + 1 : text;
	if (slash == text || name == equals ||
		!label_text(name, (size_t)(equals - name), LABEL_NAME_MAX) ||
		(slash != NULL && !label_text(text, (size_t)(slash - text), LABEL_PREFIX_MAX)))
		return refuse(why,
			"\"%s\" has no proper key: up to 63 letters, digits, \"-\", \"_\" and "
			"\".\", with a letter or digit "
			"at both ends, behind a DNS name and \"/\" if need be",
			message_text(text, shown));
	if (!label_text(equals + 1, strlen(equals + 1), LABEL_NAME_MAX))
		return refuse(why,
			"\"%s\" has no proper value: up to 63 letters, digits, \"-\", \"_\" and "
			"\".\", with a letter or "
			"digit at both ends",
			message_text(text, shown));
	return 0;
}

/* "80/tcp". */
static bool port_protocol(const char *text)
{
	static const char *const protocols[] = { "/tcp", "/udp", "/sctp" };
	unsigned long port;
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	port = strtoul(text, &end, 10);
	if (port == 0 || port > 65535)
		return false;
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(end, protocols[i]) == 0)
			return true;
	}
	return false;
}

static int check_port_protocol(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX];

	if (port_protocol(text))
		return 0;
	return refuse(why,
		"\"%s\" is not a port and a protocol: write one such as 22/tcp (tcp, udp or sctp)",
		message_text(text, shown));
}

/* Kubernetes' IANA_SVC_NAME is at most 15 bytes; others write longer ones. */
static bool port_name(const char *text, size_t len)
{
	bool letter = false;

	if (len == 0 || len > LABEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isascii(text[i]) ||
			(!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL))
			return false;
		letter = letter || isalpha((unsigned char)text[i]);
	}
	return letter;
}

static int check_named_port(const char *text, struct field_reason *why)
{
	const char *equals = strchr(text, '=');
	char shown[LABEL_MAX];

	if (equals != NULL && port_name(text, (size_t)(equals - text)) && port_protocol(equals + 1))
		return 0;
	return refuse(why, "\"%s\" is not a named port: write one such as http=80/tcp",
		message_text(text, shown));
}

static int check_ports(const char *text, struct field_reason *why)
{
	char shown[LABEL_MAX], *end;
	unsigned long first, last;

	message_text(text, shown);
	if (!isdigit((unsigned char)text[0])) {
		if (port_name(text, strlen(text)))
			return 0;
		return refuse(why,
			"\"%s\" is neither a port, a range nor the name of a port: write 80, "
			"8000:8080 or http",
			shown);
	}
	first = last = strtoul(text, &end, 10);
	if (*end == ':' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	else if (*end != '\0' && port_name(text, strlen(text)))
		return 0; /* 8080-tcp is a name */
	if (*end != '\0' || last > 65535)
		return refuse(why,
			"\"%s\" is neither a port, a range nor the name of a port: write 80, "
			"8000:8080 or http",
			shown);
	if (first > last)
		return refuse(
			why, "\"%s\" ends before it begins: write %lu:%lu", shown, last, first);
	if (first == 0)
		return refuse(
			why, "\"%s\" begins with port 0, which nobody has: begin with 1", shown);
	return 0;
}

static int check_protocol(const char *text, struct field_reason *why)
{
	static const char *const names[] = { "", "tcp", "udp", "sctp", "icmp", "icmpv6", NULL };
	char shown[LABEL_MAX], *end;
	unsigned long number;

	for (size_t i = 0; names[i] != NULL; i++) {
		if (strcmp(text, names[i]) == 0)
			return 0;
	}
	if (isdigit((unsigned char)text[0])) {
		number = strtoul(text, &end, 10);
		if (*end == '\0' && number >= 1 && number <= 255)
			return 0;
	}
	return refuse(why,
		"\"%s\" is no protocol: write tcp, udp, sctp, icmp, icmpv6 or a number from 1 to "
		"255",
		message_text(text, shown));
}

static int check_selector(const char *text, struct field_reason *why)
{
	struct error err;
	struct selector *selector = selector_parse(text, &err);

	if (selector == NULL)
		return refuse(why, "%s", err.text);
	selector_free(selector);
	return 0;
}

int field_check_text(const struct field *field, const char *text, struct field_reason *why)
{
	size_t len = strlen(text);

	if (field->kind == FIELD_STRINGS) { /* min and max are of the list */
		if (len == 0)
			return refuse(why, "is empty: give it a value, for example \"%s\"",
				field->example);
	} else if (len < field->min)
		return refuse(why, "is empty: give it a value, for example \"%s\"", field->example);
	if (field->kind != FIELD_STRINGS && len > field->max)
		return refuse(why, "%zu bytes are too long: at most %u fit", len, field->max);
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return refuse(why, "has control characters: remove them");
	}
	if (field->names != NULL) {
		uint32_t unused;

		return field_parse_enum(field, text, &unused, why);
	}
	switch ((enum field_text)field->text) {
	case TEXT_ANY:
		return 0;
	case TEXT_NAME:
		return check_name(text, why);
	case TEXT_INTERFACE:
		return check_interface(text, why);
	case TEXT_NETNS:
		return check_netns(text, why);
	case TEXT_SOCKET:
		return check_socket(text, why);
	case TEXT_LISTEN:
		return check_listen(text, why);
	case TEXT_LABEL:
		return check_label(text, why);
	case TEXT_NAMED_PORT:
		return check_named_port(text, why);
	case TEXT_PORT_PROTOCOL:
		return check_port_protocol(text, why);
	case TEXT_PORTS:
		return check_ports(text, why);
	case TEXT_PROTOCOL:
		return check_protocol(text, why);
	case TEXT_SELECTOR:
		return check_selector(text, why);
	}
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------------------------ */

/* An address that a host can have. */
static int check_unicast(const struct ip_addr *addr, struct field_reason *why)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, zero[16];
	const uint8_t *b = addr->bytes;
	char text[IP_TEXT_MAX];

	ip_addr_format(addr, text);
	if (addr->family == IP_V6 && memcmp(b, mapped, sizeof(mapped)) == 0)
		return refuse(why, "%s is an IPv4 address in IPv6 form: write %u.%u.%u.%u", text,
			b[12], b[13], b[14], b[15]);
	if (ip_addr_is_multicast(addr))
		return refuse(
			why, "%s is a multicast address: write the address of one host", text);
	if (memcmp(b, zero, sizeof(zero)) == 0)
		return refuse(why, "%s stands for no address: write the address of one host", text);
	if (addr->family == IP_V4 ? b[0] == 127 : memcmp(b, zero, 15) == 0 && b[15] == 1)
		return refuse(why, "%s is a loopback address: write one that other hosts can reach",
			text);
	if (addr->family == IP_V4 && (b[0] == 0 || b[0] >= 240))
		return refuse(why, "%s is a reserved address: write one that hosts can have", text);
	return 0;
}

static int refuse_address(const char *text, bool prefix, struct field_reason *why)
{
	char shown[LABEL_MAX];

	message_text(text, shown);
	if (prefix)
		return refuse(why,
			"\"%s\" is not a prefix: write one such as 10.244.1.0/24 or "
			"fd00:244:1::/64",
			shown);
	return refuse(why,
		"\"%s\" is not an IP address: write one such as 192.0.2.2 or 2001:db8::2", shown);
}

int field_parse_address(
	const struct field *field, const char *text, struct ip_addr *addr, struct field_reason *why)
{
	struct ip_prefix prefix;
	char shown[IP_TEXT_MAX];

	if (ip_addr_parse(text, addr) < 0) {
		if (strchr(text, '/') == NULL || ip_prefix_parse(text, &prefix) < 0)
			return refuse_address(text, false, why);
		return refuse(why, "\"%s\" has a prefix length: write %s", text,
			ip_addr_format(&prefix.addr, shown));
	}
	if ((field->flags & FIELD_V4) && addr->family != IP_V4)
		return refuse(why, "%s is IPv6: write an IPv4 address", text);
	if ((field->flags & FIELD_V6) && addr->family != IP_V6)
		return refuse(why, "%s is IPv4: write an IPv6 address", text);
	return check_unicast(addr, why);
}

/* Addresses of an interface keep their host bits, and those must name a host. */
static int check_interface_address(const struct ip_prefix *prefix, struct field_reason *why)
{
	struct ip_prefix network = ip_prefix_canonical(prefix);
	unsigned bits = ip_family_bits(prefix->addr.family);
	char text[PREFIX_TEXT_MAX];
	bool ones = true;

	ip_prefix_format(prefix, text);
	if (prefix->len == 0)
		return refuse(why, "%s has a prefix length of 0: write that of the network", text);
	if (prefix->len + 1u >= bits)
		return check_unicast(
			&prefix->addr, why); /* no network address there: RFC 3021, RFC 6164 */
	if (ip_addr_equal(&network.addr, &prefix->addr))
		return refuse(why,
			"%s is the address of the network: write this node's address on it", text);
	for (unsigned bit = prefix->len; bit < bits; bit++)
		ones = ones && (prefix->addr.bytes[bit / 8] & (0x80 >> bit % 8)) != 0;
	if (ones && prefix->addr.family == IP_V4)
		return refuse(why,
			"%s is the broadcast address: write this node's address on the network",
			text);
	return check_unicast(&prefix->addr, why);
}

int field_parse_prefix(const struct field *field, const char *text, struct ip_prefix *prefix,
	struct field_reason *why)
{
	char shown[LABEL_MAX]; /* and PREFIX_TEXT_MAX is less */
	struct ip_prefix canonical;

	if (ip_prefix_parse(text, prefix) < 0) {
		if (field->kind != FIELD_INTERFACE_ADDRESSES)
			return refuse_address(text, true, why);
		return refuse(why,
			"\"%s\" is not an address with a prefix length: write one such as "
			"192.0.2.1/24",
			message_text(text, shown));
	}
	if (field->kind == FIELD_INTERFACE_ADDRESSES) {
		if (strchr(text, '/') == NULL)
			return refuse(why,
				"%s has no prefix length: add that of the network, such as %s/%u",
				text, text, prefix->addr.family == IP_V4 ? 24 : 64);
		return check_interface_address(prefix, why);
	}
	canonical = ip_prefix_canonical(prefix);
	if (!ip_prefix_equal(&canonical, prefix))
		return refuse(why, "%s has host bits set: write %s", text,
			ip_prefix_format(&canonical, shown));
	if (ip_addr_is_multicast(&prefix->addr))
		return refuse(
			why, "%s is multicast, which is not routed: write a unicast prefix", text);
	return 0;
}

int field_parse_mac(
	const struct field *field, const char *text, struct mac_addr *mac, struct field_reason *why)
{
	char shown[LABEL_MAX];

	if (mac_addr_parse(text, mac) < 0)
		return refuse(why, "\"%s\" is not a MAC address: write one such as %s",
			message_text(text, shown), field->example);
	if (!mac_addr_is_unicast(mac))
		return refuse(why, "%s is %s: write the address of one host", text,
			mac_addr_is_zero(mac) ? "no address" : "a multicast MAC address");
	return 0;
}
