# SPDX-License-Identifier: Apache-2.0
"""podlaned in a QEMU guest, on PCI NICs that QEMU emulates: bound to vfio-pci behind an IOMMU, driven by DPDK's own drivers. The peers
are kernel nodes of the lab, with VXLAN and with routes. One guest boots with all the NICs and uses one after the other."""

import re

import pytest
from scapy.all import IP, Dot1Q, Ether, Raw

from guest_podlane import GuestPod, PodlaneGuest
from lab import FlannelNode, Lab, built, wait_for
from test_vlan import inject

MODELS = ["e1000", "e1000e", "vmxnet3", "virtio"]
DRIVERS = {"e1000": "net_e1000_em", "e1000e": "net_e1000_em", "vmxnet3": "net_vmxnet3", "virtio": "net_virtio"}
# What each announces, and Podlane may use.
CHECKSUM, SEGMENTATION = "tx-checksum", "tx-segmentation"
OFFLOADS = {"e1000": [CHECKSUM], "e1000e": [CHECKSUM], "vmxnet3": [CHECKSUM, SEGMENTATION], "virtio": [CHECKSUM, SEGMENTATION]}
KINDS = ("vxlan4", "vxlan6", "direct")
TAGGED = ("tagged-vxlan4", "tagged-direct")  # these are in VLAN 100
JUMBO = ("jumbo",)
JUMBO_MTU, JUMBO_POD_MTU = 9000, 8950


class Bench:
    def __init__(self):
        self.lab = Lab("pci")
        self.guest = PodlaneGuest(self.lab, "node-g", 1, MODELS).boot()
        # For all of them the MTU that an IPv6 underlay leaves: no packet is lost to learn it.
        self.pod = GuestPod(self.guest, "pod-g1", [self.guest.address(4, 10), self.guest.address(6, 10)])
        self.own = GuestPod(self.guest, None, [self.guest.underlay4, self.guest.underlay6])
        self.nodes, self.remotes, self.peers = {}, {}, {}
        for index, kind in enumerate(KINDS + TAGGED + JUMBO, 2):
            node = self.nodes[kind] = FlannelNode(self.lab, f"node-{kind}", index, family=6 if kind == "vxlan6" else 4,
                                                  mtu=JUMBO_MTU if kind in JUMBO else 1500)
            self.remotes[kind] = node.add_pod(f"pod-{kind}")
            if kind not in JUMBO:
                self.remotes[kind].sh("ip", "link", "set", "eth0", "mtu", 1430)
            peer = self.peers[kind] = self.guest.peer_object((node, "direct" if "direct" in kind else "vxlan"))
            if "direct" in kind:
                node.add_direct_peer(self.guest)
            else:
                node.add_peer(self.guest)
                peer["underlay"] = [node.underlay6 if kind == "vxlan6" else node.underlay4]
            if kind in TAGGED:
                self.lab.access_port(node)

    def start(self, model, more="", kinds=KINDS, **kwargs):
        """The daemon on another NIC; the peers' neighbour tables know nothing of the last one."""
        guest = self.guest.use(model)
        if guest.runs():
            guest.stop()
        guest.uplink_more = more
        guest.mtu, self.pod.mtu = (JUMBO_MTU, JUMBO_POD_MTU) if kinds == JUMBO else (1500, 1430)
        for node in self.nodes.values():
            node.sh("ip", "neigh", "flush", "dev", "eth0")
        guest.write_conf(peers=[self.peers[k] for k in kinds], pods=[self.pod]).start(**kwargs)
        wait_for("link", lambda: guest.uplink()["link"])

    def link(self, up):
        """The NIC's cable."""
        self.guest.monitor("set_link", name=self.guest.nic.id, up=up)
        wait_for(f"link is {up}", lambda: self.guest.uplink()["link"] == up)

    def everything(self, sizes=(56, 1350, 4000), kinds=KINDS):
        """Pings of several sizes and TCP, both families, both ways, to a pod behind each peer."""
        remotes = [self.remotes[k] for k in kinds]
        self.pod.ping([a for r in remotes for a in r.addresses], sizes)
        for remote in remotes:
            for address in self.pod.addresses:
                remote.ping(address, count=2, size=1300)
            self.guest.send(self.pod, remote)
            self.guest.receive(remote, self.pod)

    def counted(self):
        """Nothing that comes from the NIC was broken, and every packet is accounted for."""
        self.guest.assert_balanced()
        broken = [r for r in self.guest.drops() if r.startswith(("tunnel_", "l4_", "ip4_", "ip6_", "offload_"))]
        assert not broken, self.guest.drops()


@pytest.fixture(scope="module")
def bench():
    with built(Bench) as one:
        yield one


def test_wrong_driver(bench):
    """A NIC that the kernel has is refused with its driver, its interface and two commands, which do what they say, also while the
    daemon runs."""
    guest = bench.guest
    guest.use("virtio").write_conf(uplinks=False).start()
    commands = {}
    for model, driver in (("virtio", "virtio-pci"), ("vmxnet3", "vmxnet3")):
        nic = guest.nics[model]
        interface = guest.sh(f"cd /sys/bus/pci/devices/{nic.address}; ls -d net/* virtio*/net/* 2>/dev/null", check=False).split("/")[-1].strip()
        status, body = guest.request("PUT", "/v1/uplinks/eth0", {"name": "eth0", "driver": "pci", "device": nic.address,
                                                                "addresses": ["192.0.2.1/24"]})
        assert status == 409, (status, body)
        assert f"in use by kernel driver {driver} as interface {interface}:".encode() in body
        commands[model] = re.findall(r"`([^`]*)`", body.decode())
    for command in (commands["virtio"][0], commands["vmxnet3"][1]):
        guest.sh(command)
    for model in ("virtio", "vmxnet3"):
        guest.put("uplinks", {"name": "eth0", "driver": "pci", "device": guest.nics[model].address, "addresses": ["192.0.2.1/24"]})
        assert guest.uplink()["device_driver"] == DRIVERS[model]
        bench.nodes["direct"].sh("ip", "neigh", "flush", "dev", "eth0")
        wait_for("the node answers", lambda: bench.nodes["direct"].ping(guest.underlay4, count=1, timeout=1))
        guest.delete("uplinks", "eth0")
    bench.counted()


@pytest.mark.parametrize("model", MODELS)
def test_uplink(bench, model):
    guest = bench.guest
    guest.bind(model)
    bench.start(model)
    state = guest.uplink()
    assert state["device_driver"] == DRIVERS[model] and state["mac"] == guest.nic.mac
    assert state["offloads"] == OFFLOADS[model]
    bench.everything(kinds={"e1000": ("direct",), "e1000e": ("vxlan6", "direct")}.get(model, KINDS))
    bench.counted()
    assert "vlan_other" not in guest.drops()
    text = guest.cli("show", "offloads")
    assert all(re.search(rf"{o} +yes +not verified", text) for o in OFFLOADS[model]), text
    assert (guest.uplink()["tx_bytes"] / guest.uplink()["tx_packets"] > 1500) == (SEGMENTATION in OFFLOADS[model])
    remote = bench.remotes["direct"]
    bench.link(False)
    assert remote.ping(bench.pod.v4, count=1, timeout=1, check=False)[1] == 0
    bench.link(True)
    wait_for("traffic is back", lambda: remote.ping(bench.pod.v4, count=1, timeout=1))
    bench.counted()


@pytest.mark.parametrize("model", ["e1000e", "virtio"])
def test_jumbo(bench, model):
    """Frames of 9000 bytes, each in several buffers, through VXLAN; none is fragmented on the way that fits."""
    guest, remote = bench.guest, bench.remotes["jumbo"]
    guest.bind(model)
    bench.start(model, kinds=JUMBO)
    assert guest.uplink()["mtu"] == JUMBO_MTU
    largest = JUMBO_POD_MTU - 28
    bench.pod.sh("ping", "-M", "do", "-c", "3", "-i", "0.02", "-W", "3", "-s", largest, remote.v4)
    bench.pod.sh("ping", "-M", "do", "-c", "3", "-i", "0.02", "-W", "3", "-s", largest - 20, remote.v6)
    for address, size in zip(bench.pod.addresses, (largest, largest - 20)):
        remote.sh("ping", "-M", "do", "-c", "3", "-i", "0.02", "-W", "3", "-s", size, address)
    bench.everything(sizes=(1500, 2000, 4100, 8100, 20000), kinds=JUMBO)
    assert guest.uplink()["rx_bytes"] / guest.uplink()["rx_packets"] > 1500
    bench.counted()


def test_queues(bench, model="vmxnet3"):
    """Two receive queues, whichever of them QEMU uses."""
    guest = bench.guest
    guest.bind(model)
    bench.start(model, "queues = 2;")
    assert guest.uplink()["rx_queues"] == 2
    bench.everything(sizes=(56, 1350), kinds=("vxlan4",))
    per_queue = [q["packets"] for q in guest.get("/v1/state/queues") if q["port"] == "eth0"]
    assert len(per_queue) == 2 and sum(per_queue) > 0, per_queue
    bench.counted()


def own_traffic(bench, node):
    """The guest's kernel and a node's."""
    bench.own.ping([node.underlay4, node.underlay6], (56, 1400, 4000))
    node.ping(bench.guest.underlay4, size=1400)
    node.ping(bench.guest.underlay6)
    bench.guest.send(bench.own, node, [node.underlay4, node.underlay6])
    bench.guest.receive(node, bench.own)


def carrier(guest, interface):
    return guest.sh("cat", f"/sys/class/net/{interface}/carrier").strip() == "1"


def link_and_end(bench, node, interface):
    """The kernel's interface follows the NIC's link, carries traffic again, and goes with the daemon."""
    guest = bench.guest
    bench.link(False)
    wait_for("the kernel knows", lambda: not carrier(guest, interface))
    bench.link(True)
    wait_for("the kernel knows", lambda: carrier(guest, interface))
    wait_for("traffic is back", lambda: node.ping(guest.underlay4, count=1, timeout=1))
    bench.counted()
    guest.stop()
    assert "up0" not in guest.sh("ip link")


def test_kernel_interface(bench, model="vmxnet3"):
    """The kernel gets a TAP for the NIC: its own traffic beside the pods'."""
    guest, node = bench.guest, bench.nodes["direct"]
    guest.bind(model)
    bench.start(model, 'kernel_interface = "up0";')
    link = guest.sh("ip addr show dev up0")
    assert guest.nic.mac in link and guest.underlay4 in link and guest.underlay6 in link, link
    own_traffic(bench, node)
    bench.everything(kinds=("vxlan4", "direct"))
    state = guest.uplink()
    assert state["to_kernel"] > 100 and state["from_kernel"] > 100
    link_and_end(bench, node, "up0")


@pytest.mark.parametrize("model,kinds", [("vmxnet3", TAGGED[1:]), ("virtio", TAGGED), ("e1000e", TAGGED[:1])])
def test_vlan(bench, model, kinds):
    """Tags put in, taken off and filtered by the NIC."""
    guest = bench.guest
    guest.bind(model)
    bench.start(model, "vlan = 100;", TAGGED)
    state = guest.uplink()
    assert state["vlan"] == 100 and state["vlan_offloads"] == ["insert", "strip", "filter"]
    bench.everything(kinds=kinds)
    before = guest.drops().get("vlan_other", 0)
    ether = Ether(src="02:00:00:00:99:01", dst=guest.nic.mac)
    inject(bench.lab, guest.nic.tap, [ether / Dot1Q(vlan=101) / IP() / Raw(bytes(60))] * 50 + [ether / IP() / Raw(bytes(60))] * 10)
    wait_for("untagged frames are others'", lambda: guest.drops().get("vlan_other", 0) >= before + 10)
    assert guest.drops()["vlan_other"] < before + 50, "the NIC lets all VLANs through"
    bench.counted()


@pytest.mark.parametrize("model,kinds", [("virtio", TAGGED[1:]), ("e1000e", TAGGED[:1])])
def test_kernel_vlan(bench, model, kinds):
    """The kernel gets a VLAN interface as well, which has the addresses; what is untagged is its too."""
    guest, node, untagged = bench.guest, bench.nodes["tagged-direct"], bench.nodes["direct"]
    guest.bind(model)
    bench.start(model, 'kernel_interface = "up0"; vlan = 100;', TAGGED)
    link = guest.sh("ip -d addr show dev up0.100")
    assert "vlan protocol 802.1Q id 100" in link and guest.underlay4 in link and guest.underlay6 in link, link
    state = guest.uplink()
    assert state["vlan_offloads"] == [] and state["kernel_vlan_interface"] == "up0.100"
    own_traffic(bench, node)
    bench.everything(kinds=kinds)
    guest.sh("ip addr add 198.51.100.1/24 dev up0")
    untagged.sh("ip", "addr", "replace", "198.51.100.4/24", "dev", "eth0")
    untagged.ping("198.51.100.1", size=1400)
    guest.sh("ping -c 2 -i 0.02 -W 2 198.51.100.4")
    assert untagged.ping(guest.underlay4, count=1, timeout=1, check=False)[1] == 0, "it is in another VLAN"
    link_and_end(bench, node, "up0.100")


TALK = """
import socket, sys, time
family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.settimeout(10)
if sys.argv[1] == 'echo':
    s.bind((sys.argv[2], 7060))
    while (got := s.recvfrom(100)):
        s.sendto(*got)
        if got[0] == b'end':
            sys.exit()
s.connect((sys.argv[2], 7060))
for n in range(500):
    s.send(b'%d' % n)
    assert s.recv(100) == b'%d' % n
    time.sleep(0.002)
s.send(b'end')
"""


def test_kernel_flows(bench):
    """This kernel too takes the tc programs, and forwards what pods of the node say to each other."""
    guest = bench.guest
    guest.bind("virtio")
    bench.start("virtio")
    guest.patch("nodes", guest.short, {"kernel_flows": "all"})
    other = GuestPod(guest, "pod-g2", [guest.address(4, 11), guest.address(6, 11)])
    guest.put("pods", other.object())
    assert all(p["host_interface"] for p in guest.get("/v1/state/ports") if p["role"] == "pod")
    guest.put_file("talk.py", TALK)
    for address in other.addresses:
        guest.sh(f"{other.prefix()}python3 talk.py echo {address} >echo.out 2>&1 &")
        wait_for("echo", lambda: ":1B94 " in other.sh("cat", "/proc/net/udp", "/proc/net/udp6"))
        before = {e["event"]: e["count"] for e in guest.get("/v1/state/events")}
        bench.pod.sh("python3", "talk.py", "ask", address)
        after = {e["event"]: e["count"] for e in guest.get("/v1/state/events")}
        assert after["kernel_forwarded"] > before["kernel_forwarded"] + 300
    guest.delete("pods", "pod-g2")
    bench.counted()


@pytest.mark.parametrize("more,ends", [("", ("TERM", "KILL")), ('kernel_interface = "up0"; vlan = 100;', ("KILL", "USR2"))],
                         ids=["nic", "exchange"])
def test_restart(bench, more, ends):
    """Stopped, killed, replaced: the NIC comes back each time, and nothing of an old daemon is left."""
    guest = bench.guest
    kinds = TAGGED if more else KINDS
    remote, peer = bench.remotes[kinds[0]], bench.nodes[kinds[0]]
    guest.bind("virtio")
    bench.start("virtio", more, kinds)
    guest.stop()
    free, links = guest.free_hugepages(), guest.sh("ip -br link | cut -d' ' -f1")
    assert "up0" not in links
    for end in ends:
        guest.start(fresh=False)
        remote.ping(bench.pod.v4, count=1, timeout=10)
        if end == "USR2":
            guest.upgrade()
        else:
            guest.stop(end)
            assert guest.free_hugepages() == free and guest.sh("ip -br link | cut -d' ' -f1") == links
            guest.start(fresh=False)
        wait_for("pods are back", lambda: remote.ping(bench.pod.v4, count=1, timeout=1))
        wait_for("pods are back", lambda: remote.ping(bench.pod.v6, count=1, timeout=1))
        if more:
            wait_for("the node is back", lambda: peer.ping(guest.underlay4, count=1, timeout=1))
        bench.counted()
        guest.stop()
    assert guest.free_hugepages() == free and guest.sh("ip -br link | cut -d' ' -f1") == links
