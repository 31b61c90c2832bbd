/* SPDX-License-Identifier: Apache-2.0 */
/** The check of a PCI device's driver, over trees made to look like sysfs. */
#include "dataplane/pci_binding.h"
#include "tests/unit/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NIC "0000:01:00.0"
#define VF  "0000:01:10.2"

static char root[64];

/** A command of the shell, in the tree. */
static void make(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd '%s' && %s", root, command);
	CU_ASSERT_EQUAL_FATAL(system(line), 0);
}

static void begin(void)
{
	strcpy(root, "/tmp/podlane-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(root));
	make("mkdir -p bus/pci/devices bus/pci/drivers/ixgbe bus/pci/drivers/vfio-pci "
	     "bus/pci/drivers/mlx5_core "
	     "kernel/iommu_groups/7 module/vfio/parameters");
	make("mkdir -p bus/pci/devices/" NIC " && echo 0x020000 >bus/pci/devices/" NIC "/class");
	make("mkdir -p bus/pci/devices/" VF " && echo 0x020000 >bus/pci/devices/" VF
	     "/class && ln -s ../" NIC " bus/pci/devices/" VF "/physfn");
}

static void end(void)
{
	char line[128];

	snprintf(line, sizeof(line), "rm -r '%s'", root);
	CU_ASSERT_EQUAL(system(line), 0);
}

static void bind(const char *device, const char *driver)
{
	char line[256];

	snprintf(line, sizeof(line), "ln -sfn ../../drivers/%s bus/pci/devices/%s/driver", driver,
		device);
	make(line);
}

static void expect(const char *device, int ret, const char *words)
{
	struct error err = { 0 };

	CU_ASSERT_EQUAL(pci_binding_check(root, device, "eth0", &err), ret);
	if (strstr(err.text, words) == NULL) {
		printf("\n%s\n", err.text);
		CU_FAIL("the message says something else");
	}
	CU_ASSERT_TRUE(strlen(err.text) < sizeof(err.text) - 1);
}

static void no_device(void)
{
	begin();
	expect("0000:02:00.0", -ENODEV, "there is no PCI device 0000:02:00.0");
	make("echo 0x010802 >bus/pci/devices/" NIC "/class");
	expect(NIC, -ENODEV, "is no network device (class 0x010802)");
	end();
}

static void wrong_driver(void)
{
	begin();
	expect(NIC, -EBUSY,
		"is bound to no driver: give it to DPDK with `driverctl set-override " NIC
		" vfio-pci`");
	bind(NIC, "ixgbe");
	expect(NIC, -EBUSY, "is in use by kernel driver ixgbe: give it");
	make("mkdir -p bus/pci/devices/" NIC "/net/enp1s0f0");
	expect(NIC, -EBUSY, "is in use by kernel driver ixgbe as interface enp1s0f0: give it");
	expect(NIC, -EBUSY, "`modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci " NIC "`");
	make("rmdir bus/pci/devices/" NIC "/net/enp1s0f0 && mkdir -p bus/pci/devices/" NIC
	     "/virtio3/net/eth7");
	bind(NIC, "virtio-pci");
	expect(NIC, -EBUSY, "is in use by kernel driver virtio-pci as interface eth7: give it");
	bind(VF, "ixgbe");
	expect(VF, -EBUSY, VF ", a virtual function of " NIC " is in use by kernel driver ixgbe:");
	end();
}

static void right_driver(void)
{
	begin();
	bind(NIC, "mlx5_core"); /* shares it with DPDK */
	make("mkdir -p bus/pci/devices/" NIC "/net/enp1s0f0");
	expect(NIC, 0, "");
	bind(VF, "vfio-pci");
	expect(VF, -ENXIO, "there is no IOMMU: boot with intel_iommu=on iommu=pt");
	make("echo N >module/vfio/parameters/enable_unsafe_noiommu_mode");
	expect(VF, -ENXIO, "enable_unsafe_noiommu_mode");
	make("echo Y >module/vfio/parameters/enable_unsafe_noiommu_mode");
	expect(VF, 0, "");
	make("echo N >module/vfio/parameters/enable_unsafe_noiommu_mode");
	make("ln -s ../../../../kernel/iommu_groups/7 bus/pci/devices/" VF "/iommu_group");
	expect(VF, 0, "");
	end();
}

static const struct test_case cases[] = {
	{ "no device", no_device },
	{ "wrong driver", wrong_driver },
	{ "right driver", right_driver },
};

SUITE_MAIN("pci binding", cases)
