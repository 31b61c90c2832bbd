# SPDX-License-Identifier: Apache-2.0
"""The af_packet uplink: large packets that cross whole, with peers that leave their offloads on, and a wire that takes none."""

import hashlib
import os
import re

import pytest

from lab import FlannelNode, Lab, Pod, PodlaneNode, wait_for

DATA = os.urandom(3 << 20)

READER = """
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], 7000), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
c, _ = s.accept()
h = hashlib.sha256()
while (data := c.recv(1 << 20)):
    h.update(data)
print(h.hexdigest(), flush=True)
"""
WRITER = "import socket, sys; s = socket.create_connection((sys.argv[1], 7000)); s.sendall(open(sys.argv[2], 'rb').read()); s.close()"


def transfer(lab, source, sink):
    """TCP, both families: what was sent arrives."""
    path = os.path.join(lab.dir, "data")
    with open(path, "wb") as f:
        f.write(DATA)
    for n, address in enumerate((sink.v4, sink.v6)):
        log = f"reader-{source.short}-{sink.short}-{n}"
        reader = sink.popen("/usr/bin/python3", "-c", READER, address, log=log)
        wait_for("reader listens", lambda: ":7000" in sink.sh("ss", "-Htln"))
        source.sh("/usr/bin/python3", "-c", WRITER, address, path)
        reader.wait(20)
        with open(reader.log) as f:
            assert f.read().split()[-1] == hashlib.sha256(DATA).hexdigest()  # the file is of all runs


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
        transfer(lab, pod, remote)
        transfer(lab, remote, pod)
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
        transfer(lab, *pods)
        transfer(lab, *reversed(pods))
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
        transfer(lab, *pods)
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
