# SPDX-License-Identifier: Apache-2.0
"""An uplink that is shared with the kernel: Podlane's packets go to Podlane, everything else of the node notices nothing,
whether the daemon starts, stops or is killed."""

import contextlib
import hashlib
import json
import os
import re
import socket
import struct
import threading
import time

import pytest

from lab import BUILD, FlannelNode, Lab, Pod, PodlaneNode, SharedNode, wait_for

BOTH = pytest.mark.parametrize("mode", ["generic", "native"])


class Session:
    """An ssh-like session of the nodes themselves: numbered lines one way, echoed back, every byte checked."""

    def __init__(self, client, server, address, port=2222):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with server.entered():
            self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(1)
        with client.entered():
            self.client = socket.socket(family, socket.SOCK_STREAM)
        self.client.settimeout(30)
        self.client.connect((address, port))
        self.server, _ = self.listener.accept()
        self.stop, self.errors, self.lines = threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.guard, args=(f,), daemon=True) for f in (self.echo, self.talk)]
        for t in self.threads:
            t.start()

    def guard(self, f):
        try:
            f()
        except (OSError, AssertionError) as e:
            self.errors.append(f"{f.__name__}: {e!r}")

    def echo(self):
        while data := self.server.recv(65536):
            self.server.sendall(data)

    def talk(self):
        while not self.stop.is_set():
            line = struct.pack("!Q", self.lines) * 64
            self.client.sendall(line)
            got = b""
            while len(got) < len(line):
                more = self.client.recv(len(line) - len(got))
                assert more, "closed by the other end"
                got += more
            assert got == line, f"line {self.lines} came back different"
            self.lines += 1
            self.stop.wait(0.002)

    def progress(self, lines=20):
        """It goes on: as many lines more."""
        until = self.lines + lines
        wait_for(f"{lines} more lines of the session", lambda: self.errors or self.lines >= until, 15)
        assert not self.errors, self.errors

    def close(self):
        self.stop.set()
        self.threads[1].join(30)
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_WR)
        self.threads[0].join(30)
        for s in (self.client, self.server, self.listener):
            s.close()
        assert not self.errors, self.errors


def program_of(node):
    return [line.strip() for line in node.sh("ip", "-d", "link", "show", "dev", "eth0").splitlines() if "xdp" in line]


def uplink(node):
    return next(p for p in node.get("/v1/state/ports") if p["name"] == "eth0")


def pair(lab, mode, **kwargs):
    a = SharedNode(lab, "node-a", 1, xdp_mode=mode)
    b = FlannelNode(lab, "node-b", 2, **kwargs)
    b.add_peer(a)
    web = pod_of(lab, a, "web")
    b.add_pod("db")
    return a, b, web


def pod_of(lab, node, name, host=10):
    return Pod(lab, name, [node.address(4, host), node.address(6, host)])


def transfer(sender, receiver, address, n=1 << 20):
    """A megabyte of TCP from pod to pod, compared. A wrong checksum would stop it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    data = os.urandom(n)
    with receiver.entered():
        listener = socket.socket(family, socket.SOCK_STREAM)
    listener.settimeout(15)
    listener.bind((address, 5001))
    listener.listen(1)
    with sender.entered():
        client = socket.socket(family, socket.SOCK_STREAM)
    client.settimeout(15)
    client.connect((address, 5001))
    server, _ = listener.accept()
    server.settimeout(15)
    thread = threading.Thread(target=lambda: (client.sendall(data), client.close()), daemon=True)
    thread.start()
    digest = hashlib.sha256()
    while more := server.recv(65536):
        digest.update(more)
    thread.join(15)
    server.close()
    listener.close()
    assert digest.digest() == hashlib.sha256(data).digest()


@BOTH
def test_node_notices_nothing(mode):
    """The node's own TCP session, over IPv4 and IPv6, through start, traffic, stop, start, kill -9, start and stop."""
    with Lab("xdp") as lab:
        a, b, web = pair(lab, mode)
        db = b.pods["db"]
        sessions = [Session(a, b, b.underlay4), Session(b, a, a.underlay6)]
        a.write_conf(peers=[b], pods=[web])
        for how in ("stop", "kill", "upgrade"):
            a.start()
            if how == "upgrade":
                a.upgrade()
            assert any(("xdpgeneric" if mode == "generic" else "xdp ") in p for p in program_of(a)), program_of(a)
            web.ping(db.v4)
            web.ping(db.v6)
            for s in sessions:
                s.progress()
            a.ping(b.underlay4)
            if how != "kill":
                state = uplink(a)
                assert state["xdp_mode"] == mode
                assert state["xdp"]["udp_tunnel"] >= 6 and state["xdp"]["passed"] > 100, state["xdp"]
                assert state["xdp"]["no_socket"] == 0, state["xdp"]
                a.assert_balanced()
                a.stop()
            else:
                a.kill()
                a.process.wait(10)
            wait_for("the program is gone", lambda: not program_of(a), 5)
            for s in sessions:
                s.progress()
            a.ping(b.underlay6)
        for s in sessions:
            s.close()


@pytest.mark.parametrize("mode,family", [("generic", 6), ("native", 6), ("native", 4)])
def test_tunnels(mode, family):
    """VXLAN with the kernel's own at the other end, over both families; a port that is configured later; ICMP about packets
    that are too big for the path finds Podlane."""
    with Lab("xdp") as lab:
        a, b, web = pair(lab, mode, family=family, port=4790)
        db = b.pods["db"]
        peer = dict(a.peer_object(b), underlay=[b.underlay4 if family == 4 else b.underlay6])
        a.write_conf(peers=[peer], pods=[web]).start()
        # Not Podlane's port yet: the kernel has it, and says so to the sender.
        web.ping(db.v4, count=2, check=False, timeout=1)
        assert uplink(a)["xdp"]["udp_tunnel"] == 0
        a.patch("peers", "node-b", {"port": 4790})
        for target in db.addresses:
            web.ping(target)
            transfer(web, db, target)
        for target in web.addresses:
            db.ping(target)
            transfer(db, web, target)
        state = uplink(a)
        assert state["xdp"]["udp_tunnel"] > 100 and state["xdp"]["no_socket"] == 0, state["xdp"]
        # A router on the way has a smaller MTU.
        before = {p["name"]: p["mtu"] for p in a.get("/v1/state/peers")}["node-b"]
        too_big(lab, a, b, family)
        wait_for("a smaller MTU to the peer", lambda: {
            p["name"]: p["mtu"] for p in a.get("/v1/state/peers")}["node-b"] < before, 5)
        assert uplink(a)["xdp"]["tunnel_errors"] == 1
        # Without peers nothing of a tunnel is ours.
        a.delete("peers", "node-b")
        before = uplink(a)["xdp"]["udp_tunnel"]
        db.ping(web.v4, count=2, check=False, timeout=1)
        assert uplink(a)["xdp"]["udp_tunnel"] == before
        a.assert_balanced()


def too_big(lab, a, b, family):
    """ICMP from b about a tunnel packet of a's that it did not send on."""
    from scapy.layers.inet import ICMP, IP, UDP
    from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
    from scapy.layers.l2 import Ether
    mac = a.sh("cat", "/sys/class/net/eth0/address").strip()
    udp = UDP(sport=50000, dport=4790) / (b"x" * 64)
    if family == 4:
        frame = IP(src=b.underlay4, dst=a.underlay4) / ICMP(type=3, code=4, nexthopmtu=1400) / IP(
            src=a.underlay4, dst=b.underlay4, len=1500) / udp
    else:
        frame = IPv6(src=b.underlay6, dst=a.underlay6) / ICMPv6PacketTooBig(mtu=1400) / IPv6(
            src=a.underlay6, dst=b.underlay6, plen=1460) / udp
    with b.entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    raw.send(bytes(Ether(dst=mac, src="02:00:00:00:00:99") / frame))
    raw.close()


def test_direct_and_ipip():
    """Two nodes with Podlane, one in each mode: IP-in-IP over both families, and no tunnel at all; a pod's address range
    behind another pod; and the nodes' own session meanwhile."""
    with Lab("xdp") as lab:
        a = SharedNode(lab, "node-a", 1, xdp_mode="native")
        b = SharedNode(lab, "node-b", 2, xdp_mode="generic")
        web, db = pod_of(lab, a, "web"), pod_of(lab, b, "db")
        session = Session(a, b, b.underlay4)
        a.write_conf(peers=[(b, "ipip")], pods=[web]).start()
        b.write_conf(peers=[(a, "ipip")], pods=[db]).start()
        for target in db.addresses:
            web.ping(target)
            transfer(web, db, target)
        assert uplink(a)["xdp"]["ip_tunnel"] > 10
        for node, peer in ((a, b), (b, a)):
            node.patch("peers", peer.short, {"underlay": [peer.underlay6]})
        for target in db.addresses:
            web.ping(target)
        for node, peer in ((a, b), (b, a)):
            node.patch("peers", peer.short, {"underlay": [peer.underlay4, peer.underlay6], "encap": "direct"})
        for target in db.addresses:
            web.ping(target)
            transfer(db, web, web.v4 if ":" not in target else web.v6)
        assert uplink(a)["xdp"]["pods"] > 10 and uplink(b)["xdp"]["pods"] > 10
        # Behind a pod.
        db.sh("ip", "addr", "add", "203.0.113.5/32", "dev", "lo")
        with db.entered():
            behind = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        behind.bind(("203.0.113.5", 7000))
        behind.settimeout(5)
        b.put("routes", {"prefix": "203.0.113.0/24", "via": [{"pod": "db"}]}, "203.0.113.0%2F24")
        a.put("routes", {"prefix": "203.0.113.0/24", "via": [{"peer": "node-b"}]}, "203.0.113.0%2F24")
        before = uplink(b)["xdp"]["entries"]
        with web.entered():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"hello", ("203.0.113.5", 7000))
        assert behind.recv(100) == b"hello"
        s.close()
        behind.close()
        b.delete("routes", "203.0.113.0%2F24")
        assert uplink(b)["xdp"]["entries"] == before - 1
        # The pod and the kernel of its own node: a server there has the node's address.
        local = Session(web, a, a.underlay4, 2223)
        local.progress()
        local.close()
        local = Session(web, a, a.underlay6, 2223)
        local.progress()
        local.close()
        session.progress()
        session.close()
        for node in (a, b):
            assert uplink(node)["xdp"]["no_socket"] == 0
            node.assert_balanced()


def test_follows_the_kernel():
    """Addresses, neighbours and link state are the kernel's, also while they change."""
    with Lab("xdp") as lab:
        a, b, web = pair(lab, "native")
        db = b.pods["db"]
        a.sh("ip", "addr", "flush", "dev", "eth0", "scope", "global")
        a.write_conf(peers=[b], pods=[web]).start()
        assert not a.get("/v1/state/peers")[0]["up"]
        a.sh("ip", "addr", "add", f"{a.underlay4}/24", "dev", "eth0")
        wait_for("the address is followed", lambda: a.get("/v1/state/peers")[0]["up"] or web.ping(
            db.v4, count=1, check=False, timeout=1)[1] == 1, 10)
        web.ping(db.v4)
        # Another NIC in the peer: the kernel hears of it when they speak.
        b.sh("ip", "link", "set", "eth0", "address", "02:00:00:00:00:77")
        b.sh("ip", "neigh", "flush", "dev", "eth0")
        b.ping(a.underlay4, count=1)
        web.ping(db.v4, timeout=5, check=False)
        web.ping(db.v4)
        neighbours = {n["address"]: n["mac"] for n in a.get("/v1/state/neighbours")}
        assert neighbours[b.underlay4] == "02:00:00:00:00:77"
        a.sh("ip", "link", "set", "eth0", "down")
        wait_for("link down", lambda: not uplink(a)["link"], 5)
        a.sh("ip", "link", "set", "eth0", "up")
        wait_for("link up", lambda: uplink(a)["link"], 5)
        wait_for("traffic again", lambda: web.ping(db.v4, count=1, check=False, timeout=1)[1] == 1, 15)
        # A neighbour that is not there.
        a.put("routes", {"prefix": "198.51.100.0/24", "via": [{"address": "192.0.2.99"}]}, "198.51.100.0%2F24")
        web.ping("198.51.100.1", count=2, check=False, timeout=1)
        wait_for("it fails", lambda: {n["address"]: n["state"] for n in a.get("/v1/state/neighbours")}
                 ["192.0.2.99"] == "failed", 10)
        a.sh("ip", "addr", "del", f"{a.underlay4}/24", "dev", "eth0")
        wait_for("the address is gone", lambda: not a.get("/v1/state/peers")[0]["up"], 5)
        a.assert_balanced()


def test_policy_knows_the_nodes_addresses():
    """What the kernel has on the uplink are addresses of the node to policies too, as they come and go."""
    with Lab("xdp") as lab:
        a, b, web = pair(lab, "native")
        a.write_conf(peers=[b], pods=[web]).start()

        def answers(address):
            return web.ping(address, count=1, check=False, timeout=1)[1] == 1
        for address in (a.underlay4, a.underlay6, b.pods["db"].v4):
            wait_for(f"{address} answers", lambda address=address: answers(address), 10)
        a.put("policies", {"name": "no-nodes", "types": ["egress"],
                           "egress": [{"action": "deny", "destination_nodes": "all()"}, {"action": "allow"}]}, "no-nodes")
        assert not answers(a.underlay4) and not answers(a.underlay6) and answers(b.pods["db"].v4)
        a.sh("ip", "addr", "add", "192.0.2.77/24", "dev", "eth0")
        wait_for("it is followed", lambda: "no-nodes" in a.cli("explain", "pod:web", web.v4, "192.0.2.77"), 10)
        assert not answers("192.0.2.77") and not answers(a.underlay4)
        a.delete("policies", "no-nodes")
        assert answers("192.0.2.77")
        a.assert_balanced()


@BOTH
def test_interface_made_anew(mode):
    """Deleted and made again under its name, with another MAC address: program, sockets and all that is steered are there
    again, the pod talks again, and nothing is left of the old ones."""
    with Lab("xdp") as lab:
        a, b, web = pair(lab, mode)
        db = b.pods["db"]
        a.write_conf(peers=[b], pods=[web]).start()
        for target in db.addresses:
            web.ping(target)
        entries = uplink(a)["xdp"]["entries"]
        time.sleep(0.05)  # it closes our last connections
        fds = descriptors(a)
        for again in range(2):
            mac = a.sh("cat", "/sys/class/net/eth0/address")
            a.sh("ip", "link", "del", "eth0")
            wait_for("it is noticed", lambda: uplink(a)["interface_gone"] and not uplink(a)["link"])
            # Meanwhile the configuration changes.
            a.put("pools", {"name": f"more-{again}", "cidr": f"10.99.{again}.0/24"})
            lab.attach(a, "eth0", 1500)
            assert a.sh("cat", "/sys/class/net/eth0/address") != mac
            for address in (f"{a.underlay4}/24", f"{a.underlay6}/64"):
                a.sh("ip", "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
            b.sh("ip", "neigh", "flush", "dev", "eth0")
            wait_for("it is taken up", lambda: not uplink(a)["interface_gone"] and uplink(a)["link"])
            for target in db.addresses:
                wait_for("the pod talks", lambda t=target: web.ping(t, count=1, check=False, timeout=1)[1] == 1, 15)
                web.ping(target)
                transfer(web, db, target)
            state = uplink(a)
            assert state["xdp_mode"] == mode and program_of(a)
            assert state["xdp"]["entries"] == entries + again + 1 and state["xdp"]["udp_tunnel"] > 10, state["xdp"]
            assert state["xdp"]["no_socket"] == 0
        wait_for("nothing is left open", lambda: descriptors(a) == fds)
        a.assert_balanced()
        # One that cannot be used: what is wrong is said once, and it is tried again.
        a.sh("ip", "link", "del", "eth0")
        wait_for("it is noticed", lambda: uplink(a)["interface_gone"])
        lab.attach(a, "eth0", 1400)
        wait_for("the refusal is logged", lambda: "back but cannot be used" in a.log_tail(20))
        assert "has MTU 1400, less than the port's 1500" in a.log_tail(20)
        a.sh("ip", "link", "set", "eth0", "mtu", 1500)
        wait_for("it is taken up", lambda: not uplink(a)["interface_gone"])
        a.stop()
        assert not program_of(a)


def descriptors(node):
    """What the daemon has open, without numbers, and without the store, which opens its file again for each checkpoint."""
    where = f"/proc/{node.daemon_pid()}/fd"
    names = [os.readlink(f"{where}/{fd}") for fd in os.listdir(where)]
    return sorted(re.sub(r"\d+", "N", name) for name in names if ".state/" not in name)


@BOTH
def test_jumbo(mode):
    """An MTU beyond one buffer: frames of several, both ways."""
    with Lab("xdp") as lab:
        a = SharedNode(lab, "node-a", 1, xdp_mode=mode, mtu=9000)
        b = FlannelNode(lab, "node-b", 2, mtu=9000)
        lab.switch.sh("ip", "link", "set", "br0", "mtu", 9000)
        b.add_peer(a)
        web, db = pod_of(lab, a, "web"), b.add_pod("db")
        a.write_conf(peers=[b], pods=[web]).start()
        state = uplink(a)
        assert state["xdp_mode"] == mode and state["mtu"] == 9000
        for target in db.addresses:
            for size in (56, 3700, 3800, 4050, 4100, 8100, 8850):
                web.ping(target, count=2, size=size, df=True)
            transfer(web, db, target, 4 << 20)
        for target in web.addresses:
            transfer(db, web, target, 4 << 20)
        assert uplink(a)["rx_errors"] == 0 and uplink(a)["xdp"]["no_socket"] == 0, uplink(a)
        # And the node's own traffic beside it.
        transfer(b, a, a.underlay4)
        a.assert_balanced()


def test_queues():
    """Two receive queues, each with a socket: flows on either arrive."""
    with Lab("xdp") as lab:
        a = SharedNode(lab, "node-a", 1, xdp_mode="native", queues=2)
        b = FlannelNode(lab, "node-b", 2)
        b.add_peer(a)
        web, db = pod_of(lab, a, "web"), b.add_pod("db")
        a.write_conf(peers=[b], pods=[web]).start()
        assert uplink(a)["rx_queues"] == 2
        with web.entered():
            echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind((web.v4, 7000))
        echo.settimeout(5)
        for i in range(40): # the outer source port follows the inner flow, and the queue the outer source port
            with db.entered():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(5)
            s.sendto(b"%d" % i, (web.v4, 7000))
            data, peer = echo.recvfrom(100)
            echo.sendto(data, peer)
            assert s.recv(100) == b"%d" % i
            s.close()
        echo.close()
        sent = [int(n) for n in a.sh("sh", "-c", "ethtool -S eth0 | sed -n 's/.*rx_queue_[01]_xdp_packets: *//p'").split()]
        assert len(sent) == 2 and all(n >= 5 for n in sent), sent
        assert uplink(a)["xdp"]["no_socket"] == 0
        a.assert_balanced()


def test_refusals():
    """What cannot work is said, and leaves the interface as it was; "auto" falls back and says so."""
    with Lab("xdp") as lab:
        a = SharedNode(lab, "node-a", 1)
        # Somebody else's program.
        a.sh("ip", "link", "set", "dev", "eth0", "xdpgeneric", "object", os.path.join(BUILD, "dataplane", "steer.bpf.o"),
             "section", "xdp.frags")
        a.write_conf().start(wait=False)
        assert a.process.wait(15) != 0
        assert "podlane_steer" in a.log_tail() and "ip link set dev eth0 xdp off" in a.log_tail(), a.log_tail()
        a.sh("ip", "link", "set", "dev", "eth0", "xdpgeneric", "off")
        # An MTU the interface does not have.
        a.mtu = 1600
        a.write_conf().start(wait=False)
        assert a.process.wait(15) != 0
        assert "has MTU 1500, less than" in a.log_tail(), a.log_tail()
        assert not program_of(a)
        a.mtu = 1500
        # A device whose driver runs no programs.
        a.sh("ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "bridge")
        a.sh("ip", "link", "set", "mv0", "up")
        a.write_conf().start()
        a.put("uplinks", {"name": "mv0", "driver": "af_xdp", "device": "mv0", "addresses": ["192.0.2.77/24"]})
        state = next(p for p in a.get("/v1/state/ports") if p["name"] == "mv0")
        assert state["xdp_mode"] == "generic"
        assert "using generic mode" in a.log_tail() and "does not have the uplink's address" in a.log_tail()
        status, body = a.request("PUT", "/v1/uplinks/mv0", {
            "name": "mv0", "driver": "af_xdp", "device": "mv0", "xdp_mode": "native"})
        assert status >= 400
        a.delete("uplinks", "mv0")
        status, body = a.request("PUT", "/v1/uplinks/mv0", {
            "name": "mv0", "driver": "af_xdp", "device": "mv0", "xdp_mode": "native"})
        assert status >= 400 and b'xdp_mode = \"auto\"' in body.replace(b'\\', b''), body
        status, body = a.request("PUT", "/v1/uplinks/mv0", {"name": "mv0", "driver": "af_packet", "device": "mv0"})
        assert status >= 400 and b"addresses" in body, body


class ExchangeNode(PodlaneNode):
    """A node whose NIC is Podlane's (a packet socket on eth0 stands in for it), with an interface in exchange."""

    def __init__(self, *args, addresses=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.uplink_driver = "ethdev"
        self.addressed = addresses

    def write_conf(self, *args, **kwargs):
        super().write_conf(*args, **kwargs)
        with open(self.conf) as f:
            text = f.read()
        with open(self.conf, "w") as f:
            f.write(text.replace('device = "eth0";', 'device = "net_af_packet0,iface=eth0"; kernel_interface = "node0";'))
        return self

    def uplink_fields(self):
        return super().uplink_fields() if self.addressed else ""


def test_exchange():
    """A NIC that is Podlane's: the kernel has its traffic by an interface with the NIC's MAC address and the uplink's
    addresses; the same frames come to Podlane as with AF_XDP."""
    with Lab("exchange") as lab:
        a = ExchangeNode(lab, "node-a", 1)
        b = FlannelNode(lab, "node-b", 2)
        b.add_peer(a)
        web, db = pod_of(lab, a, "web"), b.add_pod("db")
        a.write_conf(peers=[b], pods=[web]).start()
        assert a.sh("cat", "/sys/class/net/node0/address") == a.sh("cat", "/sys/class/net/eth0/address")
        b.ping(a.underlay4)
        b.ping(a.underlay6)
        sessions = [Session(b, a, a.underlay4), Session(a, b, b.underlay6)]
        for target in db.addresses:
            web.ping(target)
            transfer(web, db, target)
        for target in web.addresses:
            db.ping(target)
            transfer(db, web, target)
        # A large transfer of the kernel's own, beside; and the pod speaks to its node.
        transfer(b, a, a.underlay4)
        transfer(a, b, b.underlay6)
        local = Session(web, a, a.underlay4, 2224)
        local.progress()
        local.close()
        for s in sessions:
            s.progress()
            s.close()
        state = uplink(a)
        assert state["to_kernel"] > 100 and state["from_kernel"] > 100, state
        # Addresses change with the configuration.
        a.patch("uplinks", "eth0", {"addresses": ["192.0.2.55/24", f"{a.underlay6}/64"]})
        b.ping("192.0.2.55")
        assert a.underlay4 + "/" not in a.sh("ip", "-o", "addr", "show", "dev", "node0")
        a.assert_balanced()
        a.stop()
        assert "node0" not in a.sh("ip", "link")
