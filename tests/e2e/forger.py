# SPDX-License-Identifier: Apache-2.0
"""A pod's own packet sockets: frames as nobody's network stack makes them, and what arrives of them."""

import socket
import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

PACKET_VNET_HDR, SOL_PACKET = 15, 263
MARK = b"forged-"


def packet_socket(pod, protocol, vnet=False):
    """vnet: each frame has a virtio-net header in front (linux/virtio_net.h)."""
    with pod.entered():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        if vnet:
            s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        s.bind(("eth0", protocol))
    s.setblocking(False)
    return s


def vnet_header(checksum=None, segment=0, kind=0, headers=0):
    """checksum: (where the sum begins, where it goes from there)."""
    return struct.pack("<BBHHHH", checksum is not None, kind, headers, segment, *(checksum or (0, 0)))


class Watch:
    """Sees what arrives at pods, of frames with a mark and a number."""

    def __init__(self, pods):
        self.sockets = {pod.short: packet_socket(pod, 3) for pod in pods}
        for s in self.sockets.values():
            s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE

    def arrived(self):
        """{(pod, number): UDP port} since the last time. Datagrams of one size may come as a run behind one header."""
        found = {}
        for name, s in self.sockets.items():
            while True:
                try:
                    frame, origin = s.recvfrom(1 << 17)
                except BlockingIOError:
                    break
                if MARK not in frame or origin[2] == socket.PACKET_OUTGOING:
                    continue
                head, *marked = frame.split(MARK)
                found.update({(name, int(m[:4])): int.from_bytes(head[-6:-4], "big") for m in marked})
        return found

    def close(self):
        for s in self.sockets.values():
            s.close()


def sum16(data):
    data = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def completing_to(frame, start, want):
    """The frame, its last two bytes such that the checksum from `start` on is `want`."""
    rest = ((~want & 0xffff) - sum16(frame[start:-2] + b"\0\0")) % 0xffff
    return frame[:-2] + struct.pack("!H", rest)


class Forger:
    """Frames of one flow of UDP, from one pod to another."""

    def __init__(self, source, target, sport, dport, gateway):
        self.source, self.target, self.sport, self.dport = source, target, sport, dport
        self.ether = {"src": source.sh("cat", "/sys/class/net/eth0/address").strip(), "dst": gateway}
        self.number = 0

    def ip(self, family, **kw):
        end = (self.source.v4, self.target.v4) if family == 4 else (self.source.v6, self.target.v6)
        return (IP if family == 4 else IPv6)(**{"src": end[0], "dst": end[1], **kw})

    def payload(self, number, more=0):
        return Raw(MARK + b"%04d" % number + bytes(more))

    def udp(self, number, more=0, **kw):
        return UDP(**{"sport": self.sport, "dport": self.dport, **kw}) / self.payload(number, more)

    def cases(self, family, others):
        """(name, frame with number n, arrives). others: addresses of pods that are not its own."""
        def ip(**kw):
            return lambda n: Ether(**self.ether) / self.ip(family, **kw) / self.udp(n)

        def ether(**kw):
            return lambda n: Ether(**{**self.ether, **kw}) / self.ip(family) / self.udp(n)

        def udp(**kw):
            return lambda n: Ether(**self.ether) / self.ip(family) / self.udp(n, **kw)
        ttl, long = ("ttl", "len") if family == 4 else ("hlim", "plen")
        yield "good", ip(), True
        yield "another station", ether(src="02:99:99:99:99:99"), True
        yield "TTL 3", ip(**{ttl: 3}), True  # of two nodes
        yield "TTL 1", ip(**{ttl: 1}), False
        yield "TTL 0", ip(**{ttl: 0}), False
        yield "length", ip(**{long: 30}), False
        yield "too long", ip(**{long: 1400}), False
        yield "version", ip(version=5), False
        yield "UDP length 0", udp(len=0), False
        yield "UDP length", udp(len=999), False
        yield "to another station", ether(dst="02:99:99:99:99:99"), False
        yield "to all stations", ether(dst="ff:ff:ff:ff:ff:ff"), False
        yield "from a group", ether(src="03:00:00:00:00:01"), False
        yield "VLAN", lambda n: Ether(**self.ether) / Dot1Q(vlan=7) / self.ip(family) / self.udp(n), False
        yield "ethertype", ether(type=0x0800 if family == 6 else 0x86dd), False
        for address in others:
            yield f"from {address}", ip(src=address), False
        if family == 4:
            yield "checksum", ip(chksum=0x1234), False
            yield "header length", ip(ihl=4), False

    def redirected(self, family, number, port):
        """A frame whose checksum becomes the destination port, for whoever completes it; virtio-net header in front."""
        l4 = 34 if family == 4 else 54
        begun = bytes(Ether(**self.ether) / self.ip(family) / self.udp(number, more=3, chksum=0))  # even
        return vnet_header((l4, 2)) + completing_to(begun, l4, port)
