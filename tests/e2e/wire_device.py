#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A device under test that misbehaves: passes frames between eth0 and eth1 by packet sockets, slowly.

usage: wire_device.py twice | half | reorder | stop N

twice     each frame two times
half      every second frame two times, the others never: as many come out as go in
reorder   frames leave in groups of four, the last one first
stop N    nothing any more after N frames
"""

import select
import socket
import sys

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33


def main():
    mode, limit = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    sockets = []
    for name in ("eth0", "eth1"):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
        s.bind((name, 0))
        sockets.append(s)
    print("ready", flush=True)
    number, group = [0, 0], [[], []]
    while True:
        for s in select.select(sockets, [], [])[0]:
            frame, address = s.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            way = sockets.index(s)
            number[way] += 1
            if mode == "reorder":
                group[way].append(frame)
                out = group[way][::-1] if len(group[way]) == 4 else []
                if out:
                    group[way] = []
            elif mode == "stop":
                out = [frame] if sum(number) <= limit else []
            else:
                out = [frame] * 2 if mode == "twice" or number[way] % 2 else []
            for f in out:
                sockets[1 - way].send(f)


if __name__ == "__main__":
    main()
