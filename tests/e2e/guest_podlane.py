# SPDX-License-Identifier: Apache-2.0
"""A QEMU guest that is a node: podlaned inside, on NICs that QEMU emulates and that vfio-pci gives to DPDK, behind an emulated
IOMMU. Each NIC is on the lab's bridge by a TAP. Its API is asked by a script inside, its commands are the guest's."""

import contextlib
import hashlib
import json
import os
import re
import shlex
import socket
import struct

from guest import Guest
from guest_image import podlane_image
from lab import PodlaneNode, wait_for

# Runs in the guest as long as it does. Hands requests on to the daemon: each is its length in four bytes, then its bytes; so is the
# answer. No daemon, no answer: length 0.
RELAY = """
import socket, struct, sys
port = open(sys.argv[1], 'r+b', buffering=0)
def take(n):
    data = b''
    while len(data) < n:
        data += port.read(n - len(data))
    return data
while True:
    request = take(*struct.unpack('!I', take(4)))
    answer = b''
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(sys.argv[2])
            s.sendall(request)
            while chunk := s.recv(1 << 20):
                answer += chunk
    except OSError:
        pass
    answer = struct.pack('!I', len(answer)) + answer
    while answer:
        answer = answer[port.write(answer):]
"""

# Takes one connection at each address, says what came; and sends a file to each address.
READER = """
import hashlib, socket, sys
def server(a):
    return socket.create_server((a, 7000), family=socket.AF_INET6 if ':' in a else socket.AF_INET)
sockets = [server(a) for a in sys.argv[1:]]
print('ready', flush=True)
for s in sockets:
    c, _ = s.accept()
    h = hashlib.sha256()
    while data := c.recv(1 << 20):
        h.update(data)
    print(h.hexdigest(), flush=True)
"""
WRITER = """
import socket, sys
for a in sys.argv[2:]:
    with socket.create_connection((a, 7000), timeout=20) as s:
        s.sendall(open(sys.argv[1], 'rb').read())
"""

# QEMU's device of a model. With an IOMMU virtio has to be told that it is behind it.
MODELS = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "vmxnet3": "vmxnet3",
    "virtio": "virtio-net-pci,iommu_platform=on,disable-legacy=on",
}
WIRE_MTU = 9000


class Nic:
    def __init__(self, index, model):
        self.model, self.index = model, index
        self.slot = 0x10 + index
        self.address = f"0000:00:{self.slot:02x}.0"
        self.mac = f"02:00:5e:00:04:{index:02x}"
        self.tap = f"nic{index}"
        self.id = f"dev{index}"


class GuestPod:
    """A network namespace in the guest, for a pod of its node; without a name the guest's own."""

    def __init__(self, guest, name, addresses):
        self.guest, self.short, self.addresses = guest, name, addresses
        self.v4, self.v6 = addresses
        if name is not None:
            guest.sh("ip", "netns", "add", name)

    mtu = 1430

    def object(self):
        return {"name": self.short, "kind": "tap", "netns": self.short, "addresses": self.addresses, "mtu": self.mtu}

    def prefix(self):
        return f"ip netns exec {self.short} " if self.short is not None else ""

    def sh(self, *argv, **kwargs):
        return self.guest.sh(self.prefix() + shlex.join(str(a) for a in argv), **kwargs)

    def ping(self, targets, sizes=(56,), count=2):
        """All the targets with all the sizes; a command each way of the guest costs more than they do."""
        self.guest.put_file("ping.sh", f"""for t in {' '.join(targets)}; do
            for s in {' '.join(map(str, sizes))}; do
                ping -n -q -c {count} -i 0.02 -W 3 -s $s $t >ping.out
                grep -q ' 0% packet loss' ping.out || {{ cat ping.out; exit 1; }}
            done
        done""")
        self.sh("sh", "./ping.sh")


class PodlaneGuest(Guest, PodlaneNode):
    """Boots with all NICs it may ever use; the uplink is on `nic`."""

    memory, cpus = 640, 2
    machine, accel = "q35", os.environ.get("PODLANE_GUEST_ACCEL", "tcg,thread=multi,tb-size=256")
    kernel_options = "intel_iommu=on hugepages=112"

    def __init__(self, lab, name, index, models, mtu=1500):
        Guest.__init__(self, lab, name)
        self.name, self.index, self.mtu = name, index, mtu
        self.underlay4, self.underlay6 = f"192.0.2.{index}", f"2001:db8::{index}"
        self.pool4, self.pool6 = f"10.244.{index}.0/24", f"fd00:244:{index}::/64"
        self.vtep_mac = f"02:00:c0:00:02:{index:02x}"
        self.workers, self.extra_node, self.memory_options = None, "", 'hugepages = "required"; memory_mb = 96;'
        self.uplink_driver, self.uplink_more, self.addresses = "pci", "", True
        self.nics = {m: Nic(i, m) for i, m in enumerate(models)}
        self.conf, self.api_socket = os.path.join(lab.dir, f"{name}.conf"), "/run/podlane/api.sock"
        lab.namespaces.append(self)

    def image(self):
        return podlane_image()

    def network(self):
        switch = self.lab.switch
        argv = ["-device", "intel-iommu,intremap=on,aw-bits=48",
                "-chardev", f"socket,id=api,path={self.lab.dir}/{self.short}.api,server=on,wait=off",
                "-device", "virtserialport,chardev=api,name=api",
                "-qmp", f"unix:{self.lab.dir}/{self.short}.qmp,server=on,wait=off"]
        for nic in self.nics.values():
            switch.sh("ip", "tuntap", "add", "dev", nic.tap, "mode", "tap", "vnet_hdr")
            switch.sysctl(f"net.ipv6.conf.{nic.tap}.disable_ipv6", 1)
            switch.sh("ip", "link", "set", nic.tap, "mtu", WIRE_MTU, "master", "br0", "up")
            argv += ["-netdev", f"tap,id=net{nic.index},ifname={nic.tap},script=no,downscript=no",
                     "-device", f"{MODELS[nic.model]},netdev=net{nic.index},id={nic.id},mac={nic.mac},romfile=,addr={nic.slot:#x}"]
        return argv

    def boot(self):
        super().boot()
        self.api = self._connect("api")  # first: reading a port that nobody has open does not wait
        self.put_file("relay.py", RELAY)
        self.put_file("reader.py", READER)
        self.put_file("writer.py", WRITER)
        self.sh("""mkdir -p /run/podlane
            python3 relay.py /dev/vport*p2 /run/podlane/api.sock >relay.out 2>&1 &
            head -c 2097152 /dev/urandom >data""")
        self.data_hash = self.sh("sha256sum data").split()[0]
        return self

    def _connect(self, name):
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(self.lab.dir, f"{self.short}.{name}"))
        s.settimeout(30)
        return s

    def put_file(self, name, text):
        self.sh(f"cat >{name} <<'END_OF_FILE'\n{text}\nEND_OF_FILE")

    def monitor(self, command, **arguments):
        """One command of QEMU's."""
        with self._connect("qmp") as s, s.makefile("rw") as f:
            f.readline()
            for one in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                f.write(json.dumps(one) + "\n")
                f.flush()
                answer = {}
                while "return" not in answer and "error" not in answer:  # others are events
                    answer = json.loads(f.readline())
                assert "return" in answer, answer

    # --- the daemon ---

    def use(self, model):
        self.nic = self.nics[model]
        self.uplink_device = self.nic.address
        return self

    def bind(self, model):
        """To vfio-pci. A NIC is not let go of while a daemon has it: that would wait for ever."""
        if self.runs():
            self.stop()
        self.sh(f"driverctl set-override {self.nics[model].address} vfio-pci")

    def uplink_fields(self):
        return PodlaneNode.uplink_fields(self) if self.addresses else ""

    def write_conf(self, *args, **kwargs):
        PodlaneNode.write_conf(self, *args, **kwargs)
        with open(self.conf) as f:
            self.put_file("podlane.conf", f.read())
        return self

    def start(self, wait=True, options=(), fresh=True):
        """fresh: without the state of earlier daemons."""
        self.sh(f"""{'rm -rf state; >podlaned.log' if fresh else ''}
            podlaned {shlex.join(options)} --config podlane.conf --state state >>podlaned.log 2>&1 &
            echo $! >podlaned.pid""")
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        def ready():
            if not self.runs():
                raise RuntimeError(f"{self.short}: podlaned ended\n{self.log_tail()}")
            return self.get("/readyz", raw=True)[0] == 200
        wait_for(f"{self.short}: podlaned ready", ready, timeout, 0.1)

    def runs(self):
        return self.sh("test -d /proc/$(cat podlaned.pid) && echo yes", check=False).strip() == "yes"

    def stop(self, sig="TERM"):
        self.sh(f"pid=$(cat podlaned.pid); kill -{sig} $pid; while test -d /proc/$pid; do sleep 0.02; done")

    def upgrade(self, by_hand=False):
        """The daemon starts its successor and makes room for it."""
        old = self.get("/v1/state/node")["pid"]
        self.sh(f"kill -USR2 {old}")

        def replaced():
            new = self.get("/v1/state/node")["pid"]
            return new if new != old and self.get("/readyz", raw=True)[0] == 200 else None
        new = wait_for(f"{self.short}: a successor", replaced, 20, 0.1)
        self.sh(f"echo {new} >podlaned.pid")

    def log_tail(self, lines=60):
        with contextlib.suppress(AssertionError, OSError):
            return "\n".join(self.sh("cat podlaned.log", check=False).splitlines()[-lines:]) + "\n" + Guest.log_tail(self, 10)
        return Guest.log_tail(self)

    def exchange(self, request, timeout):
        self.api.settimeout(timeout)
        self.api.sendall(struct.pack("!I", len(request)) + request)

        def take(n):
            data = b""
            while len(data) < n:
                data += self.api.recv(n - len(data))
            return data
        return take(*struct.unpack("!I", take(4)))

    def cli(self, *argv, **kwargs):
        return self.sh("podlane", *argv, **kwargs)

    def uplink(self):
        return next(p for p in self.get("/v1/state/ports") if p["role"] == "uplink")

    def free_hugepages(self):
        return int(re.search(r"HugePages_Free:\s+(\d+)", self.sh("cat /proc/meminfo")).group(1))

    # --- TCP with a checked payload, both families ---

    def send(self, source, sink, addresses=None):
        """From a pod of the guest to a namespace of the lab."""
        addresses = addresses or [sink.v4, sink.v6]
        reader = sink.popen("/usr/bin/python3", "-c", READER, *addresses, log=f"reader-{sink.short}-{os.urandom(4).hex()}")
        wait_for("reader listens", lambda: "ready" in open(reader.log).read())
        source.sh("python3", "writer.py", "data", *addresses, timeout=60)
        reader.wait(20)
        assert open(reader.log).read().split() == ["ready", self.data_hash, self.data_hash]

    def receive(self, source, sink, addresses=None):
        """From a namespace of the lab to a pod of the guest."""
        addresses = addresses or sink.addresses
        path, data = os.path.join(self.lab.dir, "data"), os.urandom(2 << 20)
        with open(path, "wb") as f:
            f.write(data)
        self.sh(f"{sink.prefix()}python3 reader.py {shlex.join(addresses)} >reader.out 2>&1 & echo $! >reader.pid\n"
                "until grep -q ready reader.out; do sleep 0.05; done")
        source.sh("/usr/bin/python3", "-c", WRITER, path, *addresses, timeout=60)
        out = self.sh("while test -d /proc/$(cat reader.pid); do sleep 0.05; done; cat reader.out")
        assert out.split() == ["ready", *[hashlib.sha256(data).hexdigest()] * len(addresses)], out
