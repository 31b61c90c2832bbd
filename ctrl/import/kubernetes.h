/* SPDX-License-Identifier: Apache-2.0 */
/** Objects of Kubernetes as objects of Podlane: Namespace, Pod and Node (core v1), NetworkPolicy (networking.k8s.io/v1) and
 * ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), alone or in lists. Policies are read strictly: a field that is
 * unknown or cannot be honoured is refused. Of pods and nodes only what policies can see is read. Clients; pure but for memory.
 *
 *   Namespace             namespace
 *   Pod                   endpoint NAMESPACE.NAME, or the labels and named ports of the pod that this node has
 *   Node                  endpoint of kind node
 *   NetworkPolicy         policy NAMESPACE.NAME in tier default
 *   ClusterNetworkPolicy  policy cluster_NAME in tier kube-admin (before default) or kube-baseline (after it); both pass
 *
 * Peers of different forms, and protocols, become rules of their own.
 */
#ifndef CTRL_IMPORT_KUBERNETES_H
#define CTRL_IMPORT_KUBERNETES_H

#include "config/model.h"

#include <jansson.h>

/* Where an error is: "document 3, NetworkPolicy web/deny: spec.ingress[0]: ...". */
struct import_place {
	const char *file;
	size_t document; /* from 1 */
	char what[384];	 /* "NetworkPolicy web/deny" */
};

struct import {
	json_t *objects; /* [{type, object}], in the order of the files */
	json_t *seen;	 /* "type/name" of them: the object */
	json_t *notes;	 /* texts: what was left out, and why */
	json_t *pods; /* {"namespace/name": {node, host_ips, addresses}}, those with addresses only */
	json_t *nodes;	      /* {"name": [addresses]} */
	bool without_address; /* endpoints of pods that have no address yet are made, without addresses */
	struct error *err;
	struct import_place at;
};

int import_init(struct import *import); /* 0 or -ENOMEM */
void import_free(struct import *import);
/** Read all documents of a text. @return 0, or -EINVAL with err; objects read before stay. */
int import_text(
	struct import *import, const char *file, const char *text, size_t len, struct error *err);

/* --- for the readers of the kinds ------------------------------------------------------------------------------- */

#define IMPORT_PATH_MAX 160
/** Refuse a field: path "spec.ingress[0]", or "". @return -EINVAL. */
int import_error(struct import *import, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void import_note(struct import *import, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Takes the object. The same one again is left out, another of its name refused. @return 0, -EINVAL or -ENOMEM. */
int import_add(struct import *import, enum object_type type, json_t *object);

/** The member of an object, of a JSON type or absent (null is as absent): NULL. *ret is set after a refusal. */
json_t *import_member(struct import *import, const json_t *object, const char *path,
	const char *name, json_type type, int *ret);
/** Refuse members that are not in the NULL-terminated list. */
int members_only(
	struct import *import, const json_t *object, const char *path, const char *const *known);
/** "path.name" into buf. @return buf. */
const char *join(char *buf, const char *path, const char *name);
const char *join_index(char *buf, const char *path, size_t index);
/** A LabelSelector as text; everything = "all()". A string to free, NULL after a refusal. */
char *selector_text(struct import *import, const json_t *selector, const char *path);

const char *metadata_name(const json_t *doc);	   /* never NULL once import_text has checked it */
const char *metadata_namespace(const json_t *doc); /* "default" if there is none */
/** Labels as ["key=value"]; new reference, NULL after a refusal. */
json_t *metadata_labels(struct import *import, const json_t *doc);

/* The kinds: 0, -EINVAL or -ENOMEM. */
int import_namespace(struct import *import, const json_t *doc);
int import_pod(struct import *import, const json_t *doc);
int import_node(struct import *import, const json_t *doc);
int import_network_policy(struct import *import, const json_t *doc);
int import_cluster_policy(struct import *import, const json_t *doc);

/** A network in CIDR form, host bits cleared, as a new string value; NULL after a refusal. prefix may be NULL. */
json_t *network(
	struct import *import, const json_t *value, const char *path, struct ip_prefix *prefix);
/** peers x matches as rules into `rules`: each is base, updated by a peer (an object of rule fields) and a match. Empty lists
 * stand for any. @return 0 or -ENOMEM. */
int multiply(json_t *rules, const json_t *base, const json_t *peers, const json_t *matches);

#endif
