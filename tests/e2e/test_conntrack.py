# SPDX-License-Identifier: Apache-2.0
"""Connection tracking with the kernel's TCP and UDP between pods of one node."""

import os
import socket
import struct
import time

import pytest

from lab import Lab, Pod, PodlaneNode, wait_for

scapy = pytest.importorskip("scapy.all")

PORT = 7000


@pytest.fixture(scope="module")
def site():
    with Lab("conntrack") as lab:
        node = PodlaneNode(lab, "node-a", 1, extra_node='tcp_window = "strict"; tcp_pickup = false; tcp_pickup_grace_s = 3;'
                           ' flows = 8192; flows6 = 1024; half_open_max = 300; tcp_closed_timeout_s = 2;'
                           ' tcp_time_wait_timeout_s = 3;')
        node.pods = {name: Pod(lab, name, [node.address(4, host), node.address(6, host)])
                     for name, host in (("web", 10), ("client", 11), ("flood", 12))}
        node.write_conf(pods=node.pods.values()).start()
        for pod in node.pods.values():
            pod.ping(node.pods["web"].v4 if pod.short != "web" else node.pods["client"].v4, count=1)
        yield node
        node.assert_balanced()


def events(node):
    return {e["event"]: e["count"] for e in node.get("/v1/state/events")}


def flows(node, **query):
    text = "&".join(f"{k}={v}" for k, v in query.items())
    return node.get(f"/v1/state/flows?{text}")


def states(node, port):
    return sorted(f["state"] for f in flows(node, port=port, proto="tcp"))


class Listener:
    """A TCP server in a pod."""

    def __init__(self, pod, port, family=4):
        with pod.entered():
            self.socket = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("0.0.0.0" if family == 4 else "::", port))
        self.socket.listen(128)
        self.socket.settimeout(5)

    def connect(self, pod, address, source=0):
        port = self.socket.getsockname()[1]
        with pod.entered():
            s = socket.socket(self.socket.family)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0" if self.socket.family == socket.AF_INET else "::", source))
        s.settimeout(5)
        s.connect((address, port))
        peer = self.socket.accept()[0]
        peer.settimeout(5)
        return s, peer

    def close(self):
        self.socket.close()


def talk(a, b, size=100000):
    data = os.urandom(size)
    for x, y in ((a, b), (b, a)):
        got = b""
        x.sendall(data[:size])
        while len(got) < size:
            piece = y.recv(65536)
            assert piece, "closed"
            got += piece
        assert got == data


@pytest.mark.parametrize("family", [4, 6])
def test_states_of_a_connection(site, family):
    port = PORT + family
    web = site.pods["web"]
    server = Listener(web, port, family)
    a, b = server.connect(site.pods["client"], web.v4 if family == 4 else web.v6)
    source = a.getsockname()[1]
    talk(a, b)
    assert states(site, source) == ["established", "established"]
    a.shutdown(socket.SHUT_WR)
    assert b.recv(1) == b""
    assert states(site, source) == ["fin_wait", "fin_wait"]
    b.sendall(b"x" * 50000)          # half closed: the other direction goes on
    got = 0
    while got < 50000:
        got += len(a.recv(65536))
    b.close()
    assert a.recv(1) == b""
    wait_for("time wait", lambda: states(site, source) == ["time_wait", "time_wait"], 2)
    flow = flows(site, port=source, proto="tcp")[0]
    assert 0 < flow["left_ms"] <= 3000
    a.close()
    server.close()
    wait_for("forgotten", lambda: flows(site, port=source, proto="tcp") == [], 15)


def test_reset_and_reuse(site):
    web = site.pods["web"]
    server = Listener(web, PORT)
    a, b = server.connect(site.pods["client"], web.v4, 40001)
    talk(a, b)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    a.close()                        # RST
    wait_for("closed", lambda: states(site, 40001) == ["closed", "closed"], 2)
    before = events(site)["conntrack_reopened"]
    b.close()
    a, b = server.connect(site.pods["client"], web.v4, 40001)
    talk(a, b)
    assert events(site)["conntrack_reopened"] == before + 1
    assert states(site, 40001) == ["established", "established"]
    # Refused: nobody listens.
    with site.pods["client"].entered():
        s = socket.socket()
    with pytest.raises(ConnectionRefusedError):
        s.bind(("0.0.0.0", 40002))
        s.connect((web.v4, PORT + 99))
    assert states(site, 40002) == ["closed", "closed"]
    for x in (a, b, server, s):
        x.close()


def inject(pod, packet):
    with pod.entered():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0))
    mac = bytes.fromhex(open_mac(pod).replace(":", ""))
    s.send(bytes.fromhex("02706f646c01") + mac + struct.pack("!H", 0x0800) + bytes(packet))
    s.close()


def open_mac(pod):
    return pod.sh("cat", "/sys/class/net/eth0/address").strip()


def test_blind_segments_kill_nothing(site):
    """Guesses of somebody who knows addresses and ports, but no numbers: from the client's own pod, beside its kernel."""
    from scapy.all import IP, TCP
    web, client = site.pods["web"], site.pods["client"]
    server = Listener(web, PORT + 1)
    a, b = server.connect(client, web.v4, 40010)
    talk(a, b)
    dropped = site.drops().get("tcp_out_of_window", 0)
    for i in range(16):
        packet = IP(src=client.v4, dst=web.v4) / TCP(sport=40010, dport=PORT + 1, flags="R", seq=(i << 28) + 12345)
        inject(client, packet)
    wait_for("drops", lambda: site.drops().get("tcp_out_of_window", 0) >= dropped + 14, 3)
    assert states(site, 40010) == ["established", "established"]
    inject(client, IP(src=client.v4, dst=web.v4) / TCP(sport=40010, dport=PORT + 1, flags="S", seq=99))
    talk(a, b)
    assert states(site, 40010) == ["established", "established"]
    for x in (a, b, server):
        x.close()


def test_no_connection_no_entry(site):
    """tcp_pickup = false: after the grace time a segment of nothing is dropped."""
    from scapy.all import IP, TCP
    web, client = site.pods["web"], site.pods["client"]
    time.sleep(3)
    inject(client, IP(src=client.v4, dst=web.v4) / TCP(sport=40020, dport=PORT + 2, flags="A", seq=5, ack=6))
    wait_for("dropped", lambda: site.drops().get("tcp_no_connection", 0) >= 1, 3)
    assert flows(site, port=40020) == []


def udp_pair(site, family, port):
    web, client = site.pods["web"], site.pods["client"]
    af = socket.AF_INET if family == 4 else socket.AF_INET6
    with web.entered():
        s = socket.socket(af, socket.SOCK_DGRAM)
        s.bind(("0.0.0.0" if family == 4 else "::", port))
    with client.entered():
        c = socket.socket(af, socket.SOCK_DGRAM)
    c.connect((web.v4 if family == 4 else web.v6, port))
    s.settimeout(3)
    c.settimeout(3)
    return c, s


@pytest.mark.parametrize("family", [4, 6])
def test_udp_answers(site, family):
    port = 7100 + family
    c, s = udp_pair(site, family, port)
    c.send(b"one")
    _, where = s.recvfrom(100)
    assert {f["state"] for f in flows(site, port=port)} == {"unreplied"}
    s.sendto(b"two", where)
    assert c.recv(100) == b"two"
    assert {f["state"] for f in flows(site, port=port)} == {"replied"}
    c.close()
    s.close()


def test_icmp_error_goes_with_its_flow(site):
    related = events(site)["conntrack_related"]
    client, web = site.pods["client"], site.pods["web"]
    with client.entered():
        c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    c.connect((web.v4, 7999))
    c.settimeout(3)
    c.send(b"nobody")
    with pytest.raises(ConnectionRefusedError):
        c.recv(10)
    assert events(site)["conntrack_related"] == related + 1
    assert [f for f in flows(site, proto="icmp") if f["type"] == 3] == []
    c.close()


def test_sctp_tags(site):
    """Without the kernel's SCTP: packets by hand, an association and a forged ABORT."""
    from scapy.all import IP
    from scapy.layers.sctp import (SCTP, SCTPChunkAbort, SCTPChunkCookieAck, SCTPChunkCookieEcho, SCTPChunkInit,
                                   SCTPChunkInitAck)
    web, client = site.pods["web"], site.pods["client"]

    def send(source, target, tag, chunk, sport, dport):
        inject(source, IP(src=source.v4, dst=target.v4) / SCTP(sport=sport, dport=dport, tag=tag) / chunk)

    def state():
        return {f["state"] for f in flows(site, proto="sctp", port=7200)}

    send(client, web, 0, SCTPChunkInit(init_tag=0xa), 40030, 7200)
    wait_for("init", lambda: state() == {"init"}, 2)
    send(web, client, 0xa, SCTPChunkInitAck(init_tag=0xb), 7200, 40030)
    send(client, web, 0xb, SCTPChunkCookieEcho(cookie=b"c" * 8), 40030, 7200)
    wait_for("cookie", lambda: state() == {"cookie"}, 2)
    send(web, client, 0xa, SCTPChunkCookieAck(), 7200, 40030)
    wait_for("established", lambda: state() == {"established"}, 2)
    before = site.drops().get("sctp_bad_tag", 0)
    send(web, client, 0x77, SCTPChunkAbort(), 7200, 40030)
    wait_for("dropped", lambda: site.drops().get("sctp_bad_tag", 0) == before + 1, 2)
    assert state() == {"established"}
    send(web, client, 0xa, SCTPChunkAbort(), 7200, 40030)
    wait_for("closed", lambda: state() == {"closed"}, 2)


def test_connections_max(site):
    web, client = site.pods["web"], site.pods["client"]
    server = Listener(web, PORT + 3)
    site.request("DELETE", "/v1/state/flows")
    site.put("pods", {**client.object(), "connections_max": 5})
    pairs = [server.connect(client, web.v4) for _ in range(5)]
    with client.entered():
        s = socket.socket()
    s.settimeout(0.5)
    with pytest.raises(TimeoutError):
        s.connect((web.v4, PORT + 3))
    assert site.drops()["connections_limited"] >= 1
    talk(*pairs[0])
    pairs[1][0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pairs[1][0].close()              # over: there is room again
    a, b = server.connect(client, web.v4)
    talk(a, b)
    site.put("pods", client.object())
    for x in (a, b, server, s, *[x for p in pairs for x in p]):
        x.close()


FLOOD = """
import random, socket, struct, sys
source, target, mac, count = sys.argv[1:5]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
def total(data):
    x = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while x >> 16:
        x = (x & 0xffff) + (x >> 16)
    return ~x & 0xffff
a, b = socket.inet_aton(source), socket.inet_aton(target)
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, a, b)
ip = ip[:10] + struct.pack("!H", total(ip)) + ip[12:]
ether = bytes.fromhex("02706f646c01") + bytes.fromhex(mac.replace(":", "")) + b"\\x08\\x00"
for i in range(int(count)):
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), random.randrange(1, 65536), i, 0, 0x50, 2, 1000, 0, 0)
    check = total(a + b + struct.pack("!HH", 6, 20) + tcp)
    s.send(ether + ip + tcp[:16] + struct.pack("!H", check) + tcp[18:])
"""


def test_syn_flood_of_one_pod(site):
    """What is open stays open, others still connect, and half open connections are bounded."""
    web, client, flood = (site.pods[n] for n in ("web", "client", "flood"))
    server = Listener(web, PORT + 4)
    # Answers would open and close the connections: an address that stays silent.
    silent = site.address(4, 13)
    quiet = Pod(site.lab, "quiet", [silent])
    site.put("pods", quiet.object())
    quiet.sh("ip", "addr", "flush", "dev", "eth0")
    a, b = server.connect(client, web.v4)
    process = flood.popen("/usr/bin/python3", "-c", FLOOD, flood.v4, silent, open_mac(flood), 20000)
    made = 0
    while process.poll() is None or made < 20:
        x, y = server.connect(client, web.v4)
        talk(x, y, 1000)
        x.close()
        y.close()
        made += 1
    talk(a, b)
    assert process.returncode == 0, open(process.log).read()
    assert site.drops()["half_open_limited"] > 10000
    half = [f for f in flows(site, limit=0, proto="tcp") if f["state"] == "syn_sent" and not f["reply"]]
    assert len(half) <= 300
    site.delete("pods", "quiet")
    for x in (a, b, server):
        x.close()


TUPLES = """
import random, socket, struct, sys
source, pool, mac, seconds = sys.argv[1:5]
import time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
ether = bytes.fromhex("02706f646c01") + bytes.fromhex(mac.replace(":", "")) + b"\\x08\\x00"
own, net = socket.inet_aton(source), socket.inet_aton(pool)
end, n = time.monotonic() + float(seconds), 0
while time.monotonic() < end:
    for _ in range(64):
        n += 1
        bits = random.getrandbits(80)
        src = own if n % 4 else struct.pack("!I", bits & 0xffffffff)
        dst = net[:3] + bytes([10 + n % 2]) if n % 3 else struct.pack("!I", bits >> 16 & 0xffffffff)
        proto = (17, 17, 17, 6, 132, 47)[n % 6]
        body = struct.pack("!HHHH", bits >> 48 & 0xffff, bits >> 64, 20, 0) + bytes(12)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, proto, 0, src, dst)
        check = sum(struct.unpack("!10H", ip))
        check = (check & 0xffff) + (check >> 16)
        check = ~((check & 0xffff) + (check >> 16)) & 0xffff
        s.send(ether + ip[:10] + struct.pack("!H", check) + ip[12:] + body)
print(n)
"""


def memory_kib(process):
    return int(open(f"/proc/{process.pid}/status").read().split("VmRSS:")[1].split()[0])


def test_flood_of_random_tuples(site):
    """Addresses, protocols and ports at random, some of the sources not its own: the table fills up to the flooding pod's share,
    memory does not grow, what others have open stays, and they open more."""
    web, client, flood = (site.pods[n] for n in ("web", "client", "flood"))
    server = Listener(web, PORT + 7)
    a, b = server.connect(client, web.v4)
    talk(a, b)
    before = memory_kib(site.process)
    process = flood.popen("/usr/bin/python3", "-c", TUPLES, flood.v4, client.v4, open_mac(flood), 2)
    made = 0
    while process.poll() is None:
        x, y = server.connect(client, web.v4)
        talk(x, y, 1000)
        x.close()
        y.close()
        made += 1
    sent = int(open(process.log).read())
    talk(a, b)
    tables = site.get("/v1/state/tables")
    assert sent > 8192 and made > 10, (sent, made)
    assert 4096 < tables["flows4"]["used"] <= tables["flows4"]["capacity"] == 8192, tables["flows4"]
    assert memory_kib(site.process) - before < 8192
    assert site.drops()["spoofed_source"] > sent // 8
    for x in (a, b, server):
        x.close()
    # An empty table for the tests that follow.
    site.stop()
    site.start()


def test_restart_in_the_middle(site):
    """A connection goes on over a kill, although tcp_pickup is false: the grace time."""
    web = site.pods["web"]
    server = Listener(web, PORT + 5)
    a, b = server.connect(site.pods["client"], web.v4)
    source = a.getsockname()[1]
    talk(a, b)
    site.kill()
    site.start()
    talk(a, b)
    assert states(site, source) == ["established", "established"]
    assert events(site)["conntrack_picked_up"] >= 1
    for x in (a, b, server):
        x.close()


def test_settings_are_live(site):
    site.patch("nodes", "node-a", {"tcp_established_timeout_s": 2})
    web = site.pods["web"]
    server = Listener(web, PORT + 6)
    a, b = server.connect(site.pods["client"], web.v4)
    source = a.getsockname()[1]
    wait_for("forgotten", lambda: flows(site, port=source) == [], 12)
    site.patch("nodes", "node-a", {"tcp_established_timeout_s": 7440})
    for x in (a, b, server):
        x.close()
