# SPDX-License-Identifier: Apache-2.0
"""A connection that lasts, whose every byte is checked: for tests that change things meanwhile.

Run inside namespaces: steady_stream.py serve ADDRESS PORT | send ADDRESS PORT MEGABYTES_A_SECOND (0: as fast as it goes). Both ends
print what they have got so far, ten times a second; the sender's is what the receiver has acknowledged by sending it back as
eight bytes for each that it read, so both directions carry data.
"""

import os
import random
import socket
import struct
import sys
import time

SIZE = 1000003  # of the pattern: no power of two, so that a segment out of place does not fit
CHUNK = 1 << 16


def pattern():
    return random.Random(1).randbytes(SIZE) * 2


def say(count):
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()


def serve(address, port):
    data = pattern()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()
    connection, _ = listener.accept()
    got, told = 0, 0.0
    while True:
        chunk = connection.recv(CHUNK)
        if not chunk:
            break
        at = got % SIZE
        if chunk != data[at:at + len(chunk)]:
            sys.exit(f"wrong data at {got}")
        got += len(chunk)
        if time.monotonic() - told > 0.1:
            told = time.monotonic()
            connection.send(struct.pack("!Q", got))
            say(got)
    say(got)
    print("end")


def send(address, port, rate):
    data = pattern()
    connection = socket.create_connection((address, port), timeout=60)
    connection.setblocking(True)
    sent, acknowledged, begin, told = 0, 0, time.monotonic(), 0.0
    back = b""
    while not os.path.exists(sys.argv[5]):
        at = sent % SIZE
        sent += connection.send(data[at:at + CHUNK])
        try:
            back += connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        while len(back) >= 8:
            (now,), back = struct.unpack("!Q", back[:8]), back[8:]
            if not acknowledged <= now <= sent:
                sys.exit(f"{now} received after {acknowledged}, {sent} sent")
            acknowledged = now
        if time.monotonic() - told > 0.1:
            told = time.monotonic()
            say(acknowledged)
        if rate > 0:
            time.sleep(max(0, begin + sent / rate / 1e6 - time.monotonic()))
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass
    print("end")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
