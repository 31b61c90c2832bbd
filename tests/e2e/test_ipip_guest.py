# SPDX-License-Identifier: Apache-2.0
"""Linux's own IP-in-IP as the peer, in a QEMU guest: all four pairs of families, byte for byte and both ways."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import time

import pytest

from guest import TUNNELS, GuestNode
from lab import Lab, Pod, PodlaneNode, built, kill_process, run, wait_for

MARKER = 0x88b5  # ethertype for local experiments, IEEE 802
PAIRS = ["ipip", "sit", "ipip6", "ip6ip6"]


class Bench:
    """One Podlane node with a pod, one guest; the guest boots once for all tests here."""

    def __init__(self):
        self.lab = Lab("guest")
        self.node = PodlaneNode(self.lab, "node-a", 1)
        # The pod believes in 1500 bytes: what a tunnel takes must come from Podlane.
        self.pod = Pod(self.lab, "pod-a1", [self.node.address(4, 10), self.node.address(6, 0x10)], mtu=1500)
        self.guest = GuestNode(self.lab, "guest", 4)
        self.node.write_conf(pods=[self.pod]).start()

    def use(self, kind, encap=None, underlay=None):
        """Tunnel `kind` from both ends. Returns the largest inner packet."""
        tunnel = TUNNELS[kind]
        self.peer(encap or "ipip", [underlay or tunnel.underlay])
        for family in ("-4", "-6"):
            self.pod.sh("ip", family, "route", "flush", "cache")
        return self.guest.set_tunnel(kind, self.node)

    def peer(self, encap, families):
        """The guest as an object of the node."""
        peer = self.node.peer_object((self.guest, encap))
        peer["underlay"] = [self.guest.underlay4 if f == 4 else self.guest.underlay6 for f in families]
        self.node.put("peers", peer)

    def addresses(self, family):
        """(the pod's, the guest's)"""
        return (self.pod.v4, self.guest.v4) if family == 4 else (self.pod.v6, self.guest.v6)

    @contextlib.contextmanager
    def capture(self, what=""):
        """Frames between the node and the guest, as scapy packets; complete when the block is left."""
        from scapy.all import rdpcap
        path = os.path.join(self.lab.dir, f"wire-{time.monotonic_ns()}.pcap")
        # Slots of the capture's ring are as long as -s says: the default leaves room for a few dozen frames only.
        dump = self.lab.switch.popen("tcpdump", "-i", self.guest.tap, "-w", path, "-U", "--immediate-mode",
                                     "-s", "2048", "-B", "32768",
                                     *([f"ether proto {MARKER:#x} or ({what})"] if what else []),
                                     log=os.path.basename(path) + ".log")
        wait_for("tcpdump listens", lambda: "listening" in open(dump.log).read())
        frames = []
        yield frames
        # A frame of our own is the last one: no delay would be long enough on a busy machine.
        mark = os.urandom(46)
        with self.lab.switch.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("br0", 0))
            wire.send(bytes.fromhex(self.guest.mac.replace(":", "")) + bytes.fromhex("020000000001") +
                      MARKER.to_bytes(2, "big") + mark)
        wait_for("the marker is captured", lambda: mark in open(path, "rb").read())
        kill_process(dump)
        dropped = re.search(r"(\d+) packets dropped by kernel", open(dump.log).read())
        assert dropped and int(dropped.group(1)) == 0, "the capture is not complete"
        # tcpdump verifies the checksums and lengths of every header that it finds, inner ones included.
        text = run("tcpdump", "-vv", "-n", "-r", path)
        for bad in ("bad cksum", "(incorrect", "wrong icmp", "bad-len", "truncated"):
            assert bad not in text, text
        frames.extend(f for f in rdpcap(path) if f.type != MARKER)


@pytest.fixture(scope="module")
def bench():
    with built(Bench) as one:
        yield one


@pytest.fixture(params=PAIRS)
def pair(request, bench):
    """(bench, inner family, inner MTU) for each pair of families."""
    inner_mtu = bench.use(request.param)
    family, = TUNNELS[request.param].families
    bench.kind = request.param
    return bench, family, inner_mtu


def is_inside(bench, frame, family):
    """The inner packet of a frame, after checking its outer header."""
    from scapy.all import IP, IPv6
    outer = frame.payload
    tunnel = TUNNELS[bench.kind]
    ends = {bench.node.underlay4, bench.guest.underlay4} if tunnel.underlay == 4 else {bench.node.underlay6,
                                                                                       bench.guest.underlay6}
    assert {outer.src, outer.dst} == ends
    assert (outer.proto if tunnel.underlay == 4 else outer.nh) == (4 if family == 4 else 41)
    inner = outer.payload
    assert type(inner) is (IP if family == 4 else IPv6)
    assert {inner.src, inner.dst} == set(bench.addresses(family))
    return outer, inner


def traffic_class(header):
    return header.tos if header.version == 4 else header.tc


def test_ping(pair):
    """Small and nearly full packets, both ways, each in the right tunnel."""
    bench, family, _ = pair
    pod, guest = bench.addresses(family)
    bench.pod.ping(guest, count=1, timeout=5)  # neighbours are learned before the capture
    with bench.capture("ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41") as frames:
        for size in (56, 1400):
            bench.pod.ping(guest, size=size)
            bench.guest.ping(pod, size=size)
    assert len(frames) == 2 * 2 * 2 * 3
    for frame in frames:
        is_inside(bench, frame, family)


def test_df_gets_the_right_mtu(pair):
    """The largest packet passes whole, a byte more is refused with the inner MTU, by either end."""
    bench, family, inner_mtu = pair
    pod, guest = bench.addresses(family)
    headers = 28 if family == 4 else 48
    option = f"-{family}"
    for size in (1500, inner_mtu + 1):
        bench.pod.sh("ip", option, "route", "flush", "cache")
        out = bench.pod.sh("ping", option, "-M", "do", "-c", "1", "-W", "2", "-s", size - headers, guest, check=False)
        match = re.search(r"mtu ?[=:] ?(\d+)", out, re.I)
        assert match and int(match.group(1)) == inner_mtu, out
    bench.pod.ping(guest, size=inner_mtu - headers, df=True)
    bench.guest.ping(pod, size=inner_mtu - headers, df=True)
    out = bench.guest.sh("ping", "-M", "do", "-c", "1", "-W", "1", "-s", inner_mtu + 1 - headers, pod, check=False)
    assert re.search(rf"mtu ?[=:] ?{inner_mtu}\b", out, re.I), out


def test_larger_is_fragmented(pair):
    """Without DF, and for IPv6 by the source: every byte arrives in fragments, both ways."""
    bench, family, _ = pair
    pod, guest = bench.addresses(family)
    for size in (1472, 1473, 4000):
        bench.pod.sh("ping", f"-{family}", *(["-M", "dont"] if family == 4 else []), "-c", "3", "-i", "0.1", "-W", "3",
                     "-s", size, guest)
        bench.guest.ping(pod, size=size)


@pytest.mark.parametrize("tos", [0, 1, 2, 3, 0xb8, 0xba])
def test_ecn_and_dscp_outwards(pair, tos):
    """What the pod marks shows outside (RFC 6040 section 4.1, RFC 2983 uniform), and arrives inside."""
    bench, family, _ = pair
    _, guest = bench.addresses(family)
    with bench.capture("ip proto 4 or ip proto 41 or ip6 proto 4 or ip6 proto 41") as frames:
        bench.pod.sh("ping", f"-{family}", "-c", "2", "-i", "0.1", "-W", "3", "-Q", tos, guest)
    sent = [is_inside(bench, f, family) for f in frames if f.dst == bench.guest.mac]
    assert len(sent) == 2, [f.summary() for f in frames]
    for outer, inner in sent:
        assert traffic_class(inner) == tos
        assert traffic_class(outer) == tos
        if outer.version == 4 and inner.version == 4:
            assert outer.flags.DF == inner.flags.DF


@pytest.mark.parametrize("outer_ecn,inner_ecn,arrives", [
    (0, 0, 0), (0, 2, 2), (2, 2, 2), (1, 2, 1), (2, 1, 1), (3, 1, 3), (3, 2, 3), (3, 3, 3), (0, 3, 3), (2, 0, 0),
    (3, 0, None)])
def test_ecn_inwards(pair, outer_ecn, inner_ecn, arrives):
    """A router on the way marked the outer header: RFC 6040 section 4.2, figure 4."""
    from scapy.all import ICMP, IP, Ether, ICMPv6EchoRequest, IPv6, raw
    bench, family, _ = pair
    pod, guest = bench.addresses(family)
    inner = (IP(src=guest, dst=pod, tos=inner_ecn) / ICMP(id=7) if family == 4 else
             IPv6(src=guest, dst=pod, tc=inner_ecn) / ICMPv6EchoRequest(id=7)) / b"marked on the way"
    outer = (IP(src=bench.guest.underlay4, dst=bench.node.underlay4, tos=outer_ecn) if TUNNELS[bench.kind].underlay == 4
             else IPv6(src=bench.guest.underlay6, dst=bench.node.underlay6, tc=outer_ecn))
    mac = bench.node.sh("cat", "/sys/class/net/eth0/address").strip()
    before = bench.node.drops().get("tunnel_bad_ecn", 0)
    with bench.pod.entered():
        ears = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800 if family == 4 else 0x86dd))
        ears.bind(("eth0", 0x0800 if family == 4 else 0x86dd))
    with bench.lab.switch.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        wire.bind(("br0", 0))
    with ears, wire:
        ears.settimeout(3)
        wire.send(raw(Ether(src=bench.guest.mac, dst=mac) / outer / inner))
        if arrives is None:
            wait_for("the drop is counted", lambda: bench.node.drops().get("tunnel_bad_ecn", 0) == before + 1)
            return
        while True:
            data = ears.recv(2048)
            if b"marked on the way" in data:
                break
        packet = IP(data) if family == 4 else IPv6(data)
        assert packet.src == guest
        assert traffic_class(packet) == arrives
        if family == 4:
            del packet.chksum
            assert raw(packet) == data  # the header's checksum followed the change


MEGABYTE = 1 << 20


def send_from_pod(bench, family):
    """A megabyte from the pod to busybox nc in the guest."""
    _, guest = bench.addresses(family)
    bench.guest.sh("rm -f in; nc -l -p 7000 </dev/null >in 2>&1 & echo $! >nc.pid")
    wait_for("nc listens", lambda: ":7000" in bench.guest.sh("netstat -ltn"))
    data = os.urandom(MEGABYTE)
    with bench.pod.entered():
        s = socket.create_connection((guest, 7000), timeout=30)
    with s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        assert s.recv(1) == b""
    bench.guest.sh("while kill -0 $(cat nc.pid) 2>/dev/null; do sleep 0.1; done", timeout=30)
    assert bench.guest.sh("sha256sum <in").split()[0] == hashlib.sha256(data).hexdigest()


def send_from_guest(bench, family):
    """A megabyte from busybox nc in the guest to the pod."""
    pod, _ = bench.addresses(family)
    bench.guest.sh("dd if=/dev/urandom of=out bs=64k count=16 2>/dev/null")
    sum_sent = bench.guest.sh("sha256sum <out").split()[0]
    with bench.pod.entered():
        server = socket.create_server((pod, 7001), family=socket.AF_INET if family == 4 else socket.AF_INET6)
    with server:
        server.settimeout(20)
        bench.guest.sh(f"nc {pod} 7001 <out >nc.out 2>&1 &")
        s, _ = server.accept()
        with s:
            s.settimeout(20)
            digest, count = hashlib.sha256(), 0
            while chunk := s.recv(65536):
                digest.update(chunk)
                count += len(chunk)
    assert count == MEGABYTE
    assert digest.hexdigest() == sum_sent


def test_tcp(pair):
    """A megabyte each way; every byte arrives, every segment on the wire is sound."""
    bench, family, _ = pair
    with bench.capture() as frames:
        send_from_pod(bench, family)
        send_from_guest(bench, family)
    assert max(len(f) for f in frames) <= 1514


def test_direct(bench):
    """No tunnel at all: both families routed, no header added."""
    bench.peer("direct", [4, 6])
    bench.guest.set_tunnel("direct", bench.node)
    for family in (4, 6):
        pod, guest = bench.addresses(family)
        bench.pod.ping(guest, count=1, timeout=5)
        with bench.capture("icmp or icmp6") as frames:
            bench.pod.ping(guest, size=1500 - (28 if family == 4 else 48), df=True)
            bench.guest.ping(pod)
        assert sum({f.payload.src, f.payload.dst} == {pod, guest} for f in frames) == 12
        send_from_pod(bench, family)
        send_from_guest(bench, family)


def test_kernel_vxlan(bench):
    """The guest's VXLAN device, both inner families, IPv4 underlay."""
    inner_mtu = bench.use("vxlan", "vxlan")
    for family in (4, 6):
        pod, guest = bench.addresses(family)
        bench.pod.ping(guest, size=inner_mtu - (28 if family == 4 else 48), df=True)
        bench.guest.ping(pod, size=1300)
        with bench.capture("udp port 8472") as frames:
            send_from_pod(bench, family)
            send_from_guest(bench, family)
        assert frames and max(len(f) for f in frames) <= 1514


def test_encapsulation_limit(bench):
    """Linux's default for IPv6 tunnels puts a destination option before the inner packet (RFC 2473 section 4.1)."""
    bench.use("encaplimit", "ipip")
    for family in (4, 6):
        pod, guest = bench.addresses(family)
        bench.pod.ping(guest)
        bench.guest.ping(pod)
        send_from_guest(bench, family)


@pytest.mark.parametrize("family", [4, 6])
def test_the_guest_changes_its_encapsulation(bench, family):
    """The guest moves from one encapsulation to the next under traffic, whatever Podlane sends itself: all of them are
    accepted at all times and nothing is lost."""
    kinds = ["ipip" if family == 4 else "sit", "ip6tnl", "direct", "vxlan"]
    bench.peer("ipip", [4, 6])
    bench.guest.set_tunnel(kinds[0], bench.node)
    for kind in kinds[1:] + kinds[:1]:
        bench.guest.set_tunnel(kind, bench.node, keep=True)
    pod, guest = bench.addresses(family)
    bench.pod.ping(guest, count=1, timeout=5)
    ping = bench.pod.popen("ping", "-n", "-q", "-i", "0.01", guest, log=f"steady-{family}.log")
    time.sleep(0.2)
    for encap in ("ipip", "vxlan", "direct", "ipip"):
        bench.peer(encap, [4, 6])
        for kind in kinds:
            bench.guest.set_tunnel(kind, bench.node, keep=True)
            time.sleep(0.1)
    kill_process(ping, signal.SIGINT)
    match = re.search(r"(\d+) packets transmitted, (\d+) received", open(ping.log).read())
    sent, received = map(int, match.groups())
    # The last one may be under way at the end.
    assert sent > 100 and sent - received <= 1, f"{sent - received} of {sent} lost"


def test_only_known_peers_are_believed(bench):
    """Without the peer object what the guest tunnels is dropped and counted; with it, at once accepted again."""
    bench.use("ipip")
    bench.guest.ping(bench.pod.v4)
    bench.node.delete("peers", "guest")
    before = bench.node.drops().get("tunnel_unknown_peer", 0)
    _, received, _ = bench.guest.ping(bench.pod.v4, count=3, timeout=1, check=False)
    assert received == 0
    assert wait_for("drops are counted", lambda: bench.node.drops().get("tunnel_unknown_peer", 0) >= before + 3)
    bench.use("ipip")
    bench.guest.ping(bench.pod.v4)


def test_everything_is_accounted_for(bench):
    balance = bench.node.assert_balanced()
    assert balance["received"] > 0
    assert bench.node.stop() == 0
