# SPDX-License-Identifier: Apache-2.0
"""A vhost-user front end with a virtio driver, small enough to be killed and to say anything: one queue pair, split or packed
rings of 64, after the vhost-user and virtio 1.3 specifications. Frames are written and read by the caller."""

import array
import contextlib
import mmap
import os
import socket
import struct
import time

SIZE = 64
GUEST, USER = 0x40000000, 0x7F0000000000  # where the memory is for the driver, and for the front end
MEMORY = 8 << 20
BUFFERS = (0x10000, 0x10000 + SIZE * 2048)  # towards us, from us
LENGTHS = (2048, 66048)
NEXT, WRITE, AVAIL, USED = 1, 2, 1 << 7, 1 << 15
TO_DRIVER, TO_DEVICE = 0, 1

FEATURES = {"csum": 0, "guest_csum": 1, "guest_tso4": 7, "guest_tso6": 8, "guest_ufo": 10, "host_tso4": 11, "host_tso6": 12,
            "host_ufo": 14, "mrg_rxbuf": 15, "protocol": 30, "version_1": 32, "packed": 34, "guest_uso4": 54, "guest_uso6": 55,
            "host_uso": 56}
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 11, 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_VRING_ENABLE, GET_INFLIGHT_FD, SET_INFLIGHT_FD = 15, 16, 18, 31, 32
INFLIGHT_SHMFD = 12


class Ring:
    """The driver's side of a queue. What is out is by id; what comes back must be."""

    def __init__(self, index, memory, packed):
        self.index, self.memory, self.packed = index, memory, packed
        self.desc = index * 0x4000
        self.avail, self.used = self.desc + 0x1000, self.desc + 0x2000
        self.next = self.last = 0
        self.wrap = self.last_wrap = True
        self.out, self.free = {}, list(range(SIZE))

    def buffer(self, ident):
        return BUFFERS[self.index] + ident * LENGTHS[self.index]

    def offer(self, length, what=None):
        """A buffer, to be found by its id later; `what` is the caller's."""
        ident = self.free.pop(0)
        self.out[ident] = what
        flags = WRITE if self.index == TO_DRIVER else 0
        address = GUEST + self.buffer(ident)
        if self.packed:
            at = self.desc + 16 * self.next
            struct.pack_into("<QIH", self.memory, at, address, length, ident)
            struct.pack_into("<H", self.memory, at + 14, flags | (AVAIL if self.wrap else USED))
            self.next = (self.next + 1) % SIZE
            self.wrap ^= self.next == 0
        else:
            struct.pack_into("<QIHH", self.memory, self.desc + 16 * ident, address, length, flags, 0)
            struct.pack_into("<H", self.memory, self.avail + 4 + 2 * (self.next % SIZE), ident)
            self.next = (self.next + 1) % 65536
            struct.pack_into("<H", self.memory, self.avail + 2, self.next)

    def take(self):
        """(id, length, what) of a used buffer, or None. One that is not out is a defect."""
        if self.packed:
            at = self.desc + 16 * self.last
            flags, = struct.unpack_from("<H", self.memory, at + 14)
            if bool(flags & AVAIL) != self.last_wrap or bool(flags & USED) != self.last_wrap:
                return None
            length, ident = struct.unpack_from("<IH", self.memory, at + 8)
            self.last = (self.last + 1) % SIZE
            self.last_wrap ^= self.last == 0
        else:
            if struct.unpack_from("<H", self.memory, self.used + 2)[0] == self.last:
                return None
            ident, length = struct.unpack_from("<II", self.memory, self.used + 4 + 8 * (self.last % SIZE))
            self.last = (self.last + 1) % 65536
        assert ident in self.out, f"buffer {ident} comes back but is not out"
        self.free.append(ident)
        return ident, length, self.out.pop(ident)


class VhostPeer:
    def __init__(self, path, packed=True, inflight=False, features=()):
        self.path, self.packed = path, packed
        self.wanted = {"protocol", "version_1", "mrg_rxbuf", "csum", "guest_csum", *features} | ({"packed"} if packed else set())
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, MEMORY)
        self.memory = mmap.mmap(self.fd, MEMORY)
        self.rings = [Ring(i, self.memory, packed) for i in range(2)]
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.inflight = inflight
        self.area = None  # (payload, descriptor) of what is in flight: kept for the next back end
        self.socket = None
        if packed:  # it polls
            for ring in self.rings:
                struct.pack_into("<HH", self.memory, ring.avail, 0, 1)
        else:
            for ring in self.rings:
                struct.pack_into("<H", self.memory, ring.avail, 1)

    # --- messages ---

    def tell(self, request, payload=b"", fds=()):
        data = struct.pack("<III", request, 1, len(payload)) + payload
        socket.send_fds(self.socket, [data], list(fds))

    def ask(self, request, payload=b""):
        """The answer's payload and descriptors."""
        self.tell(request, payload)
        data, fds, _, _ = socket.recv_fds(self.socket, 4096, 8)
        if not data:
            raise ConnectionError("the back end hung up")
        answered, _, size = struct.unpack("<III", data[:12])
        assert answered == request and len(data) == 12 + size, data
        return data[12:], list(array.array("i", fds))

    def dial(self):
        self.hang_up()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(self.path)
        return self

    def negotiate(self):
        for _ in range(200):  # the one before us may not have been seen to go
            try:
                offered, = struct.unpack("<Q", self.ask(GET_FEATURES)[0])
                break
            except ConnectionError:
                time.sleep(0.01)
                self.dial()
        bits = {name for name in self.wanted if offered >> FEATURES[name] & 1}
        self.missing = self.wanted - bits
        protocol, = struct.unpack("<Q", self.ask(GET_PROTOCOL_FEATURES)[0])
        if self.inflight:
            assert protocol >> INFLIGHT_SHMFD & 1
        self.tell(SET_PROTOCOL_FEATURES, struct.pack("<Q", 1 << INFLIGHT_SHMFD if self.inflight else 0))
        self.tell(SET_OWNER)
        self.tell(SET_FEATURES, struct.pack("<Q", sum(1 << FEATURES[name] for name in bits)))
        return self

    def connect(self):
        """From nothing to rings that run. Positions are said to be at the beginning, as front ends do that lost them."""
        self.dial().negotiate()
        if self.inflight:
            if self.area is None:
                payload, fds = self.ask(GET_INFLIGHT_FD, struct.pack("<QQHH4x", 0, 0, 2, SIZE))
                self.area = payload, fds[0]
            self.tell(SET_INFLIGHT_FD, self.area[0], [self.area[1]])
        self.tell(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, GUEST, MEMORY, USER, 0), [self.fd])
        for ring in self.rings:
            i = ring.index
            self.tell(SET_VRING_NUM, struct.pack("<II", i, SIZE))
            self.tell(SET_VRING_BASE, struct.pack("<II", i, 0x8000 if self.packed else 0))
            self.tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", i, 0, USER + ring.desc, USER + ring.used, USER + ring.avail, 0))
            self.tell(SET_VRING_CALL, struct.pack("<Q", i), [self.calls[i]])
            self.tell(SET_VRING_KICK, struct.pack("<Q", i), [self.kicks[i]])
        for i in range(2):
            self.tell(SET_VRING_ENABLE, struct.pack("<II", i, 1))
        return self

    def hang_up(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None

    def close(self):
        self.hang_up()
        for fd in (self.fd, *self.kicks, *self.calls, *([self.area[1]] if self.area else [])):
            with contextlib.suppress(OSError):
                os.close(fd)
        self.memory.close()

    # --- frames ---

    def kick(self, index):
        os.eventfd_write(self.kicks[index], 1)

    def send(self, frame, header=bytes(12), what=None):
        """@return False when no buffer is free."""
        ring = self.rings[TO_DEVICE]
        self.reap()
        if not ring.free:
            return False
        at = ring.buffer(ring.free[0])
        data = header + frame
        self.memory[at:at + len(data)] = data
        ring.offer(len(data), what)
        return True

    def reap(self):
        count = 0
        while self.rings[TO_DEVICE].take() is not None:
            count += 1
        return count

    def fill(self):
        """Offer all free buffers."""
        ring = self.rings[TO_DRIVER]
        while ring.free:
            ring.offer(LENGTHS[TO_DRIVER])
        self.kick(TO_DRIVER)

    def receive(self):
        """(header, frame) of the next packet, or None."""
        ring, data, left = self.rings[TO_DRIVER], b"", 1
        while left:
            got = ring.take()
            if got is None:
                assert not data, "half a frame"
                return None
            ident, length, _ = got
            at = ring.buffer(ident)
            if not data:
                left, = struct.unpack_from("<H", self.memory, at + 10)
            assert 0 < length <= LENGTHS[TO_DRIVER] and left, (length, left)
            data += self.memory[at:at + length]
            left -= 1
        return data[:12], data[12:]


# --- UDP -----------------------------------------------------------------------------------------------------------------

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_frame(macs, addresses, payload, ports=(7000, 7001)):
    """(frame, where UDP begins), with just the pseudo header in its checksum. macs: source and destination."""
    family = socket.AF_INET6 if ":" in addresses[0] else socket.AF_INET
    source, target = (socket.inet_pton(family, a) for a in addresses)
    length = 8 + len(payload)
    pseudo = checksum(source + target + struct.pack(">IHH", length, 0, 17))
    udp = struct.pack(">HHHH", *ports, length, pseudo) + payload
    if family == socket.AF_INET6:
        ip = struct.pack(">IHBB", 6 << 28, length, 17, 64) + source + target
    else:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 99, 0, 64, 17, 0) + source + target
        ip = ip[:10] + struct.pack(">H", 0xFFFF - checksum(ip)) + ip[12:]
    ether = b"".join(bytes.fromhex(m.replace(":", "")) for m in reversed(macs))
    return ether + (b"\x86\xdd" if family == socket.AF_INET6 else b"\x08\x00") + ip + udp, 14 + len(ip)


def virtio_header(start, gso_type=0, gso_size=0):
    """A partial checksum of UDP at start, and what large packet it is."""
    return struct.pack("<BBHHHHH", 1, gso_type, start + 8 if gso_type else 0, gso_size, start, 6, 0)
