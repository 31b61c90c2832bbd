#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Packets as scapy makes them, for the unit tests to compare with: `vectors.py SET` prints "name hex" lines.

A second opinion on every wire format: lengths and checksums are scapy's, never ours.
"""
import sys

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR, IPOption_LSRR, IPOption_SSRR, IPOption
from scapy.layers.inet6 import (
    ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS,
    ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig,
    HBHOptUnknown, ICMPv6ParamProblem, ICMPv6TimeExceeded, IPv6,
    IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

ETH = dict(src="02:00:00:00:00:0a", dst="02:70:6f:64:6c:01")
A4, B4 = "10.244.1.9", "10.244.2.7"
A6, B6 = "fd00:244:1::9", "fd00:244:2::7"
DATA = Raw(bytes(range(48)))


def packet():
    e = Ether(**ETH)
    v4 = lambda **k: e / IP(**{**dict(src=A4, dst=B4, ttl=63, tos=0xB9, id=7), **k})
    v6 = lambda **k: e / IPv6(**{**dict(src=A6, dst=B6, hlim=63, tc=0xB9, fl=0x12345), **k})
    tcp = TCP(sport=40000, dport=443, flags="PA", seq=1, ack=2)
    syn = TCP(sport=40000, dport=443, flags="S", options=[("MSS", 1460), ("SAckOK", b""), ("WScale", 7)])
    udp = UDP(sport=5000, dport=53)
    yield "tcp4", v4() / tcp / DATA
    yield "tcp4_df_syn", v4(flags="DF") / syn
    yield "udp4", v4() / udp / DATA
    yield "udp4_empty", v4() / udp
    yield "udp4_no_checksum", v4() / UDP(sport=5000, dport=53, chksum=0) / DATA
    yield "sctp4", v4() / SCTP(sport=3000, dport=4000) / SCTPChunkInit()
    yield "echo4", v4() / ICMP(type=8, id=0x1234, seq=1) / DATA
    yield "echo4_reply", v4() / ICMP(type=0, id=0x1234, seq=1) / DATA
    yield "unreachable4", v4() / ICMP(type=3, code=4) / IP(src=B4, dst=A4) / UDP()
    yield "gre4", v4(proto=47) / DATA
    yield "icmp6_in_4", v4(proto=58) / DATA
    yield "rr4", v4(options=[IPOption_RR(routers=["0.0.0.0"] * 4)]) / udp / DATA
    yield "nop4", v4(options=[IPOption(b"\x01\x01\x01\x00")]) / udp / DATA
    yield "options40", v4(options=[IPOption(b"\x44\x28\x05\x00" + bytes(36))]) / syn
    yield "lsrr4", v4(options=[IPOption_LSRR(routers=["10.0.0.1"])]) / udp / DATA
    yield "ssrr4", v4(options=[IPOption_SSRR(routers=["10.0.0.1"])]) / udp / DATA
    yield "option_short4", v4(options=[IPOption(b"\x44\x01\x00\x00")]) / udp / DATA
    yield "option_long4", v4(options=[IPOption(b"\x44\x05\x05\x00")]) / udp / DATA
    yield "option_cut4", v4(options=[IPOption(b"\x01\x01\x01\x44")]) / udp / DATA
    for name, src, dst in (
        ("zero_src", "0.1.2.3", B4), ("loop_src", "127.0.0.1", B4), ("group_src", "224.0.0.1", B4),
        ("e_src", "240.0.0.1", B4), ("bcast_src", "255.255.255.255", B4), ("zero_dst", A4, "0.0.0.0"),
        ("loop_dst", A4, "127.9.9.9"), ("e_dst", A4, "250.1.1.1"), ("group_dst", A4, "239.255.255.250"),
        ("bcast_dst", A4, "255.255.255.255"), ("dhcp", "0.0.0.0", "255.255.255.255"), ("ll_dst", A4, "169.254.1.1"),
        ("ll_src", "169.254.7.7", B4), ("edge_low", "1.0.0.0", "223.255.255.255"), ("edge_126", "126.1.1.1", "128.0.0.1")):
        yield "a4_" + name, v4(src=src, dst=dst) / udp / DATA
    yield "frag4_first", v4(flags="MF") / udp / DATA
    yield "frag4_first_long", v4(flags="MF") / UDP(sport=5000, dport=53, len=4000) / Raw(bytes(1200))
    yield "frag4_later", v4(flags="MF", frag=100, proto=17) / Raw(bytes(64))
    yield "frag4_last", v4(frag=100, proto=17) / Raw(bytes(3))
    yield "frag4_unaligned", v4(flags="MF", frag=100, proto=17) / Raw(bytes(63))
    yield "frag4_empty", v4(flags="MF", frag=100, proto=17)
    yield "frag4_past_64k", v4(frag=8189, proto=17) / Raw(bytes(64))
    yield "frag4_tiny_tcp", v4(flags="MF", proto=6) / Raw(bytes(16))
    yield "frag4_tcp_offset1", v4(flags="MF", frag=1, proto=6) / Raw(bytes(64))
    yield "frag4_tcp_offset3", v4(flags="MF", frag=3, proto=6) / Raw(bytes(64))
    yield "tcp6", v6() / tcp / DATA
    yield "tcp6_syn", v6() / syn
    yield "udp6", v6() / udp / DATA
    yield "echo6", v6() / ICMPv6EchoRequest(id=0x1234, seq=1, data=bytes(48))
    yield "echo6_reply", v6() / ICMPv6EchoReply(id=0x1234, seq=1, data=bytes(48))
    yield "unreachable6", v6() / ICMPv6DestUnreach(code=3) / IPv6(src=B6, dst=A6) / UDP()
    yield "sctp6", v6() / SCTP(sport=3000, dport=4000) / SCTPChunkInit()
    yield "icmp4_in_6", v6(nh=1) / DATA
    yield "none6", v6(nh=59) / DATA
    hbh, dst = IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(4))]), IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
    yield "ext6", v6() / hbh / dst / udp / DATA
    yield "ext6_syn", v6() / dst / syn
    yield "ah6", v6() / AH(nh=17, payloadlen=4, spi=1, seq=1, icv=bytes(12)) / udp / DATA
    yield "rh2", v6() / IPv6ExtHdrRouting(type=2, addresses=["fd00::1"], segleft=0) / udp / DATA
    yield "rh0", v6() / IPv6ExtHdrRouting(type=0, addresses=["fd00::1"], segleft=1) / udp / DATA
    yield "hbh_late6", v6() / dst / hbh / udp / DATA
    yield "ext6_long", v6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(212))]) / udp / DATA
    chain = v6()
    for _ in range(9):
        chain = chain / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))])
    yield "ext6_many", chain / udp / DATA
    frag = lambda **k: IPv6ExtHdrFragment(**{**dict(id=77), **k})
    yield "frag6_first", v6() / hbh / frag(m=1) / dst / UDP(sport=5000, dport=53, len=4000) / Raw(bytes(1200))
    yield "frag6_later", v6() / hbh / frag(m=1, offset=151, nh=60) / Raw(bytes(64))
    yield "frag6_last", v6() / frag(offset=151, nh=17) / Raw(bytes(3))
    yield "frag6_atomic", v6() / frag() / udp / DATA
    yield "frag6_unaligned", v6() / frag(m=1, offset=151, nh=17) / Raw(bytes(63))
    yield "frag6_empty", v6() / frag(m=1, offset=151, nh=17)
    yield "frag6_past_64k", v6() / frag(offset=8187, nh=17) / Raw(bytes(64))
    yield "frag6_twice", v6() / frag() / frag(m=1) / udp / DATA
    yield "frag6_cut_chain", v6() / frag(m=1, nh=60) / Raw(b"\x11\x09" + bytes(62))
    for name, s, d in (
        ("none_src", "::", B6), ("loop_src", "::1", B6), ("group_src", "ff02::1", B6), ("none_dst", A6, "::"),
        ("loop_dst", A6, "::1"), ("mapped_src", "::ffff:10.0.0.1", B6), ("mapped_dst", A6, "::ffff:10.0.0.1"),
        ("group_dst", A6, "ff0e::1"), ("none_group", "::", "ff02::16"), ("ll_dst", "fe80::9", "fe80::1"),
        ("ll_src", "fe80::9", B6), ("nat64", A6, "64:ff9b::1.2.3.4"), ("low", "::2", "fec0::1")):
        yield "a6_" + name, v6(src=s, dst=d) / udp / DATA
    yield "ns", v6(src="fe80::9", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="fe80::1")
    yield "dad", v6(src="::", dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(tgt=A6)
    yield "na", v6(src="fe80::1", dst="fe80::9", hlim=255) / ICMPv6ND_NA(tgt="fe80::1")
    yield "rs", v6(src="fe80::9", dst="ff02::2", hlim=255) / ICMPv6ND_RS()
    yield "mld", v6(src="::", dst="ff02::16", hlim=1) / hbh / ICMPv6MLReport2()
    yield "ns_fragment", v6(src="fe80::9", dst="fe80::1", hlim=255) / frag(m=1, nh=58) / Raw(bytes([135]) + bytes(31))
    yield "arp", e / ARP(psrc=A4, pdst="169.254.1.1")
    yield "vlan", e / Dot1Q(vlan=7) / IP(src=A4, dst=B4) / udp
    yield "lldp", Ether(**ETH, type=0x88CC) / DATA
    yield "group_mac", Ether(src="01:00:00:00:00:01", dst=ETH["dst"]) / IP(src=A4, dst=B4) / udp


def tunnel():
    """Outer packets around inner ones, and the inner ones alone ("name.inner"), for every family pair."""
    vtep = Ether(src="02:00:c0:00:02:02", dst="02:00:c0:00:02:01")
    under = Ether(src="02:00:00:00:02:02", dst="02:00:00:00:02:01")
    out = {"4": IP(src="192.0.2.2", dst="192.0.2.1", ttl=64, id=0), "6": IPv6(src="2001:db8::2", dst="2001:db8::1", hlim=64)}
    inner = {
        "4": IP(src=B4, dst=A4, ttl=62, tos=0x28, id=9) / TCP(sport=443, dport=40000, flags="A") / DATA,
        "6": IPv6(src=B6, dst=A6, hlim=62, tc=0x28) / UDP(sport=53, dport=5000) / DATA,
    }
    for o, i in (("4", "4"), ("4", "6"), ("6", "4"), ("6", "6")):
        outer = out[o].copy()
        setattr(outer, "tos" if o == "4" else "tc", 0x28)
        vx = lambda csum, vni=4096, port=4789: under / outer / UDP(sport=50000, dport=port, **csum) / VXLAN(
            vni=vni, flags="Instance") / vtep / inner[i]
        yield "inner_%s%s" % (o, i), inner[i]
        yield "vxlan_%s%s" % (o, i), vx(dict(chksum=0))
        yield "vxlan_sum_%s%s" % (o, i), vx({})
        yield "vxlan_flannel_%s%s" % (o, i), vx(dict(chksum=0), 1, 8472)
        if (o, i) == ("4", "6"):
            outer.flags = "DF"  # nobody may fragment an IPv6 packet: RFC 4213 section 3.2.2
        yield "ipip_%s%s" % (o, i), under / outer / inner[i]
    # The tunnel encapsulation limit option, RFC 2473 section 4.1.1.
    limit = Raw(b"\x04\x00\x04\x01\x04\x01\x01\x00")
    yield "ipip_limit_64", under / IPv6(src="2001:db8::2", dst="2001:db8::1", tc=0x28, nh=60) / limit / inner["4"]
    yield "vxlan_arp", under / out["4"] / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(
        vni=4096, flags="Instance") / vtep / ARP(psrc=B4, pdst=A4)
    yield "vxlan_reserved", under / out["4"] / UDP(sport=50000, dport=4789, chksum=0) / Raw(
        b"\xff\xff\xff\xff\x00\x10\x00\xff") / vtep / inner["4"]


def icmp():
    """What comes in and what must go out: "name" and "name.out"; no Ethernet. 192.0.2.254 and its like is this node."""
    n4, n6 = "192.0.2.254", "2001:db8::fe"
    own4 = dict(src=n4, dst=A4, ttl=64, tos=0xC0, id=0, flags="DF")
    own6 = dict(src=n6, dst=A6, hlim=64)
    body = bytes(range(256)) * 5
    for size in (0, 1, 48, 1200):
        yield "echo4_%d" % size, IP(src=A4, dst=n4, ttl=7, id=99, tos=0xB9) / ICMP(id=9, seq=3) / Raw(body[:size])
        yield "echo4_%d.out" % size, IP(src=n4, dst=A4, ttl=64, id=99, tos=0xB9) / ICMP(type=0, id=9, seq=3) / Raw(body[:size])
        yield "echo6_%d" % size, IPv6(src=A6, dst=n6, hlim=7, fl=5) / ICMPv6EchoRequest(id=9, seq=3, data=body[:size])
        yield "echo6_%d.out" % size, IPv6(src=n6, dst=A6, hlim=64, fl=5) / ICMPv6EchoReply(id=9, seq=3, data=body[:size])
    rr = [IPOption_RR(routers=["0.0.0.0"] * 3)]
    yield "echo4_rr", IP(src=A4, dst=n4, ttl=7, options=rr) / ICMP(id=9) / DATA
    yield "echo4_rr.out", IP(src=n4, dst=A4, ttl=64, options=rr) / ICMP(type=0, id=9) / DATA
    ext = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])
    yield "echo6_ext", IPv6(src=A6, dst=n6, hlim=7) / ext / ICMPv6EchoRequest(id=9, data=b"abc")
    yield "echo6_ext.out", IPv6(src=n6, dst=A6, hlim=64) / ICMPv6EchoReply(id=9, data=b"abc")
    for size in (0, 100, 519, 521, 1180, 1300):
        p4 = IP(src=A4, dst=B4, ttl=1, id=5) / UDP(sport=5000, dport=33434) / Raw(body[:size])
        p6 = IPv6(src=A6, dst=B6, hlim=1) / UDP(sport=5000, dport=33434) / Raw(body[:size])
        yield "expired4_%d" % size, p4
        yield "expired4_%d.out" % size, IP(**own4) / ICMP(type=11, code=0) / Raw(bytes(p4)[:548])
        yield "expired6_%d" % size, p6
        yield "expired6_%d.out" % size, IPv6(**own6) / ICMPv6TimeExceeded() / Raw(bytes(p6)[:1232])
    p4 = IP(src=A4, dst=B4, flags="DF") / TCP() / Raw(body[:1200])
    p6 = IPv6(src=A6, dst=B6) / TCP() / Raw(body[:1200])
    yield "big4", p4
    yield "big4.out", IP(**own4) / ICMP(type=3, code=4, nexthopmtu=1410) / Raw(bytes(p4)[:548])
    yield "big6", p6
    yield "big6.out", IPv6(**own6) / ICMPv6PacketTooBig(mtu=1410) / Raw(bytes(p6)[:1232])
    p4, p6 = IP(src=A4, dst=n4, proto=47) / DATA, IPv6(src=A6, dst=n6, nh=47) / DATA
    yield "proto4", p4
    yield "proto4.out", IP(**own4) / ICMP(type=3, code=2) / Raw(bytes(p4))
    yield "proto6", p6
    yield "proto6.out", IPv6(**own6) / ICMPv6ParamProblem(code=1, ptr=6) / Raw(bytes(p6))
    p4, p6 = IP(src=A4, dst=n4) / TCP(), IPv6(src=A6, dst=n6) / UDP()
    yield "port4", p4
    yield "port4.out", IP(**own4) / ICMP(type=3, code=3) / Raw(bytes(p4))
    yield "port6", p6
    yield "port6.out", IPv6(**own6) / ICMPv6DestUnreach(code=4) / Raw(bytes(p6))
    for mss, name in ((1460, "even"), (1410, "fits")):
        for pad, suffix in (([], ""), ([("NOP", None)], "_odd")):
            make = lambda v, ip: ip / TCP(sport=1, dport=2, flags="S", options=pad + [("MSS", v), ("SAckOK", b"")])
            for ip, family in ((IP(src=A4, dst=B4), "4"), (IPv6(src=A6, dst=B6), "6")):
                yield "mss%s_%s%s" % (family, name, suffix), make(mss, ip)
                yield "mss%s_%s%s.out" % (family, name, suffix), make(min(mss, 1410), ip)
    yield "mss4_none", IP(src=A4, dst=B4) / TCP(flags="S", options=[("WScale", 7), ("EOL", None)])
    yield "mss4_ack", IP(src=A4, dst=B4) / TCP(flags="A", options=[("MSS", 1460)])
    quoted = Raw(bytes(IP(src=B4, dst=A4) / UDP()))
    for type_ in (3, 4, 5, 11, 12):
        yield "about_error4_%d" % type_, IP(src=A4, dst=B4) / ICMP(type=type_) / quoted
    for type_ in (0, 8, 13):
        yield "about_query4_%d" % type_, IP(src=A4, dst=B4) / ICMP(type=type_) / DATA
    yield "about_error6_1", IPv6(src=A6, dst=B6) / ICMPv6DestUnreach() / DATA
    yield "about_error6_2", IPv6(src=A6, dst=B6) / ICMPv6PacketTooBig() / DATA
    yield "about_error6_3", IPv6(src=A6, dst=B6) / ICMPv6TimeExceeded() / DATA
    yield "about_query6_128", IPv6(src=A6, dst=B6) / ICMPv6EchoRequest() / DATA
    yield "later4", IP(src=A4, dst=B4, frag=9) / DATA
    yield "first4", IP(src=A4, dst=B4, flags="MF") / UDP(len=900) / Raw(bytes(800))


def neighbour():
    pod, gw, zero = ETH["src"], ETH["dst"], "00:00:00:00:00:00"
    every = "ff:ff:ff:ff:ff:ff"
    ll, gl = "fe80::9", "fe80::1"
    arp = lambda dst=every, **k: Ether(src=pod, dst=dst) / ARP(**{**dict(hwsrc=pod, psrc=A4, hwdst=zero, pdst="169.254.1.1"), **k})
    yield "arp_request", arp()
    yield "arp_request.out", Ether(src=gw, dst=pod) / ARP(op=2, hwsrc=gw, psrc="169.254.1.1", hwdst=pod, pdst=A4)
    yield "arp_unicast", arp(dst=gw)
    yield "arp_probe", arp(psrc="0.0.0.0", pdst=A4)
    yield "arp_own", arp(pdst=A4)
    yield "arp_gratuitous", arp(psrc="10.9.9.9", pdst="10.9.9.9")
    yield "arp_reply", arp(dst=gw, op=2, hwdst=gw)
    yield "arp_announce", Ether(src=gw, dst=every) / ARP(op=2, hwsrc=gw, psrc="169.254.1.1", hwdst=zero, pdst="169.254.1.1")
    yield "arp_rarp", arp(op=3)
    yield "arp_inverse", arp(op=8)
    yield "arp_group_mac", arp(hwsrc="01:00:5e:00:00:01")
    yield "arp_no_mac", arp(hwsrc=zero)
    yield "arp_group_sender", arp(psrc="224.0.0.1")
    yield "arp_zero_target", arp(pdst="0.0.0.0")
    yield "arp_bad_hw", arp(hwtype=6)
    yield "arp_bad_proto", arp(ptype=0x86DD)
    yield "arp_bad_hlen", arp(hwlen=8)
    yield "arp_bad_plen", arp(plen=16)
    e = Ether(src=pod, dst="33:33:ff:00:00:01")
    u = Ether(src=pod, dst=gw)
    ns = lambda eth=e, src=ll, dst="ff02::1:ff00:1", tgt=gl, hlim=255, **k: (
        eth / IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_NS(tgt=tgt, **k))
    lla = ICMPv6NDOptSrcLLAddr(lladdr=pod)
    na = lambda src=gl, dst=ll, tgt=gl, **k: Ether(src=gw, dst=pod) / IPv6(src=src, dst=dst, hlim=255) / ICMPv6ND_NA(
        tgt=tgt, **{**dict(R=1, S=1, O=1), **k})
    tla = ICMPv6NDOptDstLLAddr(lladdr=gw)
    yield "ns", ns() / lla
    yield "ns.out", na() / tla
    yield "ns_unicast", ns(eth=u, dst=gl)
    yield "ns_unicast.out", na() / tla
    yield "ns_more_options", ns() / Raw(b"\x0e\x02" + bytes(14)) / lla
    yield "ns_more_options.out", na() / tla
    yield "ns_dad", ns(src="::", dst="ff02::1:ff00:9", tgt=ll)
    yield "ns_dad_lla", ns(src="::", dst="ff02::1:ff00:9", tgt=ll) / lla
    yield "ns_dad_unicast", ns(src="::", dst="fe80::9", tgt=ll)
    yield "ns_own", ns(dst="ff02::1:ff00:9", tgt=A6) / lla
    yield "ns_hop_limit", ns(hlim=254) / lla
    yield "ns_code", ns(code=1) / lla
    yield "ns_checksum", ns(cksum=0x1234) / lla
    yield "ns_group_target", ns(tgt="ff02::1") / lla
    yield "ns_option_zero", ns() / Raw(b"\x01\x00" + bytes(6))
    yield "ns_option_long", ns() / Raw(b"\x0e\x02" + bytes(6))
    yield "ns_option_wide", ns() / Raw(b"\x01\x02" + bytes(14))
    yield "ns_option_half", ns() / Raw(b"\x01")
    yield "ns_group_lla", ns() / ICMPv6NDOptSrcLLAddr(lladdr="33:33:00:00:00:01")
    yield "na", na() / tla
    yield "na_plain", na(R=0, O=0)
    yield "na_to_all", Ether(src=gw, dst="33:33:00:00:00:01") / IPv6(src=gl, dst="ff02::1", hlim=255) / ICMPv6ND_NA(
        tgt=gl, R=1, S=0, O=1) / tla
    yield "na_solicited_to_all", na(dst="ff02::1") / tla
    yield "na_none", na(src="::") / tla
    yield "rs", e / IPv6(src=ll, dst="ff02::2", hlim=255) / ICMPv6ND_RS() / lla
    yield "ns_made", Ether(src=gw, dst="33:33:ff:00:00:09") / IPv6(src=gl, dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(
        tgt=ll) / ICMPv6NDOptSrcLLAddr(lladdr=gw)
    yield "ns_made_unicast", Ether(src=gw, dst=pod) / IPv6(src=gl, dst=ll, hlim=255) / ICMPv6ND_NS(
        tgt=ll) / ICMPv6NDOptSrcLLAddr(lladdr=gw)
    yield "ns_made_probe", Ether(src=gw, dst="33:33:ff:00:00:09") / IPv6(src="::", dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(tgt=ll)
    yield "arp_made", Ether(src=gw, dst=every) / ARP(hwsrc=gw, psrc="169.254.1.1", hwdst=zero, pdst=A4)
    yield "arp_made_unicast", Ether(src=gw, dst=pod) / ARP(hwsrc=gw, psrc="169.254.1.1", hwdst=zero, pdst=A4)
    yield "arp_made_probe", Ether(src=gw, dst=every) / ARP(hwsrc=gw, psrc="0.0.0.0", hwdst=zero, pdst=A4)


def steer():
    """Frames on an uplink that is shared with the kernel; the name begins with what the XDP program is to say of each. In
    order: later fragments follow first ones."""
    us, other = "02:00:00:00:00:01", "02:00:00:00:00:99"
    e = Ether(src="02:00:00:00:00:02", dst=us)
    l4, p4, l6, p6 = "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"
    stranger4, stranger6 = "192.0.2.77", "2001:db8::77"
    v4 = lambda **k: IP(**{**dict(src=p4, dst=l4, ttl=64), **k})
    v6 = lambda **k: IPv6(**{**dict(src=p6, dst=l6), **k})
    inner = Ether() / IP(src=B4, dst=A4) / UDP() / DATA
    vx = lambda port=8472: UDP(sport=50000, dport=port) / VXLAN(vni=1) / inner
    yield "udp.vxlan4", e / v4() / vx()
    yield "udp.vxlan6", e / v6() / vx()
    yield "udp.vxlan4_4789", e / v4() / vx(4789)
    yield "udp.vxlan4_stranger", e / v4(src=stranger4) / vx()
    yield "udp.vxlan4_options", e / v4(options=[IPOption(b"\x01\x01\x01\x00")]) / vx()
    yield "udp.vxlan4_options40", e / v4(options=[IPOption(b"\x44\x28\x05\x00" + bytes(36))]) / vx()
    yield "udp.vxlan6_dstopts", e / v6() / IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(4))]) / vx()
    yield "udp.vxlan6_hbh_dstopts", e / v6() / IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(12))]) / IPv6ExtHdrDestOpt(
        options=[PadN(optdata=bytes(4))]) / vx()
    yield "passed.vxlan6_routing", e / v6() / IPv6ExtHdrRouting(addresses=[l6]) / vx()
    yield "passed.vxlan6_five", e / v6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(
        ) / IPv6ExtHdrDestOpt() / vx()
    yield "passed.vxlan4_other_port", e / v4() / vx(8473)
    yield "passed.vxlan4_source_port", e / v4() / UDP(sport=8472, dport=53) / DATA
    yield "passed.vxlan4_not_local", e / v4(dst="192.0.2.3") / vx()
    yield "passed.vxlan6_not_local", e / v6(dst="2001:db8::3") / vx()
    yield "passed.vxlan4_other_mac", Ether(src=us, dst=other) / v4() / vx()
    yield "passed.vxlan4_vlan", e / Dot1Q(vlan=5) / v4() / vx()
    yield "passed.vxlan4_broadcast", Ether(src=other, dst="ff:ff:ff:ff:ff:ff") / v4(dst="192.0.2.255") / vx()
    yield "passed.tcp4_tunnel_port", e / v4() / TCP(sport=1, dport=8472)
    yield "passed.ssh4", e / v4() / TCP(sport=50000, dport=22) / DATA
    yield "passed.ssh6", e / v6() / TCP(sport=50000, dport=22) / DATA
    yield "passed.dns4", e / v4() / UDP(sport=53, dport=40000) / DATA
    yield "passed.ping4", e / v4() / ICMP() / DATA
    yield "passed.ping6", e / v6() / ICMPv6EchoRequest() / DATA
    yield "passed.arp", e / ARP(psrc=p4, pdst=l4)
    yield "passed.ns", e / v6(hlim=255) / ICMPv6ND_NS(tgt=l6)
    yield "passed.lldp", Ether(src=other, dst="01:80:c2:00:00:0e", type=0x88CC) / DATA
    yield "ip.ipip44", e / v4() / IP(src=B4, dst=A4) / UDP() / DATA
    yield "ip.ipip64", e / v4() / IPv6(src=B6, dst=A6) / UDP() / DATA
    yield "ip.ipip46", e / v6() / IP(src=B4, dst=A4) / UDP() / DATA
    yield "ip.ipip66", e / v6() / IPv6(src=B6, dst=A6) / UDP() / DATA
    yield "ip.ipip66_limit", e / v6() / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=4, optlen=1, optdata=b"\x04")]) / IPv6(
        src=B6, dst=A6) / UDP() / DATA
    yield "ip.ipip44_fragment", e / v4(frag=20, id=3, proto=4) / DATA
    yield "passed.ipip44_stranger", e / v4(src=stranger4) / IP(src=B4, dst=A4) / UDP() / DATA
    yield "passed.ipip66_stranger", e / v6(src=stranger6) / IPv6(src=B6, dst=A6) / UDP() / DATA
    yield "passed.gre", e / v4(proto=47) / DATA
    yield "pod.tcp4", e / IP(src="198.51.100.1", dst=A4) / TCP(dport=80)
    yield "pod.tcp6", e / IPv6(src="2001:db8:ff::1", dst=A6) / TCP(dport=80)
    yield "pod.ping4", e / IP(src="198.51.100.1", dst=A4) / ICMP() / DATA
    yield "pod.ping6", e / IPv6(src="2001:db8:ff::1", dst=A6) / ICMPv6EchoRequest() / DATA
    yield "pod.fragment4", e / IP(src="198.51.100.1", dst=A4, frag=100, proto=17) / DATA
    yield "pod.fragment6", e / IPv6(src="2001:db8:ff::1", dst=A6) / IPv6ExtHdrFragment(offset=100, nh=17) / DATA
    yield "pod.vxlan_port", e / IP(src="198.51.100.1", dst=A4) / vx()
    yield "pod.host_route", e / IP(src="198.51.100.1", dst="203.0.113.5") / ICMP()
    yield "passed.host_route_beside", e / IP(src="198.51.100.1", dst="203.0.113.6") / ICMP()
    yield "passed.pod_ns", e / IPv6(src="2001:db8::5", dst=A6, hlim=255) / ICMPv6ND_NS(tgt=A6)
    yield "passed.peer_pod4", e / IP(src="198.51.100.1", dst=B4) / TCP(dport=80)
    yield "passed.peer_pod6", e / IPv6(src="2001:db8:ff::1", dst=B6) / TCP(dport=80)
    yield "passed.frag4_later_alone", e / v4(id=77, frag=100, proto=17) / DATA
    yield "udp.frag4_first", e / v4(id=77, flags="MF") / vx()
    yield "udp.frag4_later", e / v4(id=77, frag=100, proto=17) / DATA
    yield "passed.frag4_other_id", e / v4(id=78, frag=100, proto=17) / DATA
    yield "passed.frag4_other_source", e / v4(src=stranger4, id=77, frag=100, proto=17) / DATA
    yield "passed.frag4_dns_first", e / v4(id=79, flags="MF") / UDP(sport=53, dport=40000) / DATA
    yield "passed.frag4_dns_later", e / v4(id=79, frag=100, proto=17) / DATA
    yield "udp.frag6_first", e / v6() / IPv6ExtHdrFragment(id=77, m=1) / vx()
    yield "udp.frag6_later", e / v6() / IPv6ExtHdrFragment(id=77, offset=100, nh=17) / DATA
    yield "passed.frag6_other_id", e / v6() / IPv6ExtHdrFragment(id=78, offset=100, nh=17) / DATA
    yield "udp.frag6_atomic", e / v6() / IPv6ExtHdrFragment(id=5) / vx()
    big4 = lambda q, **k: e / v4(src="192.0.2.254") / ICMP(**{**dict(type=3, code=4, nexthopmtu=1400), **k}) / q
    big6 = lambda q: e / v6(src="2001:db8::fe") / ICMPv6PacketTooBig(mtu=1400) / q
    yield "error.vxlan4", big4(IP(src=l4, dst=p4) / vx())
    yield "error.ipip4", big4(IP(src=l4, dst=p4, proto=4) / DATA)
    yield "error.vxlan6", big6(IPv6(src=l6, dst=p6) / vx())
    yield "error.ipip6", big6(IPv6(src=l6, dst=p6, nh=41) / DATA)
    yield "passed.error_tcp4", big4(IP(src=l4, dst=p4) / TCP(dport=22))
    yield "passed.error_tcp6", big6(IPv6(src=l6, dst=p6) / TCP(dport=22))
    yield "passed.error_ipip4_stranger", big4(IP(src=l4, dst=stranger4, proto=4) / DATA)
    yield "passed.error_port4", big4(IP(src=l4, dst=p4) / vx(), code=3)
    yield "passed.error_exceeded4", big4(IP(src=l4, dst=p4) / vx(), type=11, code=0)


def vlan():
    """Frames for an uplink of VLAN 100: "ours." ones with the tag, each followed by what is left without ("plain."), and others
    under the reason they are dropped for."""
    e = Ether(src="02:00:00:00:01:02", dst="02:00:00:00:01:01")
    to4, to6 = IP(src="203.0.113.9", dst="10.244.1.10", id=7), IPv6(src="2001:db8:113::9", dst="fd00:244:1::10")
    out = IP(src="192.0.2.2", dst="192.0.2.1", ttl=64, id=0)
    vtep = Ether(src="02:00:c0:00:02:02", dst="02:00:c0:00:02:01")
    inner = IP(src="10.244.2.7", dst="10.244.1.10") / UDP(sport=9, dport=53) / DATA
    for name, p in (
        ("udp4", to4 / UDP(sport=5, dport=53) / DATA), ("udp6", to6 / UDP(sport=5, dport=53) / DATA),
        ("tcp4", to4 / TCP(sport=5, dport=80, flags="A", seq=1) / DATA), ("tcp6", to6 / TCP(sport=5, dport=80, flags="A", seq=1) / DATA),
        ("vxlan", out / UDP(sport=50000, dport=4789, chksum=0) / VXLAN(vni=4096, flags=8) / vtep / inner),
        ("ipip6", IPv6(src="2001:db8::2", dst="2001:db8::1") / inner),
    ):
        yield "ours." + name, e / Dot1Q(vlan=100) / p
        yield "plain." + name, e / p
    yield "ours.priority", e / Dot1Q(vlan=100, prio=5, id=1) / to4 / UDP(sport=6, dport=53) / DATA
    yield "plain.priority", e / to4 / UDP(sport=6, dport=53) / DATA
    for name, p in (("4", to4 / UDP(sport=5, dport=53) / DATA), ("6", to6 / UDP(sport=5, dport=53) / DATA)):
        yield "vlan_other.untagged" + name, e / p
        yield "vlan_other.next" + name, e / Dot1Q(vlan=101) / p
        yield "vlan_other.priority" + name, e / Dot1Q(vlan=0, prio=7) / p
        yield "vlan_other.reserved" + name, e / Dot1Q(vlan=4095) / p
        yield "vlan_other.service" + name, e / Dot1AD(vlan=100) / p
        yield "vlan_other.service_ours" + name, e / Dot1AD(vlan=7) / Dot1Q(vlan=100) / p
        yield "vlan_other.outer" + name, e / Dot1Q(vlan=7) / Dot1Q(vlan=100) / p
        yield "vlan_unexpected.inner" + name, e / Dot1Q(vlan=100) / Dot1Q(vlan=100) / p
    yield "vlan_other.arp", Ether(src="02:00:00:00:01:02", dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="192.0.2.2", pdst="192.0.2.1")
    yield "l2_not_for_us.mac", Ether(src="02:00:00:00:01:02", dst="02:00:00:00:01:03") / Dot1Q(vlan=100) / to4 / UDP() / DATA
    yield "ethertype_unknown.lldp", e / Dot1Q(vlan=100, type=0x88CC) / DATA


SETS = {f.__name__: f for f in (packet, tunnel, icmp, neighbour, steer, vlan)}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in SETS:
        sys.exit("usage: vectors.py " + "|".join(SETS))
    for name, p in SETS[sys.argv[1]]():
        print(name, bytes(p).hex())
