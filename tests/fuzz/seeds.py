#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the seed corpora anew: tests/fuzz/seeds.py (into tests/fuzz/corpus/TARGET/). Needs scapy.

Seeds are valid inputs, so that mutations start beyond the first check. The formats are those of the targets' sources.
"""
import json
import os
import re
import shutil
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "unit"))
import vectors  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))


def packet():
    """Frames of the unit tests, each with another way to cut it and another parameter."""
    ways = [bytes(6), bytes([2, 40, 14, 20, 0, 0]), bytes([4, 99, 1, 13, 34, 54]), bytes([9, 3, 70, 0, 0, 0]),
            bytes([24, 255, 0, 0, 0, 0]), bytes([17, 5, 50, 0, 0, 0])]
    count = 0
    for name, make in vectors.SETS.items():
        for label, p in make():
            if re.search(r"\.out$|^a[46]_|^inner_|_(1|100|519|521|1180)$|_odd$|flannel|^arp_bad|^about_.*[1245]$|_13$", label):
                continue  # near copies of others: mutation finds them
            yield f"{name}-{label}", ways[count % len(ways)] + bytes(p)
            count += 1
    # Cut where headers end, lengths made right by the target, at the end of the buffer.
    for label, p in vectors.packet():
        if label in ("tcp4_df_syn", "udp4", "sctp4", "echo4", "tcp6_syn", "udp6", "echo6", "ext6"):
            for n in (1, 5, 13):
                header = 34 if label.endswith("4") or "4_" in label else 54
                yield f"cut-{label}-{n}", bytes([24, 9, 0, 0, 0, 0]) + bytes(p)[:header + n]


V6, MORE, TRACK, DSTOPTS, NO_TAILROOM, CE, ECT, LATER = (1 << i for i in range(8))


def record(flags, ident, units, length, cut=0):
    return struct.pack("<BBHHB", flags, ident, units, length, cut)


def fragment():
    """Packets of 1448 + 1448 + 600 bytes in every order, whole and not."""
    parts = [(0, 1448, MORE), (181, 1448, MORE), (362, 600, 0)]
    orders = {"straight": (0, 1, 2), "reversed": (2, 1, 0), "middle": (1, 0, 2), "doubled": (0, 0, 1, 1, 2),
              "no-first": (1, 2), "no-last": (0, 1), "last-only": (2,)}
    for base, kind in ((0, "4"), (V6, "6"), (V6 | DSTOPTS, "6d")):
        for use, what in ((0, "join"), (TRACK, "track")):
            for order, indices in orders.items():
                yield (f"{what}{kind}-{order}",
                       b"".join(record(base | use | parts[i][2], 1, parts[i][0], parts[i][1], 50 * i) for i in indices))
    for use, what in ((0, "join"), (TRACK, "track")):
        yield f"{what}-overlap", record(MORE | use, 1, 0, 800) + record(MORE | use, 1, 50, 800) + record(use, 1, 150, 40)
        yield f"{what}-two-ends", record(use, 1, 100, 40) + record(use, 1, 150, 40) + record(MORE | use, 1, 0, 800)
        yield f"{what}-late", record(MORE | use, 1, 0, 800) + record(use | LATER, 1, 100, 40, 255)
        yield f"{what}-ecn", record(MORE | ECT | use, 1, 0, 800) + record(use | CE, 1, 100, 40)
        yield f"{what}-flood", b"".join(record(MORE | use, 1, 2 * i, 8) for i in range(70, 0, -1))
        yield f"{what}-many", b"".join(record(MORE | use | (V6 if i & 1 else 0), i, 1, 8) for i in range(60))
        yield f"{what}-longest", b"".join(record(MORE | use, 2, 128 * i, 1024) for i in range(63)) + record(
            use, 2, 128 * 63, 800)


NODE = 'node: { name = "node-a"; };\n'
UPLINK = ('uplinks: ( { name = "eth0"; driver = "af_packet"; device = "eth0"; '
          'addresses = [ "192.0.2.1/24", "2001:db8::1/64" ]; } );\n')
POOLS = 'pools: ( { name = "pods"; cidr = "10.244.1.0/24"; }, { name = "pods6"; cidr = "fd00:244:1::/64"; } );\n'


def peer(**fields):
    text = {"name": '"node-b"', "underlay": '[ "192.0.2.2", "2001:db8::2" ]',
            "pod_cidrs": '[ "10.244.2.0/24", "fd00:244:2::/64" ]', "encap": '"vxlan"',
            "vtep_mac": '"02:00:c0:00:02:02"', **fields}
    return "peers: ( { " + " ".join(f"{k} = {v};" for k, v in text.items() if v) + " } );\n"


def pods(text):
    return f"pods: ( {text} );\n"


def config():
    base = NODE + UPLINK + POOLS
    with open(os.path.join(ROOT, "config", "podlane.conf")) as f:
        yield "sample", f.read()
    yield "empty", ""
    yield "node", NODE
    yield "base", base
    yield "node-full", (
        'node: { name = "n"; worker_cpus = [ 1, 2 ]; control_cpu = 0; hugepages = "off"; memory_mb = 256; '
        'buffers = 16384; latency = "low"; flows = 65536; flows6 = 65536; neighbours = 512; flow_timeout_s = 30; '
        'vtep_mac = "02:00:c0:00:02:01"; vxlan_vni = 4096; vxlan_port = 4789; vxlan_udp6_checksum = true; '
        'mss_clamp = false; gateway = "169.254.1.1"; gateway6 = "fe80::1"; gateway_mac = "02:70:6f:64:6c:01"; '
        'host_interface = "podlane0"; host_addresses = [ "10.244.1.1", "fd00:244:1::1" ]; icmp_rate = 100; '
        'log_level = "debug"; metrics_listen = "[::1]:9099"; };\n')
    for encap in ("vxlan", "ipip", "direct", "auto", "wireguard"):
        yield f"peer-{encap}", base + peer(encap=f'"{encap}"')
    yield "peer-flannel", base + peer(vni="1", port="8472", mtu="1450")
    yield "peer-no-mac", base + peer(vtep_mac="")
    yield "pod-tap", base + pods('{ name = "web-1"; netns = "web-1"; }')
    yield "pod-tap-full", base + pods(
        '{ name = "web-1"; kind = "tap"; addresses = [ "10.244.1.10", "fd00:244:1::10" ]; mac = "02:00:00:00:00:0a"; '
        'netns = "/run/netns/web-1"; interface = "eth0"; queues = 2; mtu = 1400; }')
    yield "pod-memif", base + pods(
        '{ name = "fast"; kind = "memif"; socket = "/run/podlane/fast.sock"; memif_id = 3; ring_size = 2048; '
        'secret = "hush"; addresses = "10.244.1.11"; }')
    yield "pods-clash", base + pods('{ name = "a"; netns = "a"; addresses = "10.244.1.9"; }, '
                                    '{ name = "b"; netns = "b"; addresses = "10.244.1.9"; }')
    routes = {
        "default": '{ prefix = "0.0.0.0/0"; via = ( { address = "192.0.2.254"; } ); }',
        "ecmp": '{ prefix = "198.51.100.0/24"; via = ( { address = "192.0.2.7"; weight = 3; }, { peer = "node-b"; } ); }',
        "link-local": '{ prefix = "2001:db8:1::/48"; via = ( { address = "fe80::9"; uplink = "eth0"; } ); }',
        "blackhole": '{ prefix = "203.0.113.0/24"; action = "blackhole"; }, { prefix = "::/0"; action = "prohibit"; }',
    }
    for name, text in routes.items():
        yield f"route-{name}", base + peer() + f"routes: ( {text} );\n"
    yield "unknown-key", base + 'pods: ( { nmae = "x"; } );\n'
    yield "wrong-type", 'node: { name = 5; };\n'
    yield "include", '@include "other.conf"\n' + base
    yield "comments", "/* c */ // d\n# e\n" + base


def api():
    """METHOD TARGET, a line end, the body; several requests are parted by 0x1e. '!' before raw bytes of a connection."""
    pod = json.dumps({"kind": "tap", "netns": "web-1"})
    tx = json.dumps({"changes": [
        {"op": "put", "type": "pod", "object": {"name": "w", "netns": "w"}},
        {"op": "put", "type": "route", "object": {"prefix": "198.51.100.0/24", "action": "blackhole"}},
        {"op": "delete", "type": "peer", "name": "node-b"}]})
    conf = json.dumps({"config": 'pods: ( { name = "t"; netns = "t"; } );', "replace": False})
    requests = {
        "get-nodes": "GET /v1/nodes", "get-peers": "GET /v1/peers?limit=1&after=a&pretty", "get-peer": "GET /v1/peers/node-b",
        "get-openapi": "GET /v1/openapi.json", "log-level": 'PUT /v1/log-level\n{"level": "error"}', "health": "GET /healthz",
        "ready": "HEAD /readyz", "pod": f"PUT /v1/pods/web-1\n{pod}", "pod-dry": f"PUT /v1/pods/web-1?dry_run=1\n{pod}",
        "pod-memif": 'PUT /v1/pods/m\n{"kind": "memif", "socket": "/run/m.sock", "secret": "s", "addresses": []}',
        "patch-peer": 'PATCH /v1/peers/node-b\n{"encap": "ipip", "vni": null}',
        "patch-node": 'PATCH /v1/nodes/node-a\n{"icmp_rate": 7}',
        "delete-peer": "DELETE /v1/peers/node-b", "delete-none": "DELETE /v1/pods/nobody",
        "route": 'PUT /v1/routes/198.51.100.0%2F24\n{"via": [{"address": "192.0.2.9", "weight": 2}]}',
        "route6": 'PUT /v1/routes/2001:db8:9::%2F48\n{"action": "unreachable"}',
        "tx": f"POST /v1/transactions\n{tx}", "tx-dry": f"POST /v1/transactions?dry_run\n{tx}",
        "tx-config": f"POST /v1/transactions\n{conf}", "tx-list": "GET /v1/transactions?limit=5",
        "tx-confirm": f"POST /v1/transactions?confirm_seconds=60\n{tx}\x1ePOST /v1/transactions/2/confirm",
        "tx-rollback": f"POST /v1/transactions?confirm_seconds=60\n{tx}\x1ePOST /v1/transactions/2/rollback",
        "tx-waits": f"PUT /v1/pods/a?confirm_seconds=9\n{pod}\x1ePUT /v1/pods/b\n{pod}\x1eGET /v1/pods",
        "tx-bad": 'POST /v1/transactions\n{"changes": [{"op": "put", "type": "pod", "object": {"name": 3}}]}',
        "query-no-name": f"PUT /v1/pods/a?=dry_run=1\n{pod}", "fragment": f"PUT /v1/pods/a#?dry_run=1\n{pod}",
        "reload": "POST /v1/reload", "options": "OPTIONS /v1/pods", "post-pods": "POST /v1/pods\n{}",
        "not-json": "PUT /v1/pods/x\n{\"a\": [1, 2,", "deep": "PUT /v1/pods/x\n" + "[" * 300,
        "not-utf8": "GET /v1/p\xff\xfe", "query-not-utf8": "GET /v1/pods?\xe4=1", "plane-refuses": f" PUT /v1/pods/web-1\n{pod}",
        "pool": 'PUT /v1/pools/more\n{"cidr": "10.245.0.0/16"}',
        "raw-get": "!GET /v1/pods HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/pools HTTP/1.0\r\n\r\n",
        "raw-chunked": "!PUT /v1/pods/c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       f"{len(pod):x}\r\n{pod}\r\n0\r\n\r\n",
        "raw-expect": "!PUT /v1/pods/c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        "raw-length": "!POST /v1/transactions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{}",
    }
    yield from requests.items()


# Operations of memif.c; the numbers are those of its enum.
(M_RAW, M_STEP, M_MEMORY, M_DESC, M_HEAD, M_RX, M_TX, M_ARM, M_TICK, M_HANGUP, M_SHORTEN) = range(11)
OPEN = bytes([M_STEP] * 7)


def desc(ring, slot, flags, region, length, offset):
    return struct.pack("<BBBHHII", M_DESC, ring, slot, flags, region, length, offset)


def raw(kind, message, size=128):
    return struct.pack("<BBB", M_RAW, kind, size) + message.ljust(128, b"\0")[:size]


def memif():
    def head(ring, value):
        return struct.pack("<BBH", M_HEAD, ring, value)

    rx, tx = bytes([M_RX, 32]), bytes([M_TX, 8, 100, 0])
    yield "handshake", OPEN
    yield "handshake-parts", bytes([M_STEP] * 3)
    yield "rx", OPEN + desc(0, 0, 0, 0, 60, 4096) + head(0, 1) + rx
    yield "rx-chain", OPEN + desc(0, 0, 1, 0, 2000, 4096) + desc(0, 1, 0, 0, 900, 8192) + head(0, 2) + rx
    yield "rx-partial", OPEN + desc(0, 0, 1, 0, 2000, 4096) + head(0, 1) + rx + desc(0, 1, 0, 0, 9, 0) + head(0, 2) + rx
    yield "rx-endless", OPEN + b"".join(desc(0, i, 1, 0, 10, 4096) for i in range(16)) + head(0, 16) + rx + rx
    yield "rx-outside", OPEN + desc(0, 0, 0, 0, 2048, 0xfffffff0) + desc(0, 1, 0, 7, 60, 0) + head(0, 2) + rx
    yield "rx-empty", OPEN + desc(0, 0, 0, 0, 0, 4096) + head(0, 1) + rx
    yield "rx-huge", OPEN + b"".join(desc(0, i, i < 15, 0, 16384, 4096) for i in range(16)) + head(0, 16) + rx
    yield "rx-backwards", OPEN + head(0, 0xfff0) + rx + head(0, 3) + rx
    yield "tx", OPEN + b"".join(desc(1, i, 0, 0, 2048, 4096 + 2048 * i) for i in range(8)) + head(1, 8) + tx
    yield "tx-small", OPEN + b"".join(desc(1, i, 0, 0, 32, 4096 + 32 * i) for i in range(16)) + head(1, 16) + tx
    yield "tx-outside", OPEN + desc(1, 0, 0, 0, 2048, 0xffff0000) + desc(1, 1, 0, 0, 2048, 4096) + head(1, 2) + tx
    yield "tx-none", OPEN + tx
    yield "arm", OPEN + bytes([M_ARM, 1, M_ARM, 0]) + desc(0, 0, 0, 0, 60, 4096) + head(0, 1) + bytes([M_ARM, 1]) + rx
    yield "tick", OPEN + bytes([M_TICK, 0]) + rx
    yield "hangup", OPEN + bytes([M_HANGUP, 0]) + rx + OPEN + rx
    init = struct.pack("<HHIB", 2, 0x200, 1, 0)
    yield "raw-init", raw(0, init)
    yield "raw-init-twice", raw(0, init) + raw(0, init)
    yield "raw-version", raw(0, struct.pack("<HHIB", 2, 0x300, 1, 0))
    yield "raw-id", raw(0, struct.pack("<HHIB", 2, 0x200, 9, 0))
    yield "raw-short", raw(0, init, 60)
    yield "raw-fds", raw(6, init)
    for kind in range(7):
        yield f"raw-region-{kind}", raw(0, init) + raw(kind, struct.pack("<HHQ", 4, 0, 65536))
    yield "raw-region-size", raw(0, init) + raw(1, struct.pack("<HHQ", 4, 0, 1 << 40))
    ring = struct.pack("<HHHHIBH", 5, 1, 0, 0, 0, 4, 0)
    for kind in (0, 1, 2, 3):
        yield f"raw-ring-{kind}", bytes([M_STEP] * 2) + raw(kind, ring)
    yield "raw-ring-end", bytes([M_STEP] * 2) + raw(2, struct.pack("<HHHHIBH", 5, 1, 0, 0, 65536 - 128, 4, 0))
    yield "raw-ring-odd", bytes([M_STEP] * 2) + raw(2, struct.pack("<HHHHIBH", 5, 1, 0, 0, 8, 4, 0))
    yield "raw-disconnect", OPEN + raw(0, struct.pack("<HI", 8, 1) + b"bye\x01")
    yield "raw-connect-early", raw(0, init) + raw(0, struct.pack("<H", 6) + b"x")
    yield "raw-unknown", raw(0, struct.pack("<H", 99))
    in_ip, unsealed = bytes([M_HANGUP, 1]) + OPEN, bytes([M_HANGUP, 2]) + OPEN
    version = struct.pack("<BBHB", M_MEMORY, 1, 4096, 0x45)
    yield "ip-rx", in_ip + version + desc(0, 0, 0, 0, 60, 4096) + desc(0, 1, 0, 0, 60, 8192) + head(0, 2) + rx
    yield "ip-tx", in_ip + b"".join(desc(1, i, 0, 0, 2048, 4096 + 2048 * i) for i in range(8)) + head(1, 8) + tx
    frame = desc(0, 0, 0, 0, 60, 4096) + head(0, 1)
    buffers = b"".join(desc(1, i, 0, 0, 2048, 4096 + 2048 * i) for i in range(8)) + head(1, 8)
    for size in (0, 4, 16):
        yield f"shorten-{size}", unsealed + frame + buffers + bytes([M_SHORTEN, size]) + rx + tx + bytes([M_TICK, 0]) + rx
    yield "shorten-early", bytes([M_HANGUP, 2] + [M_STEP] * 2 + [M_SHORTEN, 0] + [M_STEP] * 5) + rx


def memif_client():
    """Operations of memif_client.c, numbered as those of memif.c but for OP_TAIL. Rings: C2S 0 and 1, S2C 0 and 1."""
    def tail(ring, value):
        return struct.pack("<BBH", M_HEAD, ring, value)

    opened, rx, tx = bytes([M_STEP] * 8), bytes([M_RX, 32]), bytes([M_TX, 8, 100, 0])
    yield "handshake", opened
    yield "handshake-parts", bytes([M_STEP] * 4)
    yield "rx", opened + desc(2, 0, 0, 0, 60, 0) + tail(2, 1) + rx
    yield "rx-chain", opened + desc(2, 0, 1, 0, 2000, 0) + desc(2, 1, 0, 0, 900, 0) + tail(2, 2) + rx
    yield "rx-endless", opened + b"".join(desc(2, i, 1, 0, 10, 0) for i in range(16)) + tail(2, 16) + rx + rx
    yield "rx-long", opened + desc(2, 0, 0, 0, 2049, 0xfffffff0) + desc(2, 1, 0, 7, 60, 0) + tail(2, 2) + rx
    yield "rx-backwards", opened + tail(2, 0xfff0) + rx + tail(2, 3) + rx
    yield "rx-second", opened + desc(3, 0, 0, 0, 60, 0) + tail(3, 1) + bytes([M_RX, 96])
    yield "tx", opened + tx + tx + tail(0, 9) + tx
    yield "tx-parts", opened + bytes([M_TX, 0x38, 0x00, 0x10]) + tail(0, 8) + tx
    yield "tx-backwards", opened + tx + tail(0, 0xfff0) + tx
    yield "arm", opened + bytes([M_ARM, 1, M_ARM, 0]) + desc(2, 0, 0, 0, 60, 0) + tail(2, 1) + bytes([M_ARM, 1]) + rx
    yield "tick", opened + bytes([M_TICK, 0]) + rx
    ip = bytes([M_HANGUP, 1]) + opened
    yield "ip-rx", ip + b"".join(desc(2, i, 0, 0, 60, 0) for i in range(8)) + tail(2, 8) + rx
    yield "ip-tx", ip + tx + tail(0, 9) + tx
    yield "hangup", opened + bytes([M_HANGUP, 0]) + rx + opened + tx
    yield "memory", opened + struct.pack("<BBH", M_MEMORY, 16, 128) + bytes(16) + rx + tx
    for kind in range(10):
        yield f"raw-{kind}", bytes([M_STEP] * 2) + raw(kind & 1, struct.pack("<H", kind))
        yield f"raw-late-{kind}", opened + raw(0, struct.pack("<H", kind) + b"why\x01")
    hello = struct.pack("<H32sHHHHHB", 2, b"x", 0x200, 0x200, 0, 0, 0, 0)
    yield "hello-small", raw(0, hello) + bytes([M_STEP] * 6) + tx + tx
    yield "hello-version", raw(0, struct.pack("<H32sHH", 2, b"x", 0x300, 0x300))
    yield "hello-huge", raw(0, struct.pack("<H32sHHHHHB", 2, b"x", 0, 0xffff, 0xffff, 0xffff, 0xffff, 255)) + opened + tx
    yield "short", raw(0, b"", 60)


V_BYTES, V_DESC, V_TABLE, V_AVAIL, V_CHAIN, V_EVENT, V_RX, V_TX, V_BACK, V_ARM, V_TAKE, V_SUCCESSOR = range(12)
TO_DEVICE, TO_DRIVER, ELSEWHERE, FILLED, INDIRECT = 0, 16, 0, 32, 64


def vhost():
    """Operations of vhost.c after two bytes: the ring (1 packed, 2 event index, 4 header of 10 bytes, 8 record) and what the
    guest takes (checksums, TSO, ECN, mergeable, USO, UFO from bit 0)."""
    def chain(kind, ident, *lengths, frame=b""):
        parts = b"".join(bytes([0, 0, n]) for n in lengths)
        return bytes([V_CHAIN, kind | 8 | len(lengths) - 1 | (FILLED if frame else 0), ident]) + parts + (
            bytes([len(frame)]) + frame if frame else b"")

    def header(flags=0, kind=0, size=0, start=0, offset=0):
        return struct.pack("<BBHHHHH", flags, kind, 54, size, start, offset, 0)

    v4 = bytes.fromhex("020000000001020000000002080045002328000100004011000a0000010a000002").ljust(34, b"\0")
    v6 = bytes.fromhex("02000000000102000000000286dd6000000023101140") + bytes(15) + b"\1" + bytes(15) + b"\2"
    udp, tcp = bytes.fromhex("0001000223140000"), bytes.fromhex("00010002000000010000000250100000") + bytes(4)
    v4tcp = v4[:23] + b"\6" + v4[24:]
    rx, tx, back, take = bytes([V_RX, 31]), bytes([V_TX, 7, 0, 2]), bytes([V_BACK, 31]), bytes([V_TAKE])
    buffers = b"".join(chain(TO_DRIVER, 8 * i, 130) for i in range(6))
    for how, name in ((0, "split"), (1, "packed"), (2, "split-event"), (3, "packed-event"), (4, "short"), (9, "record")):
        start = bytes([how, 0 if how == 4 else 63])
        yield f"{name}-rx", start + b"".join(chain(TO_DEVICE, 8 * i, 5 + i) for i in range(6)) + rx + take
        yield f"{name}-rx-parts", start + chain(TO_DEVICE, 0, 1, 2, 3, 200) + chain(INDIRECT, 8, 1, 100, 100) + rx + take
        yield f"{name}-rx-long", start + chain(TO_DEVICE, 0, 192, 192) + chain(INDIRECT, 8, 192, 192, 192) + rx
        yield f"{name}-tx", start + buffers + tx + take + tx
        yield f"{name}-tx-small", start + b"".join(chain(TO_DRIVER, 8 * i, 4) for i in range(6)) + bytes([V_TX, 0, 100, 0]) + take
        yield f"{name}-tx-parts", start + chain(TO_DRIVER, 0, 1, 2, 100) + chain(TO_DRIVER | INDIRECT, 8, 1, 100) + bytes(
            [V_TX, 0x31, 0, 4]) + take
        for label, frame in (("csum", header(1, 0, 0, 34, 6) + v4 + udp), ("tso", header(1, 1, 1000, 34, 16) + v4tcp + tcp),
                             ("ufo", header(1, 3, 1480, 34, 6) + v4 + udp), ("uso6", header(1, 5, 1000, 54, 6) + v6 + udp)):
            yield f"{name}-{label}", start + chain(TO_DEVICE, 0, 160, frame=frame) + buffers + back + take
        yield f"{name}-wrong-way", start + chain(TO_DRIVER, 0, 9) + rx + chain(TO_DEVICE, 8, 9) + tx + take
        yield f"{name}-arm", start + bytes([V_EVENT, 1, 0, 2, V_ARM, 1]) + chain(TO_DEVICE, 0, 9) + bytes([V_ARM, 1]) + rx + bytes([V_ARM, 0])
        for kind in range(4):
            yield f"{name}-successor-{kind}", (start + buffers + bytes([V_TX, 1, 0, 2, V_SUCCESSOR, kind, 2, 0x80]) + tx + take)
        yield f"{name}-desc", start + b"".join(bytes([V_DESC, i, 64, i, 2, 100, 20]) for i in range(4)) + bytes([V_AVAIL, 0, 4]) + rx
        yield f"{name}-loop", start + bytes([V_DESC, 0, 65, 0, 0, 0, 20, V_AVAIL, 0, 1]) + rx
        yield f"{name}-table", start + bytes([V_TABLE, 0, 0, 1, 0, 0, 0, 20, V_DESC, 0, 68, 0, 4, 0, 4, V_AVAIL, 0, 1]) + rx + take


def dictionary():
    """Words of the schema, for the targets that read text."""
    with open(os.path.join(ROOT, "docs", "objects.md")) as f:
        words = set(re.findall(r"`([A-Za-z0-9_.:/\"-]{2,40})`", f.read()))
    words |= {"changes", "config", "replace", "dry_run", "confirm_seconds", "op", "put", "delete", "patch", "type", "object",
              "fe80::1", "::/0", "0.0.0.0/0", "10.244.1.9", "***", "null", "true", "false"}
    return "".join('"' + w.replace("\\", "\\\\").replace('"', '\\"') + '"\n' for w in sorted(words))


def main():
    for target in (packet, fragment, config, api, memif, memif_client, vhost):
        directory = os.path.join(HERE, "corpus", target.__name__)
        shutil.rmtree(directory, ignore_errors=True)
        os.makedirs(directory)
        count = 0
        for name, data in target():
            with open(os.path.join(directory, name), "wb") as f:
                f.write(data if isinstance(data, bytes) else data.encode("latin-1", "replace"))
            count += 1
        print(f"{target.__name__}: {count} seeds")
    with open(os.path.join(HERE, "words.dict"), "w") as f:
        f.write(dictionary())


if __name__ == "__main__":
    main()
