/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pcapng.h"

#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	LINK_ETHERNET = 1,
	OPTION_END = 0,
	OPTION_COMMENT = 1,
	OPTION_USER_APPLICATION = 4,
	OPTION_INTERFACE_NAME = 2,
	OPTION_TIME_RESOLUTION = 9,
};

/** Appends to a block; `ok` turns false when it would not fit. */
struct writer {
	uint8_t *at, *end;
	int ok;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
	if ((size_t)(w->end - w->at) < len) {
		w->ok = 0;
		return;
	}
	memcpy(w->at, bytes, len);
	w->at += len;
}

static void put16(struct writer *w, uint16_t v)
{
	put(w, &v, sizeof(v));
}

static void put32(struct writer *w, uint32_t v)
{
	put(w, &v, sizeof(v));
}

static void pad(struct writer *w, size_t len)
{
	static const uint8_t zero[4];

	put(w, zero, (4 - len % 4) % 4);
}

static void option(struct writer *w, uint16_t code, const void *value, size_t len)
{
	put16(w, code);
	put16(w, (uint16_t)len);
	put(w, value, len);
	pad(w, len);
}

/** Both length fields of the block that began at `start`. */
static void finish(struct writer *w, uint8_t *start)
{
	uint32_t len = (uint32_t)(w->at - start) + 4;

	put32(w, len);
	if (w->ok)
		memcpy(start + 4, &len, sizeof(len));
}

static void interface_block(struct writer *w, uint16_t link, const char *name)
{
	uint8_t *start = w->at, nanoseconds = 9;

	put32(w, BLOCK_INTERFACE);
	put32(w, 0);
	put16(w, link);
	put16(w, 0);
	put32(w, 0); /* no length limit */
	option(w, OPTION_INTERFACE_NAME, name, strlen(name));
	option(w, OPTION_TIME_RESOLUTION, &nanoseconds, 1);
	put32(w, OPTION_END);
	finish(w, start);
}

size_t pcapng_header(uint8_t *buf, size_t size)
{
	struct writer w = { buf, buf + size, 1 };
	int64_t unknown_length = -1;

	put32(&w, BLOCK_SECTION);
	put32(&w, 0);
	put32(&w, BYTE_ORDER_MAGIC);
	put16(&w, 1);
	put16(&w, 0);
	put(&w, &unknown_length, sizeof(unknown_length));
	option(&w, OPTION_USER_APPLICATION, "podlane", 7);
	put32(&w, OPTION_END);
	finish(&w, buf);
	interface_block(&w, LINK_ETHERNET, "ethernet");
	return w.ok ? (size_t)(w.at - buf) : 0;
}

size_t pcapng_packet(uint8_t *buf, size_t size, uint64_t time_ns, const uint8_t *bytes,
	uint32_t captured, uint32_t length, const char *comment)
{
	struct writer w = { buf, buf + size, 1 };

	put32(&w, BLOCK_PACKET);
	put32(&w, 0);
	put32(&w, 0); /* the interface */
	put32(&w, (uint32_t)(time_ns >> 32));
	put32(&w, (uint32_t)time_ns);
	put32(&w, captured);
	put32(&w, length);
	put(&w, bytes, captured);
	pad(&w, captured);
	option(&w, OPTION_COMMENT, comment, strlen(comment));
	put32(&w, OPTION_END);
	finish(&w, buf);
	return w.ok ? (size_t)(w.at - buf) : 0;
}
