/* SPDX-License-Identifier: Apache-2.0 */
#include "vxlan/tunnel.h"

const struct tunnel_ops *const tunnel_types[] = {
	&vxlan_tunnel_ops,
	&ipip_tunnel_ops,
	NULL,
};
