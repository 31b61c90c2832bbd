/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/drop.h"

static const struct {
	const char *name;
	const char *text;
} drop_reasons[DROP_REASON_COUNT] = { [DROP_NONE] = { "none", "not dropped" },
#define X(name, text) [DROP_##name] = { #name, text },
	DROP_REASONS(X)
#undef X
};

const char *drop_reason_name(enum drop_reason reason)
{
	return (size_t)reason < DROP_REASON_COUNT ? drop_reasons[reason].name : "unknown";
}

const char *drop_reason_text(enum drop_reason reason)
{
	return (size_t)reason < DROP_REASON_COUNT ? drop_reasons[reason].text : "unknown reason";
}
