# SPDX-License-Identifier: Apache-2.0
"""Uplinks in a VLAN, beside kernel nodes with VXLAN and routes on access ports of the switch: the kernel of a test machine may have
no VLAN interfaces, but it handles tags. By each driver that has VLANs."""

import os
import subprocess

import pytest
from scapy.all import ARP, IP, UDP, Dot1AD, Dot1Q, Ether, IPv6, Raw, rdpcap

from lab import FlannelNode, Lab, Pod, PodlaneNode, transfer, wait_for

VLAN = 100
DATA = os.urandom(1 << 20)

INJECT = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
"""


def uplink(node):
    return next(p for p in node.get("/v1/state/ports") if p["role"] == "uplink")


def vlan_node(lab, *, driver="af_packet", device="eth0", more="", vlan=VLAN, **kwargs):
    node = PodlaneNode(lab, "node-a", 1, **kwargs)
    node.uplink_driver, node.uplink_device, node.uplink_more = driver, device, f"vlan = {vlan}; {more}"
    return node


def peers_in_vlan(lab, a, kinds=("vxlan4", "vxlan6", "direct")):
    """Kernel nodes in the VLAN, one a kind of peer, each with a pod; and the peers as node a has them."""
    remotes, peers = {}, []
    for index, kind in enumerate(kinds, 2):
        node = FlannelNode(lab, f"node-{kind}", index, family=6 if kind == "vxlan6" else 4)
        lab.access_port(node)
        remotes[kind] = node.add_pod(f"pod-{kind}")
        peer = a.peer_object((node, "direct" if kind == "direct" else "vxlan"))
        if kind == "direct":
            node.add_direct_peer(a)
        else:
            node.add_peer(a)
            peer["underlay"] = [node.underlay6 if kind == "vxlan6" else node.underlay4]
        peers.append(peer)
    return remotes, peers


def inject(lab, dev, frames):
    lab.switch.sh("/usr/bin/python3", "-c", INJECT, dev, stdin="\n".join(bytes(f).hex() for f in frames) + "\n")


def foreign_frames(mac):
    """Frames that are not of the VLAN, though addressed to the uplink."""
    ether = Ether(src="02:00:00:00:99:01", dst=mac)
    inner4, inner6 = IP(src="192.0.2.2", dst="192.0.2.1") / UDP(dport=4789), IPv6(src="2001:db8::2", dst="2001:db8::1") / UDP()
    for inner in (inner4, inner6):
        yield ether / inner / Raw(bytes(60))
        yield ether / Dot1Q(vlan=VLAN + 1) / inner / Raw(bytes(60))
        yield ether / Dot1Q(vlan=0, prio=5) / inner / Raw(bytes(60))
        yield ether / Dot1Q(vlan=200) / Dot1Q(vlan=VLAN) / inner / Raw(bytes(60))
    yield Ether(src="02:00:00:00:99:01", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="192.0.2.2", pdst="192.0.2.1") / Raw(bytes(18))


def refused(a, lab, port="p1"):
    """Frames of others are counted under the reason that says so."""
    before = a.drops()
    frames = list(foreign_frames(uplink(a)["mac"]))
    inject(lab, port, frames)
    # Of the VLAN, with another tag inside.
    inject(lab, port, [Ether(src="02:00:00:00:99:01", dst=uplink(a)["mac"]) / Dot1Q(vlan=VLAN) / Dot1Q(vlan=7) / IP() / UDP()])
    wait_for("counted", lambda: a.drops().get("vlan_other", 0) - before.get("vlan_other", 0) >= len(frames))
    wait_for("counted", lambda: a.drops().get("vlan_unexpected", 0) - before.get("vlan_unexpected", 0) == 1)
    a.assert_balanced()


def all_tagged(lab, dev="p1"):
    """A capture of what a node sends; stop() says what there was: frames with the tag, without."""
    path = os.path.join(lab.dir, f"{dev}.pcap")
    dump = lab.switch.popen("tcpdump", "-U", "--immediate-mode", "-i", dev, "-Q", "in", "-s", "64", "-w", path, log=f"tcpdump-{dev}.log")
    wait_for("tcpdump listens", lambda: "listening" in open(dump.log).read())

    def stop():
        dump.terminate()
        dump.wait(5)
        frames = rdpcap(path)
        tagged = sum(Dot1Q in f and f[Dot1Q].vlan == VLAN for f in frames)
        return tagged, len(frames) - tagged
    return stop


def everything(lab, a, pod, remotes):
    for remote in remotes.values():
        for address in remote.addresses:
            pod.ping(address, count=2, interval=0.01)
            pod.ping(address, count=2, interval=0.01, size=1352, df=True)
        for address in pod.addresses:
            remote.ping(address, count=2, interval=0.01)
        transfer(pod, remote, DATA)
        transfer(remote, pod, DATA)
    a.assert_balanced()
    assert not [r for r in a.drops() if r.startswith(("tunnel_", "l4_", "ip4_", "ip6_", "offload_", "vlan_unexpected"))], a.drops()


@pytest.mark.parametrize("driver,device,offloads", [("af_packet", "eth0", False), ("af_packet", "eth0", True),
                                                     ("ethdev", "net_af_packet0,iface=eth0", False)])
def test_kernel_peers(driver, device, offloads):
    """offloads: large packets cross whole, tagged; otherwise the switch is a wire."""
    with Lab("vlan", offloads=offloads) as lab:
        a = vlan_node(lab, driver=driver, device=device)
        remotes, peers = peers_in_vlan(lab, a)
        pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
        a.write_conf(peers=peers, pods=[pod]).start()
        stop = all_tagged(lab)
        everything(lab, a, pod, remotes)
        tagged, other = stop()
        assert tagged > (40 if offloads else 1000) and other == 0, (tagged, other)
        state = uplink(a)
        assert state["vlan"] == VLAN and state["rx_errors"] == 0
        if driver == "ethdev":
            assert state["vlan_offloads"] == ["insert", "strip"]
        if driver == "af_packet" and offloads:
            assert state["tx_merged_packets"] > state["tx_merged_messages"] > 0
        refused(a, lab)


@pytest.mark.parametrize("encap", ["vxlan", "direct"])
def test_memif(encap):
    """In software, at both ends."""
    with Lab("vlan") as lab:
        path = os.path.join(lab.dir, "wire.memif")
        nodes = [PodlaneNode(lab, "node-a", 1), PodlaneNode(lab, "node-b", 2)]
        pods = [Pod(lab, f"pod-{n.short}", [n.address(4, 10), n.address(6, 10)]) for n in nodes]
        for node, role in zip(nodes, ("server", "client")):
            node.uplink_driver, node.uplink_device = "memif", path
            node.uplink_more = f'role = "{role}"; queues = 1; vlan = {VLAN};'
        for node, other, pod in zip(nodes, reversed(nodes), pods):
            node.write_conf(peers=[(other, encap)], pods=[pod]).start()
        wait_for("connected", lambda: pods[0].ping(pods[1].v4, count=1, timeout=1))
        everything(lab, nodes[0], pods[0], {"b": pods[1]})
        nodes[1].assert_balanced()


def test_observed():
    """Captures have the tag as the wire has it, filters and traces know it."""
    with Lab("vlan") as lab:
        a = vlan_node(lab)
        remotes, peers = peers_in_vlan(lab, a, ["vxlan4"])
        pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
        a.write_conf(peers=peers, pods=[pod]).start()
        target = remotes["vxlan4"].v4
        pod.ping(target)
        path = os.path.join(lab.dir, "capture.pcapng")
        cli = [os.path.join(os.environ.get("PODLANE_BUILD", "build"), "ctrl", "podlane"), "--socket", a.api_socket]
        with subprocess.Popen([*cli, "capture", "-p", "eth0", "-a", "rx,tx", "-c", "4", "-w", path,
                               f"vlan {VLAN} and udp"]) as capture:
            wait_for("watched", lambda: os.path.exists(path))
            pod.ping(target, count=5)
            capture.wait(10)
        frames = rdpcap(path)
        assert len(frames) == 4
        assert all(f[Dot1Q].vlan == VLAN and f[Dot1Q].type == 0x800 and UDP in f for f in frames)
        assert {f[IP].src for f in frames} == {a.underlay4, "192.0.2.2"}
        assert f"{VLAN}" in a.cli("show", "uplinks", "--json")
        assert uplink(a)["offloads"][-1] == "tx-vlan"
        # What the owner of the interface says of it stays true: the VLAN cannot change under the flows.
        status, body = a.request("PATCH", "/v1/uplinks/eth0", {"vlan": 7})
        assert status >= 400 and b"uplinks/eth0/vlan" in body and b"delete the uplink" in body
        a.assert_balanced()
