# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch with its DPDK datapath as a device under test: a private database and switch, never the system's service.

Debian's build has no AVX-512 parts of OVS (dpif, miniflow extraction, dpcls); where a build has them they are switched on.
"""

import os

import bed
from bed import laboratory
from duts import Dut

VSWITCHD = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
EMC_FLOWS = 4000


class Ovs(Dut):
    name = "ovs"
    rx_queues = 1

    @classmethod
    def refuses(cls, kind):
        if not os.path.exists(VSWITCHD):
            return "Debian's openvswitch-switch-dpdk is not installed (make setup)"
        return super().refuses(kind)

    @classmethod
    def version(cls, build):
        return laboratory.run(VSWITCHD, "--version", check=False).replace("\n", ", ").strip(", ")

    @staticmethod
    def does(job):
        common = "OpenFlow rules that check addresses, set MAC addresses and decrement TTL; no connection tracking"
        return {"l3": common,
                "vxlan-encap": f"{common}; then its VXLAN port (tunnel push, static neighbour) and a bridge with the uplink",
                "vxlan-decap": f"tunnel pop on the bridge with the uplink (outer address, UDP port, VNI), then {common}"}[job.name]

    @staticmethod
    def tuning(kind):
        ports = {"memif": "DPDK's memif driver", "vhost-user": "its dpdkvhostuser ports", "veth": "DPDK's af_packet"}[kind]
        return (f"one PMD thread, SMC on, EMC for every flow up to {EMC_FLOWS} connections and off above (the fastest of "
                f"five combinations), 2 MiB pages; ports: {ports}; other threads on the PMD's CPU")

    def generator_queues(self):
        """Each of its threads sends on a queue of its own, the PMD thread on the second. With vhost-user it finds out how many the
        peer has, af_packet has one; with memif it does not ask."""
        return 2 if self.bed.kind == "memif" else 1

    # --- its tools, always with the private sockets ---

    def vsctl(self, *argv):
        return laboratory.run("ovs-vsctl", f"--db=unix:{self.run_dir}/db.sock", "--timeout=60", *argv)

    def appctl(self, *argv, check=True):
        return laboratory.run("ovs-appctl", "-t", f"{self.run_dir}/vs.ctl", *argv, check=check)

    def flows(self, bridge, *rules):
        text = "\n".join(rules) + "\n"
        laboratory.run("ovs-ofctl", "--bundle", "add-flows", f"unix:{self.run_dir}/{bridge}.mgmt", "-", stdin=text)

    # --- start ---

    def start(self):
        b = self.bed
        self.run_dir = b.path("ovs")
        os.mkdir(self.run_dir)
        env = dict(os.environ, OVS_RUNDIR=self.run_dir, OVS_LOGDIR=self.run_dir, OVS_DBDIR=self.run_dir)
        laboratory.run("ovsdb-tool", "create", f"{self.run_dir}/conf.db", SCHEMA)
        pin = ("taskset", "-c", b.dut_cpu)
        b.dut.popen(*pin, "ovsdb-server", f"--remote=punix:{self.run_dir}/db.sock", f"--unixctl={self.run_dir}/db.ctl",
                    f"{self.run_dir}/conf.db", log="ovsdb.log", env=env)
        laboratory.wait_for("ovs: database", lambda: os.path.exists(f"{self.run_dir}/db.sock"))
        self.vsctl("--no-wait", "init")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", *[f"other_config:{k}={v}" for k, v in {
            "dpdk-init": "true", "pmd-cpu-mask": f"{1 << b.dut_cpu:x}", "dpdk-lcore-mask": f"{1 << b.dut_cpu:x}",
            "dpdk-socket-mem": 256, "dpdk-socket-limit": 512, "per-port-memory": "true",
            "dpdk-extra": '"--in-memory --single-file-segments --no-pci --no-telemetry"',
            "smc-enable": "true", "userspace-tso-enable": "false"}.items()])
        self.process = b.dut.popen(*pin, VSWITCHD, f"unix:{self.run_dir}/db.sock", f"--unixctl={self.run_dir}/vs.ctl", "-vconsole:info",
                                   log="ovs.log", env=env)
        self.wait_for("switch", lambda: os.path.exists(f"{self.run_dir}/vs.ctl") and
                      self.vsctl("get", "Open_vSwitch", ".", "dpdk_initialized").strip() == "true")
        self.use_avx512()
        for bridge in ("br-int", "br-phy")[:2 if "uplink" in b.ends else 1]:
            self.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev", "fail-mode=secure")
        for end in b.ends.values():
            self.add_port("br-phy" if end.name == "uplink" else "br-int", end)
        if "uplink" in b.ends:
            self.tunnel()
        self.program()

    def prepare(self, flows):
        """The exact match cache has 8192 entries: with more flows than it holds, looking there first is in vain."""
        self.vsctl("set", "Open_vSwitch", ".", f"other_config:emc-insert-inv-prob={int(flows <= EMC_FLOWS)}")

    def use_avx512(self):
        for get, word, set_ in (("dpif-impl-get", "dpif_avx512", ("dpif-impl-set", "dpif_avx512")),
                                ("subtable-lookup-info-get", "avx512_gather", ("subtable-lookup-prio-set", "avx512_gather", "5")),
                                ("miniflow-parser-get", "avx512", ("miniflow-parser-set", "study"))):
            if word in self.appctl(f"dpif-netdev/{get}", check=False):
                self.appctl(f"dpif-netdev/{set_[0]}", *set_[1:])

    def add_port(self, bridge, end):
        kind = self.bed.kind
        if kind == "veth":
            end.wire()
        if kind == "vhost-user":
            end.socket = f"{self.run_dir}/{end.name}"  # where this type of port puts it
            interface = ["type=dpdkvhostuser"]
        else:
            interface = ["type=dpdk", f"options:n_rxq={self.rx_queues}", f'options:dpdk-devargs="{end.device()}"']
        self.vsctl("add-port", bridge, end.name, "--", "set", "Interface", end.name, *interface)
        error = self.vsctl("get", "Interface", end.name, "error").strip()
        if error not in ("[]", '""'):
            raise RuntimeError(f"ovs: port {end.name}: {error}\n{self.log_tail()}")

    def tunnel(self):
        self.vsctl("set", "bridge", "br-phy", f'other-config:hwaddr="{bed.NODE_MAC}"')
        self.vsctl("add-port", "br-int", "vxlan0", "--", "set", "Interface", "vxlan0", "type=vxlan",
                   f"options:remote_ip={bed.PEER}", f"options:local_ip={bed.NODE}", f"options:key={bed.VNI}",
                   f"options:dst_port={bed.VXLAN_PORT}", "options:csum=false")
        self.bed.dut.sh("ip", "addr", "add", f"{bed.NODE}/24", "dev", "br-phy")
        self.bed.dut.sh("ip", "link", "set", "br-phy", "up")
        self.wait_for("knows its route", lambda: bed.NODE in self.appctl("ovs/route/show"))
        self.appctl("tnl/neigh/set", "br-phy", bed.PEER, bed.PEER_MAC)
        self.appctl("tnl/neigh/aging", "3600", check=False)

    def program(self):
        ends = self.bed.ends
        mac = "mod_dl_src:{},mod_dl_dst:{},dec_ttl,output:{}"
        rules = []
        if "pod2" in ends:
            rules.append(f"in_port=pod,dl_dst={bed.GATEWAY_MAC},ip,nw_src={bed.POD},nw_dst={bed.POD2},actions=" +
                         mac.format(bed.GATEWAY_MAC, bed.POD2_MAC, "pod2"))
        else:
            self.flows("br-phy", "in_port=LOCAL,actions=output:uplink", "in_port=uplink,actions=output:LOCAL")
            rules.append(f"in_port=pod,dl_dst={bed.GATEWAY_MAC},ip,nw_src={bed.POD},nw_dst={bed.REMOTE_NET},actions=" +
                         mac.format(bed.NODE_VTEP, bed.PEER_VTEP, "vxlan0"))
            rules.append(f"in_port=vxlan0,dl_dst={bed.NODE_VTEP},ip,nw_dst={bed.POD},actions=" +
                         mac.format(bed.GATEWAY_MAC, bed.POD_MAC, "pod"))
        self.flows("br-int", *rules)

    def counters(self):
        return "\n".join(self.appctl(c, check=False) for c in ("dpif-netdev/pmd-stats-show", "dpctl/dump-flows", "tnl/neigh/show")) \
            + self.log_tail()
