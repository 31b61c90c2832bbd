# SPDX-License-Identifier: Apache-2.0
"""Flows of kernel pods that the kernel forwards by itself: decided, counted and taken back by the daemon.

A connection whose every byte is checked (steady_stream.py) lasts while things change around it.
"""

import contextlib
import os
import signal
import socket
import sys
import time

import pytest

from forger import Forger, Watch, packet_socket, vnet_header
from lab import FlannelNode, Lab, Pod, PodlaneNode, SharedNode, built, kill_process, wait_for

ROUNDS = 40  # of ten commits
STREAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "steady_stream.py")


class Steady:
    """A stream from one pod to another."""
    port = 7100

    def __init__(self, source, target, family=4, rate=20):
        Steady.port += 1
        address = target.v4 if family == 4 else target.v6
        self.stop_file = os.path.join(source.lab.dir, f"stop-{Steady.port}")
        self.server = target.popen(sys.executable, STREAM, "serve", address, Steady.port, log=f"serve-{Steady.port}")
        wait_for("the stream's server", lambda: f":{Steady.port} " in target.sh("ss", "-Htln"))
        self.client = source.popen(sys.executable, STREAM, "send", address, Steady.port, rate, self.stop_file,
                                   log=f"send-{Steady.port}")
        self.number = Steady.port

    def received(self):
        """Bytes the sender knows to be there."""
        with open(self.client.log) as f:
            lines = f.read().split("\n")[:-1]
        assert self.client.poll() is None and self.server.poll() is None, (lines[-1:], open(self.server.log).read()[-200:])
        return int(lines[-1]) if lines else 0

    def goes_on(self, more=1 << 20, timeout=10):
        before = self.received()
        wait_for("the stream goes on", lambda: self.received() > before + more, timeout)

    def stalls(self):
        time.sleep(0.3)
        before = self.received()
        time.sleep(0.5)
        assert self.received() == before

    def finish(self):
        """Close it; both ends agree about what was sent."""
        open(self.stop_file, "w").close()
        assert self.client.wait(20) == 0 and self.server.wait(20) == 0, open(self.client.log).read()[-200:]
        assert open(self.server.log).read().endswith("end\n")


def forwarded(node):
    return next(e["count"] for e in node.get("/v1/state/events") if e["event"] == "kernel_forwarded")


def flows(node, stream, kernel=True):
    return [f for f in node.get("/v1/state/flows?limit=10000") if stream.number in (f.get("sport"), f.get("dport"))
            and f["kernel"] == kernel]


def in_kernel(node, stream, directions):
    """Wait until that many directions of the stream are the kernel's, and packets are counted there."""
    wait_for("the kernel has the stream", lambda: len(flows(node, stream)) == directions)
    before = forwarded(node)
    wait_for("packets are forwarded by the kernel", lambda: forwarded(node) > before + 20)


def in_workers(node, stream):
    """The stream goes on, and nothing of it by the kernel."""
    before = forwarded(node)
    stream.goes_on()
    assert forwarded(node) == before


class Bench:
    """Two Podlane nodes and one with the kernel's VXLAN."""

    def __init__(self):
        self.lab = lab = Lab("kernel")
        self.a = PodlaneNode(lab, "node-a", 1, extra_node='kernel_flows = "all";')
        self.b = SharedNode(lab, "node-b", 2, extra_node='kernel_flows = "all";')
        self.c = FlannelNode(lab, "node-c", 3)
        self.pods = {f"pod-{n.short[-1]}{i}": Pod(lab, f"pod-{n.short[-1]}{i}", [n.address(4, 10 + i), n.address(6, 10 + i)])
                     for n, i in ((self.a, 1), (self.a, 2), (self.b, 1), (self.b, 2))}
        self.pods["pod-c1"] = self.c.add_pod("pod-c1")
        self.c.add_peer(self.a)
        self.c.add_peer(self.b)
        self.a.write_conf(peers=[(self.b, "vxlan"), (self.c, "vxlan")], pods=[self.pods["pod-a1"], self.pods["pod-a2"]])
        self.b.write_conf(peers=[(self.a, "vxlan"), (self.c, "vxlan")], pods=[self.pods["pod-b1"], self.pods["pod-b2"]])
        self.a.start(wait=False)
        self.b.start()
        self.a.wait_ready()


@pytest.fixture(scope="module")
def bench():
    with built(Bench) as one:
        yield one


@pytest.mark.parametrize("family", [4, 6])
def test_pods_of_a_node(bench, family):
    """Both directions; its end is the workers' again, and every byte is in the counters of the flow."""
    node, source, target = bench.a, bench.pods["pod-a1"], bench.pods["pod-a2"]
    stream = Steady(source, target, family)
    in_kernel(node, stream, 2)
    stream.goes_on()
    stream.finish()
    there = wait_for("the workers know that it is over", lambda: [
        f for f in flows(node, stream, False) if f["state"] == "time_wait" and f["dport"] == stream.number])[0]
    with open(stream.server.log) as f:
        total = int(f.read().split()[-2])
    assert total < there["bytes"] < total * 1.1 + 100000
    bench.a.assert_balanced()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("node,source,target", [("a", "pod-a1", "pod-b1"), ("b", "pod-b1", "pod-a1"), ("a", "pod-a1", "pod-c1"),
                                                ("b", "pod-b1", "pod-c1")])
def test_pods_of_two_nodes(bench, family, node, source, target):
    """The sender's kernel puts segments into the tunnel (af_packet and af_xdp uplinks); Podlane and the kernel's own VXLAN
    take them out."""
    node = getattr(bench, node)
    stream = Steady(bench.pods[source], bench.pods[target], family)
    in_kernel(node, stream, 1)
    stream.goes_on()
    stream.finish()
    node.assert_balanced()


@pytest.mark.parametrize("encap", ["ipip", "direct"])
def test_other_paths(bench, encap):
    """IP-in-IP of both families inside, and no tunnel; a change of the peer's encapsulation takes flows along."""
    a, b = bench.a, bench.b
    streams = [Steady(bench.pods["pod-a1"], bench.pods["pod-b1"], family) for family in (4, 6)]
    for stream in streams:
        in_kernel(a, stream, 1)
    try:
        for node, peer in ((a, "node-b"), (b, "node-a")):
            node.patch("peers", peer, {"encap": encap})
        for stream in streams:
            in_kernel(a, stream, 1)
            stream.goes_on()
            assert encap in flows(a, stream)[0]["next_hop"]
    finally:
        for node, peer in ((a, "node-b"), (b, "node-a")):
            node.patch("peers", peer, {"encap": "vxlan"})
    for stream in streams:
        in_kernel(a, stream, 1)
        stream.finish()
    a.assert_balanced()


@pytest.mark.parametrize("family", [4, 6])
def test_ipv6_underlay(bench, family):
    """VXLAN over IPv6 with a zero checksum, and IP-in-IP."""
    a, b = bench.a, bench.b
    six = {"node-a": {"underlay": [b.underlay6]}, "node-b": {"underlay": [a.underlay6]}}
    both = {"node-a": {"underlay": [b.underlay4, b.underlay6]}, "node-b": {"underlay": [a.underlay4, a.underlay6]}}
    stream = Steady(bench.pods["pod-a1"], bench.pods["pod-b1"], family)
    try:
        for encap in ("vxlan", "ipip"):
            a.patch("peers", "node-b", {**six["node-a"], "encap": encap})
            b.patch("peers", "node-a", {**six["node-b"], "encap": encap})
            in_kernel(a, stream, 1)
            stream.goes_on()
    finally:
        a.patch("peers", "node-b", {**both["node-a"], "encap": "vxlan"})
        b.patch("peers", "node-a", {**both["node-b"], "encap": "vxlan"})
    stream.finish()
    a.assert_balanced()


def test_udp(bench):
    """Datagrams in both directions, all counted."""
    a, source, target = bench.a, bench.pods["pod-a1"], bench.pods["pod-a2"]
    echo = target.popen(sys.executable, "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                        "s.bind(('', 7050))\nwhile True:\n d, a = s.recvfrom(2048)\n s.sendto(d, a)")
    time.sleep(0.3)
    before = forwarded(a)
    source.sh(sys.executable, "-c", f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("{target.v4}", 7050))
s.settimeout(5)
for n in range(6000):
    s.send(b"%d" % n)
    assert s.recv(2048) == b"%d" % n
    if n < 200: time.sleep(0.005)
""")
    assert forwarded(a) > before + 5000
    both = [f for f in a.get("/v1/state/flows?limit=10000") if 7050 in (f.get("sport"), f.get("dport"))]
    assert [f["packets"] for f in both] == [6000, 6000] and all(f["state"] == "replied" for f in both)
    kill_process(echo)
    a.assert_balanced()


def test_a_policy_takes_it_back(bench):
    """A commit that denies ends it at once, one that allows lets it go on; others that have nothing to do with it cost nothing."""
    a, stream = bench.a, Steady(bench.pods["pod-a1"], bench.pods["pod-a2"])
    in_kernel(a, stream, 2)
    deny = {"name": "shut", "types": ["ingress"], "ingress": [{"action": "deny"}]}
    a.put("policies", deny)
    at = forwarded(a)
    stream.stalls()
    assert forwarded(a) == at
    assert a.drops()["policy_ingress"] > 0
    a.delete("policies", "shut")
    stream.goes_on(timeout=30)
    in_kernel(a, stream, 2)
    for n in range(20):
        a.put("routes", {"prefix": f"203.0.{113 + n}.0/24", "via": [{"peer": "node-b"}]}, f"203.0.{113 + n}.0%2F24")
        stream.goes_on(1 << 16)
    in_kernel(a, stream, 2)
    for n in range(20):
        a.delete("routes", f"203.0.{113 + n}.0%2F24")
    stream.finish()
    a.assert_balanced()


def test_who_watches_sees_its_packets(bench):
    a, stream = bench.a, Steady(bench.pods["pod-a1"], bench.pods["pod-a2"])
    in_kernel(a, stream, 2)
    path = os.path.join(bench.lab.dir, "watch.pcapng")
    a.cli("capture", "-w", path, "-c", "50", "-a", "rx", f"tcp port {stream.number}")
    out = bench.pods["pod-a1"].sh("tcpdump", "-nr", path)
    assert out.count(f".{stream.number}") >= 50
    in_kernel(a, stream, 2)
    stream.finish()


def test_limits_hold(bench):
    """A pod that gets a limit has its packets counted against it, by the workers."""
    a, stream = bench.a, Steady(bench.pods["pod-a1"], bench.pods["pod-a2"], rate=50)
    in_kernel(a, stream, 2)
    a.patch("pods", "pod-a1", {"egress_rate_kbps": 16000})
    in_workers(a, stream)
    before, begin = stream.received(), time.monotonic()
    time.sleep(2)
    assert stream.received() - before < 2.5 * 2e6 * (time.monotonic() - begin)
    a.patch("pods", "pod-a1", {"egress_rate_kbps": 0})
    in_kernel(a, stream, 2)
    stream.finish()


def test_the_setting(bench):
    """UDP only where it is asked for: a datagram must not overtake another."""
    a, stream = bench.a, Steady(bench.pods["pod-a1"], bench.pods["pod-a2"])
    in_kernel(a, stream, 2)
    a.patch("nodes", "node-a", {"kernel_flows": "off"})
    in_workers(a, stream)
    a.patch("nodes", "node-a", {"kernel_flows": "tcp"})
    in_kernel(a, stream, 2)
    stream.finish()
    before = forwarded(a)
    bench.pods["pod-a1"].sh(sys.executable, "-c", f"""
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(2000):
    s.sendto(b"x" * 100, ("{bench.pods["pod-a2"].v4}", 7051))
    if n % 100 == 0: time.sleep(0.01)
""")
    time.sleep(0.2)
    assert forwarded(a) == before
    a.patch("nodes", "node-a", {"kernel_flows": "all"})


@pytest.mark.parametrize("how", ["kill", "stop", "upgrade"])
def test_no_daemon_is_needed(bench, how):
    """Killed or stopped, the kernel goes on; the next daemon decides anew, and gives it the flow again."""
    a, stream = bench.a, Steady(bench.pods["pod-a1"], bench.pods["pod-a2"])
    in_kernel(a, stream, 2)
    if how == "upgrade":
        a.upgrade()
    else:
        a.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        stream.goes_on()
        a.start()
    stream.goes_on()
    in_kernel(a, stream, 2)
    stream.finish()
    a.assert_balanced()


def test_strict_windows(bench):
    """What the kernel forwarded is known to the workers when the connection ends, after more than the sequence numbers have room for."""
    a = bench.a
    a.patch("nodes", "node-a", {"tcp_window": "strict"})
    stream = Steady(bench.pods["pod-a1"], bench.pods["pod-a2"], rate=0)
    in_kernel(a, stream, 2)
    wait_for("sequence numbers come round", lambda: stream.received() > 5 << 30, 60, 0.2)
    drops = a.drops()
    stream.finish()
    assert wait_for("it is over", lambda: [f for f in flows(a, stream, False) if f["state"] == "time_wait"])
    assert {k: v for k, v in a.drops().items() if "tcp" in k} == {k: v for k, v in drops.items() if "tcp" in k}
    a.patch("nodes", "node-a", {"tcp_window": "liberal"})
    a.assert_balanced()


def test_the_pod_goes(bench):
    """Detached in the middle; its counters stay in the balance, and another pod may have its place at once."""
    a = bench.a
    guest = Pod(bench.lab, "guest", [a.address(4, 77), a.address(6, 77)])
    for _ in range(3):
        a.put("pods", guest.object())
        wait_for("the guest is there", lambda: guest.ping(bench.pods["pod-a1"].v4, count=1, check=False))
        stream = Steady(bench.pods["pod-a1"], guest)
        in_kernel(a, stream, 2)
        a.delete("pods", "guest")
        for process in (stream.client, stream.server):
            kill_process(process)
        a.assert_balanced()
    assert "guest" not in a.sh("ip", "link")


# --- a pod that means harm ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def datagrams(node, source, target, family, sport, dport):
    """A UDP flow that the kernel has."""
    def address(pod):
        return pod.v4 if family == 4 else pod.v6

    def bound(pod, port):
        with pod.entered():
            s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind((address(pod), port))
        return s
    with bound(source, sport) as here, bound(target, dport) as there:
        here.settimeout(5)
        there.settimeout(5)

        def is_the_kernels():
            here.sendto(b"there", (address(target), dport))
            there.sendto(b"back", there.recvfrom(99)[1])
            here.recv(99)
            return [f for f in node.get("/v1/state/flows?limit=10000") if f["kernel"] and (f["sport"], f["dport"]) == (sport, dport)]
        for _ in range(100):
            here.sendto(b"more", (address(target), dport))
            there.recv(99)
        wait_for("the kernel has the datagrams", is_the_kernels)
        yield


def drain(s, port):
    """What has arrived there of TCP to that port, of IPv4."""
    frames = []
    while True:
        try:
            frame, origin = s.recvfrom(64)
        except BlockingIOError:
            return frames
        if origin[2] != socket.PACKET_OUTGOING and frame[12:14] == b"\x08\0" and int.from_bytes(frame[36:38], "big") == port:
            frames.append(frame)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("target", ["pod-a2", "pod-b1"])
def test_forged_packets(bench, target, family):
    """Frames of a flow that the kernel has, from its pod's packet socket: what a worker would not forward arrives nowhere; other
    pods' packets never leave this one, nor does a checksum that its sender has completed into a port that is denied."""
    a, pods = bench.a, bench.pods
    source, target = pods["pod-a1"], pods[target]
    a.put("policies", {"name": "no-22", "types": ["egress"], "egress": [
        {"action": "deny", "protocol": "udp", "destination_ports": ["22"]}, {"action": "allow"}]})
    source.ping(getattr(target, f"v{family}"), count=1)
    gateway = source.sh("sh", "-c", "ip neigh; ip -6 neigh").split("lladdr ")[1].split()[0]
    forger, number = Forger(source, target, 6001, 7001, gateway), 0
    stream = Steady(pods["pod-a2"], pods["pod-b1"], family, rate=4)
    in_kernel(a, stream, 1)
    spoofed = [getattr(pods[p], f"v{family}") for p in ("pod-a2", "pod-b2")]
    with datagrams(a, source, target, family, 6001, 7001), datagrams(a, pods["pod-a2"], pods["pod-b2"], family, 6001, 7001), \
            packet_socket(source, 0) as plain, packet_socket(source, 0, vnet=True) as virtio, \
            contextlib.closing(Watch([p for p in pods.values() if p is not source])) as watch:
        names, expected, redirected, arrived, before = {}, set(), set(), {}, forwarded(a)
        for name, make, arrives in forger.cases(family, spoofed):
            for by, header in ((plain, b""), (virtio, vnet_header())):
                number += 1
                names[number] = name
                expected |= {(target.short, number)} if arrives else set()
                by.send(header + bytes(make(number)))
        for _ in range(3):
            number += 1
            redirected.add((target.short, number))
            virtio.send(forger.redirected(family, number, 22))
        wait_for("the good ones arrive", lambda: arrived.update(watch.arrived()) or expected <= arrived.keys())
        time.sleep(0.1)
        arrived.update(watch.arrived())
        assert not {(pod, names[n]) for pod, n in arrived.keys() - expected - redirected}
        assert set(arrived.values()) == {7001}
        assert forwarded(a) > before
    a.delete("policies", "no-22")
    stream.goes_on()
    stream.finish()
    a.assert_balanced()


def test_many_commits(bench):
    """Routes, and a policy that denies one of three streams, as fast as the daemon takes them: after it has said that the stream is
    denied no packet of it arrives; the others lose no byte."""
    a, pods = bench.a, bench.pods
    streams = [Steady(pods["pod-a1"], pods["pod-a2"]), Steady(pods["pod-a1"], pods["pod-b1"], 6), Steady(pods["pod-a2"], pods["pod-a1"], 6)]
    for stream, directions in zip(streams, (2, 1, 2)):
        in_kernel(a, stream, directions)
    number, late, begin = streams[0].number, [], time.monotonic()
    deny = {"name": "shut", "types": ["ingress"], "ingress": [
        {"action": "deny", "protocol": "tcp", "destination_ports": [str(number)]}, {"action": "allow"}]}
    with packet_socket(pods["pod-a2"], 3) as seen:
        for n in range(ROUNDS):
            a.put("policies", deny)
            time.sleep(0.005)  # what was on its way
            drain(seen, number)
            for m in range(4):
                a.put("routes", {"prefix": f"203.0.{m}.0/24", "via": [{"peer": "node-b"}]}, f"203.0.{m}.0%2F24")
            late += drain(seen, number)
            a.delete("policies", "shut")
            for m in range(4):
                a.delete("routes", f"203.0.{m}.0%2F24")
    print(f"{10 * ROUNDS / (time.monotonic() - begin):.0f} commits a second")
    assert not late
    for stream in streams[1:]:
        stream.goes_on()
    streams[0].goes_on(timeout=30)
    for stream, directions in zip(streams, (2, 1, 2)):
        in_kernel(a, stream, directions)
        stream.finish()
    a.assert_balanced()
