# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom: every end opens a connection to every port of every other, all at the same time, from one process with
sockets in all the namespaces. TCP and UDP are the kernel's; SCTP is an INIT and its answer over raw sockets, because not
every kernel has that protocol.

An end has: name, ns (a lab.Namespace), address(family).
"""

import collections
import select
import socket
import struct
import time

SCTP = 132
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Probe = collections.namedtuple("Probe", "family protocol source destination port")


def _crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC = _crc32c_table()


def sctp_packet(sport, dport, tag, chunk):
    """RFC 9260 section 3: common header and one chunk, INIT (1) or INIT ACK (2)."""
    def with_sum(value):
        head = struct.pack("!HHI", sport, dport, tag) + struct.pack("<I", value)
        return head + struct.pack("!BBHIIHHI", chunk, 0, 20, 0x01020304, 65536, 1, 1, 1)
    crc = 0xFFFFFFFF
    for byte in with_sum(0):
        crc = crc >> 8 ^ CRC[(crc ^ byte) & 0xFF]
    return with_sum(crc ^ 0xFFFFFFFF)


class End:
    """One namespace's sockets: servers on all ports, and what asks."""

    def __init__(self, prober, end):
        self.prober, self.end = prober, end
        self.udp, self.sctp, self.listeners = {}, {}, []
        with end.ns.entered():
            for family, af in prober.families.items():
                for port in prober.ports:
                    self.serve(family, af, port)
                raw = socket.socket(af, socket.SOCK_RAW, SCTP)
                raw.setblocking(False)
                self.sctp[family] = raw
                prober.watch(raw, lambda s=raw, f=family: self.on_sctp(s, f))

    def serve(self, family, af, port):
        tcp = socket.socket(af, socket.SOCK_STREAM)
        udp = socket.socket(af, socket.SOCK_DGRAM)
        for s in (tcp, udp):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setblocking(False)
            s.bind((self.end.address(family), port))
        tcp.listen(1024)
        self.listeners += [tcp, udp]
        self.prober.watch(tcp, lambda: self.on_accept(tcp, family, port))
        self.prober.watch(udp, lambda: self.on_udp_request(udp, family, port))

    # What arrives here is noted even if its answer gets lost.

    def on_accept(self, listener, family, port):
        while True:
            try:
                s, peer = listener.accept()
            except BlockingIOError:
                return
            self.prober.note(family, "TCP", peer[0], self.end, port)
            s.close()

    def on_udp_request(self, s, family, port):
        while True:
            try:
                data, peer = s.recvfrom(64)
            except BlockingIOError:
                return
            if data == self.prober.run_id:
                self.prober.note(family, "UDP", peer[0], self.end, port)
            s.sendto(data, peer)

    def on_udp_answer(self, s, family):
        while True:
            try:
                data, peer = s.recvfrom(64)
            except BlockingIOError:
                return
            if data == self.prober.run_id:
                self.prober.success(family, "UDP", self.end, peer[0], peer[1])

    def on_sctp(self, s, family):
        while True:
            try:
                data, peer = s.recvfrom(256)
            except BlockingIOError:
                return
            if family == 4:
                data = data[(data[0] & 15) * 4:]
            sport, dport, _, _, chunk = struct.unpack("!HHIIB", data[:13])
            if chunk == 1 and dport in self.prober.ports:
                if sport == self.prober.sctp_port:
                    self.prober.note(family, "SCTP", peer[0], self.end, dport)
                s.sendto(sctp_packet(dport, sport, 0x01020304, 2), (peer[0], 0))
            elif chunk == 2 and dport == self.prober.sctp_port:
                self.prober.success(family, "SCTP", self.end, peer[0], sport)

    def udp_client(self, family):
        if family not in self.udp:
            s = socket.socket(self.prober.families[family], socket.SOCK_DGRAM)
            s.setblocking(False)
            s.bind((self.end.address(family), 0))
            self.udp[family] = s
            self.prober.watch(s, lambda: self.on_udp_answer(s, family))
        return self.udp[family]

    def forget_clients(self):
        for s in self.udp.values():
            self.prober.unwatch(s)
        self.udp = {}


class Prober:
    def __init__(self, ends, ports, families=(4, 6)):
        self.families = {f: FAMILIES[f] for f in families}
        self.ports = tuple(ports)
        self.epoll = select.epoll()
        self.handlers = {}
        self.by_address = {e.address(f): e for e in ends for f in families}
        self.runs = 0
        self.connecting = {}
        self.begin()
        self.ends = {e.name: End(self, e) for e in ends}

    def begin(self):
        self.runs += 1
        self.run_id = b"probe %d" % self.runs
        self.sctp_port = 20000 + self.runs % 30000
        self.arrived, self.answered = set(), set()

    def watch(self, s, handler, events=select.EPOLLIN):
        self.handlers[s.fileno()] = handler, s
        self.epoll.register(s.fileno(), events)

    def unwatch(self, s):
        if s.fileno() in self.handlers:
            del self.handlers[s.fileno()]
            self.epoll.unregister(s.fileno())
        s.close()

    def note(self, family, protocol, source, end, port):
        source = self.by_address.get(source)
        if source is not None:
            self.arrived.add(Probe(family, protocol, source.name, end.name, port))

    def success(self, family, protocol, end, destination, port):
        destination = self.by_address.get(destination)
        if destination is not None:
            self.answered.add(Probe(family, protocol, end.name, destination.name, port))

    def on_connected(self, s, probe):
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self.answered.add(probe)
        self.close_tcp(s)

    def close_tcp(self, s):
        self.connecting.pop(s, None)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.unwatch(s)

    def ask(self, probe, destination):
        end = self.ends[probe.source]
        address = destination.address(probe.family)
        try:
            if probe.protocol == "UDP":
                end.udp_client(probe.family).sendto(self.run_id, (address, probe.port))
            elif probe.protocol == "SCTP":
                end.sctp[probe.family].sendto(sctp_packet(self.sctp_port, probe.port, 0, 1), (address, 0))
            else:
                s = socket.socket(self.families[probe.family], socket.SOCK_STREAM)
                s.setblocking(False)
                s.bind((end.end.address(probe.family), 0))
                s.connect_ex((address, probe.port))
                self.connecting[s] = probe
                self.watch(s, lambda: self.on_connected(s, probe), select.EPOLLOUT | select.EPOLLERR | select.EPOLLHUP)
        except OSError:
            pass  # asked again, if it should work

    def send(self, probes, destinations):
        """In the order of sources, because a socket is made in its namespace."""
        by_source = collections.defaultdict(list)
        for p in probes:
            by_source[p.source].append(p)
        for source, asked in by_source.items():
            with self.ends[source].end.ns.entered():
                for p in asked:
                    self.ask(p, destinations[p.destination])
            self.poll(0)

    def poll(self, timeout):
        for fd, _ in self.epoll.poll(timeout):
            handler = self.handlers.get(fd)
            if handler is not None:
                handler[0]()

    def run(self, probes, expected, fresh=True, linger=0.02, patience=5.0):
        """Ask all `probes`; those in `expected` are waited for. @return (arrived, answered), sets of Probe. Without
        `fresh`, UDP goes on with the flows of the time before."""
        destinations = {e.end.name: e.end for e in self.ends.values()}
        self.begin()
        if fresh:
            for e in self.ends.values():
                e.forget_clients()
        self.send(probes, destinations)
        end, again = time.monotonic() + patience, time.monotonic() + 0.25
        while not expected <= self.answered and time.monotonic() < end:
            self.poll(0.02)
            if time.monotonic() > again:  # a socket's queue was full, an address not resolved
                again = time.monotonic() + 0.25
                self.send([p for p in expected - self.answered if p.protocol != "TCP"], destinations)
        quiet = time.monotonic() + linger
        while time.monotonic() < quiet:
            self.poll(0.005)
        for s in list(self.connecting):
            self.close_tcp(s)
        return self.arrived, self.answered
