/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VXLAN_PORT_DEFAULT 4789

/** The keys, each with how its value is read. */
enum value { VALUE_ADDRESS, VALUE_PREFIX, VALUE_MAC, VALUE_VNI, VALUE_PORT, VALUE_FLAG };

static const struct key {
	const char *name;
	enum value value;
	size_t at;
} key_table[] = {
	{ "src", VALUE_ADDRESS, offsetof(struct wire_keys, src) },
	{ "dst", VALUE_PREFIX, offsetof(struct wire_keys, dst) },
	{ "gw", VALUE_ADDRESS, offsetof(struct wire_keys, gateway) },
	{ "src_mac", VALUE_MAC, offsetof(struct wire_keys, src_mac) },
	{ "dst_mac", VALUE_MAC, offsetof(struct wire_keys, dst_mac) },
	{ "outer_src", VALUE_ADDRESS, offsetof(struct wire_keys, outer_src) },
	{ "outer_dst", VALUE_ADDRESS, offsetof(struct wire_keys, outer_dst) },
	{ "inner_src_mac", VALUE_MAC, offsetof(struct wire_keys, inner_src_mac) },
	{ "inner_dst_mac", VALUE_MAC, offsetof(struct wire_keys, inner_dst_mac) },
	{ "vxlan_vni", VALUE_VNI, offsetof(struct wire_keys, vni) },
	{ "vxlan_port", VALUE_PORT, offsetof(struct wire_keys, vxlan_port) },
	{ "ipip", VALUE_FLAG, 0 },
};

static bool number_parse(const char *text, uint32_t max, uint32_t *value)
{
	char *end;
	unsigned long v = strtoul(text, &end, 0);

	*value = (uint32_t)v;
	return *text >= '0' && *text <= '9' && *end == '\0' && v <= max;
}

/** @return what the value should have been, or NULL when it was read. */
static const char *value_parse(const struct key *key, const char *text, struct wire_keys *keys)
{
	void *at = (char *)keys + key->at;
	uint32_t n;

	switch (key->value) {
	case VALUE_ADDRESS:
		return ip_addr_parse(text, at) < 0 ? "an IPv4 or IPv6 address" : NULL;
	case VALUE_PREFIX:
		return ip_prefix_parse(text, at) < 0 ? "an IPv4 or IPv6 address or prefix" : NULL;
	case VALUE_MAC:
		return mac_addr_parse(text, at) < 0 ? "a MAC address" : NULL;
	case VALUE_VNI:
		keys->encap = WIRE_VXLAN;
		return number_parse(text, 0xffffff, &keys->vni) ? NULL
								: "a number from 0 to 16777215";
	case VALUE_PORT:
		if (!number_parse(text, 0xffff, &n) || n == 0)
			return "a port from 1 to 65535";
		keys->vxlan_port = (uint16_t)n;
		return NULL;
	case VALUE_FLAG:
		if (!number_parse(text, 1, &n))
			return "0 or 1";
		if (n == 1)
			keys->encap = WIRE_IPIP;
		return NULL;
	}
	return "nothing";
}

static int check(const struct wire_keys *k, bool vxlan, bool ipip, struct error *err)
{
	if (k->src.family == IP_NONE || k->dst.addr.family == IP_NONE)
		return error_set(err, EINVAL, NULL,
			"%s is missing: src=ADDRESS,dst=ADDRESS[/LENGTH] are needed",
			k->src.family == IP_NONE ? "src" : "dst");
	if (k->src.family != k->dst.addr.family)
		return error_set(err, EINVAL, NULL, "src and dst are of different families");
	if (vxlan && ipip)
		return error_set(err, EINVAL, NULL, "vxlan_vni and ipip exclude each other");
	if (k->vxlan_port != 0 && !vxlan)
		return error_set(err, EINVAL, NULL, "vxlan_port needs vxlan_vni");
	if (k->encap == WIRE_PLAIN &&
		(k->outer_src.family != IP_NONE || k->outer_dst.family != IP_NONE))
		return error_set(
			err, EINVAL, NULL, "outer_src and outer_dst need vxlan_vni or ipip=1");
	if (k->encap != WIRE_PLAIN &&
		(k->outer_src.family == IP_NONE || k->outer_dst.family == IP_NONE))
		return error_set(
			err, EINVAL, NULL, "encapsulated packets need outer_src and outer_dst");
	if (k->outer_src.family != k->outer_dst.family)
		return error_set(
			err, EINVAL, NULL, "outer_src and outer_dst are of different families");
	if (vxlan && (mac_addr_is_zero(&k->inner_src_mac) || mac_addr_is_zero(&k->inner_dst_mac)))
		return error_set(
			err, EINVAL, NULL, "vxlan_vni needs inner_src_mac and inner_dst_mac");
	return 0;
}

int wire_keys_parse(const char *text, struct wire_keys *keys, struct error *err)
{
	char copy[1024], *rest = copy, *item;
	bool vxlan = false, ipip = false;

	memset(keys, 0, sizeof(*keys));
	if (strlen(text) >= sizeof(copy))
		return error_set(err, EINVAL, NULL, "too long");
	strcpy(copy, text);
	while ((item = strsep(&rest, ",")) != NULL) {
		char *value = strchr(item, '=');
		const struct key *key = NULL;
		const char *wanted;

		if (value != NULL)
			*value++ = '\0';
		for (size_t i = 0; i < sizeof(key_table) / sizeof(key_table[0]); i++) {
			if (strcmp(item, key_table[i].name) == 0)
				key = &key_table[i];
		}
		if (key == NULL || value == NULL)
			return error_set(err, EINVAL, NULL,
				"\"%s\" is not KEY=VALUE with a key of src, dst, gw, src_mac, "
				"dst_mac, vxlan_vni, vxlan_port, "
				"ipip, outer_src, outer_dst, inner_src_mac, inner_dst_mac",
				item);
		wanted = value_parse(key, value, keys);
		if (wanted != NULL)
			return error_set(err, EINVAL, NULL, "%s takes %s, not \"%s\"", key->name,
				wanted, value);
		vxlan |= key->value == VALUE_VNI;
		ipip |= key->value == VALUE_FLAG && keys->encap == WIRE_IPIP;
	}
	if (check(keys, vxlan, ipip, err) < 0)
		return -EINVAL;
	if (vxlan && keys->vxlan_port == 0)
		keys->vxlan_port = VXLAN_PORT_DEFAULT;
	return 0;
}
