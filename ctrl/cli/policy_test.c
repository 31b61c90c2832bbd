/* SPDX-License-Identifier: Apache-2.0 */
/* `podlane policy test TABLE.csv`: a table of connections, held against the policies in force (POST /v1/policy-test), or
 * against those of files, by the daemon's own code. */
#include "ctrl/cli/policy.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS 5
static const char *const columns[COLUMNS] = { "src", "dst", "proto", "port", "allowed" };

struct table {
	const char *file;
	char *text; /* src and dst point into it */
	struct policy_line *lines;
	size_t count, room;
};

static char *trim(char *text)
{
	char *end;

	while (isspace((unsigned char)*text))
		text++;
	end = text + strlen(text);
	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return text;
}

/** Cut a line at its commas. @return how many parts. */
static size_t cut(char *line, char *parts[COLUMNS])
{
	size_t n = 0;

	for (char *part; (part = strsep(&line, ",")) != NULL; n++) {
		if (n < COLUMNS)
			parts[n] = trim(part);
	}
	return n;
}

static int refuse(const struct table *t, unsigned line, const char *column, const char *what,
	const char *found)
{
	return cli_usage(
		"%s:%u: column %s: %s, found \"%.80s\"", t->file, line, column, what, found);
}

static bool read_proto(const char *text, uint8_t *proto)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP },
		{ "icmp", IPPROTO_ICMP }, { "icmpv6", IPPROTO_ICMPV6 } };
	char *end;
	long number = strtol(text, &end, 10);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(text, names[i].name) == 0) {
			*proto = names[i].number;
			return true;
		}
	}
	*proto = (uint8_t)number;
	return text[0] != '\0' && *end == '\0' && number >= 1 && number <= 255;
}

/** A port; of ICMP a type, or TYPE/CODE; empty for protocols without either. */
static bool read_port(const char *text, uint8_t proto, uint16_t *port)
{
	bool icmp = proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
	unsigned long number, code = 0, most = icmp ? 255 : 65535;
	char *end;

	*port = 0;
	if (text[0] == '\0')
		return proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != IPPROTO_SCTP;
	number = strtoul(text, &end, 10);
	if (icmp && *end == '/' && isdigit((unsigned char)end[1]))
		code = strtoul(end + 1, &end, 10);
	*port = (uint16_t)(icmp ? number << 8 | (code & 255) : number);
	return isdigit((unsigned char)text[0]) && *end == '\0' && number <= most && code <= 255;
}

static int read_line(struct table *t, unsigned number, char *text)
{
	struct policy_line *line;
	char *parts[COLUMNS] = { 0 };
	size_t n = cut(text, parts);

	if (n != COLUMNS)
		return cli_usage("%s:%u: %zu columns: a line has src,dst,proto,port,allowed",
			t->file, number, n);
	if (t->count == t->room) {
		t->room = t->room == 0 ? 64 : t->room * 2;
		line = realloc(t->lines, t->room * sizeof(*line));
		if (line == NULL)
			return cli_usage("out of memory");
		t->lines = line;
	}
	line = &t->lines[t->count];
	*line = (struct policy_line){ .line = number, .src = parts[0], .dst = parts[1] };
	for (size_t i = 0; i < 2; i++) {
		if (parts[i][0] == '\0')
			return refuse(
				t, number, columns[i], "expected namespace/pod or an address", "");
	}
	if (!read_proto(parts[2], &line->proto))
		return refuse(t, number, "proto",
			"expected TCP, UDP, SCTP, ICMP, ICMPv6 or a number from 1 to 255",
			parts[2]);
	if (!read_port(parts[3], line->proto, &line->port))
		return refuse(
			t, number, "port", "expected a port (ICMP: TYPE or TYPE/CODE)", parts[3]);
	line->allowed = strcasecmp(parts[4], "true") == 0;
	if (!line->allowed && strcasecmp(parts[4], "false") != 0)
		return refuse(t, number, "allowed", "expected true or false", parts[4]);
	t->count++;
	return 0;
}

static int read_header(const struct table *t, unsigned number, char *text)
{
	char *parts[COLUMNS] = { 0 };
	size_t n = cut(text, parts);

	for (size_t i = 0; i < COLUMNS; i++) {
		if (i >= n || strcasecmp(parts[i], columns[i]) != 0 || n > COLUMNS)
			return cli_usage("%s:%u: the first line must be src,dst,proto,port,allowed",
				t->file, number);
	}
	return 0;
}

/** Blank lines and those that begin with # mean nothing. @return 0, or an exit code after a message. */
static int read_table(struct table *t)
{
	bool header = false;
	unsigned number = 0;
	char *rest, *text;
	int code = 0;

	t->text = cli_read_file(t->file);
	if (t->text == NULL)
		return cli_usage("%s: %s", t->file, strerror(errno));
	rest = t->text;
	if (strncmp(rest, "\xef\xbb\xbf", 3) == 0)
		rest += 3;
	while (code == 0 && (text = strsep(&rest, "\n")) != NULL) {
		number++;
		text = trim(text);
		if (text[0] == '\0' || text[0] == '#')
			continue;
		code = header ? read_line(t, number, text) : read_header(t, number, text);
		header = true;
	}
	if (code == 0 && !header)
		return cli_usage(
			"%s: empty: the first line must be src,dst,proto,port,allowed", t->file);
	return code;
}

/* --- the policies in force ---------------------------------------------------------------------------------------- */

/** "ingress of db/main: tier default, policy main.db, rule ingress[0]". */
static char *decided_by(const struct policy_line *line, const json_t *answer)
{
	const json_t *ingress = json_object_get(answer, "ingress"),
		     *egress = json_object_get(answer, "egress"), *end = ingress, *rule;
	char *text = NULL;

	if (!json_is_object(ingress) ||
		(json_is_object(egress) && json_is_false(json_object_get(egress, "allowed"))) ||
		(!json_is_object(json_object_get(ingress, "rule")) &&
			json_is_object(json_object_get(egress, "rule"))))
		end = egress;
	rule = json_object_get(end, "rule");
	if (!json_is_object(rule))
		return strdup(json_is_object(end) ? "no policy selects either end"
						  : "neither end is on this node");
	if (json_string_length(json_object_get(rule, "policy")) == 0)
		return asprintf(&text, "%s of %s: the end of tier %s",
			       end == egress ? "egress" : "ingress",
			       end == egress ? line->src : line->dst,
			       json_string_value(json_object_get(rule, "tier"))) < 0
			       ? NULL
			       : text;
	if (asprintf(&text, "%s of %s: tier %s, policy %s, rule %s",
		    end == egress ? "egress" : "ingress", end == egress ? line->src : line->dst,
		    json_string_value(json_object_get(rule, "tier")),
		    json_string_value(json_object_get(rule, "policy")),
		    json_string_value(json_object_get(rule, "rule"))) < 0)
		return NULL;
	return text;
}

static int explain_refusal(const struct table *t, int status, const json_t *problem)
{
	const char *path = json_string_value(json_object_get(problem, "path")),
		   *slash = path != NULL ? strchr(path, '/') : NULL;
	const char *detail = json_string_value(json_object_get(problem, "detail"));
	size_t index = slash != NULL ? strtoul(path, NULL, 10) : SIZE_MAX;

	if (index < t->count && detail != NULL)
		return cli_usage(
			"%s:%u: column %s: %s", t->file, t->lines[index].line, slash + 1, detail);
	client_explain(status, problem);
	return CLI_USAGE;
}

static int ask_daemon(struct cli *cli, struct table *t)
{
	json_t *questions = json_array(), *answers = NULL;
	int status;

	for (size_t i = 0; i < t->count; i++) {
		const struct policy_line *line = &t->lines[i];

		json_array_append_new(questions,
			json_pack("{s:s, s:s, s:i, s:i}", "src", line->src, "dst", line->dst,
				"proto", (int)line->proto, "port", (int)line->port));
	}
	status = client_try(cli->client, "POST", "/v1/policy-test", questions, &answers);
	json_decref(questions);
	if (status == 200) {
		for (size_t i = 0; i < t->count; i++) {
			const json_t *answer = json_array_get(answers, i);

			t->lines[i].got = json_is_true(json_object_get(answer, "allowed"));
			if (t->lines[i].got != t->lines[i].allowed)
				t->lines[i].by = decided_by(&t->lines[i], answer);
		}
	} else if (status > 0) {
		explain_refusal(t, status, answers);
	}
	json_decref(answers);
	return status < 0 ? CLI_UNREACHABLE : status == 200 ? CLI_OK : CLI_USAGE;
}

/* --- the policies of files ---------------------------------------------------------------------------------------- */

static int judge_files(struct table *t, char **files, int count)
{
	struct import import;
	struct error err = { 0 };
	struct offline *offline = NULL;
	int code = CLI_USAGE;

	if (import_init(&import) < 0)
		return cli_usage("out of memory");
	import.without_address = true;
	if (policy_read_files(&import, files, count) == 0) {
		policy_print_notes(&import);
		offline = offline_new(&import, &err);
		code = offline != NULL ? CLI_OK : cli_usage("%s", err.text);
	}
	for (size_t i = 0; code == CLI_OK && i < t->count; i++) {
		if (offline_judge(offline, &t->lines[i], &err) < 0)
			code = cli_usage("%s:%u: column %s: %s", t->file, t->lines[i].line,
				err.path, err.text);
	}
	offline_free(offline);
	import_free(&import);
	return code;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void print_port(const struct policy_line *line, char *buf, size_t size)
{
	const char *name = line->proto == IPPROTO_TCP	 ? "TCP"
			   : line->proto == IPPROTO_UDP	 ? "UDP"
			   : line->proto == IPPROTO_SCTP ? "SCTP"
							 : NULL;

	if (name != NULL)
		snprintf(buf, size, "%s %u", name, line->port);
	else if (line->proto == IPPROTO_ICMP || line->proto == IPPROTO_ICMPV6)
		snprintf(buf, size, "%s type %u code %u",
			line->proto == IPPROTO_ICMP ? "ICMP" : "ICMPv6", line->port >> 8,
			line->port & 255u);
	else
		snprintf(buf, size, "protocol %u", line->proto);
}

static int report(const struct cli *cli, const struct table *t)
{
	json_t *list = json_array();
	size_t differ = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct policy_line *line = &t->lines[i];
		char port[48];

		if (line->got == line->allowed)
			continue;
		differ++;
		print_port(line, port, sizeof(port));
		if (!cli->json)
			printf("%s:%u: %s -> %s %s: expected %s, is %s by %s\n", t->file,
				line->line, line->src, line->dst, port,
				line->allowed ? "allowed" : "denied",
				line->got ? "allowed" : "denied",
				line->by != NULL ? line->by : "?");
		else
			json_array_append_new(
				list, json_pack("{s:i, s:s, s:s, s:i, s:i, s:b, s:b, s:s?}", "line",
					      (int)line->line, "src", line->src, "dst", line->dst,
					      "proto", (int)line->proto, "port", (int)line->port,
					      "expected", (int)line->allowed, "allowed",
					      (int)line->got, "by", line->by));
	}
	if (cli->json) {
		json_t *doc =
			json_pack("{s:I, s:O}", "lines", (json_int_t)t->count, "differences", list);

		cli_print_json(doc);
		json_decref(doc);
	} else {
		printf("%zu connections, %zu differ\n", t->count, differ);
	}
	json_decref(list);
	return differ > 0 ? CLI_REFUSED : CLI_OK;
}

/** Files after --objects, however many, until the next option: `--objects a.yaml b.yaml`. */
int policy_test(struct cli *cli, int argc, char **argv)
{
	struct table table = { 0 };
	char **files = calloc((size_t)argc + 1, sizeof(*files));
	int n_files = 0, code = files != NULL ? CLI_OK : cli_usage("out of memory");
	bool objects = false;

	for (int i = 1; i < argc && code == CLI_OK; i++) {
		if (strcmp(argv[i], "--objects") == 0 || strcmp(argv[i], "-o") == 0)
			objects = true;
		else if (strncmp(argv[i], "--objects=", 10) == 0)
			files[n_files++] = argv[i] + 10;
		else if (argv[i][0] == '-' && argv[i][1] != '\0')
			code = cli_usage("policy test: there is no option %s", argv[i]);
		else if (table.file == NULL && !objects)
			table.file = argv[i];
		else if (objects)
			files[n_files++] = argv[i];
		else
			code = cli_extra("policy", argv[i]);
	}
	if (code == CLI_OK && table.file == NULL)
		code = cli_usage("policy test needs a table first: podlane policy test TABLE.csv "
				 "[--objects FILE ...]");
	if (code == CLI_OK && objects && n_files == 0)
		code = cli_usage("--objects needs a file");
	if (code == CLI_OK)
		code = read_table(&table);
	if (code == CLI_OK)
		code = n_files > 0 ? judge_files(&table, files, n_files) : ask_daemon(cli, &table);
	if (code == CLI_OK)
		code = report(cli, &table);
	for (size_t i = 0; i < table.count; i++)
		free(table.lines[i].by);
	free(table.lines);
	free(table.text);
	free(files);
	return code;
}
