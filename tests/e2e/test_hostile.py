# SPDX-License-Identifier: Apache-2.0
"""Hundreds of hostile frames, from a pod and from the underlay: each counts under exactly the reason it must."""

import json
import os
import socket
import time

import pytest

import hostile
import lab as laboratory
from lab import wait_for


class Bench:
    """A node with two pods; a peer that is nothing but a socket on the underlay and ports that swallow."""

    def __init__(self):
        self.lab = laboratory.Lab("hostile")
        self.node = laboratory.PodlaneNode(self.lab, "node-a", 1, extra_node="icmp_rate = 100000;")
        self.peer = laboratory.Node(self.lab, "node-b", 2)
        self.peer.pool4, self.peer.pool6 = "10.244.2.0/24", "fd00:244:2::/64"
        self.pods = [laboratory.Pod(self.lab, f"pod-{i}", [self.node.address(4, i), self.node.address(6, i)])
                     for i in (10, 11)]
        # Kernels report the groups they join, late and twice: let them be done before anything is counted.
        for namespace in (self.node, self.peer, *self.pods):
            for version in ("mldv1", "mldv2"):
                namespace.sysctl(f"net.ipv6.conf.default.{version}_unsolicited_report_interval", 10)
        self.node.write_conf(peers=[(self.peer, "vxlan")], pods=self.pods)
        self.node.start()
        # Where the kernel filters bridged packets, it drops malformed ones and joins fragments: not on this wire.
        for table in ("iptables", "ip6tables", "arptables"):
            if os.path.exists(f"/proc/sys/net/bridge/bridge-nf-call-{table}"):
                self.lab.switch.sysctl(f"net.bridge.bridge-nf-call-{table}", 0)
        # The peer's kernel resolves neighbours for us and must say nothing else.
        self.peer.sysctl("net.ipv4.icmp_echo_ignore_all", 1)
        self.peer.sh("ip", "addr", "add", f"{self.peer.underlay4}/24", "dev", "eth0")
        self.peer.sh("ip", "addr", "add", f"{self.peer.underlay6}/64", "dev", "eth0", "nodad")
        self.swallow = []
        with self.peer.entered():
            for family in (socket.AF_INET, socket.AF_INET6):
                for port in (8472, 4789):
                    s = socket.socket(family, socket.SOCK_DGRAM)
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.bind(("", port))
                    self.swallow.append(s)
        ports = {p["name"]: p for p in self.node.get("/v1/state/ports")}
        self.port_mac = {name: p["mac"] for name, p in ports.items()}
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connection.settimeout(10)
        self.connection.connect(self.node.api_socket)
        self.quiet(2)

    def close(self):
        self.connection.close()
        for s in self.swallow:
            s.close()
        self.lab.close()

    def counts(self):
        """({reason: packets}, balance), over a connection that stays open: cheap enough to ask after every frame."""
        self.connection.sendall(b"GET /v1/state/drops HTTP/1.1\r\nHost: podlane\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < length:
            body += self.receive()
        state = json.loads(body)
        return {r["reason"]: r["packets"] for r in state["reasons"] if r["packets"] > 0}, state["balance"]

    def receive(self):
        chunk = self.connection.recv(65536)
        assert chunk, "the daemon closed the connection"
        return chunk

    def quiet(self, seconds=0.3, timeout=10):
        """Wait until nothing has moved for a while."""
        end, still, last = time.monotonic() + timeout, time.monotonic(), self.counts()
        while time.monotonic() - still < seconds:
            assert time.monotonic() < end, "the node does not become quiet"
            time.sleep(0.02)
            now = self.counts()
            if now != last:
                still, last = time.monotonic(), now
        return last

    def socket_in(self, namespace, device="eth0"):
        with namespace.entered():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            s.bind((device, 0))
        return s


def mac_of(namespace, device="eth0"):
    return json.loads(namespace.sh("ip", "-j", "link", "show", device))[0]["address"]


@pytest.fixture(scope="module")
def bench():
    one = Bench()
    try:
        yield one
    finally:
        one.close()


def difference(before, after):
    return {reason: after.get(reason, 0) - before.get(reason, 0) for reason in {*before, *after}
            if after.get(reason, 0) != before.get(reason, 0)}


def settled(bench, drops, balance, want):
    """Counters after one frame: until what is wanted is there, or a second has passed."""
    end = time.monotonic() + 1
    while True:
        now, now_balance = bench.counts()
        got = difference(drops, now)
        if want in ("answered", "forwarded", "kept"):
            done = now_balance["received"] > balance["received"] and now_balance["difference"] == 0
        else:
            done = bool(got)
        if done or time.monotonic() > end:
            return now, now_balance, got


def fate_missed(fate, got, before, after):
    """What is wrong with the counters after a case, or None."""
    if fate not in ("answered", "forwarded", "kept"):
        return None if got == {fate: 1} else f"expected {fate}, counted {got or 'nothing'}"
    moved = {key: after[key] - before[key] for key in ("received", "transmitted", "delivered", "held")}
    good = not got and moved["received"] >= 1 and {
        "answered": moved["delivered"] >= 1 and moved["transmitted"] >= 1,
        "forwarded": moved["transmitted"] >= 1,
        "kept": moved["held"] >= 1}[fate]
    return None if good else f"expected to be {fate}, counted {got or 'no drop'}, {moved}"


def play(bench, sock, cases):
    """Send every case; collect what went elsewhere than it should."""
    wrong = []
    start, start_balance = drops, balance = bench.quiet()
    expected = {}
    for name, frames, fate in cases:
        for frame in frames[:-1]:
            sock.send(frame)
            drops, balance, got = settled(bench, drops, balance, "kept")
            if got:
                wrong.append(f"{name}: its preparation was dropped: {got}")
        sock.send(frames[-1])
        before = balance
        drops, balance, got = settled(bench, drops, balance, fate)
        missed = fate_missed(fate, got, before, balance)
        if missed:
            wrong.append(f"{name}: {missed}")
            # Late ones must not be charged to the next.
            drops, balance = bench.quiet(0.15)
        elif fate not in ("answered", "forwarded", "kept"):
            expected[fate] = expected.get(fate, 0) + 1
    end, end_balance = bench.quiet()
    assert not wrong, f"{len(wrong)} of {len(cases)} frames:\n" + "\n".join(wrong)
    assert difference(start, end) == expected, "drops came late or twice"
    assert bench.node.process.poll() is None
    bench.node.assert_balanced()


def sender(pod, other, gateway):
    return hostile.Sender(mac_of(pod), gateway, pod.v4, pod.v6, other.v4, other.v6, "169.254.1.1", "fe80::1")


def pod_cases(bench):
    pod, other = bench.pods
    s = sender(pod, other, bench.port_mac[f"pod:{pod.short}"])
    yield from hostile.of_any(s)
    yield from hostile.link_veth(s)
    yield from hostile.arp_wrong(s)
    yield from hostile.nd_wrong(s)
    yield from hostile.spoofing(s, (other.v4, "10.244.1.99", "10.244.2.7", "192.0.2.1", "192.0.2.2", "8.8.8.8"),
                                (other.v6, "fd00:244:1::99", "fd00:244:2::7", "2001:db8::1", "2001:4860::8"))
    yield from hostile.pod_tunnels(s, bench.node.underlay4, bench.node.underlay6, bench.node.vtep_mac, "10.244.2.7",
                                   other.v4)


def underlay_cases(bench):
    node, peer, (pod, other) = bench.node, bench.peer, bench.pods
    mac, to = mac_of(peer), bench.port_mac["eth0"]
    # From the peer's own address to a pod, as with direct routing.
    s = hostile.Sender(mac, to, peer.underlay4, peer.underlay6, pod.v4, pod.v6, node.underlay4, node.underlay6)
    yield from hostile.of_any(s)
    yield from hostile.martians(s, (pod.v4, other.v4), (pod.v6, other.v6), node.underlay4, node.underlay6)
    vni = node.get("/v1/nodes")[0]["vxlan_vni"]
    t = hostile.Tunnel(s, node.underlay4, node.underlay6, peer.vtep_mac, node.vtep_mac, vni, 4789)
    yield from hostile.tunnels(t, "10.244.2.7", "fd00:244:2::7", pod.v4, pod.v6, node.underlay4, node.underlay6,
                               "192.0.2.99", "2001:db8::99")


def test_from_a_pod(bench):
    cases = list(pod_cases(bench))
    assert len(cases) >= 200
    with bench.socket_in(bench.pods[0]) as sock:
        play(bench, sock, cases)


def test_from_a_plain_tap(bench):
    node, other = bench.node, bench.pods[1]
    pod = laboratory.Pod(bench.lab, "pod-12", [node.address(4, 12), node.address(6, 12)])
    for version in ("mldv1", "mldv2"):
        pod.sysctl(f"net.ipv6.conf.default.{version}_unsolicited_report_interval", 10)
    node.patch("nodes", "node-a", {"pod_interface": "tap"})
    node.put("pods", pod.object())
    with bench.socket_in(pod) as sock:
        s = sender(pod, other, bench.port_mac[f"pod:{other.short}"])
        play(bench, sock, [*hostile.link_veth(s), *hostile.link_tap(s)])
    node.delete("pods", pod.short)
    node.patch("nodes", "node-a", {"pod_interface": "veth"})


def test_from_the_underlay(bench):
    cases = list(underlay_cases(bench))
    assert len(cases) >= 200
    # Both know each other's neighbours before anything is counted.
    bench.peer.ping(bench.node.underlay4, count=1)
    bench.peer.ping(bench.node.underlay6, count=1)
    with bench.socket_in(bench.peer) as sock:
        play(bench, sock, cases)


def test_names_are_unique(bench):
    for cases in (pod_cases(bench), underlay_cases(bench)):
        names = [name for name, _, _ in cases]
        assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


def test_still_forwards(bench):
    """After all of it, the pods talk as ever."""
    bench.pods[0].ping(bench.pods[1].v4)
    bench.pods[0].ping(bench.pods[1].v6)
    wait_for("balance", lambda: bench.node.balance()["difference"] == 0)
