/* SPDX-License-Identifier: Apache-2.0 */
/** A model from the inside, for the files that implement it: model.c, changeset.c, validate.c.
 * Control thread only; private to config/.
 */
#ifndef CONFIG_MODEL_STATE_H
#define CONFIG_MODEL_STATE_H

#include "config/claims.h"
#include "config/name_index.h"

/* Objects of one type at stable positions, found by hash. Their order by name is made when somebody walks: an edit
 * only notes that it is due. */
struct object_table {
	struct object **objects; /* by position; NULL = removed */
	struct name_index index;
	uint32_t used, room;
	uint32_t live;
	uint32_t *
		order; /* positions: `sorted` of them in order, then news; removed ones until compacted */
	uint32_t sorted, ordered;
	uint32_t dead;	  /* removed positions still in order[] */
	uint32_t *vacant; /* positions to use again */
	uint32_t n_vacant;
};

const struct model *changeset_base(const struct changeset *set);

struct model {
	struct object_table *tables; /* [OBJECT_TYPE_COUNT] */
	struct claims *claims;
	uint64_t version; /* commits so far */
};

void table_reserve(struct object_table *table, size_t more);
void table_put(struct object_table *table, struct object *obj);
void table_remove(struct object_table *table, const char *name);
struct object *table_find(const struct object_table *table, const char *name);
int table_each(
	struct object_table *table, int (*visit)(const struct object *obj, void *arg), void *arg);
void table_free(struct object_table *table);

#endif
