/* SPDX-License-Identifier: Apache-2.0 */
/** A configuration with one rule of a policy that is refused: see config_refusal.h. */
#ifndef TESTS_UNIT_POLICY_REFUSAL_H
#define TESTS_UNIT_POLICY_REFUSAL_H

#include "tests/unit/config_refusal.h"

#define SETS "sets: ( { name = \"offices\"; cidrs = [ \"198.51.100.0/24\" ]; } );\n"
#define RULE(fields) \
	A_NODE SETS "policies: ( { name = \"p\"; ingress = ( { }, {\n" fields "\n} ); } );\n"

#endif
