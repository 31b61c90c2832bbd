/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/steering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int steering_add(struct steering *s, const struct steer_item *item)
{
	size_t room = s->room > 0 ? 2 * s->room : 32;
	struct steer_item *items;

	if (s->count == s->room) {
		items = realloc(s->items, room * sizeof(*items));
		if (items == NULL)
			return -ENOMEM;
		s->items = items;
		s->room = room;
	}
	s->items[s->count++] = *item;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct steer_item *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	if (x->addr.family != y->addr.family)
		return x->addr.family < y->addr.family ? -1 : 1;
	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

void steering_sort(struct steering *s)
{
	size_t kept = 0;

	if (s->count > 0)
		qsort(s->items, s->count, sizeof(s->items[0]), compare);
	for (size_t i = 0; i < s->count; i++) {
		if (kept == 0 || compare(&s->items[kept - 1], &s->items[i]) != 0)
			s->items[kept++] = s->items[i];
	}
	s->count = kept;
}

void steering_free(struct steering *s)
{
	free(s->items);
	memset(s, 0, sizeof(*s));
}

int steering_difference(
	const struct steering *of, const struct steering *without, struct steering *out)
{
	size_t j = 0;

	for (size_t i = 0; i < of->count; i++) {
		while (j < without->count && compare(&without->items[j], &of->items[i]) < 0)
			j++;
		if (j < without->count && compare(&without->items[j], &of->items[i]) == 0)
			continue;
		if (steering_add(out, &of->items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}
