/* SPDX-License-Identifier: Apache-2.0 */
/** YAML files as trees of JSON values: what Kubernetes' files need of YAML 1.1, which JSON is a part of. Plain scalars are null,
 * booleans (also yes, no, on, off), numbers or strings as YAML 1.1 has it, so that a string that looks like another thing
 * is refused later, as Kubernetes would. Aliases, tags, merge keys and keys given twice are refused. Clients; pure.
 */
#ifndef CTRL_IMPORT_YAML_H
#define CTRL_IMPORT_YAML_H

#include "config/error.h"

#include <jansson.h>
#include <stddef.h>

#define YAML_DEPTH_MAX 64

/** Every document of a text, in order; empty ones are null. A text that begins with { is read as JSON if it is such. New
 * reference, an array; NULL with err (text and line). */
json_t *yaml_load(const char *text, size_t len, struct error *err);

#endif
