/* SPDX-License-Identifier: Apache-2.0 */
/** The kernel's VLAN interface on another one, by rtnetlink. Control thread; waits for the kernel's answer and nothing else. */
#ifndef DATAPLANE_KERNEL_VLAN_H
#define DATAPLANE_KERNEL_VLAN_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

/** "eth0.100". @return false when that is too long for an interface's name. */
bool kernel_vlan_name(const char *parent, uint16_t vlan, char name[IFNAMSIZ]);
/** Make it, up. It goes with its parent. 0 or -errno. */
int kernel_vlan_add(const char *parent, uint16_t vlan, const char *name);

#endif
