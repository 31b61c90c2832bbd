/* SPDX-License-Identifier: Apache-2.0 */
#include "ctrl/daemon/api.h"

const struct http_endpoint *const api_tables[] = { object_endpoints, transaction_endpoints,
	daemon_endpoints, upgrade_endpoints, state_endpoints, observe_endpoints, metrics_endpoints,
	NULL };
