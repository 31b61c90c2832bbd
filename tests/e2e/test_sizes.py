# SPDX-License-Identifier: Apache-2.0
"""MTU, fragments, path MTU discovery: 1500 bytes of underlay, tunnels that need some of it."""

import hashlib
import os
import re

import pytest

from lab import wait_for

OVERHEAD = {"vxlan": 50, "ipip": 20, "direct": 0}


@pytest.fixture(scope="module", params=["vxlan", "ipip"])
def sized(request):
    from conftest import Pair
    # The black hole: pods believe in 1500 bytes.
    pair = Pair(encap=request.param, linux=False, pod_mtu=1500)
    pair.encap = request.param
    try:
        yield pair
    finally:
        pair.close()


def test_df_gets_the_right_mtu(sized):
    """A 1500-byte packet with DF is refused with the inner MTU; the next one of that size goes through."""
    source, target = sized.pods["pod-a1"], sized.pods["pod-b1"]
    inner = 1500 - OVERHEAD[sized.encap]
    out = source.sh("ping", "-M", "do", "-c", "1", "-W", "1", "-s", str(1500 - 28), target.v4, check=False)
    match = re.search(r"mtu ?= ?(\d+)", out)
    assert match and int(match.group(1)) == inner, out
    source.ping(target.v4, count=1, size=inner - 28, df=True)
    out = source.sh("ping", "-6", "-M", "do", "-c", "1", "-W", "1", "-s", str(1500 - 48), target.v6, check=False)
    match = re.search(r"mtu ?= ?(\d+)", out, re.I)
    assert match and int(match.group(1)) == inner, out
    source.ping(target.v6, count=1, size=inner - 48, df=True)
    source.sh("ip", "route", "flush", "cache")
    source.sh("ip", "-6", "route", "flush", "cache")


def test_without_df_is_fragmented(sized):
    source, target = sized.pods["pod-a1"], sized.pods["pod-b1"]
    before = sized.a.get("/v1/state/events")
    source.sh("ping", "-M", "dont", "-c", "3", "-i", "0.1", "-W", "2", "-s", str(1500 - 28), target.v4)
    count = lambda events: next(e["count"] for e in events if e["event"] == "fragmented")  # noqa: E731
    assert count(sized.a.get("/v1/state/events")) >= count(before) + 3


@pytest.mark.parametrize("size", [1473, 2000, 4000, 8000, 20000, 60000])
def test_fragments_of_the_sender_pass(sized, size):
    """The pod's own stack fragments: every fragment follows the first, in both families."""
    source, target = sized.pods["pod-a1"], sized.pods["pod-b1"]
    for pod in (source, target):
        pod.sh("ip", "link", "set", "eth0", "mtu", str(1500 - OVERHEAD[sized.encap]))
    source.ping(target.v4, count=3, size=size, interval=0.1)
    source.ping(target.v6, count=3, size=size, interval=0.1)


def test_tcp_through_the_black_hole(sized):
    """TCP finds its way by MSS or by ICMP, and every byte arrives."""
    source, target = sized.pods["pod-a1"], sized.pods["pod-b1"]
    for pod in (source, target):
        pod.sh("ip", "link", "set", "eth0", "mtu", "1500")
    data = os.urandom(3_000_000)
    for address in (target.v4, target.v6):
        received = os.path.join(sized.lab.dir, "received")
        family = "-6" if ":" in address else "-4"
        server = target.popen("python3", "-c", (
            "import socket,sys\n"
            f"s=socket.create_server(('{address}',7000),family=socket.AF_INET{'6' if family == '-6' else ''})\n"
            "c,_=s.accept()\n"
            f"f=open('{received}','wb')\n"
            "while True:\n"
            "    b=c.recv(65536)\n"
            "    if not b: break\n"
            "    f.write(b)\n"), log="sink.log")
        wait_for("sink listens", lambda: ":7000" in target.sh("ss", "-Htln"))
        with source.entered():
            import socket
            s = socket.create_connection((address, 7000), timeout=20)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        server.wait(20)
        s.close()
        assert hashlib.sha256(open(received, "rb").read()).digest() == hashlib.sha256(data).digest()


def test_fragments_in_any_order(sized):
    """Handmade fragments of one UDP datagram, first one last: the receiver gets the datagram whole."""
    import random
    import socket

    from scapy.all import IP, UDP, Ether, fragment, raw
    from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6

    source, target = sized.pods["pod-a1"], sized.pods["pod-b1"]
    with source.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0))
        wire.bind(("eth0", 0))
    with target.entered():
        sink4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sink4.bind((target.v4, 7001))
        sink6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sink6.bind((target.v6, 7001))
    mac = source.sh("cat", "/sys/class/net/eth0/address").strip()
    ether = Ether(src=mac, dst="02:70:6f:64:6c:01")
    rng = random.Random(1)
    for round_number in range(12):
        payload = bytes(rng.randrange(256) for _ in range(4000))
        frames4 = fragment(IP(src=source.v4, dst=target.v4, id=1000 + round_number) / UDP(sport=7, dport=7001) / payload,
                           fragsize=1200)
        frames6 = fragment6(IPv6(src=source.v6, dst=target.v6) / IPv6ExtHdrFragment(id=2000 + round_number) /
                            UDP(sport=7, dport=7001) / payload, 1280)
        for frames, sink in ((frames4, sink4), (frames6, sink6)):
            order = list(reversed(frames)) if round_number == 0 else rng.sample(frames, len(frames))
            for frame in order:
                wire.send(raw(ether / frame))
            sink.settimeout(3)
            assert sink.recv(65535) == payload, f"round {round_number}"
    sized.a.assert_balanced()


def test_everything_is_accounted_for(sized):
    for node in sized.nodes:
        node.assert_balanced()
