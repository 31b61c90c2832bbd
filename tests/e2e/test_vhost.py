# SPDX-License-Identifier: Apache-2.0
"""vhost-user pods: virtio-user processes and a QEMU guest."""

import contextlib
import hashlib
import os
import random
import signal
import socket
import struct
import threading
import time

import pytest

import lab as laboratory
from guest import VhostGuest
from lab import kill_process, wait_for

KINDS = {
    "split": (signal.SIGTERM, dict(role="server", mrg_rxbuf=1, in_order=0, packed_vq=0)),
    "packed": (signal.SIGKILL, dict(role="server", mrg_rxbuf=1, in_order=0, packed_vq=1)),
    "client": (signal.SIGKILL, dict(role="client", mrg_rxbuf=1, in_order=1, packed_vq=0)),
    "client-packed": (signal.SIGTERM, dict(role="client", mrg_rxbuf=0, in_order=1, packed_vq=1)),
}


def port_of(node, pod):
    return next(p for p in node.get("/v1/state/ports") if p["name"] == f"pod:{pod.short}")


def running(node, pod):
    """Its port once a guest is there."""
    return wait_for(f"{pod.short} runs", lambda: (lambda p: p if p["guest"] == "running" and p["link"] else None)(port_of(node, pod)))


KILLS = int(os.environ.get("PODLANE_VHOST_KILLS", "2"))


class Flood:
    """Frames both ways, as fast as they go, until it is over."""

    def __init__(self, *pairs):
        self.processes = [source.popen("ping", "-q", "-f", "-s", "1000", target, log=f"flood-{i}.log")
                          for i, (source, target) in enumerate(pairs)]

    def stop(self):
        for process in self.processes:
            kill_process(process)


@pytest.mark.parametrize("kind", KINDS)
def test_virtio_user(lab, kind):
    """Frames to a kernel pod and to a pod in shared memory; the process is killed in mid-burst and comes back; the
    daemon is stopped or killed and comes back."""
    sig, options = KINDS[kind]
    node = laboratory.PodlaneNode(lab, "node-a", 1, extra_node="icmp_rate = 100000;")
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    pod = laboratory.VhostPod(lab, "vm", [node.address(4, 11), node.address(6, 11)], **options)
    other = (laboratory.MemifPod if kind == "split" else laboratory.VhostPod)(
        lab, "other", [node.address(4, 12), node.address(6, 12)])
    node.write_conf(pods=[tap, pod, other])
    node.start()
    pod.start()
    other.start()
    running(node, pod)

    def works():
        for target in (tap.v4, tap.v6, other.v4, other.v6):
            wait_for(f"ping {target}", lambda t=target: pod.ping(t, count=1, timeout=1, check=False)[1], 10)
        for source in (tap, other):
            source.ping(pod.v4, size=1400)
            source.ping(pod.v6, size=1400)
    works()
    assert port_of(node, pod)["ring"] == ("packed" if "packed" in kind else "split")
    connects = 1
    for _ in range(KILLS):
        flood = Flood((pod, tap.v4), (tap, pod.v6), (other, pod.v4))
        time.sleep(0.3)
        pod.kill()
        flood.stop()
        wait_for("guest gone", lambda: port_of(node, pod)["guest"] == "none")
        tap.ping(other.v4)
        pod.start()
        connects += 1
        assert running(node, pod)["connects"] == connects
        works()
    node.assert_balanced()
    assert [port_of(node, pod)[k] for k in ("rx_errors", "tx_errors", "failures")] == [0, 0, 0]

    flood = Flood((pod, tap.v4), (tap, pod.v6))
    time.sleep(0.2)
    node.stop(sig)
    if options["role"] == "server":  # DPDK's client does not connect again
        pod.kill()
    other.kill()
    flood.stop()
    node.start()
    if options["role"] == "server":
        pod.start()
    other.start()
    running(node, pod)
    works()
    node.assert_balanced()


def test_queues(lab):
    """Two queue pairs, one worker: both carry; a second client is turned away; the configuration is checked."""
    node = laboratory.PodlaneNode(lab, "node-a", 1)
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    pod = laboratory.VhostPod(lab, "vm", [node.address(4, 11), node.address(6, 11)], queues=2, packed_vq=1)
    node.write_conf(pods=[tap, pod])
    node.start()
    pod.start()
    port = running(node, pod)
    assert port["queue_pairs"] == 2 and "multiqueue" in port["features"]
    # The TAP behind testpmd chooses its queue by flow, so a few flows meet both.
    flows = [pod.popen("ping", "-q", "-c", "20", "-i", "0.01", "-W", "1", "-I", source, target, log=f"flow{i}.log")
             for i, (source, target) in enumerate([(pod.v4, tap.v4), (pod.v6, tap.v6)] * 4)]
    for flow in flows:
        assert flow.wait(20) == 0
    with pod.entered():
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
    for s in sockets:
        s.connect((tap.v4, 9))
        s.send(b"x" * 100)
        s.close()
    wait_for("both rings carry", lambda: all(q["packets"] > 0 for q in port_of(node, pod)["rx_rings"]))

    with socket.socket(socket.AF_UNIX) as second:
        second.connect(pod.socket)
        second.settimeout(5)
        assert second.recv(1) == b""
    assert port_of(node, pod)["refusals"] == 1
    pod.ping(tap.v4)
    node.delete("pods", pod.short)
    wait_for("the socket goes", lambda: not os.path.exists(pod.socket))
    for changes, field in (({"socket": "/nonexistent/a.sock"}, "socket"), ({"socket": "/etc/passwd"}, "socket"),
                           ({"netns": "a"}, "netns"), ({"secret": "a"}, "secret"), ({"role": "both"}, "role")):
        status, body = node.request("PUT", "/v1/pods/bad", {"name": "bad", "kind": "vhost", "socket": pod.socket, **changes})
        assert status >= 400 and field in body.decode(), body
    node.assert_balanced()


def test_hostile_messages(lab):
    """Half messages, junk, descriptors of the wrong kind, answers never read: other pods and the API go on."""
    node = laboratory.PodlaneNode(lab, "node-a", 1)
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    good = laboratory.VhostPod(lab, "vm", [node.address(4, 11), node.address(6, 11)])
    bad = laboratory.VhostPod(lab, "bad", [node.address(4, 12), node.address(6, 12)])
    node.write_conf(pods=[tap, good, bad])
    node.start()
    good.start()
    running(node, good)
    good.ping(tap.v4)
    rng = random.Random(7)
    descriptors = len(os.listdir(f"/proc/{node.daemon_pid()}/fd"))

    def connect():
        s = socket.socket(socket.AF_UNIX)
        s.connect(bad.socket)
        s.settimeout(5)
        return s

    def message(request, payload=b"", flags=1, size=None):
        return struct.pack("<III", request, flags, len(payload) if size is None else size) + payload

    stuck = connect()
    stuck.sendall(message(5, b"", size=200))  # and nothing more
    good.ping(tap.v4)
    wait_for("the half message is given up", lambda: stuck.recv(1) == b"", 5)
    deaf = connect()
    deaf.settimeout(1)
    with contextlib.suppress(OSError):  # feature requests by the thousand, with answers wanted
        deaf.sendall(message(1, flags=9) * 20000)
    good.ping(tap.v4)
    deaf.close()
    for i in range(150):
        with connect() as s, open("/dev/zero", "rb") as zero, contextlib.suppress(OSError):
            for _ in range(rng.randrange(1, 12)):
                payload = rng.randbytes(rng.choice([0, 8, 8, 8, 40, 72, 264]))
                if rng.random() < 0.5:  # a small vring index
                    payload = struct.pack("<II", rng.randrange(40), rng.randrange(1 << 16)) + payload[8:]
                fds = [zero.fileno()] * rng.randrange(3)
                if fds:  # librte_vhost 22.11 forgets those that come with a number of a ring that there cannot be (docs/operations.md)
                    payload = struct.pack("<I", rng.randrange(256)) + payload[4:]
                socket.send_fds(s, [message(rng.randrange(45), payload, rng.choice([1, 1, 9]))], fds)
        if i % 50 == 0:
            good.ping(tap.v4)
    node.delete("pods", "bad")
    good.ping(tap.v6)
    wait_for("descriptors are given back", lambda: len(os.listdir(f"/proc/{node.daemon_pid()}/fd")) <= descriptors + 8)
    node.assert_balanced()


GUESTS = {
    "split": dict(role="server", queues=2),
    "packed": dict(role="client", packed="on"),
}


class GuestBench:
    """A guest and a kernel pod on one node, a kernel pod on another, VXLAN between."""

    def __init__(self, options):
        self.lab = laboratory.Lab("vhost")
        self.a = laboratory.PodlaneNode(self.lab, "node-a", 1)
        self.b = laboratory.PodlaneNode(self.lab, "node-b", 2)
        self.near = laboratory.Pod(self.lab, "near", [self.a.address(4, 10), self.a.address(6, 10)])
        self.far = laboratory.Pod(self.lab, "far", [self.b.address(4, 10), self.b.address(6, 10)])
        self.guest = VhostGuest(self.lab, "vm", [self.a.address(4, 11), self.a.address(6, 11)], **options)
        self.a.write_conf(peers=[self.b], pods=[self.near, self.guest])
        self.b.write_conf(peers=[self.a], pods=[self.far])
        self.a.start(wait=False)
        self.b.start(wait=False)
        self.a.wait_ready()
        self.b.wait_ready()
        self.guest.start()
        wait_for("guest", lambda: port_of(self.a, self.guest)["link"])

    def close(self):
        self.lab.close()


@pytest.fixture(scope="module", params=GUESTS)
def bench(request):
    one = GuestBench(GUESTS[request.param])
    try:
        yield one
    finally:
        one.close()


def receive(pod, address, port):
    """A thread that takes one connection in a pod and hashes what comes. Returns how to get the digest."""
    with pod.entered():
        listener = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.settimeout(40)
    digest = hashlib.md5()

    def run():
        connection, _ = listener.accept()
        connection.settimeout(40)
        with connection:
            while chunk := connection.recv(1 << 16):
                digest.update(chunk)
        listener.close()
    thread = threading.Thread(target=run)
    thread.start()

    def result():
        thread.join(60)
        assert not thread.is_alive()
        return digest.hexdigest()
    return result


def segments(port, rings):
    """Large TCP segments that a port's rings passed whole."""
    return sum(q["segments"] for q in port[rings])


def bad_checksums(namespace):
    out = namespace.sh("cat", "/proc/net/snmp")
    keys, values = [line.split() for line in out.splitlines() if line.startswith("Tcp:")]
    return int(dict(zip(keys, values))["InCsumErrors"])


def test_guest_pings(bench):
    for pod in (bench.near, bench.far):
        for family in ("v4", "v6"):
            bench.guest.ping(getattr(pod, family))
            pod.ping(getattr(bench.guest, family), size=1300)
    assert port_of(bench.a, bench.guest)["features"]
    bench.a.assert_balanced()


@pytest.mark.parametrize("where", ["near", "far"])
@pytest.mark.parametrize("family", ["v4", "v6"])
def test_guest_tcp_with_tso(bench, where, family):
    """8 MiB each way: whole segments where both ends take them, right checksums, the same bytes."""
    pod, guest, megabytes = getattr(bench, where), bench.guest, 8
    target, source = getattr(pod, family), getattr(guest, family)
    start = port_of(bench.a, guest)
    result = receive(pod, target, 5001)
    out = guest.sh(f"""dd if=/dev/urandom of=out bs=1M count={megabytes} 2>/dev/null
        nc {target} 5001 <out; md5sum out""")
    assert result() == out.split()[0]
    sent = port_of(bench.a, guest)
    assert segments(sent, "rx_rings") > segments(start, "rx_rings") + 10, "the guest segments by itself"

    data = os.urandom(megabytes << 20)
    guest.sh("nc -l -p 5002 </dev/null >in 2>err & echo $! >nc.pid; until grep -qE ':138A [0-9A-F]+:0000 0A' /proc/net/tcp6 /proc/net/tcp; do sleep 0.05; done")
    with pod.entered():
        connection = socket.create_connection((source, 5002), timeout=40)
    with connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(40)
        while connection.recv(4096):
            pass
    assert guest.sh("while kill -0 $(cat nc.pid) 2>/dev/null; do sleep 0.05; done; md5sum in").split()[0] == hashlib.md5(data).hexdigest()
    received = port_of(bench.a, guest)
    if where == "near":
        assert segments(received, "tx_rings") > segments(sent, "tx_rings") + 10, "segments were cut on the way to the guest"
    assert bad_checksums(guest) == 0 and bad_checksums(pod) == 0
    assert [q["errors"] for q in received["rx_rings"] + received["tx_rings"]] == [0] * len(received["rx_rings"] + received["tx_rings"])
    for node in (bench.a, bench.b):
        node.assert_balanced()


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_guest_survives_a_restart(bench, sig):
    bench.a.stop(sig)
    bench.a.start()
    wait_for("guest is back", lambda: bench.guest.ping(bench.far.v4, count=1, timeout=1, check=False)[1], 20)
    bench.guest.ping(bench.near.v6)
    assert port_of(bench.a, bench.guest)["connects"] == 1
