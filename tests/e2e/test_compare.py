# SPDX-License-Identifier: Apache-2.0
"""The devices that perf/compare measures do the job they are measured at: the same frames go into each, and what comes out is
decoded and held against the same expectation. No timing is looked at.

testpmd joins memif and vhost-user ports to TAPs, so that a Python socket is the generator everywhere."""

import os
import select
import socket
import subprocess
import sys
import types

import pytest

from lab import BUILD, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "perf"))

import bed  # noqa: E402
import duts  # noqa: E402
import figures  # noqa: E402
import ovs  # noqa: E402

from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402
from scapy.packet import Raw  # noqa: E402

ETH_P_ALL = 3
COUNT = 20


class Wire:
    """Both ends of the generator as packet sockets; ARP for the peer is answered on the way."""

    def __init__(self, b, queues):
        self.bed, self.queues = b, queues
        if b.kind != "veth":
            self.join()
        self.sockets = {}
        with b.gen.entered():
            for name, end in b.ends.items():
                s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                s.bind((end.outer, 0))
                self.sockets[name] = s

    def join(self):
        vdevs = []
        for end in self.bed.ends.values():
            vdevs += [f"--vdev={end.generator()}",
                      f"--vdev=net_tap{end.index},iface={end.outer}"]
        # The order of devices is the order of ports, and neighbours are paired.
        self.bed.gen.popen("chrt", "-i", "0", "dpdk-testpmd", "--no-huge", "-m", "192", *duts.TESTPMD[:2], "--no-shconf",
                           f"--file-prefix={self.bed.gen.name}", "--lcores", "0@0-1,1@0-1", *vdevs, "--", "--forward-mode=io",
                           "--auto-start", "--disable-link-check", "--total-num-mbufs=8192", "--nb-cores=1", "--no-mlockall",
                           "--port-topology=paired", f"--rxq={self.queues}",
                           f"--txq={self.queues}", log="join.log", stdin=subprocess.PIPE)
        for end in self.bed.ends.values():
            wait_for(f"{end.outer} of testpmd", lambda e=end: e.outer in self.bed.gen.sh("ip", "-o", "link"), 20)
            self.bed.gen.sysctl(f"net.ipv6.conf.{end.outer}.disable_ipv6", 1)
            self.bed.gen.sh("ip", "link", "set", end.outer, "up")

    def send(self, name, frame):
        self.sockets[name].send(bytes(frame))

    def receive(self, name, seconds):
        """Frames that arrived at one end; requests for the peer's address are answered."""
        frames = []
        while select.select([self.sockets[name]], [], [], seconds)[0]:
            data, address = self.sockets[name].recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            frame = Ether(data)
            if ARP in frame:
                if frame[ARP].op == 1 and frame[ARP].pdst == bed.PEER:
                    self.send(name, Ether(src=bed.PEER_MAC, dst=frame.src) / ARP(
                        op=2, hwsrc=bed.PEER_MAC, psrc=bed.PEER, hwdst=frame.src, pdst=frame[ARP].psrc))
                continue
            frames.append(frame)
        return frames

    def close(self):
        for s in self.sockets.values():
            s.close()


def make(job, number):
    f = job.frames
    inner = IP(src=f["src"], dst=f["dst"], ttl=64, id=number) / UDP(sport=2000 + number, dport=7) / Raw(b"tagged %04d" % number)
    if "vxlan_vni" not in f:
        return Ether(src=f["src_mac"], dst=f["dst_mac"]) / inner
    return (Ether(src=f["src_mac"], dst=f["dst_mac"]) / IP(src=f["outer_src"], dst=f["outer_dst"]) /
            UDP(sport=50000 + number, dport=f["vxlan_port"], chksum=0) / VXLAN(vni=f["vxlan_vni"], flags=8) /
            Ether(src=f["inner_src_mac"], dst=f["inner_dst_mac"]) / inner)


def checksummed(packet):
    """The same packet with every checksum computed anew."""
    again = IP(bytes(packet))
    layer = again
    while layer is not None and not isinstance(layer, Raw):
        if layer.fields.get("chksum"):  # 0 in UDP means none
            del layer.chksum
        layer = layer.payload if layer.payload else None
    return IP(bytes(again))


def decode(job, frame):
    """What one frame says, as every device must put it. Outer identification and source port are the device's own."""
    fact = {"macs": (frame.src, frame.dst)}
    if job.name == "vxlan-encap":
        outer = frame[IP]
        assert outer.chksum == checksummed(outer).chksum and outer.len == len(outer), "outer IPv4 header"
        assert outer[UDP].len == outer.len - 20 and outer[UDP].chksum == 0
        # scapy knows VXLAN by its port of 4789 only.
        tunnel = VXLAN(bytes(outer[UDP].payload))
        fact |= {"outer": (outer.src, outer.dst, outer[UDP].dport), "vni": tunnel.vni, "flags": int(tunnel.flags),
                 "inner_macs": (tunnel[Ether].src, tunnel[Ether].dst)}
        frame = tunnel[Ether]
    inner = frame[IP]
    assert bytes(inner)[:inner.len] == bytes(checksummed(bytes(inner)[:inner.len])), "inner checksums"
    return fact | {"inner": (inner.src, inner.dst, inner.ttl, inner.id, inner[UDP].sport, inner[UDP].dport),
                   "payload": bytes(inner[UDP].payload)[:inner[UDP].len - 8]}


def expected(job, number):
    f = job.frames
    fact = {"inner": (f["src"], f["dst"], 63, number, 2000 + number, 7), "payload": b"tagged %04d" % number}
    if job.name == "l3":
        return fact | {"macs": (bed.GATEWAY_MAC, bed.POD2_MAC)}
    if job.name == "vxlan-decap":
        return fact | {"macs": (bed.GATEWAY_MAC, bed.POD_MAC)}
    return fact | {"macs": (bed.NODE_MAC, bed.PEER_MAC), "outer": (bed.NODE, bed.PEER, bed.VXLAN_PORT), "vni": bed.VNI, "flags": 8,
                   "inner_macs": (bed.NODE_VTEP, bed.PEER_VTEP)}


class Died(Exception):
    """The device ended by itself while its ports were being connected."""


def run(dut, job, kind):
    with bed.Bed(job, kind, 0, 1) as b:
        device = dut(b, os.path.abspath(BUILD))
        device.rx_queues = device.generator_queues()  # testpmd sends on as many as it receives on
        device.start()
        wire = Wire(b, device.generator_queues())

        def passes():
            """Ports and neighbours are there when a frame gets through."""
            if device.process is not None and device.process.poll() is not None:
                raise Died(f"{dut.name} ended with {device.process.returncode}\n{device.log_tail()}")
            wire.send(job.enter, make(job, 0))
            return [f for f in wire.receive(job.leave, 0.2) if IP in f]
        try:
            wait_for(f"{dut.name} forwards", passes, 15)
            wire.receive(job.leave, 0.2)
            for number in range(1, COUNT + 1):
                wire.send(job.enter, make(job, number))
            got = [decode(job, f) for f in wire.receive(job.leave, 0.5) if IP in f]
            assert sorted(got, key=lambda g: g["payload"]) == [expected(job, n) for n in range(1, COUNT + 1)]
        except AssertionError:
            print(device.counters())
            raise
        finally:
            wire.close()
            device.stop()


# The kernel has no memif.
@pytest.mark.parametrize("dut, kind", [(d, k) for d in (duts.Podlane, ovs.Ovs, duts.Kernel) for k in ("memif", "veth")
                                       if k in d.kinds], ids=lambda x: x if isinstance(x, str) else x.name)
@pytest.mark.parametrize("job", list(bed.JOBS))
def test_does_the_job(dut, job, kind):
    if dut.refuses(kind):
        pytest.skip(dut.refuses(kind))
    job = bed.JOBS[job]
    try:
        run(dut, job, kind)
    except Died:
        # OVS polls DPDK's memif server without a pause, which now and then crashes while a client connects with several
        # queues. That is no matter of ours; twice in a row would be.
        if dut is not ovs.Ovs or kind != "memif":
            raise
        run(dut, job, kind)


# --- what may be compared -----------------------------------------------------------------------------------------------------


def record(dut, mpps, before, after):
    return {"dut": dut, "job": "l3", "ports": "memif", "flows": 1, "size": 64, "turn": 0, "mpps": mpps, "latency": {},
            "cacheline": [before, after], "state": figures.state(before, after), "generator_limited": False}


@pytest.mark.parametrize("before, after, state", [
    (48, 52, "shared"), (215, 230, "near"), (480, 620, "near"), (790, 810, "near"), (990, 1040, "far"), (215, 1000, "mixed"), (48, 215, "mixed"),
    (400, 601, "mixed"), (None, 215, "unknown"), (0, 0, "unknown")])
def test_state_of_a_run(before, after, state):
    assert figures.state(before, after) == state


def test_runs_in_different_states_are_not_compared(capsys):
    """Podlane had fast runs near and slow ones far, the other only far ones: the ratio is of the far ones. What changed stands alone."""
    args = types.SimpleNamespace(ports=["memif"], jobs=[bed.JOBS["l3"]], flows=[1], sizes=[64], duts=[duts.Podlane, duts.Testpmd], no_latency=True)
    far = [record("podlane", m, 1000, 1010) for m in (5, 6, 7)] + [record("testpmd", m, 1000, 1010) for m in (11, 12, 13)]
    figures.tables(args, far + [record("podlane", 24, 215, 220), record("testpmd", 99, 215, 1000)], [])
    parts = capsys.readouterr().out.split("### ")[1:]
    assert len(parts) == 3
    assert "(far:" in parts[0] and "| *podlane / testpmd* | 0.50 x |" in parts[0] and "24" not in parts[0] and "99" not in parts[0]
    assert "(near:" in parts[1] and "24.00" in parts[1] and "podlane / testpmd" not in parts[1]
    assert "Not comparable" in parts[2] and "99.00" in parts[2] and " x |" not in parts[2]
