# SPDX-License-Identifier: Apache-2.0
"""vhost-user against a front end of our own (vhost_peer.py): large datagrams, buffers in flight when the daemon is killed,
guests killed in mid-burst, sockets that can't be made."""

import contextlib
import itertools
import os
import random
import signal
import socket
import struct
import time

import pytest

import lab as laboratory
from lab import wait_for
from vhost_peer import GET_INFLIGHT_FD, SET_INFLIGHT_FD, SIZE, TO_DEVICE, TO_DRIVER, VhostPeer, udp_frame, virtio_header

GSO_UDP, GSO_UDP_L4 = 3, 5


class PeerPod(laboratory.Pod):
    """A pod of kind vhost. Who is behind its socket is the test's business."""

    def __init__(self, node, name, host):
        self.short, self.node = name, node
        self.addresses = [node.address(4, host), node.address(6, host)]
        self.v4, self.v6 = self.addresses
        self.mac = f"02:00:00:00:01:{host:02x}"
        self.socket = os.path.join(node.lab.dir, f"{name}.vhost")

    def object(self):
        return {"name": self.short, "kind": "vhost", "socket": self.socket, "mac": self.mac, "addresses": self.addresses}

    def port(self):
        return next(p for p in self.node.get("/v1/state/ports") if p["name"] == f"pod:{self.short}")

    def running(self):
        return wait_for(f"{self.short} runs", lambda: (lambda p: p if p["guest"] == "running" and p["link"] else None)(self.port()))

    def frame_to(self, other, payload, family="v4"):
        return udp_frame((self.mac, self.port_mac), (getattr(self, family), getattr(other, family)), payload)


@pytest.fixture
def node(lab):
    return laboratory.PodlaneNode(lab, "node-a", 1, extra_node="icmp_rate = 100000;")


def start(node, *pods):
    node.write_conf(pods=pods)
    node.start()
    for pod in pods:
        if isinstance(pod, PeerPod):
            pod.port_mac = pod.port()["mac"]


def listen(pod, family="v4"):
    with pod.entered():
        s = socket.socket(socket.AF_INET6 if family == "v6" else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((getattr(pod, family), 7001))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    s.settimeout(5)
    return s


@pytest.mark.parametrize("packed", [False, True])
def test_large_datagrams(lab, node, packed):
    """UFO and USO from a guest: the kernel of another pod puts the fragments together, its checksum being right, or gets the
    datagrams; a guest that takes them has them whole."""
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    vm, other = PeerPod(node, "vm", 11), PeerPod(node, "other", 12)
    start(node, tap, vm, other)
    features = ("guest_tso4", "guest_tso6", "host_tso4", "host_tso6", "guest_ufo", "host_ufo", "guest_uso4", "guest_uso6", "host_uso")
    with contextlib.closing(VhostPeer(vm.socket, packed, features=features)) as peer, \
            contextlib.closing(VhostPeer(other.socket, packed, features=features)) as second:
        peer.connect()
        second.connect()
        assert not peer.missing and not second.missing
        assert {"ufo", "uso", "guest-ufo", "guest-uso4", "guest-uso6"} <= set(vm.running()["features"])
        other.running()
        second.fill()
        for family, (kind, size, each) in itertools.product(("v4", "v6"), ((GSO_UDP, 1400, 20001), (GSO_UDP_L4, 1000, 1000))):
            payload = os.urandom(20001)
            with contextlib.closing(listen(tap, family)) as receiver:
                frame, at = vm.frame_to(tap, payload, family)
                assert peer.send(frame, virtio_header(at, kind, size))
                peer.kick(TO_DEVICE)
                got = [receiver.recv(70000) for _ in range(-(-len(payload) // each))]
            assert all(len(g) <= each for g in got) and b"".join(got) == payload, [len(g) for g in got]
            frame, at = vm.frame_to(other, payload, family)
            assert peer.send(frame, virtio_header(at, kind, size))
            peer.kick(TO_DEVICE)
            header, whole = wait_for("the other guest's", second.receive)
            assert header[:10] == virtio_header(at, kind, size)[:10]
            assert whole[at:] == frame[at:]
            second.fill()
        assert sum(q["segments"] for q in vm.port()["rx_rings"]) == 8
        assert sum(q["segments"] for q in other.port()["tx_rings"]) == 4
    events = {e["event"]: e["count"] for e in node.get("/v1/state/events")}
    assert events["fragmented"] >= 2, events
    node.assert_balanced()


def test_in_flight(lab, node):
    """The daemon is killed under load again and again. A guest of packed rings keeps what was in flight: of its buffers each
    comes back once, and it goes on where it was although it says that it is at the beginning."""
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    vm = PeerPod(node, "vm", 11)
    start(node, tap, vm)
    with contextlib.closing(VhostPeer(vm.socket, inflight=True)) as peer, contextlib.closing(listen(tap)) as receiver:
        peer.connect()
        assert vm.running()["inflight_tracking"] is True
        with tap.entered():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        frames = [vm.frame_to(tap, bytes([i]) * (100 + 20 * i)) for i in range(64)]
        for round_ in range(4):
            peer.fill()
            deadline, count, seen = time.monotonic() + 0.3 + 0.037 * round_, 0, 0
            while time.monotonic() < deadline:
                for frame, at in frames[:32]:
                    count += peer.send(frame, virtio_header(at))
                peer.kick(TO_DEVICE)
                with contextlib.suppress(OSError):
                    for i in range(16):
                        sender.sendto(bytes([i]) * 3000, (vm.v4, 7001))  # fragments, of several buffers
                while peer.receive() is not None:
                    seen += 1
                peer.fill()
            assert count > 500 and (round_ > 0 or seen > 0), (count, seen)
            node.kill()
            peer.hang_up()
            node.start()
            vm.port_mac = vm.port()["mac"]
            frames = [vm.frame_to(tap, bytes([i]) * (100 + 20 * i)) for i in range(64)]
            peer.connect()
            vm.running()
            peer.kick(TO_DEVICE)
            wait_for("all buffers come back", lambda: peer.reap() or not peer.rings[TO_DEVICE].out)
            while peer.receive() is not None:  # whole frames
                pass
            receiver.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    receiver.recv(2000)
            receiver.settimeout(5)
            assert peer.send(frames[round_][0], virtio_header(frames[round_][1]))
            peer.kick(TO_DEVICE)
            assert receiver.recv(2000) == bytes([round_]) * (100 + 20 * round_)
        assert vm.port()["failures"] == 0
    node.assert_balanced()


def test_in_flight_areas_of_its_own(lab, node):
    """What a front end may say of memory for the purpose: refused, with the reason, or good; nobody else notices."""
    tap = laboratory.Pod(lab, "tap", [node.address(4, 10), node.address(6, 10)])
    vm, bad = PeerPod(node, "vm", 11), PeerPod(node, "bad", 12)
    start(node, tap, vm, bad)
    rng = random.Random(3)
    with contextlib.closing(VhostPeer(vm.socket)) as peer, contextlib.closing(listen(tap)) as receiver:
        peer.connect()
        vm.running()

        def works():
            frame, at = vm.frame_to(tap, b"works")
            assert peer.send(frame, virtio_header(at))
            peer.kick(TO_DEVICE)
            assert receiver.recv(100) == b"works"
        works()
        before = files(node)
        unsealed, small, zero = os.memfd_create("a"), os.memfd_create("b"), os.open("/dev/zero", os.O_RDWR)
        os.ftruncate(unsealed, 1 << 16)
        os.ftruncate(small, 64)
        said = [(1 << 16, 0, 2, SIZE), (64, 0, 2, SIZE), (1 << 60, 0, 2, SIZE), (128, 1 << 60, 2, SIZE), (128, 0, 65535, SIZE),
                (128, 0, 0, SIZE), (1 << 63, (1 << 64) - 64, 32, 65535)]
        with contextlib.closing(VhostPeer(bad.socket, inflight=True)) as front:
            for words, fds in itertools.product(said, ([], [unsealed], [small], [zero], [unsealed, small])):
                front.dial().negotiate()
                if words[2] in (0, 65535):
                    fds = []  # librte_vhost 22.11 refuses the number before anybody sees the message, and forgets to close them
                with contextlib.suppress(OSError):
                    front.tell(SET_INFLIGHT_FD, struct.pack("<QQHH4x", *words), fds)
                    assert front.socket.recv(1) == b"", (words, fds)
            wait_for("the reason", lambda: "SET_INFLIGHT_FD is malformed" in bad.port()["last_failure"])
            front.dial().negotiate()
            front.tell(SET_INFLIGHT_FD, struct.pack("<QQHH4x", *said[0]), [unsealed])
            wait_for("the reason", lambda: "is not the one that was handed out" in bad.port()["last_failure"])
            for request in [struct.pack("<QQHH4x", 0, 0, n, s) for n in (0, 33, 65535) for s in (0, 65535)] + [b"", b"x" * 200]:
                front.dial().negotiate()
                with contextlib.suppress(OSError):
                    front.ask(GET_INFLIGHT_FD, request)
                    assert False, request
            wait_for("the reason", lambda: "GET_INFLIGHT_FD is malformed" in bad.port()["last_failure"])
            # Its own area, with anything in it: at most the ring is refused.
            payload, (area,) = front.dial().negotiate().ask(GET_INFLIGHT_FD, struct.pack("<QQHH4x", 0, 0, 2, SIZE))
            for _ in range(20):
                os.pwrite(area, struct.pack("<I", 0x316e6470) + rng.randbytes(60), 0)
                os.pwrite(area, struct.pack("<IIIIQ", 0x316e6470, rng.randrange(1 << 16), 0, 0, rng.randrange(1 << 64)), 64)
                front.area = payload, os.dup(area)
                front.connect()
                front.fill()
                front.hang_up()
                os.close(front.area[1])
            front.area = None
            os.close(area)
        works()
        for fd in (unsealed, small, zero):
            os.close(fd)
        wait_for("descriptors are given back", lambda: files(node) <= before)
    node.assert_balanced()


def files(node):
    return len(os.listdir(f"/proc/{node.daemon_pid()}/fd"))


def mappings(node):
    with open(f"/proc/{node.daemon_pid()}/maps") as f:
        return sum("memfd:" in line for line in f)


def test_fifty_kills(lab, node):
    """A guest process is killed fifty times while frames go both ways, with split and packed rings. Everything that was its
    is given back, and a pod that talks to another meanwhile loses nothing."""
    taps = [laboratory.Pod(lab, f"tap{i}", [node.address(4, 20 + i), node.address(6, 20 + i)]) for i in range(3)]
    vm = PeerPod(node, "vm", 11)
    start(node, *taps, vm)
    memory = node.get("/v1/state/memory")
    taps[0].ping(taps[1].v4)
    calm = taps[0].popen("ping", "-i", "0.01", "-q", "-s", "500", taps[1].v4, log="calm.log")
    flood = taps[2].popen("ping", "-f", "-q", "-s", "1200", vm.v4, log="flood.log")
    rng = random.Random(5)
    for i in range(50):
        pid = os.fork()
        if pid == 0:
            try:
                peer = VhostPeer(vm.socket, packed=i % 2 == 1, inflight=i % 4 == 3).connect()
                frames = [vm.frame_to(taps[2], bytes(200 + 40 * k)) for k in range(32)]
                while True:
                    peer.fill()
                    for frame, at in frames:
                        peer.send(frame, virtio_header(at))
                    peer.kick(TO_DEVICE)
                    while peer.receive() is not None:
                        pass
            finally:
                os._exit(1)
        try:
            vm.running()
            time.sleep(rng.random() / 50)
        finally:
            os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, "it had gone by itself"
        wait_for("guest gone", lambda: vm.port()["guest"] == "none")
        if i == 0:  # the library's own is there by then
            time.sleep(0.2)
            before = files(node), mappings(node)
    for process in (calm, flood):
        process.send_signal(signal.SIGINT)
        process.wait(5)
    port = vm.port()
    assert port["connects"] == 50 and port["failures"] == 0, port
    assert sum(q["packets"] for q in port["rx_rings"]) > 1000 and sum(q["packets"] for q in port["tx_rings"]) > 0
    with open(os.path.join(lab.dir, "calm.log")) as log:
        assert " 0% packet loss" in (out := log.read()), out
    wait_for(f"its memory is given back: {before}, {files(node)} {mappings(node)}",
             lambda: files(node) <= before[0] and mappings(node) <= before[1])
    wait_for("its buffers are given back", lambda: buffers_free(node.get("/v1/state/memory")) >= buffers_free(memory))
    after = node.get("/v1/state/memory")
    assert after["resident_bytes"] < memory["resident_bytes"] + (32 << 20), (memory, after)
    with contextlib.closing(VhostPeer(vm.socket)) as peer, contextlib.closing(listen(taps[0])) as receiver:
        peer.connect()
        vm.running()
        frame, at = vm.frame_to(taps[0], b"the next")
        peer.send(frame, virtio_header(at))
        peer.kick(TO_DEVICE)
        assert receiver.recv(100) == b"the next"
    node.assert_balanced()


def buffers_free(memory):
    return memory["buffers_free"] + memory["large_buffers_free"]


def test_sockets_that_cannot_be(lab, node):
    """The reason is in the answer, with the field; nothing is left of the pod, and others go on."""
    taps = [laboratory.Pod(lab, f"tap{i}", [node.address(4, 20 + i), node.address(6, 20 + i)]) for i in range(2)]
    start(node, *taps, PeerPod(node, "good", 11))
    readonly = os.path.join(lab.dir, "readonly")
    os.mkdir(readonly)
    taken = os.path.join(lab.dir, "file")
    with open(taken, "w"):
        pass
    before = files(node)
    for path, word in ((os.path.join(lab.dir, "missing", "a.sock"), "does not exist"), ("/sys/kernel/a.sock", "not permitted"),
                       (os.path.join(lab.dir, "x" * 110), "107"), (taken, "another kind of file"),
                       (os.path.join(taken, "a.sock"), "")):
        status, body = node.request("PUT", "/v1/pods/bad", {"name": "bad", "kind": "vhost", "socket": path, "addresses": []})
        answer = body.decode()
        assert status >= 400 and "socket" in answer and word in answer, (path, status, answer)
        taps[0].ping(taps[1].v4, count=1)
    assert all(p["name"] != "pod:bad" for p in node.get("/v1/state/ports"))
    assert node.request("GET", "/v1/pods/bad")[0] == 404
    wait_for("descriptors are given back", lambda: files(node) <= before)  # the last request's own as well
    # Read-only for root as well: another file system.
    laboratory.run("nsenter", "-t", str(node.daemon_pid()), "-m", "mount", "-t", "tmpfs", "-o", "ro", "readonly", readonly)
    status, body = node.request("PUT", "/v1/pods/bad", {"name": "bad", "kind": "vhost", "socket": os.path.join(readonly, "a.sock")})
    assert status >= 400 and "Read-only file system" in body.decode(), body
    taps[0].ping(taps[1].v6)
    node.assert_balanced()


def test_files_of_others(lab, node):
    """What somebody else has at a pod's path stays, whatever becomes of the pod: a file, a socket that is listened at or only bound.
    A dead process's socket is replaced, also when it came after the pod's was removed; one with the longest of names as well."""
    vm, directory = PeerPod(node, "vm", 11), os.path.join(lab.dir, "s")
    os.mkdir(directory)
    long = PeerPod(node, "long", 12)
    long.socket = os.path.join(directory, "x" * (107 - len(directory) - 1))
    vm.socket = os.path.join(directory, "vm.vhost")
    start(node, vm, long)
    with contextlib.closing(VhostPeer(long.socket)) as peer:
        peer.connect()
        long.running()
    bad = {**vm.object(), "name": "bad", "addresses": [], "mac": "02:00:00:00:01:10", "socket": os.path.join(directory, "bad.vhost")}

    def stands_in(kind, path):
        """Somebody else's file; then whether it is still that one."""
        if kind is None:
            with open(path, "w") as f:
                f.write("mine")
            return None, lambda: open(path).read() == "mine"
        s = socket.socket(socket.AF_UNIX, kind)
        s.bind(path)
        inode = os.stat(path).st_ino
        return s, lambda: os.path.exists(path) and os.stat(path).st_ino == inode

    for kind, listening in ((None, False), (socket.SOCK_STREAM, False), (socket.SOCK_STREAM, True), (socket.SOCK_SEQPACKET, True),
                            (socket.SOCK_DGRAM, False)):
        holder, intact = stands_in(kind, bad["socket"])
        if listening:
            holder.listen(1)
            holder.setblocking(False)
        status, body = node.request("PUT", "/v1/pods/bad", bad)
        answer = body.decode()
        assert status >= 400 and "pods/bad/socket" in answer and "pod:bad" in answer and bad["socket"] in answer, answer
        assert ("another kind of file" if kind is None else "another process") in answer and "choose another path" in answer, answer
        assert intact()
        if listening:  # nor was it asked by connecting
            with pytest.raises(BlockingIOError):
                holder.accept()
        os.unlink(bad["socket"])
        # And one that came while the pod was there stays when the pod goes.
        node.put("pods", bad)
        os.unlink(bad["socket"])
        if holder is not None:
            holder.close()
        holder, intact = stands_in(kind, bad["socket"])
        if listening:
            holder.listen(1)
        node.delete("pods", "bad")
        assert intact(), kind
        if holder is not None:
            holder.close()
        if kind is None:
            os.unlink(bad["socket"])
        # What a dead process left is replaced ...
        node.put("pods", bad)
        node.delete("pods", "bad")
        assert not os.path.exists(bad["socket"])
    # ... also later.
    os.unlink(vm.socket)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(vm.socket)
    peer = wait_for("the pod's socket is back", lambda: os.path.exists(vm.socket) and connected(vm.socket))
    with contextlib.closing(peer):
        vm.running()
    assert sorted(os.listdir(directory)) == sorted(map(os.path.basename, (vm.socket, long.socket)))
    os.unlink(long.socket)
    _, intact = stands_in(None, long.socket)
    assert node.stop(signal.SIGTERM) == 0
    assert intact() and os.listdir(directory) == [os.path.basename(long.socket)]


def connected(path):
    try:
        return VhostPeer(path).connect()
    except OSError:
        return None
