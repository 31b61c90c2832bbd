# SPDX-License-Identifier: Apache-2.0
"""Kernel pods: large packets between pods, cut for wires and tunnels, merged before they enter a pod. Both families, every
byte compared, and no frame on a wire above its MTU."""

import contextlib
import os
import socket
import struct
import threading

import pytest

from lab import Lab, Pod, PodlaneNode, wait_for

SOL_UDP, UDP_SEGMENT = 17, 103
UNDERLAYS = [("vxlan", 1500), ("ipip", 1500), ("direct", 1500), ("vxlan", 9000), ("ipip", 9000)]


class Nodes:
    def __init__(self, encap, mtu):
        self.lab, self.encap, self.mtu = Lab("kernel"), encap, mtu
        # Two workers on one node, so two queues a pod there; one on the other.
        self.a = PodlaneNode(self.lab, "node-a", 1, mtu, workers=[0, 1])
        self.b = PodlaneNode(self.lab, "node-b", 2, mtu)
        self.pods = {f"pod-{n.short[-1]}{i}": Pod(self.lab, f"pod-{n.short[-1]}{i}", [n.address(4, 9 + i), n.address(6, 9 + i)])
                     for n in (self.a, self.b) for i in (1, 2)}
        for node, peer in ((self.a, self.b), (self.b, self.a)):
            node.write_conf(peers=[(peer, encap)], pods=[p for n, p in self.pods.items() if n[4] == node.short[-1]])
            node.start(wait=False)
        self.a.wait_ready()
        self.b.wait_ready()

    def event(self, node, name):
        return next(e["count"] for e in node.get("/v1/state/events") if e["event"] == name)


@pytest.fixture(scope="module", params=UNDERLAYS, ids=lambda p: f"{p[0]}-{p[1]}")
def nodes(request):
    one = Nodes(*request.param)
    try:
        yield one
    finally:
        one.lab.close()


@contextlib.contextmanager
def wire_watched(nodes):
    """Lengths of the largest frame that node-b's wire brings or takes."""
    with nodes.b.entered():
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind(("eth0", 0))
    tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    tap.settimeout(0.2)
    seen, done = {"frames": 0, "largest": 0}, threading.Event()

    def watch():
        while True:
            try:
                length = tap.recv_into(bytearray(1), 1, socket.MSG_TRUNC)
            except TimeoutError:
                if done.is_set():
                    return
                continue
            seen["frames"] += 1
            seen["largest"] = max(seen["largest"], length)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()
        tap.close()


def transfer(source, target, address, data):
    """Send data over TCP; the bytes that came."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    received = bytearray()
    with target.entered():
        server = socket.create_server((address, 0), family=family)
    server.settimeout(20)

    def sink():
        connection, _ = server.accept()
        connection.settimeout(20)
        while block := connection.recv(1 << 20):
            received.extend(block)
        connection.close()
    thread = threading.Thread(target=sink)
    thread.start()
    with source.entered():
        client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(20)
    client.connect(server.getsockname()[:2])
    client.sendall(data)
    client.close()
    thread.join(30)
    server.close()
    return bytes(received)


def checksum_errors(pod):
    """Bad TCP and UDP checksums a pod's kernel has counted."""
    out = pod.sh("nstat", "-asz", "TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors")
    return sum(int(line.split()[1]) for line in out.splitlines() if "CsumErrors" in line)


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_tcp_between_nodes(nodes, v6):
    """Cut for the wire, merged for the pod, and whole."""
    source, target = nodes.pods["pod-a1"], nodes.pods["pod-b1"]
    data = os.urandom(6_000_000)
    cut, merged = nodes.event(nodes.a, "segmented"), nodes.event(nodes.b, "merged")
    with wire_watched(nodes) as wire:
        assert transfer(source, target, target.v6 if v6 else target.v4, data) == data
    assert wire["frames"] >= len(data) // nodes.mtu
    assert wire["largest"] <= nodes.mtu + 14
    # The wire is used to its end: the pod's MTU fits the tunnel.
    assert wire["largest"] >= nodes.mtu + 14 - 50
    # Without a tunnel a segment goes to the packet socket whole, and the kernel cuts it for its wire.
    assert (nodes.event(nodes.a, "segmented") > cut) == (nodes.encap != "direct")
    assert nodes.event(nodes.b, "merged") > merged
    assert checksum_errors(target) == 0 and checksum_errors(source) == 0


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_tcp_on_a_node(nodes, v6):
    """Between pods of a node nothing is cut."""
    source, target = nodes.pods["pod-a1"], nodes.pods["pod-a2"]
    data = os.urandom(20_000_000)
    before = nodes.a.get("/v1/state/drops")["balance"]["received"], nodes.event(nodes.a, "segmented")
    assert transfer(source, target, target.v6 if v6 else target.v4, data) == data
    nodes.a.assert_balanced()
    packets = nodes.a.get("/v1/state/drops")["balance"]["received"] - before[0]
    assert packets < len(data) / nodes.mtu if nodes.mtu == 1500 else len(data) / 1500
    assert nodes.event(nodes.a, "segmented") == before[1]
    assert checksum_errors(target) == 0


def udp_pair(source, target, address, timeout=5):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with target.entered():
        receiver = socket.socket(family, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
    receiver.bind((address, 0))
    receiver.settimeout(timeout)
    with source.entered():
        sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname()[:2])
    return sender, receiver


@pytest.mark.parametrize("where", ["pod-a2", "pod-b1"])
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_udp_runs(nodes, where, v6):
    """What a pod hands over as one run of datagrams arrives as those, in order, on this node and the other."""
    source, target = nodes.pods["pod-a1"], nodes.pods[where]
    address = target.v6 if v6 else target.v4
    cut = nodes.event(nodes.a, "segmented")
    for size, count in ((1000, 20), (100, 60), (1200, 1), (1, 40)):
        sender, receiver = udp_pair(source, target, address)
        sender.setsockopt(SOL_UDP, UDP_SEGMENT, size)
        rest = size // 2
        payload = b"".join(struct.pack("!B", i) * size for i in range(count)) + b"\xff" * rest
        sender.send(payload)
        got = [receiver.recv(65536) for _ in range(count + (rest > 0))]
        assert b"".join(got) == payload
        assert {len(g) for g in got[:count]} == {size}
        sender.close()
        receiver.close()
    # A kernel that hands runs over whole has them cut only for the other node.
    if "tx-udp-segmentation: on" in source.sh("ethtool", "-k", "eth0"):
        assert (nodes.event(nodes.a, "segmented") > cut) == (where == "pod-b1")
    assert checksum_errors(target) == 0


@pytest.mark.parametrize("where", ["pod-a2", "pod-b1"])
def test_udp_flow_stays_in_order(nodes, where):
    """Of sizes that change now and then: some are merged on the way, none overtakes another. The sender stays on its CPU: a veth has a
    queue a CPU, and what waits in one is overtaken by what a process sends that has moved to another."""
    source, target = nodes.pods["pod-a1"], nodes.pods[where]
    sender, receiver = udp_pair(source, target, target.v4, 0.5)
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    try:
        for i in range(3000):
            sender.send(struct.pack("!I", i) * (100 if i % 50 else 40))
    finally:
        os.sched_setaffinity(0, cpus)
    got = []
    with contextlib.suppress(TimeoutError):
        while True:
            block = receiver.recv(2000)
            assert len(block) == 400 if struct.unpack("!I", block[:4])[0] % 50 else 160
            assert block == block[:4] * (len(block) // 4)
            got.append(struct.unpack("!I", block[:4])[0])
    assert len(got) > 100
    assert got == sorted(got)


def test_a_queue_a_worker(nodes):
    """Both queues of a pod carry flows when there are two workers."""
    ports = {p["name"]: p for p in nodes.a.get("/v1/state/ports")}
    assert ports["pod:pod-a1"]["rx_queues"] == 2
    source, target = nodes.pods["pod-a1"], nodes.pods["pod-b1"]
    before = [w["packets"] for w in nodes.a.get("/v1/state/workers")]
    for _ in range(16):
        data = os.urandom(20_000)
        assert transfer(source, target, target.v4, data) == data
    after = [w["packets"] for w in nodes.a.get("/v1/state/workers")]
    assert all(y > x for x, y in zip(before, after))


def test_mtu_of_the_pods(nodes):
    """The largest packet passes with DF, one byte more is refused by the pod's own kernel."""
    overhead = {"vxlan": 50, "ipip": 20, "direct": 0}[nodes.encap]
    source, target = nodes.pods["pod-a1"], nodes.pods["pod-b1"]
    out = source.sh("ip", "link", "show", "eth0")
    mtu = int(out.split(" mtu ")[1].split()[0])
    assert nodes.mtu - 70 <= mtu <= nodes.mtu - overhead
    source.ping(target.v4, count=2, size=mtu - 28, df=True)
    source.ping(target.v6, count=2, size=mtu - 48, df=True)


def test_everything_is_accounted_for(nodes):
    wait_for("counters are still", lambda: all(n.balance()["difference"] == 0 for n in (nodes.a, nodes.b)))
    for node in (nodes.a, nodes.b):
        assert not {"offload_failed", "no_buffer", "ip4_bad_total_length"} & set(node.drops())
