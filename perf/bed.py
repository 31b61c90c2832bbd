# SPDX-License-Identifier: Apache-2.0
"""The test bed of perf/compare: one job, its addresses, its ports, and the generator's ends of them.

A device under test has two ports of one kind. With `memif` and `vhost-user` it is the side that lives longer (server of the
memif, back end of the virtio device) and the generator joins; with `veth` it has one end of a pair in its namespace and the
generator opens the other through DPDK's af_packet. Everything is in a Lab: namespaces, processes and a directory that go away.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "e2e"))

import lab as laboratory  # noqa: E402

# One node (192.0.2.1) with two pods, and one peer (192.0.2.2) with the pods of 10.244.2.0/24 behind it.
NODE, NODE_MAC, NODE_VTEP = "192.0.2.1", "02:00:c0:00:02:01", "02:00:c0:01:02:01"
PEER, PEER_MAC, PEER_VTEP = "192.0.2.2", "02:00:c0:00:02:02", "02:00:c0:01:02:02"
POD, POD_MAC = "10.244.1.10", "02:00:0a:f4:01:0a"
POD2, POD2_MAC = "10.244.1.11", "02:00:0a:f4:01:0b"
REMOTE, REMOTE_NET = "10.244.2.10", "10.244.2.0/24"
GATEWAY_MAC = "02:70:6f:64:6c:01"  # what pods send to
VNI, VXLAN_PORT = 1, 8472

KINDS = ("memif", "vhost-user", "veth")

# The frames of a job: where they enter and leave, and how they look when they enter.
TO_POD2 = {"src": POD, "dst": POD2, "src_mac": POD_MAC, "dst_mac": GATEWAY_MAC}
TO_REMOTE = {"src": POD, "dst": REMOTE, "src_mac": POD_MAC, "dst_mac": GATEWAY_MAC}
FROM_REMOTE = {"src": REMOTE, "dst": POD, "src_mac": PEER_MAC, "dst_mac": NODE_MAC, "vxlan_vni": VNI, "vxlan_port": VXLAN_PORT,
               "outer_src": PEER, "outer_dst": NODE, "inner_src_mac": PEER_VTEP, "inner_dst_mac": NODE_VTEP}


class Job:
    """`enter` and `leave` name ports of the device under test; `frames` are the generator's KEYS."""

    def __init__(self, name, text, enter, leave, frames):
        self.name, self.text, self.enter, self.leave, self.frames = name, text, enter, leave, frames

    @property
    def ends(self):
        return self.enter, self.leave

    def keys(self):
        return ",".join(f"{k}={v}" for k, v in self.frames.items())


JOBS = {j.name: j for j in (
    Job("l3", "pod to pod on one node, routed: new MAC addresses, TTL less one", "pod", "pod2", TO_POD2),
    Job("vxlan-encap", "pod to a pod behind a peer: routed, then in VXLAN out of the uplink", "pod", "uplink", TO_REMOTE),
    Job("vxlan-decap", "from a peer in VXLAN into the uplink: unpacked, then routed to a pod", "uplink", "pod", FROM_REMOTE),
)}

ADDRESSES = {"pod": POD, "pod2": POD2}
MACS = {"pod": POD_MAC, "pod2": POD2_MAC, "uplink": PEER_MAC}


class End:
    """A port of the device under test and the generator's end of it."""

    def __init__(self, bed, name, index):
        self.bed, self.name, self.index, self.kind = bed, name, index, bed.kind
        self.socket = os.path.join(bed.lab.dir, f"{name}.{bed.kind}")
        self.inner = name            # interface of the device under test (veth)
        self.outer = f"g-{name}"     # interface of the generator (veth)

    def wire(self):
        """Make the veth pair. Interfaces of the generator keep a MAC address nobody sends to, so that its kernel, which sees
        the frames as well, lets go of them at once."""
        bed = self.bed
        bed.dut.sh("ip", "link", "add", self.inner, "type", "veth", "peer", "name", self.outer, "netns", bed.gen.name)
        for ns, dev in ((bed.dut, self.inner), (bed.gen, self.outer)):
            ns.sysctl(f"net.ipv6.conf.{dev}.disable_ipv6", 1)
            ns.sh("ethtool", "-K", dev, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off", check=False)
            ns.sh("ip", "link", "set", dev, "up")
        bed.steer(bed.dut, self.inner, bed.dut_cpu)
        bed.steer(bed.gen, self.outer, bed.gen_cpu)

    def device(self):
        """DPDK device string for a device under test."""
        return {"memif": f"net_memif{self.index},role=server,id=0,socket={self.socket},socket-abstract=no",
                "vhost-user": f"net_vhost{self.index},iface={self.socket},queues=1",
                "veth": f"net_af_packet{self.index},iface={self.inner},{AF_PACKET}"}[self.kind]

    def generator(self):
        """DPDK device string of the generator's end."""
        return {"memif": f"net_memif{self.index},role=client,id=0,socket={self.socket},socket-abstract=no",
                "vhost-user": f"net_virtio_user{self.index},path={self.socket},queues=1,queue_size=1024,in_order=1",
                "veth": f"net_af_packet{self.index},iface={self.outer},{AF_PACKET}"}[self.kind]


AF_PACKET = "framesz=2048,blocksz=65536,framecnt=1024,qpairs=1"


class Bed:
    """Namespaces `dut` and `gen` and the two ends of a job, for one start of one device. Closing takes all of it away."""

    def __init__(self, job, kind, dut_cpu, gen_cpu):
        self.job, self.kind, self.dut_cpu, self.gen_cpu = job, kind, dut_cpu, gen_cpu
        self.lab = laboratory.Lab("compare")
        self.dut = laboratory.Namespace(self.lab, "dut")
        self.gen = laboratory.Namespace(self.lab, "gen")
        self.ends = {name: End(self, name, i) for i, name in enumerate(job.ends)}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.lab.close()

    def fits(self, size):
        """The largest frames of a mix do not fit in VXLAN on an underlay with an MTU of 1500."""
        return self.job.name == "l3" or (size != "imix" and size <= 1468)

    def path(self, name):
        return os.path.join(self.lab.dir, name)

    @staticmethod
    def steer(ns, dev, cpu):
        """Receive work of a veth happens on the CPU of the sender unless it is handed over: give it to the receiver's."""
        ns.sh("sh", "-c", f"for q in /sys/class/net/{dev}/queues/rx-*/rps_cpus; do echo {1 << cpu:x} > $q; done")


def hugepages(free=True):
    """2 MiB pages: free ones, or all."""
    word = "HugePages_Free:" if free else "HugePages_Total:"
    return next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith(word))
