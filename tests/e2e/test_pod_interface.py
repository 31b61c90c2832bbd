# SPDX-License-Identifier: Apache-2.0
"""What a kernel pod's interface is: one end of a veth pair, whose other end and TAP are in the daemon's namespace, or a TAP
itself. The main jobs with either; the node's own network stack sees nothing of it; what was found is kept."""

import time

import pytest

from lab import Lab, Pod, PodlaneNode, run, wait_for
from test_live import Stream


def pod_of(lab, node, name, host, **fields):
    return Pod(lab, name, [node.address(4, host), node.address(6, host)], **fields)


def port(node, pod):
    return next(p for p in node.get("/v1/state/ports") if p["name"] == f"pod:{pod.short}")


def index_of(pod):
    return pod.sh("cat", "/sys/class/net/eth0/ifindex")


def links(node):
    """What pods have in the node's namespace."""
    return [word.split("@")[0].rstrip(":") for word in node.sh("ip", "-o", "link").split() if word.startswith(("plv", "plt"))]


@pytest.fixture(params=["veth", "tap"])
def site(request):
    """A node of that mode with two pods. Its own kernel forwards and filters by source address as it likes."""
    with Lab("interface") as lab:
        node = PodlaneNode(lab, "node-a", 1, extra_node=f'pod_interface = "{request.param}";')
        for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf.default.rp_filter",
                     "net.ipv4.conf.all.proxy_arp"):
            node.sysctl(name, 1)
        pods = [pod_of(lab, node, f"pod-{i}", 10 + i) for i in range(2)]
        node.write_conf(pods=pods).start()
        yield request.param, lab, node, pods


def test_main_jobs(site):
    mode, lab, node, pods = site
    wide = [pod_of(lab, node, f"wide-{i}", 20 + i, mtu=9000) for i in range(2)]
    for pod in wide:
        node.put("pods", {**pod.object(), "queues": 2})
    assert all(("host_interface" in port(node, pod)) == (mode == "veth") for pod in [*pods, *wide])
    assert sorted(links(node)) == sorted(
        prefix + port(node, pod)["host_interface"][3:] for pod in [*pods, *wide] for prefix in ("plv", "plt")
        if mode == "veth")
    # What the node's stack has received, by itself: nothing of what follows.
    def received():
        lines = [line.split() for line in node.sh("cat", "/proc/net/snmp").splitlines() if line.startswith("Ip: ")]
        return dict(zip(*lines))["InReceives"], node.sh("grep", "Ip6InReceives", "/proc/net/snmp6")
    before = received()
    for family in ("v4", "v6"):
        pods[0].ping(getattr(pods[1], family))
        pods[0].ping(getattr(pods[1], family), size=20000)  # in fragments
        wide[0].ping(getattr(wide[1], family), size=8900 if family == "v4" else 8800, df=True)
        sent, answered, _ = wide[0].ping(getattr(pods[1], family), size=8800, df=True, check=False)
        assert sent > 0 and answered == 0
    for far in ("192.0.2.77", "10.244.1.77"):  # nobody there, and the node's own network
        pods[0].ping(far, count=1, timeout=0.2, check=False)
    stream = Stream(*pods)
    time.sleep(0.5)
    stream.finish()
    assert received() == before
    # Down and up, renamed, another address.
    pods[1].sh("ip", "link", "set", "eth0", "down")
    wait_for("it is down", lambda: not port(node, pods[1])["link"])
    pods[1].sh("ip", "link", "set", "eth0", "address", "02:11:22:33:44:55", "name", "net7")
    pods[1].sh("ip", "link", "set", "net7", "up")
    wait_for("it has its routes", lambda: pods[1].ping(pods[0].v6, count=1, timeout=0.3, check=False)[1])
    wait_for("it is followed", lambda: pods[0].ping(pods[1].v4, count=1, timeout=0.3, check=False)[1])
    assert port(node, pods[1])["interface"] == "net7"
    # Its namespace is deleted and comes back.
    run("ip", "netns", "del", pods[1].name)
    wait_for("it is noticed", lambda: port(node, pods[1])["interface_gone"])
    run("ip", "netns", "add", pods[1].name)
    wait_for("it is there again", lambda: pods[1].ping(pods[0].v4, count=1, timeout=1, check=False)[1])
    # No word of what is gone.
    for pod in (*pods, *wide):
        node.delete("pods", pod.short)
    assert not links(node)
    assert all("eth0" not in pod.sh("ip", "-o", "link") for pod in (*pods, *wide))
    node.assert_balanced()


def test_daemons_come_and_go(site):
    mode, lab, node, pods = site
    stream, indices, beside = Stream(*pods), [index_of(pod) for pod in pods], links(node)
    node.kill()
    assert links(node) == beside
    node.start()
    node.upgrade()
    assert node.stop() == 0
    assert links(node) == beside
    node.start()
    wait_for("pods are back", lambda: pods[0].ping(pods[1].v4, count=1, timeout=1, check=False)[1])
    stream.finish()
    assert [index_of(pod) for pod in pods] == indices and links(node) == beside
    # A pod that the next daemon does not know, and one whose namespace went meanwhile.
    assert node.stop() == 0
    run("ip", "netns", "del", pods[1].name)
    node.write_conf(pods=pods[:0])
    node.start()
    assert not links(node) and "eth0" not in pods[0].sh("ip", "-o", "link")
    run("ip", "netns", "add", pods[1].name)


def test_switched(site):
    """Pods that are there keep what they have, over a restart as well; others get what is configured."""
    mode, lab, node, pods = site
    stream, indices = Stream(*pods), [index_of(pod) for pod in pods]
    third = pod_of(lab, node, "third", 30)
    other = "tap" if mode == "veth" else "veth"
    assert node.stop() == 0
    node.extra_node = f'pod_interface = "{other}";'
    node.write_conf(pods=pods)
    node.start()
    node.put("pods", third.object())
    assert [("host_interface" in port(node, pod)) for pod in [*pods, third]] == [mode == "veth"] * 2 + [mode == "tap"]
    third.ping(pods[0].v4)
    stream.finish()
    assert [index_of(pod) for pod in pods] == indices
    node.delete("pods", pods[0].short)
    node.put("pods", pods[0].object())
    assert ("host_interface" in port(node, pods[0])) == (mode == "tap")
    pods[0].ping(pods[1].v6)
    node.patch("nodes", "node-a", {"pod_interface": mode})
    node.delete("pods", third.short)
    node.put("pods", third.object())
    assert ("host_interface" in port(node, third)) == (mode == "veth")
    third.ping(pods[0].v6)
    node.assert_balanced()
