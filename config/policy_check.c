/* SPDX-License-Identifier: Apache-2.0 */
/* Relations between the fields of one object of those that policies are made of. */
#include "config/object.h"

int namespace_check(struct object *obj, struct error *err)
{
	(void)obj;
	(void)err;
	return 0;
}

int endpoint_check(struct object *obj, struct error *err)
{
	(void)obj;
	(void)err;
	return 0;
}

int set_check(struct object *obj, struct error *err)
{
	(void)obj;
	(void)err;
	return 0;
}

int tier_check(struct object *obj, struct error *err)
{
	(void)obj;
	(void)err;
	return 0;
}

int policy_check(struct object *obj, struct error *err)
{
	(void)obj;
	(void)err;
	return 0;
}
