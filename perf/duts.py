# SPDX-License-Identifier: Apache-2.0
"""Devices under test: each is started for one job over one kind of port, forwards on one CPU, and is stopped again.

Every device says in words what it does to a packet and how it was tuned, because a ratio between different work means little.
"""

import os
import subprocess

import bed
from bed import laboratory

TESTPMD = ["--no-pci", "--no-telemetry", "--in-memory", "--no-shconf"]


class Dut:
    """One start. `does(job)` and `tuning(kind)` are printed beside the figures."""

    name = ""
    jobs = tuple(bed.JOBS)
    kinds = bed.KINDS
    reasons = {}  # kind: why it is left out

    def __init__(self, bed_, build):
        self.bed, self.build = bed_, build
        self.process = None

    @classmethod
    def refuses(cls, kind):
        """Why the device can't be had with these ports; None when it can."""
        return None if kind in cls.kinds else cls.reasons.get(kind, f"{cls.name} has no {kind} ports")

    @classmethod
    def version(cls, build):
        return ""

    def start(self):
        raise NotImplementedError

    def wait_for(self, what, predicate, timeout=20):
        def alive():
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"{self.name} exited with {self.process.returncode}\n{self.log_tail()}")
            return predicate()
        return laboratory.wait_for(f"{self.name}: {what}", alive, timeout)

    def log_tail(self, lines=30):
        try:
            with open(self.process.log, errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except (OSError, AttributeError):
            return ""

    def generator_queues(self):
        """Receive queues the generator needs a port to see all that the device sends."""
        return 1

    def prepare(self, flows):
        """Before a run with that many connections."""

    def counters(self):
        """What the device says about its packets, for a failure report."""
        return self.log_tail()

    def stop(self):
        laboratory.kill_process(self.process)


class Testpmd(Dut):
    """DPDK's testpmd moves frames from one port to the other and looks at none: the ceiling of the port type."""

    name = "testpmd"

    @classmethod
    def version(cls, build):
        return "DPDK " + laboratory.run("dpkg-query", "-W", "-f", "${Version}", "dpdk", check=False)

    @staticmethod
    def does(job):
        return "moves every frame to the other port as it is (--forward-mode=io)"

    @staticmethod
    def tuning(kind):
        return "one forwarding core, bursts of 64, 2 MiB pages" + (", DPDK's af_packet on both veths" if kind == "veth" else "")

    def start(self):
        b = self.bed
        if b.kind == "veth":
            for end in b.ends.values():
                end.wire()
        self.process = b.dut.popen(
            "stdbuf", "-oL", "dpdk-testpmd", *TESTPMD, "-m", "128", f"--file-prefix={b.dut.name}", "--lcores",
            f"0@{b.dut_cpu},1@{b.dut_cpu}", *[f"--vdev={end.device()}" for end in b.ends.values()], "--", "--forward-mode=io", "--auto-start",
            "--disable-link-check", "--nb-cores=1", "--total-num-mbufs=16384", "--burst=64", "--no-mlockall",
            "--port-topology=paired", stdin=subprocess.PIPE)  # it ends at the end of its input
        self.wait_for("forwards", lambda: "packet forwarding" in self.log_tail(200))


class Podlane(Dut):
    """podlaned with pods of its own and an uplink."""

    name = "podlane"
    latency = "low"
    node = ""  # further fields
    kinds = ("memif", "vhost-user", "veth")

    @classmethod
    def version(cls, build):
        return laboratory.run(os.path.join(build, "ctrl", "podlaned"), "--version", check=False).strip().splitlines()[-1]

    @staticmethod
    def does(job):
        common = "source address check, flow table hit with counters a connection, TTL and checksum"
        return {"l3": f"routes: {common}, MAC addresses of the adjacency",
                "vxlan-encap": f"routes: {common}, then inner Ethernet, VXLAN, UDP, IPv4 and Ethernet headers in front",
                "vxlan-decap": "checks the outer headers, peer, VNI and inner MAC, strips them, "
                               f"then routes: flow table hit with counters, TTL and checksum, MAC addresses"}[job.name]

    @staticmethod
    def tuning(kind):
        ports = {"memif": "pods and uplink on its own memif server (driver = \"memif\")",
                 "vhost-user": "pods on its own vhost-user server, the uplink on DPDK's vhost driver (driver = \"ethdev\")",
                 "veth": "pods on TAP interfaces (how it serves ordinary pods), the uplink on af_packet (packet sockets of its own)"}[kind]
        return f"one worker, latency = \"low\", control thread on the worker's CPU; {ports}"

    def uplink(self):
        end = self.bed.ends["uplink"]
        if self.bed.kind == "veth":
            end.wire()
            return f'driver = "af_packet"; device = "{end.inner}";'
        if self.bed.kind == "vhost-user":
            return f'driver = "ethdev"; device = "{end.device()}";'
        return f'driver = "memif"; device = "{end.socket}"; queues = 1;'

    def pods(self):
        return [n for n in ("pod", "pod2") if n in self.bed.ends]

    def place(self, name):
        end = self.bed.ends[name]
        if self.bed.kind == "veth":
            return {"kind": "tap", "netns": self.bed.gen.name, "interface": end.outer, **self.who(name)}
        return {"kind": "memif" if self.bed.kind == "memif" else "vhost", "socket": end.socket, **self.who(name)}

    @staticmethod
    def who(name):
        return {"addresses": bed.ADDRESSES[name], "mac": bed.MACS[name]}

    def pod(self, name):
        fields = " ".join(f'{k} = "{v}";' for k, v in self.place(name).items())
        return f'{{ name = "{name}"; {fields} }}'

    def configure(self):
        b = self.bed
        pods = [self.pod(n) for n in self.pods() if b.kind != "veth" or n == "pod"]
        way_out = ""
        if "uplink" in b.ends:
            way_out = f"""
uplinks: ( {{ name = "uplink"; {self.uplink()} mac = "{bed.NODE_MAC}"; addresses = [ "{bed.NODE}/24" ]; }} );
peers: ( {{ name = "peer"; underlay = [ "{bed.PEER}" ]; pod_cidrs = [ "{bed.REMOTE_NET}" ]; encap = "vxlan";
            vtep_mac = "{bed.PEER_VTEP}"; }} );"""
        text = f"""
node: {{ name = "dut"; worker_cpus = [ {b.dut_cpu} ]; latency = "{self.latency}"; vtep_mac = "{bed.NODE_VTEP}";
        hugepages = "auto"; memory_mb = 192; buffers = 32768; flows = 2097152; flows6 = 1024; metrics_listen = "";
        host_interface = ""; vxlan_vni = {bed.VNI}; vxlan_port = {bed.VXLAN_PORT}; gateway_mac = "{bed.GATEWAY_MAC}"; {self.node} }};{way_out}
pools: ( {{ name = "pods"; cidr = "10.244.1.0/24"; }} );
pods: ( {", ".join(pods)} );
"""
        with open(b.path("podlane.conf"), "w") as f:
            f.write(text)

    def start(self):
        b = self.bed
        self.configure()
        self.process = b.dut.popen("taskset", "-c", b.dut_cpu, os.path.join(self.build, "ctrl", "podlaned"), "--config",
                                   b.path("podlane.conf"), "--socket", b.path("api.sock"), "--state", b.path("state"))
        self.wait_for("ready", lambda: self.cli("show", "ports"))
        if b.kind == "veth":
            # One after the other: both in one namespace want the same route to their gateway, until it is taken off again.
            for name in self.pods():
                if name != "pod":
                    self.cli("add", "pod", name, *[f"{k}={v}" for k, v in self.place(name).items()])
                self.quiet_tap(b.ends[name])

    def quiet_tap(self, end):
        """The generator owns this interface: its kernel shall not answer the pod's packets too."""
        gen = self.bed.gen
        self.wait_for(f"makes {end.outer}", lambda: end.outer in gen.sh("ip", "-o", "link"))
        gen.sysctl(f"net.ipv6.conf.{end.outer}.disable_ipv6", 1)
        gen.sh("ip", "addr", "flush", "dev", end.outer)
        gen.sh("ip", "link", "set", end.outer, "address", "02:00:00:00:00:99")
        self.bed.steer(gen, end.outer, self.bed.gen_cpu)

    def cli(self, *argv):
        return laboratory.run(os.path.join(self.build, "ctrl", "podlane"), "--socket", self.bed.path("api.sock"), *argv)

    def counters(self):
        if self.process.poll() is not None:
            return f"podlaned ended with {self.process.returncode}\n{self.log_tail()}"
        return "\n".join(self.cli("show", s) for s in ("drops", "ports", "neighbours")) + self.log_tail()


class Kernel(Dut):
    """Linux routes between two veths, through its VXLAN device set up as flannel does it."""

    name = "kernel"
    kinds = ("veth",)
    reasons = {"memif": "the kernel has no memif", "vhost-user": "the kernel has no vhost-user ports"}

    @classmethod
    def version(cls, build):
        return "Linux " + os.uname().release

    @staticmethod
    def does(job):
        return {"l3": "routes (ip_forward), static neighbours, no netfilter rules",
                "vxlan-encap": "routes to its VXLAN device (no learning, static FDB and neighbours), no netfilter rules",
                "vxlan-decap": "VXLAN device, then routes to the pod; no netfilter rules, no source check"}[job.name]

    @staticmethod
    def tuning(kind):
        return "receive packet steering moves the work of each veth to the CPU of its receiver; offloads and rp_filter off"

    def start(self):
        b = self.bed
        ns = b.dut
        ns.sysctl("net.ipv4.ip_forward", 1)
        for scope in ("all", "default"):
            ns.sysctl(f"net.ipv4.conf.{scope}.rp_filter", 0)
        for end in b.ends.values():
            end.wire()
        for name in b.ends:
            if name in bed.ADDRESSES:
                ns.sh("ip", "link", "set", name, "address", bed.GATEWAY_MAC)
                ns.sh("ip", "route", "add", f"{bed.ADDRESSES[name]}/32", "dev", name, "scope", "link")
                ns.sh("ip", "neigh", "replace", bed.ADDRESSES[name], "lladdr", bed.MACS[name], "dev", name, "nud", "permanent")
        if "uplink" in b.ends:
            self.tunnel(ns)

    @staticmethod
    def tunnel(ns):
        gateway = bed.REMOTE_NET.split("/", maxsplit=1)[0]  # flannel's name for the peer: the first address of its pods
        ns.sh("ip", "link", "set", "uplink", "address", bed.NODE_MAC)
        ns.sh("ip", "addr", "add", f"{bed.NODE}/24", "dev", "uplink")
        ns.sh("ip", "neigh", "replace", bed.PEER, "lladdr", bed.PEER_MAC, "dev", "uplink", "nud", "permanent")
        ns.sh("ip", "link", "add", "vxlan0", "address", bed.NODE_VTEP, "type", "vxlan", "id", bed.VNI, "dstport", bed.VXLAN_PORT,
              "local", bed.NODE, "dev", "uplink", "nolearning", "noudpcsum")
        ns.sh("ip", "link", "set", "vxlan0", "mtu", 1450, "up")
        ns.sh("ip", "neigh", "replace", gateway, "lladdr", bed.PEER_VTEP, "dev", "vxlan0", "nud", "permanent")
        ns.sh("bridge", "fdb", "replace", bed.PEER_VTEP, "dev", "vxlan0", "dst", bed.PEER)
        ns.sh("ip", "route", "replace", bed.REMOTE_NET, "via", gateway, "dev", "vxlan0", "onlink")

    def counters(self):
        return self.bed.dut.sh("ip", "-s", "link", check=False) + self.bed.dut.sh("nstat", "-as", check=False)

    def stop(self):
        """It goes with its namespace."""
