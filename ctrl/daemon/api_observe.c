/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

#include "ctrl/daemon/protocol.h"
#include "dataplane/observe.h"
#include "dataplane/policies.h"
#include "dataplane/worker.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <rte_cycles.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRACE_COUNT   10
#define TRACE_SECONDS 10
#define SECONDS_MAX   3600
#define POLL_MS	      50
#define BACKLOG_MAX   (64u << 20) /* bytes a client may leave unread before its capture ends */

/* Explain. */

static int read_port(const json_t *json, const char *name, uint16_t *value, struct error *err)
{
	const json_t *member = json_object_get(json, name);

	if (member == NULL)
		return 0;
	if (!json_is_integer(member) || json_integer_value(member) < 0 ||
		json_integer_value(member) > UINT16_MAX)
		return error_set(err, EINVAL, name, "%s must be a number from 0 to 65535", name);
	*value = (uint16_t)json_integer_value(member);
	return 0;
}

static int read_address(
	const json_t *json, const char *name, struct ip_addr *addr, struct error *err)
{
	const char *text = json_string_value(json_object_get(json, name));

	if (text == NULL)
		return error_set(err, EINVAL, name,
			"%s is missing: expected an IP address as a string", name);
	if (ip_addr_parse(text, addr) < 0)
		return error_set(
			err, EINVAL, name, "%s \"%.60s\" is not an IP address", name, text);
	return 0;
}

static int read_protocol(const json_t *json, struct explain_request *request, struct error *err)
{
	const json_t *member = json_object_get(json, "proto");
	int proto = request->src.family == IP_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;

	if (json_is_integer(member))
		proto = json_integer_value(member) >= 0 && json_integer_value(member) <= 255
				? (int)json_integer_value(member)
				: -1;
	else if (member != NULL)
		proto = json_is_string(member) ? protocol_parse(json_string_value(member)) : -1;
	if (proto < 0)
		return error_set(err, EINVAL, "proto",
			"proto must be \"tcp\", \"udp\", \"sctp\", \"icmp\", \"icmp6\" or a number "
			"from 0 to 255");
	request->proto = (uint8_t)proto;
	return 0;
}

static int check_keys(const json_t *json, const char *const *known, struct error *err)
{
	const char *key;
	const json_t *value;

	if (!json_is_object(json))
		return error_set(err, EINVAL, NULL, "the body must be a JSON object");
	json_object_foreach ((json_t *)json, key, value) {
		const char *const *k = known;

		while (*k != NULL && strcmp(*k, key) != 0)
			k++;
		if (*k == NULL)
			return error_set(err, EINVAL, key, "unknown member \"%.40s\"", key);
	}
	return 0;
}

static int read_explain(const json_t *json, struct explain_request *request, struct error *err)
{
	static const char *const known[] = { "from", "src", "dst", "proto", "sport", "dport",
		"length", NULL };
	int ret = check_keys(json, known, err);

	request->from = json_string_value(json_object_get(json, "from"));
	if (ret == 0 && request->from == NULL)
		ret = error_set(err, EINVAL, "from",
			"from is missing: expected the name of a port such as \"pod:web-1\", or "
			"\"tunnel\"");
	if (ret == 0)
		ret = read_address(json, "src", &request->src, err);
	if (ret == 0)
		ret = read_address(json, "dst", &request->dst, err);
	if (ret == 0 && request->src.family != request->dst.family)
		ret = error_set(err, EINVAL, "dst", "src and dst must be of one family");
	if (ret == 0)
		ret = read_protocol(json, request, err);
	if (ret == 0)
		ret = read_port(json, "sport", &request->sport, err);
	if (ret == 0)
		ret = read_port(json, "dport", &request->dport, err);
	return ret == 0 ? read_port(json, "length", &request->length, err) : ret;
}

static int explain(struct request *req, struct error *err)
{
	struct explain_request request = { 0 };
	json_t *body = NULL, *answer;
	int ret = request_body_json(req, &body, err);

	if (ret == 0)
		ret = read_explain(body, &request, err);
	if (ret == 0)
		ret = dataplane_explain(&request, &answer, err);
	json_decref(body);
	/* A port that is not there is wrong content, not a wrong URL. */
	if (ret == -ENOENT)
		ret = -EINVAL;
	if (ret == 0)
		reply_json(req, 200, answer);
	return ret;
}

/* Trace and capture: a reply that goes on for a while. One at a time, as the data plane has one
 * observer. */

struct stream {
	struct evhttp_request *ev;
	struct watch *ready, *poll, *end;
	bool trace;
	bool closed; /* by the client */
};
static struct stream *stream;

static void stream_end(void)
{
	struct stream *s = stream;

	stream = NULL;
	observe_stop();
	watch_free(s->ready);
	watch_free(s->poll);
	watch_free(s->end);
	if (!s->closed) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(s->ev), NULL, NULL);
		evhttp_send_reply_end(s->ev);
	} else if (s->ev != NULL && evhttp_request_get_connection(s->ev) == NULL) {
		/* The client went away and left the request to us; this frees it. */
		evhttp_send_reply_end(s->ev);
	}
	free(s);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
	(void)connection;
	(void)arg;
	if (stream == NULL)
		return;
	stream->closed = true;
	stream_end();
}

static void write_trace(uint64_t tsc, const char *steps, void *arg)
{
	json_t *list = json_array(), *line;
	char *text;

	while (*steps != '\0') {
		size_t len = strcspn(steps, "\n"), stage = strcspn(steps, "\t\n");
		size_t gap = stage < len ? 1 : 0;

		json_t *step = json_pack("{s:s%, s:s%}", "stage", steps, stage, "text",
			steps + stage + gap, len - stage - gap);
		char rule[RULE_TEXT_MAX];

		/* Workers know rules by number. */
		if (strncmp(steps, "rule\t", 5) == 0)
			json_object_set_new(step, "text",
				json_string(
					forwarding_rule_text((uint32_t)strtoul(steps + 5, NULL, 10),
						rule, sizeof(rule))));
		json_array_append_new(list, step);
		steps += len + (steps[len] == '\n');
	}
	line = json_pack("{s:f, s:o}", "time_us", (double)tsc / ((double)rte_get_tsc_hz() / 1e6),
		"steps", list);
	text = json_dumps(line, JSON_COMPACT);
	if (text != NULL)
		evbuffer_add_printf(arg, "%s\n", text);
	free(text);
	json_decref(line);
}

static void write_capture(const void *bytes, size_t len, void *arg)
{
	evbuffer_add(arg, bytes, len);
}

/** Hand on what there is. */
static void drain(struct stream *s)
{
	struct evbuffer *chunk = evbuffer_new();

	if (chunk == NULL)
		return;
	if (s->trace)
		trace_drain(write_trace, chunk);
	else
		capture_drain(write_capture, chunk);
	if (evbuffer_get_length(chunk) > 0)
		evhttp_send_reply_chunk(s->ev, chunk);
	evbuffer_free(chunk);
}

static void on_poll(void *arg)
{
	struct bufferevent *bev;

	(void)arg;
	drain(stream);
	bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(stream->ev));
	if (observe_done()) {
		drain(stream);
		stream_end();
	} else if (evbuffer_get_length(bufferevent_get_output(bev)) > BACKLOG_MAX) {
		stream_end();
	}
}

static void on_ready(void *arg)
{
	uint64_t events;

	/* Without the descriptor there still is the timer. */
	if (read(observe_event_fd(), &events, sizeof(events)) < 0 && errno != EAGAIN) {
		watch_free(stream->ready);
		stream->ready = NULL;
	}
	on_poll(arg);
}

static void on_time(void *arg)
{
	(void)arg;
	drain(stream);
	stream_end();
}

static int stream_start(
	struct request *req, const struct observe_conf *conf, uint64_t seconds, struct error *err)
{
	struct event_base *base = request_api(req)->base;
	struct stream *s;
	int ret;

	if (stream != NULL)
		return error_set(err, EBUSY, NULL,
			"somebody is watching packets already: one trace or capture at a time");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return error_set(err, ENOMEM, NULL, "out of memory");
	ret = observe_start(conf, err);
	if (ret < 0) {
		free(s);
		return ret;
	}
	stream = s;
	s->ev = req->ev;
	s->trace = conf->trace;
	s->ready = watch_fd(base, observe_event_fd(), on_ready, NULL);
	s->poll = watch_timer(base, on_poll, NULL);
	s->end = watch_timer(base, on_time, NULL);
	if (s->ready == NULL || s->poll == NULL || s->end == NULL) {
		s->closed = true; /* nothing has been sent: the caller replies */
		s->ev = NULL;
		stream_end();
		return error_set(err, ENOMEM, NULL, "out of memory");
	}
	watch_every(s->poll, POLL_MS);
	if (seconds > 0)
		watch_after(s->end, seconds * 1000);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req->ev), on_closed, NULL);
	/* A quiet capture is not a dead connection. */
	evhttp_connection_set_timeout(evhttp_request_get_connection(req->ev), 86400);
	reply_header(
		req, "Content-Type", conf->trace ? "application/x-ndjson" : "application/x-pcapng");
	evhttp_send_reply_start(req->ev, 200, "OK");
	drain(s);
	return 0;
}

static int read_count(
	const json_t *json, const char *name, uint64_t max, uint64_t *value, struct error *err)
{
	const json_t *member = json_object_get(json, name);

	if (member == NULL)
		return 0;
	if (!json_is_integer(member) || json_integer_value(member) < 1 ||
		json_integer_value(member) > (json_int_t)max)
		return error_set(err, EINVAL, name, "%s must be a number from 1 to %llu", name,
			(unsigned long long)max);
	*value = (uint64_t)json_integer_value(member);
	return 0;
}

static int read_text(const json_t *json, const char *name, const char **value, struct error *err)
{
	const json_t *member = json_object_get(json, name);

	if (member != NULL && !json_is_string(member))
		return error_set(err, EINVAL, name, "%s must be a string", name);
	if (member != NULL)
		*value = json_string_value(member);
	return 0;
}

static int trace(struct request *req, struct error *err)
{
	static const char *const known[] = { "filter", "port", "count", "seconds", NULL };
	struct observe_conf conf = { .filter = "", .trace = true };
	uint64_t count = TRACE_COUNT, seconds = TRACE_SECONDS;
	json_t *body = NULL;
	int ret = request_body_json(req, &body, err);

	if (ret == 0)
		ret = check_keys(body, known, err);
	if (ret == 0)
		ret = read_text(body, "filter", &conf.filter, err);
	if (ret == 0)
		ret = read_text(body, "port", &conf.port, err);
	if (ret == 0)
		ret = read_count(body, "count", 1000, &count, err);
	if (ret == 0)
		ret = read_count(body, "seconds", SECONDS_MAX, &seconds, err);
	conf.count = (unsigned)count;
	if (ret == 0)
		ret = stream_start(req, &conf, seconds, err);
	json_decref(body);
	return ret == -ENOENT ? -EINVAL : ret;
}

static int read_points(const char *text, unsigned *points, struct error *err)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = { { "rx", OBSERVE_RX }, { "inner", OBSERVE_INNER }, { "tx", OBSERVE_TX },
		{ "drop", OBSERVE_DROP } };

	*points = 0;
	while (text != NULL && *text != '\0') {
		size_t len = strcspn(text, ","), i = 0;

		while (i < 4 &&
			(strlen(known[i].name) != len || memcmp(known[i].name, text, len) != 0))
			i++;
		if (i == 4)
			return error_set(err, EBADMSG, "points",
				"query parameter points: expected rx, inner, tx, drop, separated "
				"by commas");
		*points |= known[i].bit;
		text += len + (text[len] == ',');
	}
	if (*points == 0)
		*points = OBSERVE_RX | OBSERVE_TX | OBSERVE_DROP;
	return 0;
}

static int capture(struct request *req, struct error *err)
{
	struct observe_conf conf = { .filter = request_query(req, "filter"),
		.port = request_query(req, "port") };
	uint64_t count = 0, seconds = 0, snaplen = 0;
	int ret = read_points(request_query(req, "points"), &conf.points, err);

	if (conf.filter == NULL)
		conf.filter = "";
	if (ret == 0)
		ret = request_query_uint(req, "count", UINT32_MAX, &count, err);
	if (ret == 0)
		ret = request_query_uint(req, "seconds", SECONDS_MAX, &seconds, err);
	if (ret == 0)
		ret = request_query_uint(req, "snaplen", 65535, &snaplen, err);
	if (ret < 0)
		return ret;
	conf.count = (unsigned)count;
	conf.snaplen = (unsigned)snaplen;
	ret = stream_start(req, &conf, seconds, err);
	return ret == -ENOENT ? -EINVAL : ret;
}

static const struct parameter capture_query[] = {
	{ "filter", "{\"type\":\"string\"}", "As for tcpdump; all packets when absent." },
	{ "port", "{\"type\":\"string\"}", "Only packets of that port." },
	{ "points", "{\"type\":\"string\"}",
		"Where to look: rx, inner, tx, drop, separated by commas; rx,tx,drop." },
	{ "count", "{\"type\":\"integer\",\"minimum\":0}",
		"End after so many packets; 0 = no limit." },
	{ "seconds", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600}",
		"End after that time; 0 = when the client goes." },
	{ "snaplen", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":65535}",
		"Bytes kept of each packet; 0 = all." },
	{ NULL, NULL, NULL },
};

const struct http_endpoint observe_endpoints[] = {
	{ "POST", "/v1/explain", explain, "What would happen to a packet, step by step.", NULL,
		"Explain", NULL, NULL, 0 },
	{ "POST", "/v1/trace", trace,
		"Follow real packets through the stages; one line of JSON a packet as it happens.",
		NULL, "Trace", NULL, "application/x-ndjson", 0 },
	{ "GET", "/v1/capture", capture, "Copies of packets as a pcapng stream, for Wireshark.",
		capture_query, NULL, NULL, "application/x-pcapng", 0 },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0 },
};
