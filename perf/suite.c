/* SPDX-License-Identifier: Apache-2.0 */
#include "perf/suite.h"

#include <errno.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS_MAX   2000000
#define ROUTES_MAX  2000000
#define RULES_MAX   100000
#define REPEATS_MAX 64

struct reader {
	const char *file;
	struct suite *suite;
	uint32_t repeats;
	struct error *err;
};

static int refuse(const struct reader *r, const config_setting_t *at, const char *what)
{
	return error_set(
		r->err, EINVAL, "", "%s:%u: %s", r->file, config_setting_source_line(at), what);
}

static int check_keys(
	const struct reader *r, const config_setting_t *group, const char *const *known)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		char what[160];
		bool found = false;

		for (const char *const *k = known; *k != NULL; k++)
			found |= strcmp(*k, config_setting_name(s)) == 0;
		if (found)
			continue;
		snprintf(what, sizeof(what), "there is no setting \"%.80s\" here",
			config_setting_name(s));
		return refuse(r, s, what);
	}
	return 0;
}

static const config_setting_t *list_of(const config_setting_t *run, const char *name)
{
	const config_setting_t *s = config_setting_get_member(run, name);

	return s != NULL && (config_setting_is_array(s) || config_setting_is_list(s)) &&
			       config_setting_length(s) > 0
		       ? s
		       : NULL;
}

/** A list that is there must be one. */
static int check_lists(const struct reader *r, const config_setting_t *run)
{
	static const char *const lists[] = { "scenarios", "flows", "sizes", "memory", "isa",
		"targets", "relative_to" };

	for (size_t i = 0; i < RTE_DIM(lists); i++) {
		const config_setting_t *s = config_setting_get_member(run, lists[i]);
		char what[80];

		if (s == NULL || list_of(run, lists[i]) != NULL)
			continue;
		snprintf(
			what, sizeof(what), "%s is a list: write %s = [ ... ]", lists[i], lists[i]);
		return refuse(r, s, what);
	}
	return 0;
}

static int read_scenario(const struct reader *r, const config_setting_t *list, int i,
	const struct plane_scenario **scenario)
{
	const char *name = config_setting_get_string_elem(list, i);
	char what[160];

	*scenario = name != NULL ? plane_scenario_find(name) : NULL;
	if (*scenario != NULL)
		return 0;
	snprintf(what, sizeof(what),
		"there is no scenario \"%.80s\": see podlane-bench pipeline --list",
		name != NULL ? name : "");
	return refuse(r, list, what);
}

static int read_number(const struct reader *r, const config_setting_t *s, const char *name,
	int value, int min, int max)
{
	char what[120];

	if (value >= min && value <= max)
		return 0;
	snprintf(what, sizeof(what), "%s takes numbers from %d to %d", name, min, max);
	return refuse(r, s, what);
}

/** A setting that may be missing: *value stays as it is then. */
static int read_member(const struct reader *r, const config_setting_t *group, const char *name,
	int min, int max, uint32_t *value)
{
	const config_setting_t *s = config_setting_get_member(group, name);
	/* What is no whole number is out of every range. */
	int n = s == NULL				    ? 0
		: config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s)
							    : -1,
	    ret;

	if (s == NULL)
		return 0;
	ret = read_number(r, s, name, n, min, max);
	if (ret == 0)
		*value = (uint32_t)n;
	return ret;
}

static const struct suite_row *find_row(
	const struct suite *suite, const struct suite_row *like, const struct plane_scenario *of)
{
	for (size_t i = 0; i < suite->count; i++) {
		const struct suite_row *row = &suite->rows[i];

		if (row->scenario == of && row->flows == like->flows &&
			row->routes == like->routes && row->rules == like->rules &&
			row->cold == like->cold && strcmp(row->size, like->size) == 0 &&
			strcmp(row->isa, like->isa) == 0)
			return row;
	}
	return NULL;
}

static bool known_isa(const char *name)
{
	for (unsigned i = 0; burst_variants[i] != NULL; i++) {
		if (strcmp(burst_variants[i]->name, name) == 0)
			return true;
	}
	return strcmp(name, "best") == 0;
}

/** Everything of a row but what it is compared with. */
static int read_row(
	const struct reader *r, const config_setting_t *run, const int at[5], struct suite_row *row)
{
	const config_setting_t *flows = list_of(run, "flows"), *sizes = list_of(run, "sizes"),
			       *memory = list_of(run, "memory"), *isa = list_of(run, "isa"),
			       *targets = list_of(run, "targets");
	const char *size = sizes != NULL ? config_setting_get_string_elem(sizes, at[2]) : "64";
	const char *kind = memory != NULL ? config_setting_get_string_elem(memory, at[3]) : "warm";
	const char *set = isa != NULL ? config_setting_get_string_elem(isa, at[4]) : "best";
	struct packets_sizes parsed;
	int n, ret;

	*row = (struct suite_row){ .repeats = r->repeats, .at_most = 0 };
	ret = read_scenario(r, list_of(run, "scenarios"), at[0], &row->scenario);
	if (ret < 0)
		return ret;
	n = flows != NULL ? config_setting_get_int_elem(flows, at[1]) : 1000;
	ret = read_number(r, flows, "flows", n, 1, FLOWS_MAX);
	if (ret < 0)
		return ret;
	row->flows = (uint32_t)n;
	if (size == NULL || strlen(size) >= sizeof(row->size) ||
		!packets_sizes_parse(size, &parsed))
		return refuse(r, sizes, "sizes takes \"64\" to \"1900\", or \"imix\"");
	strcpy(row->size, size);
	if (kind == NULL || (strcmp(kind, "warm") != 0 && strcmp(kind, "cold") != 0))
		return refuse(r, memory, "memory takes \"warm\" and \"cold\"");
	row->cold = strcmp(kind, "cold") == 0;
	if (set == NULL || strlen(set) >= sizeof(row->isa) || !known_isa(set))
		return refuse(r, isa,
			"isa takes \"best\" and the names that podlane-bench pipeline --help "
			"lists");
	strcpy(row->isa, set);
	ret = read_member(r, run, "routes", 0, ROUTES_MAX, &row->routes);
	if (ret == 0)
		ret = read_member(r, run, "rules", 0, RULES_MAX, &row->rules);
	if (ret < 0)
		return ret;
	if (targets != NULL)
		row->target = config_setting_get_float_elem(targets, at[1]);
	if (targets != NULL && row->target <= 0)
		return refuse(r, targets,
			"targets takes cycles a packet, written with a point (25.0), one for each "
			"of flows");
	return 0;
}

static int add_row(const struct reader *r, const config_setting_t *run, const int at[5])
{
	const config_setting_t *relative = list_of(run, "relative_to");
	const struct plane_scenario *of;
	struct suite_row row;
	int ret = read_row(r, run, at, &row);

	if (ret < 0)
		return ret;
	if (relative != NULL) {
		ret = read_scenario(r, relative, at[0], &of);
		if (ret < 0)
			return ret;
		row.base = find_row(r->suite, &row, of);
		if (row.base == NULL)
			return refuse(r, relative,
				"relative_to names a row that does not come before this one");
		if (config_setting_lookup_float(run, "at_most", &row.at_most) != CONFIG_TRUE ||
			row.at_most <= 0)
			return refuse(r, run,
				"relative_to needs at_most, written with a point: at_most = 1.3");
	}
	r->suite->rows[r->suite->count++] = row;
	return 0;
}

static int length(const config_setting_t *run, const char *name)
{
	const config_setting_t *s = list_of(run, name);

	return s != NULL ? config_setting_length(s) : 1;
}

/** All rows of one scenario of a run. */
static int add_rows(const struct reader *r, const config_setting_t *run, int at[5])
{
	int ret = 0;

	for (at[4] = 0; at[4] < length(run, "isa"); at[4]++) {
		for (at[3] = 0; at[3] < length(run, "memory"); at[3]++) {
			for (at[2] = 0; at[2] < length(run, "sizes"); at[2]++) {
				for (at[1] = 0; ret == 0 && at[1] < length(run, "flows"); at[1]++)
					ret = add_row(r, run, at);
			}
		}
	}
	return ret;
}

static int read_run(const struct reader *r, const config_setting_t *run)
{
	static const char *const known[] = { "scenarios", "flows", "sizes", "memory", "isa",
		"routes", "rules", "targets", "relative_to", "at_most", NULL };
	int ret = check_keys(r, run, known), at[5];

	ret = ret < 0 ? ret : check_lists(r, run);
	if (ret < 0)
		return ret;
	if (list_of(run, "scenarios") == NULL)
		return refuse(r, run, "a run needs scenarios = [ \"...\" ]");
	if (list_of(run, "targets") != NULL && length(run, "targets") != length(run, "flows"))
		return refuse(r, run, "targets needs one figure for each of flows");
	if ((list_of(run, "relative_to") == NULL) !=
		(config_setting_get_member(run, "at_most") == NULL))
		return refuse(r, run, "relative_to and at_most belong together");
	if (list_of(run, "relative_to") != NULL && list_of(run, "targets") != NULL)
		return refuse(r, run, "a run has targets, or relative_to and at_most, not both");
	if (list_of(run, "relative_to") != NULL &&
		length(run, "relative_to") != length(run, "scenarios"))
		return refuse(r, run, "relative_to needs one name for each of scenarios");
	for (at[0] = 0; at[0] < length(run, "scenarios"); at[0]++) {
		ret = add_rows(r, run, at);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_config(const char *file, config_t *config, struct suite *suite, struct error *err)
{
	static const char *const known[] = { "repeats", "runs", NULL };
	const config_setting_t *runs = config_lookup(config, "runs"), *run;
	struct reader r = { file, suite, 11, err };
	uint32_t repeats = 11;
	int ret;
	size_t most = 0;

	ret = check_keys(&r, config_root_setting(config), known);
	ret = ret < 0 ? ret
		      : read_member(&r, config_root_setting(config), "repeats", 1, REPEATS_MAX,
				&repeats);
	if (ret < 0)
		return ret;
	if (runs == NULL || !config_setting_is_list(runs) || config_setting_length(runs) == 0)
		return refuse(&r, config_root_setting(config), "runs: ( { ... } ) is missing");
	r.repeats = repeats;
	for (int i = 0; i < config_setting_length(runs); i++) {
		run = config_setting_get_elem(runs, (unsigned)i);
		if (!config_setting_is_group(run))
			return refuse(&r, run, "a run is written { scenarios = [ ... ]; ... }");
		most += (size_t)length(run, "scenarios") * (size_t)length(run, "flows") *
			(size_t)length(run, "sizes") * (size_t)length(run, "memory") *
			(size_t)length(run, "isa");
	}
	/* Rows point at rows, so the array has its full length from the start. */
	suite->rows = calloc(most + 1, sizeof(*suite->rows));
	if (suite->rows == NULL)
		return error_set(err, ENOMEM, "", "out of memory");
	for (int i = 0; ret == 0 && i < config_setting_length(runs); i++)
		ret = read_run(&r, config_setting_get_elem(runs, (unsigned)i));
	if (ret < 0)
		suite_free(suite);
	return ret;
}

int suite_load(const char *path, struct suite *suite, struct error *err)
{
	config_t config;
	int ret;

	*suite = (struct suite){ 0 };
	config_init(&config);
	if (config_read_file(&config, path) != CONFIG_TRUE) {
		if (config_error_type(&config) == CONFIG_ERR_FILE_IO)
			ret = error_set(err, EINVAL, "", "%s cannot be read", path);
		else
			ret = error_set(err, EINVAL, "", "%s:%d: %s", path,
				config_error_line(&config), config_error_text(&config));
	} else {
		ret = read_config(path, &config, suite, err);
	}
	config_destroy(&config);
	return ret;
}

int suite_load_text(const char *text, struct suite *suite, struct error *err)
{
	config_t config;
	int ret;

	*suite = (struct suite){ 0 };
	config_init(&config);
	if (config_read_string(&config, text) != CONFIG_TRUE)
		ret = error_set(err, EINVAL, "", "text:%d: %s", config_error_line(&config),
			config_error_text(&config));
	else
		ret = read_config("text", &config, suite, err);
	config_destroy(&config);
	return ret;
}

void suite_free(struct suite *suite)
{
	free(suite->rows);
	*suite = (struct suite){ 0 };
}
