# SPDX-License-Identifier: Apache-2.0
"""The kernel's VXLAN device as the peer: IPv4 and IPv6 underlay, flannel's and Calico's ports and VNIs, both directions."""

import pytest

from lab import FlannelNode, Lab, Pod, PodlaneNode, wait_for


@pytest.mark.parametrize("family,vni,port", [(4, 1, 8472), (4, 4096, 4789), (6, 1, 8472), (6, 4096, 4789)])
def test_kernel_peer(lab, family, vni, port):
    a = PodlaneNode(lab, "node-a", 1)
    c = FlannelNode(lab, "node-c", 3, vni=vni, port=port, family=family)
    pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
    remote = c.add_pod("pod-c1")
    c.add_peer(a)
    peer = a.peer_object((c, "vxlan"))
    peer["underlay"] = [c.underlay4 if family == 4 else c.underlay6]
    peer["vni"], peer["port"] = vni, port
    a.write_conf(peers=[peer], pods=[pod]).start()
    for address in (remote.v4, remote.v6):
        pod.ping(address, count=3)
        pod.ping(address, count=3, size=1300)
    for address in (pod.v4, pod.v6):
        remote.ping(address, count=3)
        remote.ping(address, count=3, size=1300)
    a.assert_balanced()
    assert a.stop() == 0


def test_checksummed_udp_over_ipv6(lab):
    """With checksums switched on, the kernel accepts ours and we accept the kernel's."""
    a = PodlaneNode(lab, "node-a", 1, extra_node="vxlan_udp6_checksum = true;")
    c = FlannelNode(lab, "node-c", 3, family=6)
    # The kernel sends checksums over IPv6 unless told otherwise; make it insist on them as well.
    pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
    remote = c.add_pod("pod-c1")
    c.add_peer(a)
    peer = a.peer_object((c, "vxlan"))
    peer["underlay"] = [c.underlay6]
    a.write_conf(peers=[peer], pods=[pod]).start()
    for size in (1, 56, 57, 1300):
        pod.ping(remote.v4, count=2, size=size)
        pod.ping(remote.v6, count=2, size=size)
    drops = a.drops()
    assert "tunnel_bad_checksum" not in drops
    errors = c.sh("nstat", "-asz", "Udp6InCsumErrors", check=False)
    assert "Udp6InCsumErrors                0" in errors or "Udp6InCsumErrors" not in errors


def test_only_known_peers_are_believed(lab):
    """A third node with the right VNI and MAC is not a peer: what it sends is dropped and counted."""
    a = PodlaneNode(lab, "node-a", 1)
    c = FlannelNode(lab, "node-c", 3)
    pod = Pod(lab, "pod-a1", [a.address(4, 10), a.address(6, 10)])
    remote = c.add_pod("pod-c1")
    c.add_peer(a)
    a.write_conf(pods=[pod]).start()
    _, received, _ = remote.ping(pod.v4, count=3, check=False, timeout=1)
    assert received == 0
    assert wait_for("drop is counted", lambda: a.drops().get("tunnel_unknown_peer", 0) >= 3)
    a.put("peers", a.peer_object((c, "vxlan")))
    remote.ping(pod.v4, count=3)
    a.delete("peers", "node-c")
    _, received, _ = remote.ping(pod.v4, count=3, check=False, timeout=1)
    assert received == 0
    a.assert_balanced()
