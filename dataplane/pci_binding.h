/* SPDX-License-Identifier: Apache-2.0 */
/** Whether DPDK can have a PCI device, from what sysfs says before anything is probed: DPDK's own answer to a device that
 * is bound to the wrong driver is that there is none. Control thread only.
 */
#ifndef DATAPLANE_PCI_BINDING_H
#define DATAPLANE_PCI_BINDING_H

#include "config/error.h"

#include <stdbool.h>

/** `sysfs` is "/sys", or a tree like it; `address` is complete ("0000:01:00.0"); `port` is for messages, which say which
 * driver has the device and the command that gives it to DPDK. Physical and virtual functions alike.
 * @return 0, -ENODEV (no such device, or no NIC), -EBUSY (bound to a driver of the kernel's, or none), -ENXIO (vfio-pci
 * without an IOMMU). */
int pci_binding_check(const char *sysfs, const char *address, const char *port, struct error *err);

/** May vfio-pci have devices without an IOMMU (enable_unsafe_noiommu_mode)? They then need physical addresses. */
bool vfio_without_iommu(const char *sysfs);

#endif
