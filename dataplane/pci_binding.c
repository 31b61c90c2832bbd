/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/pci_binding.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS_NETWORK \
	0x02u /* PCI Code and ID Assignment Specification: base class of network controllers */

struct pci_device {
	char dir[256];
	char driver[64];    /* "" = none */
	char interface[64]; /* of the kernel, "" = none */
	char parent[64];    /* physical function of a virtual one, "" = it is one itself */
	unsigned class;
	bool iommu;
};

/** The last component of what a link in the device's directory points to; "" when there is none. */
static void read_link(const struct pci_device *d, const char *name, char *out, size_t size)
{
	char path[320], target[PATH_MAX];
	const char *base;
	ssize_t n;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", d->dir, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(out, size, "%.*s", (int)size - 1, base != NULL ? base + 1 : target);
}

/** First line of a file; "" when it cannot be read. */
static void read_line(const char *path, char *out, int size)
{
	FILE *f = fopen(path, "re");

	out[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(out, size, f) == NULL)
		out[0] = '\0';
	fclose(f);
}

/** The first entry of a directory whose name begins with prefix. @return false when there is none. */
static bool first_entry(const char *path, const char *prefix, char *out, size_t size)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);
	bool found = false;

	while (dir != NULL && !found && (entry = readdir(dir)) != NULL) {
		found = entry->d_name[0] != '.' &&
			strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
		if (found)
			snprintf(out, size, "%.*s", (int)size - 1, entry->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

/** Of a virtio NIC it is the interface of the virtio device below the PCI device. */
static void read_interface(struct pci_device *d)
{
	char path[400], virtio[64];

	snprintf(path, sizeof(path), "%s/net", d->dir);
	if (first_entry(path, "", d->interface, sizeof(d->interface)) ||
		!first_entry(d->dir, "virtio", virtio, sizeof(virtio)))
		return;
	snprintf(path, sizeof(path), "%s/%s/net", d->dir, virtio);
	first_entry(path, "", d->interface, sizeof(d->interface));
}

static bool read_device(const char *sysfs, const char *address, struct pci_device *d)
{
	char path[320], text[64];

	memset(d, 0, sizeof(*d));
	snprintf(d->dir, sizeof(d->dir), "%.200s/bus/pci/devices/%.20s", sysfs, address);
	if (access(d->dir, F_OK) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/class", d->dir);
	read_line(path, text, sizeof(text));
	d->class = (unsigned)strtoul(text, NULL, 16);
	read_link(d, "driver", d->driver, sizeof(d->driver));
	read_link(d, "physfn", d->parent, sizeof(d->parent));
	read_link(d, "iommu_group", text, sizeof(text));
	d->iommu = text[0] != '\0';
	read_interface(d);
	return true;
}

bool vfio_without_iommu(const char *sysfs)
{
	char path[320], text[8];

	snprintf(path, sizeof(path), "%.200s/module/vfio/parameters/enable_unsafe_noiommu_mode",
		sysfs);
	read_line(path, text, sizeof(text));
	return text[0] == 'Y';
}

int pci_binding_check(const char *sysfs, const char *address, const char *port, struct error *err)
{
	/* The second group keeps its kernel driver beside DPDK's. */
	static const char *const usable[] = { "vfio-pci", "igb_uio", "uio_pci_generic", "mlx5_core",
		"mlx4_core", "mana" };
	struct pci_device d;
	bool bound = false;

	if (!read_device(sysfs, address, &d))
		return error_set(err, ENODEV, NULL,
			"port %s: there is no PCI device %s: see `lspci -D`", port, address);
	if (d.class >> 16 != CLASS_NETWORK)
		return error_set(err, ENODEV, NULL,
			"port %s: PCI device %s is no network device (class 0x%06x): see `lspci "
			"-D`",
			port, address, d.class);
	for (size_t i = 0; i < sizeof(usable) / sizeof(usable[0]); i++)
		bound = bound || strcmp(d.driver, usable[i]) == 0;
	if (!bound)
		return error_set(err, EBUSY, NULL,
			"port %s: PCI device %s%s%s is %s%s%s%s: give it to DPDK with `driverctl "
			"set-override %s vfio-pci` or "
			"`modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci %s`",
			port, address, d.parent[0] != '\0' ? ", a virtual function of " : "",
			d.parent,
			d.driver[0] != '\0' ? "in use by kernel driver " : "bound to no driver",
			d.driver, d.interface[0] != '\0' ? " as interface " : "", d.interface,
			address, address);
	if (strcmp(d.driver, "vfio-pci") == 0 && !d.iommu && !vfio_without_iommu(sysfs))
		return error_set(err, ENXIO, NULL,
			"port %s: PCI device %s is bound to vfio-pci, but there is no IOMMU: boot "
			"with intel_iommu=on iommu=pt (AMD: "
			"iommu=pt), or `echo 1 "
			">/sys/module/vfio/parameters/enable_unsafe_noiommu_mode` and bind it "
			"again",
			port, address);
	return 0;
}
