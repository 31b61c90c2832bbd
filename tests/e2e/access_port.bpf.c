/* SPDX-License-Identifier: Apache-2.0 */
/** An access port of a switch, for the port's clsact: frames that come in get the tag of VLAN 100, those that go out lose it, and
 * no other ones go out. What a bridge with VLAN filtering does, for kernels that have none; by the kernel's own handling
 * of tags. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#define VLAN		100
#define SECTION(name)	__attribute__((section(name), used))
#define BIG_ENDIAN16(x) __builtin_bswap16(x)

static long (*const vlan_push)(
	struct __sk_buff *skb, __u16 proto, __u16 tci) = (void *)BPF_FUNC_skb_vlan_push;
static long (*const vlan_pop)(struct __sk_buff *skb) = (void *)BPF_FUNC_skb_vlan_pop;

SECTION("push") int access_in(struct __sk_buff *skb)
{
	return vlan_push(skb, BIG_ENDIAN16(ETH_P_8021Q), VLAN) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

SECTION("pop") int access_out(struct __sk_buff *skb)
{
	if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != VLAN ||
		skb->vlan_proto != BIG_ENDIAN16(ETH_P_8021Q))
		return TC_ACT_SHOT;
	return vlan_pop(skb) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

SECTION("license") char license_text[] = "Dual BSD/GPL";
