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
	FIELD_ENUM,       /* stored as uint32_t, index into names */
	FIELD_ADDRESS,
	FIELD_PREFIX,     /* host bits must be zero */
	FIELD_MAC,
	FIELD_ADDRESSES,  /* struct addr_list */
	FIELD_PREFIXES,   /* struct prefix_list, canonical */
	FIELD_INTERFACE_ADDRESSES, /* struct prefix_list, host bits kept */
	FIELD_UINTS,      /* struct uint_list */
	FIELD_VIA,        /* route next hops: list of groups */
};

enum field_flags {
	FIELD_REQUIRED = 1 << 0,
	FIELD_KEY = 1 << 1,     /* the object's name */
	FIELD_START = 1 << 2,   /* read when the daemon starts; a later change is refused */
	FIELD_SECRET = 1 << 3,  /* written as "***" wherever people read it */
};

struct field {
	const char *name;
	const char *doc;              /* one line for people */
	const char *example;
	const char *default_text;     /* NULL = zero, empty or absent */
	const char *const *names;     /* FIELD_ENUM: NULL-terminated */
	uint32_t min, max;            /* FIELD_UINT; length of strings and lists */
	uint16_t offset;              /* in the type's struct */
	uint8_t kind;                 /* enum field_kind */
	uint8_t flags;                /* enum field_flags */
};

struct object_schema {
	enum object_type type;
	const char *name;             /* "peer", as in messages and the API's change lists */
	const char *plural;           /* "peers", as in the file and in URLs */
	const char *doc;
	const struct field *fields;
	size_t field_count;
	bool singleton;               /* node */
	/** Relations between fields of one object; may set derived defaults. NULL = none. */
	int (*check)(struct object *obj, struct error *err);
};

extern const struct object_schema object_schemas[OBJECT_TYPE_COUNT];
const struct object_schema *schema_by_name(const char *name_or_plural);
const struct field *schema_field(const struct object_schema *schema, const char *name);

/** Build an object from JSON. Unknown keys, wrong types, bad values and missing required fields are refused with
 * the path of the field. @return 0 or -EINVAL; *out has one reference. */
int object_from_json(enum object_type type, const json_t *json, struct object **out, struct error *err);
/** RFC 7396 merge: fields present in patch replace those of base. */
int object_merge_json(const struct object *base, const json_t *patch, struct object **out, struct error *err);
/** Every field, defaults included. Secrets are masked unless `secrets`. New reference. */
json_t *object_to_json(const struct object *obj, bool secrets);
/** libconfig text that reads back to the same object. Caller frees. */
char *object_to_text(const struct object *obj);
/** {"field": [before, after], ...} of two objects of one type; either may be NULL. */
json_t *object_diff_json(const struct object *before, const struct object *after);

/** Read a libconfig file into put-edits of a set. A wrong or unknown thing anywhere refuses the whole file. The error
 * carries file and line. */
int config_load_file(const char *path, struct changeset *set, struct error *err);
/** The same from memory; `name` stands in for the file name in errors. */
int config_load_text(const char *text, const char *name, struct changeset *set, struct error *err);

/** JSON Schema (OpenAPI 3.1 "components/schemas") of every type. New reference. */
json_t *schema_openapi_components(void);
/** docs/objects.md. Caller frees. */
char *schema_markdown(void);

#endif
