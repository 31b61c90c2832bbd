/* SPDX-License-Identifier: Apache-2.0 */
/** The one description of every object's fields. From this table come: reading libconfig and JSON, writing JSON
 * and libconfig text, defaults, refusals, differences, the OpenAPI document, docs/objects.md, CLI completion.
 * Control thread and clients; pure except for allocation.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/model.h"

#include <jansson.h>

enum field_kind {
	FIELD_STRING,
	FIELD_UINT,
	FIELD_BOOL,
	FIELD_ENUM, /* stored as uint32_t, index into names */
	FIELD_ADDRESS,
	FIELD_PREFIX, /* host bits must be zero */
	FIELD_MAC,
	FIELD_ADDRESSES,	   /* struct addr_list */
	FIELD_PREFIXES,		   /* struct prefix_list, canonical */
	FIELD_INTERFACE_ADDRESSES, /* struct prefix_list, host bits kept */
	FIELD_UINTS,		   /* struct uint_list */
	FIELD_STRINGS,		   /* struct string_list, each once */
	FIELD_GROUPS,		   /* an array of structs and its count: see struct field_group */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_KEY = 1 << 1,    /* the object's name */
	FIELD_START = 1 << 2,  /* read when the daemon starts; a later change is refused */
	FIELD_SECRET = 1 << 3, /* written as "***" wherever people read it */
	FIELD_OPTIONAL =
		1
		<< 4, /* a zero MAC or address, or the number UINT32_MAX, means "not given": null in JSON,
				  * left out of text */
	FIELD_V4 = 1 << 5, /* address of this family only */
	FIELD_V6 = 1 << 6,
};

/* What a string has to look like. None may hold control characters. */
enum field_text {
	TEXT_ANY,
	TEXT_NAME,	    /* [A-Za-z0-9._-], not "." or ".." */
	TEXT_INTERFACE,	    /* kernel interface name: up to 15 bytes, no '/', ':' or blanks */
	TEXT_NETNS,	    /* name below /run/netns, or an absolute path */
	TEXT_SOCKET,	    /* absolute path that fits sockaddr_un */
	TEXT_LISTEN,	    /* ADDRESS:PORT, [ADDRESS]:PORT, or "" */
	TEXT_LABEL,	    /* key=value, as Kubernetes' labels */
	TEXT_NAMED_PORT,    /* name=80/tcp */
	TEXT_PORT_PROTOCOL, /* 22/tcp */
	TEXT_PORTS,	    /* 80, 8000:8080, or the name of a port */
	TEXT_PROTOCOL,	    /* tcp, udp, sctp, icmp, icmpv6, 1 to 255, or "" */
	TEXT_SELECTOR,	    /* selector.h, or "" */
};
struct field_group;

struct field {
	const char *name;
	const char *doc; /* one line for people */
	const char *example;
	const char *default_text; /* NULL = zero, empty or absent */
	const char *const *names; /* FIELD_ENUM, and strings of few values: NULL-terminated */
	uint32_t min, max; /* FIELD_UINT (its default is allowed too); length of strings and lists;
				       * prefix length of FIELD_PREFIX is not limited here */
	uint16_t offset;   /* in the type's struct */
	uint8_t kind;	   /* enum field_kind */
	uint8_t flags;	   /* enum field_flags */
	uint8_t text;	   /* FIELD_STRING, FIELD_STRINGS: enum field_text */
	const struct field_group *group; /* FIELD_GROUPS */
};

/** What an element of a FIELD_GROUPS list is: next hops of a route, rules of a policy. Offsets of its fields are within
 * the element. The list is a pointer to elements, and a size_t count right behind it. */
struct field_group {
	const char *name; /* "next hop", as in messages */
	const char *doc;
	const struct field *fields;
	size_t field_count; /* at most 64 */
	size_t size;	    /* of an element */
};

struct object_schema {
	enum object_type type;
	const char *name;   /* "peer", as in messages and the API's change lists */
	const char *plural; /* "peers", as in the file and in URLs */
	const char *doc;
	const struct field *fields;
	size_t field_count;
	size_t size;	/* of the type's struct */
	bool singleton; /* node */
	/** Relations between fields of one object; may set derived defaults. NULL = none. */
	int (*check)(struct object *obj, struct error *err);
};

extern const struct object_schema object_schemas[OBJECT_TYPE_COUNT];
const struct object_schema *schema_by_name(const char *name_or_plural);
const struct field *schema_field(const struct object_schema *schema, const char *name);

/** Build an object from JSON. Unknown keys, wrong types, bad values and missing required fields are refused with
 * the path of the field. null stands for the default, and a list of one may come without its brackets. @return 0, -EINVAL or -ENOMEM; *out has one reference and is of
 * ORIGIN_API: see object_set_source. */
int object_from_json(
	enum object_type type, const json_t *json, struct object **out, struct error *err);
/** object_from_json of a JSON text: about five times faster for what is plainly right, routes above all. Any thread, once each
 * type has been read. @return also -EBADMSG: the text is not JSON, or a key is given twice; err says where. */
int object_from_text(enum object_type type, const char *text, size_t len, struct object **out,
	struct error *err);
/** RFC 7396 merge: fields present in patch replace those of base, null restores the default. The name cannot change;
 * a masked secret ("***") keeps the secret. Origin and place are those of base. */
int object_merge_json(
	const struct object *base, const json_t *patch, struct object **out, struct error *err);
/** Every field, defaults included. Secrets are masked unless `secrets`. New reference. */
json_t *object_to_json(const struct object *obj, bool secrets);
/** libconfig text that config_load_text reads back to the same object: fields that differ from their defaults, secrets
 * included. NULL when out of memory. Caller frees. */
char *object_to_text(const struct object *obj);
/** A whole configuration file: every object of a model. NULL when out of memory. Caller frees. */
char *model_to_text(const struct model *model);
/** {"field": [before, after], ...} of two objects of one type: the fields that differ; with one of them NULL, the fields
 * that differ from their defaults against null. Secrets are masked. New reference. */
json_t *object_diff_json(const struct object *before, const struct object *after);

/** Read a libconfig file into put-edits of a set; the objects are of ORIGIN_FILE. A wrong or unknown thing anywhere
 * refuses the whole file and leaves the set as it was. The error carries file and line. `@include "file"` lines name
 * files relative to the one they stand in. @return 0, -EINVAL, -ENOMEM or the errno of reading the file. */
int config_load_file(const char *path, struct changeset *set, struct error *err);
/** The same from memory; `name` stands in for the file name in errors. @include is refused: text may come from afar. */
int config_load_text(const char *text, const char *name, struct changeset *set, struct error *err);

/** Text from a line on came from a file. Both lines count from 1. */
struct config_source {
	unsigned line, file_line;
	const char *file;
};
/** A file ("-": standard input) with what it includes in place, for somebody who cannot read it: config_load_sources takes that.
 * Errors as config_load_file's, but objects are not looked at. @return 0 or as config_load_file; then free *text and *sources, the
 * names with them. */
int config_flatten(const char *path, char **text, struct config_source **sources, size_t *n,
	struct error *err);
/** config_load_text with what is known about where its lines came from: errors name that. With none, as config_load_text. */
int config_load_sources(const char *text, const char *name, const struct config_source *sources,
	size_t n, struct changeset *set, struct error *err);

/** JSON Schema (OpenAPI 3.1 "components/schemas") of every type. New reference. */
json_t *schema_openapi_components(void);
/** docs/objects.md. Caller frees. */
char *schema_markdown(void);

#endif
