/* SPDX-License-Identifier: Apache-2.0 */
#include "config/selector.h"

#include "config/object.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TERMS_MAX 4096 /* of one selector */

enum op {
	OP_ALL,
	OP_GLOBAL,
	OP_HAS,
	OP_IN,
	OP_NOT_IN,
	OP_STARTS,
	OP_ENDS,
	OP_CONTAINS,
	OP_NOT,
	OP_AND,
	OP_OR,
};

struct term {
	enum op op;
	uint32_t left, right; /* NOT: left only */
	const char *key;
	uint32_t first, count; /* of values; == and != are sets of one */
};

struct selector {
	struct term *terms;
	const char **values;
	char *text; /* keys and values lie here */
	uint32_t n_terms, n_values, root;
};

/* --- labels --------------------------------------------------------------------------------------------------- */

static int label_order(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->key, ((const struct label *)b)->key);
}

/** Insertion, because a later one of the same key replaces the earlier. */
static void label_insert(struct label_set *set, struct label label)
{
	size_t at = set->count;

	while (at > 0 && label_order(&set->items[at - 1], &label) > 0)
		at--;
	if (at > 0 && label_order(&set->items[at - 1], &label) == 0) {
		set->items[at - 1] = label;
		return;
	}
	memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof(label));
	set->items[at] = label;
	set->count++;
}

struct label_set *label_set_new(
	const struct string_list *labels, const char *key, const char *value)
{
	size_t n = labels->count + (key != NULL), bytes = 0;
	struct label_set *set;
	char *text;

	for (size_t i = 0; i < labels->count; i++)
		bytes += strlen(labels->items[i]) + 1;
	if (key != NULL)
		bytes += strlen(key) + strlen(value) + 2;
	set = malloc(sizeof(*set) + n * sizeof(set->items[0]) + bytes);
	if (set == NULL)
		return NULL;
	set->count = 0;
	text = (char *)&set->items[n];
	for (size_t i = 0; i < labels->count; i++) {
		char *equals;

		strcpy(text, labels->items[i]);
		equals = strchr(text, '=');
		if (equals != NULL) {
			*equals = '\0';
			label_insert(set, (struct label){ text, equals + 1 });
		}
		text += strlen(labels->items[i]) + 1;
	}
	if (key != NULL) {
		size_t len = strlen(key) + 1;

		strcpy(text, key);
		strcpy(text + len, value);
		label_insert(set, (struct label){ text, text + len });
	}
	return set;
}

const char *label_set_get(const struct label_set *set, const char *key)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(key, set->items[middle].key);

		if (order == 0)
			return set->items[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* --- parsing: recursive descent over a copy of the text, in which keys and values are ended with zeros ---------- */

struct parser {
	struct selector *s;
	const char *text; /* as given, for messages */
	char *at;	  /* in the copy */
	struct error *err;
	uint32_t room_terms, room_values;
	unsigned depth;
};
#define FAILED UINT32_MAX

static uint32_t refuse(struct parser *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static uint32_t refuse(struct parser *p, const char *fmt, ...)
{
	char what[160], shown[LABEL_MAX];
	size_t column = (size_t)(p->at - p->s->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	/* The copy has zeros in it by now. */
	if (p->text[column] == '\0')
		error_set(p->err, EINVAL, NULL, "ends where %s should follow", what);
	else
		error_set(p->err, EINVAL, NULL, "character %zu, at \"%.20s\": expected %s",
			column + 1, message_text(p->text + column, shown), what);
	return FAILED;
}

static uint32_t no_memory(struct parser *p)
{
	error_set(p->err, ENOMEM, NULL, "out of memory while reading a selector");
	return FAILED;
}

static uint32_t term_add(struct parser *p, struct term term)
{
	struct selector *s = p->s;

	if (s->n_terms == TERMS_MAX) {
		error_set(p->err, EINVAL, NULL,
			"has more than %d parts: split the rule, or use a label of its own",
			TERMS_MAX);
		return FAILED;
	}
	if (s->n_terms == p->room_terms) {
		uint32_t room = p->room_terms == 0 ? 8 : p->room_terms * 2;
		struct term *terms = realloc(s->terms, room * sizeof(*terms));

		if (terms == NULL)
			return no_memory(p);
		s->terms = terms;
		p->room_terms = room;
	}
	s->terms[s->n_terms] = term;
	return s->n_terms++;
}

static void blanks(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

static bool symbol(struct parser *p, const char *text)
{
	blanks(p);
	if (strncmp(p->at, text, strlen(text)) != 0)
		return false;
	p->at += strlen(text);
	return true;
}

static bool key_byte(char c)
{
	return isalnum((unsigned char)c) || (c != '\0' && strchr("_./-", c) != NULL);
}

/** A word of letters, not the beginning of a longer one. */
static bool word(struct parser *p, const char *text)
{
	size_t len = strlen(text);

	blanks(p);
	if (strncmp(p->at, text, len) != 0 || key_byte(p->at[len]))
		return false;
	p->at += len;
	return true;
}

/** The bytes of a key; the zero behind it is written by the caller, once it has looked at what follows. */
static char *key(struct parser *p, char **end)
{
	char *begin;

	blanks(p);
	begin = p->at;
	while (key_byte(*p->at))
		p->at++;
	*end = p->at;
	return p->at > begin ? begin : NULL;
}

static bool value(struct parser *p)
{
	struct selector *s = p->s;
	char quote, *begin, *end;

	blanks(p);
	quote = *p->at;
	if (quote != '\'' && quote != '"') {
		refuse(p, "a value in quotes, such as 'web'");
		return false;
	}
	begin = p->at + 1;
	end = strchr(begin, quote);
	if (end == NULL) {
		refuse(p, "a value that ends with %c", quote);
		return false;
	}
	if (s->n_values == p->room_values) {
		uint32_t room = p->room_values == 0 ? 8 : p->room_values * 2;
		const char **values = realloc(s->values, room * sizeof(*values));

		if (values == NULL)
			return no_memory(p) != FAILED;
		s->values = values;
		p->room_values = room;
	}
	*end = '\0';
	s->values[s->n_values++] = begin;
	p->at = end + 1;
	return true;
}

static bool value_set(struct parser *p)
{
	if (!symbol(p, "{")) {
		refuse(p, "{ and values, such as { 'web', 'edge' }");
		return false;
	}
	if (symbol(p, "}"))
		return true;
	do {
		if (!value(p))
			return false;
	} while (symbol(p, ","));
	if (symbol(p, "}"))
		return true;
	refuse(p, ", or }");
	return false;
}

/** KEY OPERATOR VALUE. */
static uint32_t comparison(struct parser *p)
{
	struct term term = { .first = p->s->n_values };
	char *end;
	bool ok;

	term.key = key(p, &end);
	if (term.key == NULL)
		return refuse(p, "a label's key, has(KEY), all(), ! or (");
	if (symbol(p, "==")) {
		term.op = OP_IN;
		ok = value(p);
	} else if (symbol(p, "!=")) {
		term.op = OP_NOT_IN;
		ok = value(p);
	} else if (word(p, "in")) {
		term.op = OP_IN;
		ok = value_set(p);
	} else if (word(p, "not")) {
		term.op = OP_NOT_IN;
		if (!word(p, "in"))
			return refuse(p, "in");
		ok = value_set(p);
	} else if (word(p, "contains")) {
		term.op = OP_CONTAINS;
		ok = value(p);
	} else if (word(p, "starts")) {
		term.op = OP_STARTS;
		if (!word(p, "with"))
			return refuse(p, "with");
		ok = value(p);
	} else if (word(p, "ends")) {
		term.op = OP_ENDS;
		if (!word(p, "with"))
			return refuse(p, "with");
		ok = value(p);
	} else {
		return refuse(p, "==, !=, in, not in, contains, starts with or ends with");
	}
	if (!ok)
		return FAILED;
	*end = '\0';
	term.count = p->s->n_values - term.first;
	return term_add(p, term);
}

static uint32_t either(struct parser *p);

static uint32_t single(struct parser *p)
{
	struct term term = { 0 };
	uint32_t inner;
	char *end;

	if (++p->depth > SELECTOR_DEPTH_MAX) {
		error_set(p->err, EINVAL, NULL,
			"goes deeper than %d parentheses and negations: write it flatter",
			SELECTOR_DEPTH_MAX);
		return FAILED;
	}
	blanks(p);
	if (symbol(p, "!")) {
		inner = single(p);
		term = (struct term){ .op = OP_NOT, .left = inner };
	} else if (symbol(p, "(")) {
		inner = either(p);
		if (inner != FAILED && !symbol(p, ")"))
			inner = refuse(p, "&&, || or )");
		p->depth--;
		return inner;
	} else if (strncmp(p->at, "all()", 5) == 0 || strncmp(p->at, "global()", 8) == 0) {
		term.op = p->at[0] == 'a' ? OP_ALL : OP_GLOBAL;
		p->at += p->at[0] == 'a' ? 5 : 8;
		inner = 0;
	} else if (strncmp(p->at, "has(", 4) == 0) {
		p->at += 4;
		term.op = OP_HAS;
		term.key = key(p, &end);
		if (term.key == NULL)
			return refuse(p, "a label's key");
		if (!symbol(p, ")"))
			return refuse(p, ")");
		*end = '\0';
		inner = 0;
	} else {
		inner = comparison(p);
		p->depth--;
		return inner;
	}
	p->depth--;
	return inner == FAILED ? FAILED : term_add(p, term);
}

static uint32_t both(struct parser *p)
{
	uint32_t left = single(p);

	while (left != FAILED && symbol(p, "&&")) {
		uint32_t right = single(p);

		left = right == FAILED
			       ? FAILED
			       : term_add(p, (struct term){
						     .op = OP_AND, .left = left, .right = right });
	}
	return left;
}

static uint32_t either(struct parser *p)
{
	uint32_t left = both(p);

	while (left != FAILED && symbol(p, "||")) {
		uint32_t right = both(p);

		left = right == FAILED
			       ? FAILED
			       : term_add(p, (struct term){
						     .op = OP_OR, .left = left, .right = right });
	}
	return left;
}

struct selector *selector_parse(const char *text, struct error *err)
{
	struct selector *s = calloc(1, sizeof(*s));
	struct parser p = { .s = s, .text = text, .err = err };

	if (s != NULL)
		s->text = strdup(text);
	if (s == NULL || s->text == NULL) {
		no_memory(&p);
		free(s);
		return NULL;
	}
	p.at = s->text;
	blanks(&p);
	s->root = *p.at == '\0' ? term_add(&p, (struct term){ .op = OP_ALL }) : either(&p);
	blanks(&p);
	if (s->root != FAILED && *p.at != '\0')
		s->root = refuse(&p, "&&, || or the end");
	if (s->root != FAILED)
		return s;
	selector_free(s);
	return NULL;
}

void selector_free(struct selector *selector)
{
	if (selector == NULL)
		return;
	free(selector->terms);
	free(selector->values);
	free(selector->text);
	free(selector);
}

/* --- matching ------------------------------------------------------------------------------------------------- */

static bool any_value(const struct selector *s, const struct term *term, const char *have)
{
	for (uint32_t i = 0; i < term->count; i++) {
		if (strcmp(s->values[term->first + i], have) == 0)
			return true;
	}
	return false;
}

static bool compare(const struct selector *s, const struct term *term, const char *have)
{
	const char *text;
	size_t len, long_len;

	if (term->op == OP_NOT_IN)
		return have == NULL || !any_value(s, term, have);
	if (have == NULL)
		return false;
	if (term->op == OP_HAS)
		return true;
	if (term->op == OP_IN)
		return any_value(s, term, have);
	text = s->values[term->first];
	if (term->op == OP_CONTAINS)
		return strstr(have, text) != NULL;
	len = strlen(text);
	if (term->op == OP_STARTS)
		return strncmp(have, text, len) == 0;
	long_len = strlen(have);
	return long_len >= len && strcmp(have + long_len - len, text) == 0;
}

/** As deep as a chain is long at most, which TERMS_MAX bounds. */
static bool match(const struct selector *s, uint32_t at, const struct label_set *labels)
{
	const struct term *term = &s->terms[at];

	switch (term->op) {
	case OP_ALL:
		return labels != NULL;
	case OP_GLOBAL:
		return labels == NULL;
	case OP_NOT:
		return !match(s, term->left, labels);
	case OP_AND:
	case OP_OR:
		return term->op == OP_AND
			       ? match(s, term->left, labels) && match(s, term->right, labels)
			       : match(s, term->left, labels) || match(s, term->right, labels);
	default:
		return compare(s, term, labels != NULL ? label_set_get(labels, term->key) : NULL);
	}
}

bool selector_match(const struct selector *selector, const struct label_set *labels)
{
	return match(selector, selector->root, labels);
}
