/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <string.h>

const struct object_schema *schema_by_name(const char *name)
{
	for (size_t i = 0; i < OBJECT_TYPE_COUNT; i++) {
		if (strcmp(object_schemas[i].name, name) == 0 ||
			strcmp(object_schemas[i].plural, name) == 0)
			return &object_schemas[i];
	}
	return NULL;
}

const struct field *schema_field(const struct object_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->field_count; i++) {
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	}
	return NULL;
}
