/* SPDX-License-Identifier: Apache-2.0 */
/** Between a kernel pod and the worker that serves it. The pod's interface is one end of a veth pair; the other, the host
 * end, is in the daemon's network namespace beside a TAP that the worker reads and writes:
 *
 *     pod: eth0 ---veth--- host end  --from_pod-->     TAP ---descriptor--- worker
 *                                    <--from_worker--
 *
 * What belongs to a flow that the daemon has given to the kernel (kernel_flow.h) goes its way from here, without TAP and worker.
 *
 * Both programs run at ingress (clsact) and send each packet out of the other interface, whole as it is: large segments stay
 * large, partial checksums partial. What cannot be sent on is dropped: no packet of a pod ever gets to this namespace's
 * own network stack, whatever forwarding, bridges or firewall it has.
 */
#include "dataplane/tc/pod.h"

#include "dataplane/tc/forward.bpf.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POD_LINKS_MAX);
	__type(key, __u32);
	__type(value, struct pod_link);
} links SEC(".maps");

/** To the other interface of the pod. */
static __always_inline int cross(const struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	const struct pod_link *link = bpf_map_lookup_elem(&links, &key);

	return link != NULL ? (int)bpf_redirect(link->ifindex, 0) : TC_ACT_SHOT;
}

SEC("tc")
int from_pod(struct __sk_buff *skb)
{
	const int action = forward(skb);

	return action != FORWARD_NOT ? action : cross(skb);
}

SEC("tc")
int from_worker(struct __sk_buff *skb)
{
	return cross(skb);
}

/* No helper in here is reserved to GPL programs. */
char _license[] SEC("license") = "Apache-2.0";
