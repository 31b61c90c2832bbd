/* SPDX-License-Identifier: Apache-2.0 */
/** Objects from the inside: what reading, writing, checking and the model share. Private to config/.
 * Control thread and clients. A "loose" object is one under construction: a whole struct object whose strings and lists
 * lie anywhere; object_pack turns it into the one-block form everybody else sees.
 */
#ifndef CONFIG_OBJECT_H
#define CONFIG_OBJECT_H

#include "config/schema.h"

#define OBJECT_NAME_MAX	     63
#define OBJECT_LONG_NAME_MAX 253 /* of what may be called NAMESPACE.NAME */
#define ROUTE_VIA_MAX	     16
#define GROUP_SIZE_MAX	     512 /* bytes of an element of a FIELD_GROUPS list */
#define NODE_WORKERS_MAX     16
#define CPU_NUMBER_MAX	     1023
#define SECRET_MASK	     "***"

/** Room for the key that people see: a name, or a prefix. */
#define LABEL_MAX 80

/** A loose object with every field at its default. */
const struct object *object_default(enum object_type type);
/** The one-block copy of a loose object, one reference. NULL when out of memory. */
struct object *object_pack(const struct object *loose);
/** The type's own struct within the object. */
void *object_body(struct object *obj);
/** An element of a FIELD_GROUPS list with every field at its default; lives for ever. */
const void *group_default(const struct field_group *group);
const void *object_body_const(const struct object *obj);
/** Where a field lives in its struct. */
#define FIELD_AT(body, field)	    ((void *)((char *)(body) + (field)->offset))
#define FIELD_AT_CONST(body, field) ((const void *)((const char *)(body) + (field)->offset))

extern const struct field_group route_via_group;

bool field_equal(const struct field *field, const void *body_a, const void *body_b);
/** True when a FIELD_OPTIONAL value is not given. */
bool field_is_unset(const struct field *field, const void *body);

/** Text made fit for a message: at most 60 bytes, no control bytes. buf has LABEL_MAX bytes. @return buf. */
const char *message_text(const char *text, char *buf);
/** "peers/node-b/vni" or "node/flows" into buf. @return buf. */
const char *object_path(const struct object *obj, const char *field, char *buf, size_t size);
/** Refuse an object for a relation: text is "peer node-b: ..." and carries the object's file and line.
 * field may be NULL or have an index ("addresses/1"). @return -EINVAL. */
int object_error(const struct object *obj, struct error *err, const char *field, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/** The nearest of n names within a few typing errors of text, or NULL. get returns the i-th name. */
const char *nearest_name(const char *text, const char *(*get)(const void *list, size_t i),
	const void *list, size_t n);

/** Parse and judge one text for a field. @return 0, or -EINVAL with a reason (no path) in `why`. */
struct field_reason {
	char text[224];
};
int field_check_text(const struct field *field, const char *text, struct field_reason *why);
int field_parse_address(const struct field *field, const char *text, struct ip_addr *addr,
	struct field_reason *why);
int field_parse_prefix(const struct field *field, const char *text, struct ip_prefix *prefix,
	struct field_reason *why);
int field_parse_mac(const struct field *field, const char *text, struct mac_addr *mac,
	struct field_reason *why);
int field_parse_enum(
	const struct field *field, const char *text, uint32_t *value, struct field_reason *why);

/** object_from_json that also tells which field of the object is to blame, as a path within it ("via/0/address", ""
 * for the object itself), so that a loader can find its line. where has FIELD_PATH_MAX bytes. */
#define FIELD_PATH_MAX 96
int object_read(enum object_type type, const json_t *json, struct object **out, struct error *err,
	char *where);

/* Relations between the fields of one object, one function a type. */
int node_check(struct object *obj, struct error *err);
int uplink_check(struct object *obj, struct error *err);
int pool_check(struct object *obj, struct error *err);
int peer_check(struct object *obj, struct error *err);
int pod_check(struct object *obj, struct error *err);
int route_check(struct object *obj, struct error *err);
int namespace_check(struct object *obj, struct error *err);
int endpoint_check(struct object *obj, struct error *err);
int set_check(struct object *obj, struct error *err);
int tier_check(struct object *obj, struct error *err);
int policy_check(struct object *obj, struct error *err);
/* Parts of them that several types have. */
int labels_check(const struct object *obj, const struct string_list *labels, struct error *err);
int named_ports_check(const struct object *obj, const struct string_list *ports, struct error *err);

#endif
