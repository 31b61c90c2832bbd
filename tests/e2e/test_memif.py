# SPDX-License-Identifier: Apache-2.0
"""memif between two daemons, in every role and mode, as pods and as uplinks; and what must not go wrong when it does."""

import os
import signal
import socket
import struct

import pytest

from lab import Lab, Pod, PodlaneNode, run, wait_for

GATEWAY_MAC = "02:70:6f:64:6c:01"  # what each side of a link of two daemons has on it


class Link:
    """A memif pod of one node that stands for a pod of the other node, and the other way round."""

    def __init__(self, path, addresses, role, mode, **more):
        self.short = "link"
        self.fields = {"name": "link", "kind": "memif", "socket": path, "addresses": addresses, "role": role, "mode": mode,
                       "memif_id": 3, "queues": 2, "ring_size": 64, "secret": "of the two", "mtu": 1450, **more}
        if mode == "ethernet":
            self.fields["mac"] = GATEWAY_MAC

    def object(self):
        return self.fields


class Two:
    """Two nodes with a pod each."""

    def __init__(self, **node):
        self.lab = Lab("memif")
        self.nodes = [PodlaneNode(self.lab, f"node-{n}", i, **node) for i, n in ((1, "a"), (2, "b"))]
        self.pods = [Pod(self.lab, f"pod-{n}", [f"10.244.{i}.10", f"fd00:244:{i}::10"], 1450) for i, n in ((1, "a"), (2, "b"))]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.lab.close()

    def ping_all(self):
        for this, other in (self.pods, self.pods[::-1]):
            for target in (other.v4, other.v6):
                this.ping(target, count=2)
                this.ping(target, count=2, size=1350)

    def pings_again(self):
        this, other = self.pods
        wait_for("a ping crosses", lambda: this.ping(other.v4, count=1, timeout=0.3)[1] == 1, 15)
        self.ping_all()

    def assert_balanced(self):
        for node in self.nodes:
            node.assert_balanced()


@pytest.fixture
def two():
    with Two() as t:
        yield t


def port(node, name):
    return next(p for p in node.get("/v1/state/ports") if p["name"] == name)


@pytest.mark.parametrize("mode", ["ethernet", "ip"])
def test_pods_of_two_daemons(mode):
    """One daemon's client on the other's server; either dies and comes back."""
    with Two(pool4="10.244.0.0/16", pool6="fd00:244::/32") as two:
        path = os.path.join(two.lab.dir, "link.memif")
        a, b = two.nodes
        a.workers = [0, 1] if mode == "ip" else None  # a queue each
        a.write_conf(pods=[two.pods[0], Link(path, two.pods[1].addresses, "server", mode)]).start(wait=False)
        b.write_conf(pods=[two.pods[1], Link(path, two.pods[0].addresses, "client", mode)]).start(wait=False)
        a.wait_ready()
        b.wait_ready()
        two.pings_again()
        state = wait_for("connected", lambda: port(b, "pod:link"))
        assert (state["memif_role"], state["mode"], state["memif_state"]) == ("client", mode, "connected")
        assert state["rx_ring_size"] == 64
        assert state["rx_rings"] == 2
        for node in (a, b):
            node.kill()
            node.start()
            two.pings_again()
        two.assert_balanced()


@pytest.mark.parametrize("encap", ["vxlan", "direct"])
def test_uplinks(two, encap):
    """Shared memory is the wire between two nodes."""
    path = os.path.join(two.lab.dir, "wire.memif")
    for node, role in zip(two.nodes, ("server", "client")):
        node.uplink_driver, node.uplink_device = "memif", path
        node.uplink_more = f'role = "{role}"; secret = "wire"; memif_id = 1; ring_size = 256; queues = 1;'
    a, b = two.nodes
    b.write_conf(peers=[(a, encap)], pods=[two.pods[1]]).start(wait=False)  # the client first: it waits for its server
    a.write_conf(peers=[(b, encap)], pods=[two.pods[0]]).start(wait=False)
    a.wait_ready()
    b.wait_ready()
    two.pings_again()
    a.kill()
    a.start()
    two.pings_again()
    two.assert_balanced()
    if encap == "direct":
        return
    status, body = a.request("PATCH", "/v1/uplinks/eth0", {"role": "client"})
    assert status == 409 and b"uplinks/eth0/role" in body, body
    assert a.stop() == 0
    assert not os.path.exists(path)


class Thief:
    """A client that shares one file of memory with the daemon, which it did not seal."""

    def __init__(self, path):
        self.size, self.ring = 65536, 128 + 16 * 16
        self.memory = os.memfd_create("thief")
        os.ftruncate(self.memory, self.size)
        for i in range(2):
            os.pwrite(self.memory, struct.pack("<I", 0x3E31F20), i * self.ring)
        self.events = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(path)
        assert self.hear() == 2  # HELLO
        self.say(struct.pack("<HHIB", 3, 0x200, 0, 0))  # INIT
        self.say(struct.pack("<HHQ", 4, 0, self.size), self.memory)
        for i in range(2):
            self.say(struct.pack("<HHHHIBH", 5, 1 - i, 0, 0, i * self.ring, 4, 0), self.events[i])
        self.say(struct.pack("<H", 6) + b"thief", answer=7)  # CONNECT, CONNECTED

    def hear(self):
        return struct.unpack_from("<H", self.socket.recv(128))[0]

    def say(self, message, fd=None, answer=1):
        socket.send_fds(self.socket, [message.ljust(128, b"\0")], [fd] if fd is not None else [])
        assert self.hear() == answer

    def send(self, frames=8):
        """Frames of zeroes, and a wake-up for a worker that sleeps."""
        for i in range(frames):
            os.pwrite(self.memory, struct.pack("<HHII", 0, 0, 60, 4096 + 64 * i), 128 + 16 * i)
        os.pwrite(self.memory, struct.pack("<H", frames), 6)
        os.eventfd_write(self.events[0], 1)

    def steal(self, left):
        os.ftruncate(self.memory, left)
        os.eventfd_write(self.events[0], 1)

    def close(self):
        self.socket.close()
        for fd in (self.memory, *self.events):
            os.close(fd)


def test_memory_taken_away(two):
    """A client shortens its memory while the daemon uses it: the daemon ends that connection and takes the next one."""
    node, _ = two.nodes
    pods = [Pod(two.lab, f"pod-{i}", [node.address(4, 20 + i)]) for i in range(2)]
    path = os.path.join(two.lab.dir, "m.sock")
    thief = {"name": "m", "kind": "memif", "socket": path, "addresses": [node.address(4, 50)]}
    node.write_conf(pods=pods).start()
    node.put("pods", thief)
    for left in (0, 4096):
        client = Thief(path)
        client.send()
        wait_for("frames arrive", lambda: port(node, "pod:m")["rx_packets"] > 0)
        client.steal(left)
        if left:
            client.send(15)  # its tail is at 8: the ring is still there, the bytes of what it names are not
        wait_for("the daemon sees it", lambda: "took its memory away" in port(node, "pod:m")["last_disconnect"])
        client.close()
        pods[0].ping(pods[1].v4)
        node.delete("pods", "m")
        node.put("pods", thief)
    node.assert_balanced()
    assert node.stop(signal.SIGTERM) == 0


def refused(node, obj, status, *words):
    got, body = node.request("PUT", f"/v1/pods/{obj['name']}", obj)
    assert got == status, (got, body)
    for word in words:
        assert word in body.decode(), body


def test_faults_are_said_and_stay_alone(two):
    """What can't be had is refused with its field, and nobody else notices; a wrong secret is told on both sides."""
    node, _ = two.nodes
    pods = [Pod(two.lab, f"pod-{i}", [node.address(4, 20 + i)]) for i in range(2)]
    node.write_conf(pods=pods).start()
    pid = node.daemon_pid()
    pods[0].ping(pods[1].v4)
    files = len(os.listdir(f"/proc/{pid}/fd"))

    def memif(path, **more):
        return {"name": "m", "kind": "memif", "socket": os.path.join(two.lab.dir, path), "addresses": [node.address(4, 50)], **more}

    refused(node, memif("none/m.sock"), 422, "pods/m/socket", "its directory does not exist: create it")
    locked = os.path.join(two.lab.dir, "locked")
    os.mkdir(locked)
    run("nsenter", "-t", pid, "-m", "mount", "-t", "tmpfs", "-o", "ro", "locked", locked)
    refused(node, memif("locked/m.sock"), 422, "pods/m/socket", "Read-only file system", "choose another path")
    refused(node, memif("m.sock", ring_size=48), 422, "pods/m/ring_size")
    refused(node, memif("m.sock", mode="ip", mac="02:00:00:00:00:01"), 422, "pods/m/mac")
    node.put("pods", memif("m.sock", secret="right"))
    node.put("pods", {**memif("m.sock", secret="wrong", role="client"), "name": "n", "addresses": [node.address(4, 51)]})
    wait_for("the client says it", lambda: "Wrong or missing secret" in port(node, "pod:n")["last_refusal"])
    assert "Wrong or missing secret" in port(node, "pod:m")["last_refusal"]
    node.delete("pods", "n")
    node.put("pods", {**memif("m.sock", memif_id=7, role="client"), "name": "n", "addresses": [node.address(4, 51)]})
    wait_for("the client says what it asked for", lambda: "asked for id 7" in port(node, "pod:n")["last_refusal"])
    assert port(node, "pod:m")["last_refusal"] == "No interface has the id 7 that a client asked for: this one is 0"
    for name in ("m", "n"):
        node.delete("pods", name)
    wait_for("descriptors are closed", lambda: len(os.listdir(f"/proc/{pid}/fd")) == files)
    pods[0].ping(pods[1].v4)
    node.assert_balanced()
    assert node.stop(signal.SIGTERM) == 0
