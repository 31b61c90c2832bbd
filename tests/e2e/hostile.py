# SPDX-License-Identifier: Apache-2.0
"""Frames nobody should send, generated systematically, each with its fate: the drop reason it must count under.

A case is (name, [frames], fate). Of several frames all but the last only prepare. Fates other than drop reasons:
"answered" (delivered here, a reply goes out), "forwarded", "kept" (waits for other fragments).
Lengths and checksums that are meant to be right are scapy's.
"""

import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, IPOption_LSRR, IPOption_SSRR
from scapy.layers.inet6 import (
    ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

DATA = Raw(b"hostile-payload!" * 2)
SPORT = 40000


def raw(packet):
    return bytes(packet)


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4_patched(frame, at=14, **fields):
    """Overwrite bytes of an IPv4 header ({offset: bytes} as o2=b"..") and make its checksum right again."""
    header = bytearray(frame)
    for key, value in fields.items():
        offset = at + int(key[1:])
        header[offset:offset + len(value)] = value
    length = max(20, (header[at] & 15) * 4)
    header[at + 10:at + 12] = b"\0\0"
    if len(header) >= at + length:
        header[at + 10:at + 12] = struct.pack("!H", checksum(bytes(header[at:at + length])))
    return bytes(header)


class Sender:
    """Where frames come from and where they want to go."""

    def __init__(self, mac, to_mac, v4, v6, dst4, dst6, local4, local6):
        self.mac, self.to_mac = mac, to_mac
        self.v4, self.v6 = v4, v6          # addresses it may use
        self.dst4, self.dst6 = dst4, dst6  # addresses that are forwarded to
        self.local4, self.local6 = local4, local6  # of the node, as it sees them

    def ether(self, **kw):
        return Ether(**{"src": self.mac, "dst": self.to_mac, **kw})

    def ip4(self, **kw):
        return self.ether() / IP(**{"src": self.v4, "dst": self.dst4, "ttl": 64, **kw})

    def ip6(self, **kw):
        return self.ether() / IPv6(**{"src": self.v6, "dst": self.dst6, "hlim": 64, **kw})


def link(s):
    """Ethernet."""
    good = s.ip4() / UDP(sport=SPORT, dport=9) / DATA
    for kind in (0x0000, 0x0600, 0x0801, 0x8035, 0x8847, 0x88cc, 0x88e5, 0xffff):
        yield f"ethertype {kind:#06x}", [raw(s.ether(type=kind) / DATA)], "ethertype_unknown"
    yield "not for us", [raw(Ether(src=s.mac, dst="02:00:00:be:ef:01") / good.payload)], "l2_not_for_us"
    yield "IPv4 to all stations", [raw(Ether(src=s.mac, dst="ff:ff:ff:ff:ff:ff") / good.payload)], "l2_not_for_us"


def link_tags(s):
    good = s.ip4() / UDP(sport=SPORT, dport=9) / DATA
    yield "VLAN", [raw(s.ether() / Dot1Q(vlan=7) / good.payload)], "vlan_unexpected"
    yield "VLAN 0", [raw(s.ether() / Dot1Q(vlan=0) / good.payload)], "vlan_unexpected"
    yield "QinQ", [raw(s.ether() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / good.payload)], "vlan_unexpected"


def link_veth(s):
    """What switches and network cards would not let through."""
    good = s.ip4() / UDP(sport=SPORT, dport=9) / DATA
    yield "source is a group", [raw(s.ether(src="03:00:00:00:00:01") / good.payload)], "l2_source_invalid"


def link_tap(s):
    """What the kernel does not let through a veth pair either: it looks at tags before anybody else."""
    good = s.ip4() / UDP(sport=SPORT, dport=9) / DATA
    for n in range(14, 18):
        yield f"VLAN cut at {n}", [raw(s.ether() / Dot1Q(vlan=7) / good.payload)[:n]], "l2_truncated"


def ip4_headers(s):
    good = raw(s.ip4() / UDP(sport=SPORT, dport=9) / DATA)
    for n in range(14, 34):
        yield f"IPv4 cut at {n}", [good[:n]], "ip4_truncated"
    for n in range(34, len(good), 5):
        yield f"IPv4 cut at {n}", [good[:n]], "ip4_bad_total_length"
    for version in [v for v in range(16) if v != 4]:
        yield f"IPv4 version {version}", [ip4_patched(good, o0=bytes([version << 4 | 5]))], "ip4_bad_version"
    for ihl in range(5):
        yield f"IPv4 header of {ihl} words", [ip4_patched(good, o0=bytes([0x40 | ihl]))], "ip4_bad_header_length"
    for ihl in (9, 12, 15):
        yield f"IPv4 header past the end, {ihl} words", [ip4_patched(good[:14 + 32], o0=bytes([0x40 | ihl]))], \
            "ip4_bad_header_length"
    for length in [0, 1, 10, 19, len(good) - 13, 1500, 65535]:
        yield f"IPv4 total length {length}", [ip4_patched(good, o2=struct.pack("!H", length))], "ip4_bad_total_length"
    for bit in range(16):
        wrong = bytearray(good)
        wrong[24 + bit // 8] ^= 1 << bit % 8
        yield f"IPv4 checksum, bit {bit}", [bytes(wrong)], "ip4_bad_checksum"
    udp = UDP(sport=SPORT, dport=9) / DATA
    options = {
        "LSRR": IPOption_LSRR(routers=["10.0.0.1"]), "SSRR": IPOption_SSRR(routers=["10.0.0.1"]),
        "empty LSRR": IPOption(b"\x83\x03\x04\x00"), "length 0": IPOption(b"\x44\x00\x05\x00"),
        "length 1": IPOption(b"\x44\x01\x05\x00"), "past the header": IPOption(b"\x44\x05\x05\x00"),
        "without length": IPOption(b"\x01\x01\x01\x44"), "LSRR behind NOP": IPOption(b"\x01\x83\x03\x04")}
    for name, option in options.items():
        yield f"IPv4 option {name}", [raw(s.ip4(options=[option]) / udp)], "ip4_bad_options"


def ip4_addresses(s):
    udp = UDP(sport=SPORT, dport=9) / DATA
    for src in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1", "239.1.2.3", "240.0.0.1",
                "255.255.255.255"):
        yield f"IPv4 from {src}", [raw(s.ip4(src=src) / udp)], "ip4_bad_address"
    for dst in ("0.0.0.0", "0.9.9.9", "127.0.0.1", "127.9.9.9", "240.0.0.1", "254.255.255.255"):
        yield f"IPv4 to {dst}", [raw(s.ip4(dst=dst) / udp)], "ip4_bad_address"
    for dst in ("224.0.0.1", "224.0.0.251", "232.1.1.1", "239.255.255.250", "255.255.255.255"):
        yield f"IPv4 to {dst}", [raw(s.ip4(dst=dst) / udp)], "multicast_unsupported"


def ip6_headers(s):
    good = raw(s.ip6() / UDP(sport=SPORT, dport=9) / DATA)
    for n in range(14, 54):
        yield f"IPv6 cut at {n}", [good[:n]], "ip6_truncated"
    for n in range(54, len(good), 5):
        yield f"IPv6 cut at {n}", [good[:n]], "ip6_bad_payload_length"
    for version in [v for v in range(16) if v != 6]:
        yield f"IPv6 version {version}", [good[:14] + bytes([version << 4]) + good[15:]], "ip6_bad_version"
    for length in (len(good) - 53, 1500, 65535):
        yield f"IPv6 payload length {length}", [good[:18] + struct.pack("!H", length) + good[20:]], \
            "ip6_bad_payload_length"
    udp = UDP(sport=SPORT, dport=9) / DATA
    pad = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0\0\0")])
    chain = s.ip6()
    for _ in range(10):
        chain = chain / pad
    long_pad = [PadN(optdata=bytes(250))]
    yield "IPv6 ten extension headers", [raw(chain / udp)], "ip6_bad_extension"
    yield "IPv6 extension headers too long", [raw(s.ip6() / IPv6ExtHdrDestOpt(options=long_pad) / udp)], \
        "ip6_bad_extension"
    yield "IPv6 hop-by-hop not first", [raw(s.ip6() / pad / IPv6ExtHdrHopByHop() / udp)], "ip6_bad_extension"
    yield "IPv6 routing header 0", [raw(s.ip6() / IPv6ExtHdrRouting(addresses=["fd00::1"]) / udp)], "ip6_bad_extension"
    yield "IPv6 two fragment headers", [raw(s.ip6() / IPv6ExtHdrFragment() / IPv6ExtHdrFragment() / udp)], \
        "ip6_bad_extension"
    for n in range(8):
        whole = raw(s.ip6(nh=60, plen=n) / Raw(b"\x11\0\x01\x04\0\0\0\0"[:n]))
        yield f"IPv6 extension header of {n} bytes", [whole], "ip6_bad_extension"
    for units in (1, 2, 31, 255):
        whole = raw(s.ip6(nh=60) / Raw(bytes([17, units]) + bytes(6)))
        yield f"IPv6 extension header past the end, {units}", [whole], "ip6_bad_extension"


def ip6_addresses(s):
    udp = UDP(sport=SPORT, dport=9) / DATA
    for src in ("::", "::1", "::ffff:10.1.2.3", "ff02::1", "ff0e::1"):
        yield f"IPv6 from {src}", [raw(s.ip6(src=src) / udp)], "ip6_bad_address"
    for dst in ("::", "::1", "::ffff:10.1.2.3"):
        yield f"IPv6 to {dst}", [raw(s.ip6(dst=dst) / udp)], "ip6_bad_address"
    for dst in ("ff02::1", "ff02::fb", "ff05::1:3", "ff0e::1"):
        yield f"IPv6 to {dst}", [raw(s.ip6(dst=dst) / udp)], "multicast_unsupported"


def layer4(s):
    headers = {"TCP": (TCP(sport=SPORT, dport=80), 20, 6), "UDP": (UDP(sport=SPORT, dport=9), 8, 17),
               "SCTP": (SCTP(sport=SPORT, dport=9), 12, 132)}
    for name, (header, size, proto) in headers.items():
        bytes_ = raw(header)
        for n in range(size):
            yield f"{name} of {n} bytes over IPv4", [raw(s.ip4(proto=proto) / Raw(bytes_[:n]))], "l4_truncated"
            yield f"{name} of {n} bytes over IPv6", [raw(s.ip6(nh=proto) / Raw(bytes_[:n]))], "l4_truncated"
    for n in range(8):
        yield f"ICMP of {n} bytes", [raw(s.ip4(proto=1) / Raw(raw(ICMP())[:n]))], "l4_truncated"
        yield f"ICMPv6 of {n} bytes", [raw(s.ip6(nh=58) / Raw(raw(ICMPv6EchoRequest())[:n]))], "l4_truncated"
    for words in range(5):
        yield f"TCP header of {words} words", [raw(s.ip4() / TCP(sport=SPORT, dport=80, dataofs=words) / DATA)], \
            "l4_bad_length"
        yield f"TCP header of {words} words, IPv6", [raw(s.ip6() / TCP(sport=SPORT, dport=80, dataofs=words) / DATA)], \
            "l4_bad_length"
    for words in (6, 10, 15):
        yield f"TCP header past the end, {words} words", [raw(s.ip4() / TCP(sport=SPORT, dport=80, dataofs=words))], \
            "l4_truncated"
    for length in (0, 1, 7, 9 + len(DATA), 65535):
        yield f"UDP length {length}", [raw(s.ip4() / UDP(sport=SPORT, dport=9, len=length) / DATA)], "l4_bad_length"
        yield f"UDP length {length}, IPv6", [raw(s.ip6() / UDP(sport=SPORT, dport=9, len=length) / DATA)], "l4_bad_length"


def fragments(s):
    """`frag` counts 8 bytes."""
    body = Raw(bytes(range(64)))
    udp = raw(UDP(sport=SPORT, dport=9, len=300) / body)

    def f4(offset, more, data, proto=17, ident=1):
        return raw(s.ip4(frag=offset, flags="MF" if more else 0, proto=proto, id=ident) / Raw(data))

    def f6(offset, more, data, nh=17, ident=1):
        return raw(s.ip6() / IPv6ExtHdrFragment(offset=offset, m=int(more), nh=nh, id=ident) / Raw(data))

    bad, families = "fragment_malformed", [("IPv4", f4), ("IPv6", f6)]
    for name, make in families:
        yield f"{name} fragment, empty", [make(9, True, b"")], bad
        yield f"{name} last fragment, empty", [make(9, False, b"")], bad
        for n in (1, 7, 9, 33):
            yield f"{name} fragment of {n} bytes that is not the last", [make(9, True, bytes(n))], bad
        yield f"{name} fragment past 64 KiB", [make(8190, True, bytes(64))], bad
        yield f"{name} last fragment past 64 KiB", [make(8191, False, bytes(64))], bad
        for offset in (1, 2):
            yield f"{name} TCP fragment at {offset * 8}", [make(offset, False, bytes(16), 6)], bad
        yield f"{name} tiny first TCP fragment", [make(0, True, raw(TCP(sport=SPORT, dport=80))[:16], 6)], "l4_truncated"
    # Of those that meet, the first is forwarded and the one that does not fit refused.
    for base, (name, make) in enumerate(families, 1):
        base *= 0x100
        first = make(0, True, udp, ident=base)
        yield f"{name} fragment, first", [first], "forwarded"
        yield f"{name} fragment, again", [first], bad
        for i, (offset, more, n) in enumerate(((1, True, 64), (8, True, 64), (4, False, 16), (8, False, 80))):
            yield f"{name} fragments that overlap, {n} bytes at {offset * 8}", \
                [make(0, True, udp, ident=base + 2 + i), make(offset, more, bytes(n), ident=base + 2 + i)], bad
        yield f"{name} fragments with two ends", [
            make(0, True, udp, ident=base + 20), make(20, False, bytes(20), ident=base + 20),
            make(30, False, bytes(20), ident=base + 20)], bad
        yield f"{name} fragment behind the end", [
            make(0, True, udp, ident=base + 21), make(20, False, bytes(20), ident=base + 21),
            make(30, True, bytes(24), ident=base + 21)], bad


def fates(s):
    """Well-formed, but going nowhere."""
    udp = UDP(sport=SPORT, dport=9) / DATA
    for ttl in (0, 1):
        yield f"TTL {ttl}", [raw(s.ip4(ttl=ttl) / udp)], "ttl_expired"
        yield f"hop limit {ttl}", [raw(s.ip6(hlim=ttl) / udp)], "ttl_expired"
    yield "no route", [raw(s.ip4(dst="203.0.113.9") / udp)], "no_route"
    yield "no route, IPv6", [raw(s.ip6(dst="2001:db8:ffff::9") / udp)], "no_route"
    yield "to somebody's link-local address", [raw(s.ip4(dst="169.254.77.7") / udp)], "link_local_scope"
    yield "to somebody's link-local address, IPv6", [raw(s.ip6(dst="fe80::77:7") / udp)], "link_local_scope"
    yield "from a link-local address", [raw(s.ip4(src="169.254.77.7") / udp)], "link_local_scope"
    yield "from a link-local address, IPv6", [raw(s.ip6(src="fe80::77:7") / udp)], "link_local_scope"


def to_node(s):
    """Addressed to the node itself."""
    yield "echo", [raw(s.ip4(dst=s.local4) / ICMP(id=1, seq=1) / DATA)], "answered"
    yield "echo, IPv6", [raw(s.ip6(dst=s.local6) / ICMPv6EchoRequest(id=1, seq=1, data=bytes(DATA)))], "answered"
    for value in (0, 1, 0xffff):
        yield f"echo, checksum {value:#x}", [raw(s.ip4(dst=s.local4) / ICMP(id=1, seq=2, chksum=value) / DATA)], \
            "icmp_bad_checksum"
        yield f"echo, IPv6, checksum {value:#x}", \
            [raw(s.ip6(dst=s.local6) / ICMPv6EchoRequest(id=1, seq=2, cksum=value, data=bytes(DATA)))], "icmp_bad_checksum"
    for kind in (4, 5, 9, 10, 13, 15, 17, 30, 42, 255):
        yield f"ICMP type {kind}", [raw(s.ip4(dst=s.local4) / ICMP(type=kind) / DATA)], "no_local_listener"
    for kind in (127, 130, 139, 144, 200, 255):
        message = Raw(bytes([kind, 0, 0, 0, 0, 0, 0, 0]))
        yield f"ICMPv6 type {kind}", [raw(s.ip6(dst=s.local6, nh=58) / message)], "no_local_listener"
    for proto in (2, 47, 50, 51, 89, 112, 253, 255):
        yield f"protocol {proto}", [raw(s.ip4(dst=s.local4, proto=proto) / DATA)], "no_local_listener"
    for port in (22, 179, 6443):
        yield f"TCP to port {port}", [raw(s.ip4(dst=s.local4) / TCP(sport=SPORT, dport=port))], "no_local_listener"
        yield f"UDP to port {port}", [raw(s.ip6(dst=s.local6) / UDP(sport=SPORT, dport=port) / DATA)], "no_local_listener"


def neighbours_cut(s):
    """ARP and ND messages cut everywhere."""
    arp = raw(s.ether(dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=s.mac, psrc=s.v4, pdst="169.254.1.1"))
    for n in range(14, 42):
        yield f"ARP cut at {n}", [arp[:n]], "arp_malformed"


def arp_wrong(s):
    def arp(**kw):
        return raw(s.ether(dst="ff:ff:ff:ff:ff:ff") / ARP(**{"hwsrc": s.mac, "psrc": s.v4, "pdst": "169.254.1.1", **kw}))

    whole = arp()
    for name, offset, value in (("hardware type", 14, b"\0\6"), ("protocol type", 16, b"\x86\xdd"),
                                ("hardware length", 18, b"\x08"), ("protocol length", 19, b"\x10")):
        yield f"ARP {name}", [whole[:offset] + value + whole[offset + len(value):]], "arp_malformed"
    for mac in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"):
        yield f"ARP from {mac}", [arp(hwsrc=mac)], "arp_malformed"
    for op in (0, 3, 4, 8, 9, 65535):
        yield f"ARP operation {op}", [arp(op=op)], "arp_ignored"
    for addr in ("127.0.0.1", "224.0.0.1", "255.255.255.255"):
        yield f"ARP of {addr}", [arp(psrc=addr)], "arp_ignored"
        yield f"ARP for {addr}", [arp(pdst=addr)], "arp_ignored"
    yield "ARP for its own address", [arp(pdst=s.v4)], "arp_ignored"
    yield "ARP probe", [arp(psrc="0.0.0.0", pdst="169.254.1.1")], "arp_ignored"


def nd_wrong(s):
    gateway = "fe80::1"

    def ns(hlim=255, dst=gateway, src=None, target=gateway, extra=b"", **kw):
        return s.ether() / IPv6(src=src or s.v6, dst=dst, hlim=hlim) / ICMPv6ND_NS(tgt=target, **kw) / (
            ICMPv6NDOptSrcLLAddr(lladdr=s.mac) if not extra else Raw(extra))

    bad = "nd_malformed"
    yield "NS answered", [raw(ns())], "answered"
    for hlim in (0, 1, 64, 254):
        yield f"NS hop limit {hlim}", [raw(ns(hlim=hlim))], bad
    yield "NS code", [raw(ns(code=1))], bad
    for value in (0, 0xffff):
        yield f"NS checksum {value:#x}", [raw(ns(cksum=value))], bad
    yield "NS for a group", [raw(ns(target="ff02::1"))], bad
    for name, option in (("length 0", b"\1\0" + bytes(6)), ("past the end", b"\1\2" + bytes(6)), ("half", b"\1"),
                         ("of a group", b"\1\1\3\0\0\0\0\1"), ("too long", b"\1\2" + bytes(14)),
                         ("unknown, length 0", b"\x63\0" + bytes(6))):
        yield f"NS option {name}", [raw(ns(extra=option))], bad
    yield "NS probe with an option", [raw(ns(src="::", dst="ff02::1:ff00:1"))], bad
    yield "NS probe to one node", [raw(s.ether() / IPv6(src="::", dst=gateway, hlim=255) / ICMPv6ND_NS(tgt=gateway))], bad
    for n in range(8, 24):
        message = raw(ICMPv6ND_NS(tgt=gateway))[:n]
        packet = s.ether() / IPv6(src=s.v6, dst=gateway, hlim=255, nh=58) / Raw(message)
        bytes_ = bytearray(raw(packet))
        bytes_[56:58] = b"\0\0"
        pseudo = bytes(bytes_[22:54]) + struct.pack("!IHBB", n, 0, 0, 58) + bytes(bytes_[54:]) + b"\0" * (n & 1)
        bytes_[56:58] = struct.pack("!H", checksum(pseudo))
        yield f"NS of {n} bytes", [bytes(bytes_)], bad
    for name, message in (("RS", ICMPv6ND_RS()), ("RA", ICMPv6ND_RA()),
                          ("redirect", ICMPv6ND_Redirect(tgt="fe80::9", dst="fd00::1"))):
        yield f"ND {name}", [raw(s.ether() / IPv6(src="fe80::77", dst=gateway, hlim=255) / message)], "nd_ignored"
    yield "NS probe of a pod", [raw(s.ether() / IPv6(src="::", dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(
        tgt="fe80::9"))], "nd_ignored"
    yield "NA solicited to all", [raw(s.ether() / IPv6(src=s.v6, dst="ff02::1", hlim=255) / ICMPv6ND_NA(
        tgt=s.v6, S=1))], bad
    yield "MLD report", [raw(s.ether(dst="33:33:00:00:00:16") / IPv6(src="fe80::77", dst="ff02::16", hlim=1)
                             / ICMPv6MLReport2())], "multicast_unsupported"


def spoofing(s, others4, others6):
    """From a pod, with addresses that are not its own; and tunnels made by a pod."""
    udp = UDP(sport=SPORT, dport=9) / DATA
    for src in others4:
        yield f"spoofed {src}", [raw(s.ip4(src=src) / udp)], "spoofed_source"
    for src in others6:
        yield f"spoofed {src}", [raw(s.ip6(src=src) / udp)], "spoofed_source"


def pod_tunnels(s, node4, node6, vtep_mac, inner_src, inner_dst):
    inner = IP(src=inner_src, dst=inner_dst) / UDP(sport=SPORT, dport=9) / DATA
    vxlan = VXLAN(vni=1, flags=8) / Ether(src="02:00:c0:00:02:02", dst=vtep_mac) / inner
    for port in (8472, 4789):
        yield f"VXLAN from a pod, port {port}", [raw(s.ip4(dst=node4) / UDP(sport=SPORT, dport=port) / vxlan)], \
            "no_local_listener"
        yield f"VXLAN from a pod over IPv6, port {port}", \
            [raw(s.ip6(dst=node6) / UDP(sport=SPORT, dport=port) / vxlan)], "no_local_listener"
    yield "IP-in-IP from a pod", [raw(s.ip4(dst=node4) / inner)], "no_local_listener"
    yield "IP-in-IP from a pod over IPv6", [raw(s.ip6(dst=node6) / inner)], "no_local_listener"
    yield "IPv6 in IPv4 from a pod", [raw(s.ip4(dst=node4, proto=41) / IPv6(src=s.v6, dst=node6))], "no_local_listener"


class Tunnel:
    """A peer's end of all its tunnels to the node."""

    def __init__(self, s, node4, node6, peer_vtep, vtep, vni, port):
        self.s, self.node4, self.node6 = s, node4, node6
        self.peer_vtep, self.vtep, self.vni, self.port = peer_vtep, vtep, vni, port

    def outer(self, family, **kw):
        return self.s.ip4(**{"dst": self.node4, **kw}) if family == 4 else self.s.ip6(**{"dst": self.node6, **kw})

    def vxlan(self, family, inner, kind=None, outer=None, ether=None, udp=None, vni=None, **header):
        frame = Ether(**{"src": self.peer_vtep, "dst": self.vtep, **(ether or {}), **({"type": kind} if kind else {})})
        return raw(self.outer(family, **(outer or {})) / UDP(**{"sport": SPORT, "dport": self.port, "chksum": 0, **(udp or {})})
                   / VXLAN(**{"vni": self.vni if vni is None else vni, "flags": 8, **header}) / frame / inner)

    def vxlan_bytes(self, family, payload):
        """`payload` is all behind UDP."""
        return raw(self.outer(family) / UDP(sport=SPORT, dport=self.port, chksum=0) / Raw(payload))

    def ipip(self, family, inner, proto=None, **outer):
        if proto is not None:
            outer["proto" if family == 4 else "nh"] = proto
        return raw(self.outer(family, **outer) / inner)


def tunnels(t, src4, src6, dst4, dst6, local4, local6, stranger4, stranger6):
    """From a peer (or not quite), all pairs of families."""
    udp = UDP(sport=SPORT, dport=9) / DATA
    inner = {4: IP(src=src4, dst=dst4) / udp, 6: IPv6(src=src6, dst=dst6) / udp}
    kind = {4: 0x0800, 6: 0x86dd}
    proto = {4: 4, 6: 41}
    pairs = [(o, i) for o in (4, 6) for i in (4, 6)]
    for o, i in pairs:
        name = f"{i} over {o}"
        stranger = {"src": stranger4 if o == 4 else stranger6}
        yield f"VXLAN {name}", [t.vxlan(o, inner[i])], "forwarded"
        yield f"IP-in-IP {name}", [t.ipip(o, inner[i])], "forwarded"
        yield f"VXLAN {name} from a stranger", [t.vxlan(o, inner[i], outer=stranger)], "tunnel_unknown_peer"
        yield f"IP-in-IP {name} from a stranger", [t.ipip(o, inner[i], **stranger)], "tunnel_unknown_peer"
        for vni in (0, t.vni + 1, t.vni << 8 & 0xffffff, 0xffffff):
            yield f"VXLAN {name}, VNI {vni}", [t.vxlan(o, inner[i], vni=vni)], "tunnel_unknown_vni"
        for flags in (0, 0x80, 0xf7):
            yield f"VXLAN {name}, flags {flags:#x}", [t.vxlan(o, inner[i], flags=flags)], "tunnel_malformed"
        yield f"VXLAN {name}, other inner MAC", [t.vxlan(o, inner[i], ether={"dst": "02:00:c0:00:02:63"})], "l2_not_for_us"
        yield f"VXLAN {name}, inner broadcast", [t.vxlan(o, inner[i], ether={"dst": "ff:ff:ff:ff:ff:ff"})], "l2_not_for_us"
        yield f"VXLAN {name}, inner source a group", [t.vxlan(o, inner[i], ether={"src": "03:00:00:00:00:01"})], \
            "l2_source_invalid"
        yield f"VXLAN {name}, checksum", [t.vxlan(o, inner[i], udp={"chksum": 0x1234})], "tunnel_bad_checksum"
        ce = {"tos": 3} if o == 4 else {"tc": 3}
        yield f"VXLAN {name}, congestion", [t.vxlan(o, inner[i], outer=ce)], "tunnel_bad_ecn"
        yield f"IP-in-IP {name}, congestion", [t.ipip(o, inner[i], **ce)], "tunnel_bad_ecn"
        yield f"VXLAN {name}, inner VLAN", [t.vxlan(o, Dot1Q(vlan=3) / inner[i])], "vlan_unexpected"
        for ttl in (0, 1):
            dying = inner[i].copy()
            setattr(dying, "ttl" if i == 4 else "hlim", ttl)
            yield f"VXLAN {name}, inner TTL {ttl}", [t.vxlan(o, dying)], "ttl_expired"
            yield f"IP-in-IP {name}, inner TTL {ttl}", [t.ipip(o, dying)], "ttl_expired"
        martian = inner[i].copy()
        martian.src = dst4 if i == 4 else dst6
        yield f"VXLAN {name} from a pod of ours", [t.vxlan(o, martian)], "martian_source"
        martian = inner[i].copy()
        martian.src = local4 if i == 4 else local6
        yield f"IP-in-IP {name} from ourselves", [t.ipip(o, martian)], "martian_source"
        nested = (IP(src=src4, dst=local4) if i == 4 else IPv6(src=src6, dst=local6))
        yield f"IP-in-IP in VXLAN {name}", [t.vxlan(o, nested / inner[4])], "tunnel_nested"
        yield f"IP-in-IP in IP-in-IP {name}", [t.ipip(o, nested / inner[6])], "tunnel_nested"
        yield f"VXLAN in VXLAN {name}", [t.vxlan(o, nested / UDP(sport=SPORT, dport=4789, chksum=0) / VXLAN(vni=t.vni, flags=8)
                                                 / Ether(src=t.peer_vtep, dst=t.vtep) / inner[4])], "tunnel_nested"
        wrong = "ip4_bad_version" if i == 6 else "ip6_bad_version"
        yield f"IP-in-IP {name}, protocol of the other family", [t.ipip(o, inner[i], proto=proto[10 - i])], wrong
        yield f"VXLAN {name}, ethertype of the other family", [t.vxlan(o, inner[i], kind=kind[10 - i])], wrong
        whole, short = raw(inner[i]), "ip4_truncated" if i == 4 else "ip6_truncated"
        for n in range(0 if o == 4 else 1, 20 if i == 4 else 40, 1 if o == 4 else 5):
            yield f"VXLAN {name}, inner of {n} bytes", [t.vxlan(o, Raw(whole[:n]), kind=kind[i])], short
            if n > 0:
                yield f"IP-in-IP {name}, inner of {n} bytes", [t.ipip(o, Raw(whole[:n]), proto=proto[i])], short
    for o in (4, 6):
        yield f"IP-in-IP over {o}, nothing inside", [t.ipip(o, Raw(b""), proto=4)], "tunnel_malformed"
        header = raw(VXLAN(vni=t.vni, flags=8))
        frame = raw(Ether(src=t.peer_vtep, dst=t.vtep, type=0x0800))
        for n in range(8):
            yield f"VXLAN over {o}, header of {n} bytes", [t.vxlan_bytes(o, header[:n])], "tunnel_malformed"
        for n in range(14):
            yield f"VXLAN over {o}, inner frame of {n} bytes", [t.vxlan_bytes(o, header + frame[:n])], "l2_truncated"
        yield f"VXLAN over {o}, ARP inside", [t.vxlan(o, ARP(psrc=src4, pdst=dst4))], "arp_ignored"
        yield f"VXLAN over {o}, NS inside", [t.vxlan(o, IPv6(src=src6, dst="ff02::1:ff00:10", hlim=255) / ICMPv6ND_NS(
            tgt=dst6))], "nd_ignored"
        yield f"VXLAN over {o}, multicast inside", [t.vxlan(o, IP(src=src4, dst="224.0.0.251") / udp)], \
            "multicast_unsupported"
        yield f"VXLAN over {o}, no route inside", [t.vxlan(o, IP(src=src4, dst="203.0.113.9") / udp)], "no_route"
        yield f"IP-in-IP over {o}, loopback inside", [t.ipip(o, IP(src="127.0.0.1", dst=dst4) / udp)], "ip4_bad_address"
        yield f"IP-in-IP over {o}, LSRR inside", [t.ipip(o, IP(src=src4, dst=dst4, options=[
            IPOption_LSRR(routers=["10.0.0.1"])]) / udp)], "ip4_bad_options"
        bad = bytearray(raw(inner[4]))
        bad[10] ^= 1
        yield f"IP-in-IP over {o}, inner checksum", [t.ipip(o, Raw(bytes(bad)), proto=4)], "ip4_bad_checksum"


def martians(s, pods4, pods6, node4, node6):
    """From the underlay, with this node's or its pods' addresses."""
    udp = UDP(sport=SPORT, dport=9) / DATA
    for src in (*pods4, node4):
        yield f"martian {src}", [raw(s.ip4(src=src) / udp)], "martian_source"
    for src in (*pods6, node6):
        yield f"martian {src}", [raw(s.ip6(src=src) / udp)], "martian_source"


def of_any(s):
    """What is refused whoever sends it."""
    for part in (link, link_tags, ip4_headers, ip4_addresses, ip6_headers, ip6_addresses, layer4, fragments, fates, to_node,
                 neighbours_cut):
        yield from part(s)
