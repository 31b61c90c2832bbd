# SPDX-License-Identifier: Apache-2.0
"""The af_packet uplink: large packets that cross whole, with peers that leave their offloads on, and a wire that takes none."""

import os
import re

import pytest

from lab import FlannelNode, Lab, Pod, PodlaneNode, transfer, wait_for

DATA = os.urandom(3 << 20)



def uplink(node):
    return next(p for p in node.get("/v1/state/ports") if p["role"] == "uplink")


def counters_agree(node):
    """Packets are counted, not messages."""
    sent = uplink(node)["tx_packets"]
    assert sent >= uplink(node)["tx_merged_packets"] > uplink(node)["tx_merged_messages"] > 0
    node.assert_balanced()


@pytest.mark.parametrize("family", [4, 6])
def test_kernel_peer_with_offloads(family):
    """The kernel's VXLAN takes our large packets apart, and we its large TCP segments inside the tunnel."""
    with Lab("uplink", offloads=True) as lab:
        a = PodlaneNode(lab, "node-a", 1)
        c = FlannelNode(lab, "node-c", 3, family=family)
        pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
        remote = c.add_pod("pod-c1")
        c.add_peer(a)
        peer = a.peer_object((c, "vxlan"))
        peer["underlay"] = [c.underlay4 if family == 4 else c.underlay6]
        a.write_conf(peers=[peer], pods=[pod]).start()
        for address in (remote.v4, remote.v6):
            pod.ping(address, count=2, size=1300)
        transfer(pod, remote, DATA)
        transfer(remote, pod, DATA)
        counters_agree(a)
        assert uplink(a)["rx_errors"] == 0
        assert not [r for r in a.drops() if r.startswith(("tunnel_", "l4_", "ip4_", "ip6_", "offload_"))]


@pytest.mark.parametrize("encap", ["vxlan", "direct", "ipip"])
def test_two_nodes_with_offloads(encap):
    with Lab("uplink", offloads=True) as lab:
        a, b = PodlaneNode(lab, "node-a", 1), PodlaneNode(lab, "node-b", 2)
        pods = [Pod(lab, f"pod-{n.short}", [n.address(4, 10), n.address(6, 10)]) for n in (a, b)]
        a.write_conf(peers=[(b, encap)], pods=[pods[0]]).start()
        b.write_conf(peers=[(a, encap)], pods=[pods[1]]).start()
        transfer(*pods, DATA)
        transfer(*reversed(pods), DATA)
        for node in (a, b):
            node.assert_balanced()
            assert uplink(node)["rx_errors"] == 0
        if encap == "vxlan":
            counters_agree(a)
        # Whole segments over a veth that takes them: far fewer packets than the wire would have.
        if encap == "direct":
            assert uplink(a)["tx_bytes"] / uplink(a)["tx_packets"] > 3000


def test_a_wire_sees_frames_of_the_mtu():
    """Offloads off: whatever we hand over as one, nothing longer than the MTU leaves the node."""
    with Lab("uplink") as lab:
        a, b = PodlaneNode(lab, "node-a", 1), PodlaneNode(lab, "node-b", 2)
        pods = [Pod(lab, f"pod-{n.short}", [n.address(4, 10), n.address(6, 10)]) for n in (a, b)]
        a.write_conf(peers=[(b, "vxlan")], pods=[pods[0]]).start()
        b.write_conf(peers=[(a, "vxlan")], pods=[pods[1]]).start()
        # On the far end of the first node's veth.
        dump = lab.switch.popen("tcpdump", "-nn", "-vv", "-e", "-i", "p1", "-Q", "in", "udp", log="tcpdump.log")
        wait_for("tcpdump listens", lambda: "listening" in open(dump.log).read())
        transfer(*pods, DATA)
        full = uplink(b)["mtu"] - 20 + 14  # pods leave room for an IPv6 underlay, this one is IPv4
        wait_for("a full frame was seen", lambda: f"length {full}" in open(dump.log).read())
        dump.terminate()
        dump.wait(5)
        with open(dump.log) as f:
            text = f.read()
        lengths = [int(n) for n in re.findall(r"ethertype IPv4 \(0x0800\), length (\d+): \(", text)]
        assert len(lengths) > 500 and max(lengths) == full
        assert "bad udp cksum" not in text and "udp sum ok" in text
        counters_agree(a)
