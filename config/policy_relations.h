/* SPDX-License-Identifier: Apache-2.0 */
/** What policies, sets, tiers and endpoints need of other objects: parts of changeset_validate. Control thread only;
 * private to config/. Functions return 0, or -EINVAL with err filled.
 */
#ifndef CONFIG_POLICY_RELATIONS_H
#define CONFIG_POLICY_RELATIONS_H

#include "config/conflict.h"

/** Its tier and the sets of its rules are there. */
int check_policy(struct check *c);
/** Its addresses are nobody else's. */
int check_endpoint(struct check *c);
/** No policy names a tier or a set that goes. */
int check_policy_unreferenced(const struct check *c);

#endif
