# SPDX-License-Identifier: Apache-2.0
"""A QEMU guest with Debian's own kernel as a peer: what this machine's kernel may lack (IP-in-IP, WireGuard), it has.

What it boots is in guest_image.py. No KVM is needed: the guest runs under TCG. It is on the wire through a TAP on the lab's bridge,
with every offload off, so that what is captured is complete.

`PODLANE_GUEST_ACCEL` names another accelerator; the default is what works everywhere.
"""

import base64
import contextlib
import ipaddress
import os
import re
import shlex
import socket
import time

from guest_image import PEER, guest_image
from lab import CommandError, wait_for

ACCEL = os.environ.get("PODLANE_GUEST_ACCEL", "tcg,thread=single,tb-size=256")


class Tunnel:
    """How the guest reaches a peer: the device's `ip` arguments and the inner families it carries."""

    def __init__(self, name, families, underlay, device=None, overhead=0):
        self.name, self.families, self.underlay, self.device, self.overhead = name, families, underlay, device, overhead


# encaplimit none: without it Linux puts a destination option (RFC 2473 section 4.1) before the inner packet.
TUNNELS = {t.name: t for t in (
    Tunnel("ipip", (4,), 4, "type ipip ttl 64 pmtudisc", 20),
    Tunnel("sit", (6,), 4, "type sit ttl 64 pmtudisc", 20),
    Tunnel("ipip6", (4,), 6, "type ip6tnl mode ipip6 encaplimit none", 40),
    Tunnel("ip6ip6", (6,), 6, "type ip6tnl mode ip6ip6 encaplimit none", 40),
    Tunnel("ip6tnl", (4, 6), 6, "type ip6tnl mode any encaplimit none", 40),
    Tunnel("encaplimit", (4, 6), 6, "type ip6tnl mode any encaplimit 4", 48),
    Tunnel("vxlan", (4, 6), 4, "type vxlan id 1 dstport 8472 nolearning", 50),
    Tunnel("direct", (4, 6), None),
)}


class Guest:
    """A machine that runs commands. What it is on the wire by, subclasses say."""

    memory, cpus = 192, 1
    machine, accel, kernel_options = "pc", ACCEL, ""

    def __init__(self, lab, name):
        self.lab, self.short = lab, name
        self.console = os.path.join(lab.dir, f"{name}-console.log")
        self.channel, self.pending, self.token = None, b"", 0
        self.process = None

    def network(self):
        """QEMU's arguments for the network device."""
        raise NotImplementedError

    def image(self):
        return PEER

    def boot(self):
        vmlinuz, initramfs = guest_image(self.image())
        lab = self.lab
        control = os.path.join(lab.dir, f"{self.short}.port")
        self.booted = time.monotonic()
        smp = "nosmp " if self.cpus == 1 else ""
        process = lab.switch.popen(
            "qemu-system-x86_64", "-machine", f"{self.machine},memory-backend=mem", "-accel", self.accel, "-cpu", "max",
            "-smp", self.cpus, "-m", self.memory,
            "-object", f"memory-backend-memfd,id=mem,size={self.memory}M,share=on",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", vmlinuz, "-initrd", initramfs,
            "-append", f"console=ttyS0 loglevel=4 panic=-1 nokaslr mitigations=off {smp}no_timer_check "
            f"tsc=reliable random.trust_cpu=on rdinit=/init {self.kernel_options}",
            "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
            "-chardev", f"socket,id=port,path={control},server=on,wait=on",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=port,name=podlane",
            *self.network(), log=f"{self.short}-qemu.log")

        def connected():
            if process.poll() is not None:
                raise RuntimeError(f"{self.short}: qemu exited with {process.returncode}\n{self.log_tail()}")
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                s.connect(control)
            except OSError:
                s.close()
                raise
            return s
        self.process = process
        self.channel = wait_for(f"{self.short}: qemu's control port", connected, 20)
        line = self._line(90)
        assert line == b"ready", f"{self.short}: instead of `ready`: {line!r}"
        self.boot_seconds = time.monotonic() - self.booted

    # --- commands ---

    def log_tail(self, lines=40):
        """What the guest's kernel and QEMU said last."""
        text = ""
        for path in (self.console, os.path.join(self.lab.dir, f"{self.short}-qemu.log")):
            with contextlib.suppress(OSError), open(path, errors="replace") as f:
                text += "".join(f.readlines()[-lines:])
        return text

    def _line(self, timeout):
        """One line from the guest, without its end."""
        end = time.monotonic() + timeout
        while b"\n" not in self.pending:
            self.channel.settimeout(max(0.01, end - time.monotonic()))
            try:
                chunk = self.channel.recv(65536)
            except TimeoutError:
                raise CommandError(f"{self.short}: no answer in {timeout} s\n{self.log_tail()}") from None
            if not chunk:
                raise CommandError(f"{self.short}: the guest is gone\n{self.log_tail()}")
            self.pending += chunk
        line, _, self.pending = self.pending.partition(b"\n")
        return line

    def sh(self, *argv, check=True, timeout=60):
        """Run a shell script (one argument) or a command (several) in the guest; returns its output."""
        script = argv[0] if len(argv) == 1 else shlex.join(str(a) for a in argv)
        self.token += 1
        self.channel.sendall(b"%d %s\n" % (self.token, base64.b64encode(script.encode() + b"\n")))
        while True:
            token, status, output = (self._line(timeout) + b" ").split(b" ", 2)
            if int(token) == self.token:  # an earlier one belongs to a command that timed out
                break
        text = base64.b64decode(output).decode(errors="replace")
        if check and status != b"0":
            raise CommandError(f"{self.short}: {script}: exit {status.decode()}\n{text}")
        return text

    def ping(self, target, count=3, interval=0.1, size=None, timeout=3, df=False, tos=None, check=True):
        """Ping from the pod-like address of the target's family; returns (sent, received, output)."""
        source = self.v6 if ":" in target else self.v4
        out = self.sh("ping", "-n", "-q", "-c", count, "-i", interval, "-W", timeout, "-I", source,
                      *(["-s", size] if size is not None else []), *(["-M", "do"] if df else []),
                      *(["-Q", tos] if tos is not None else []), target,
                      check=False, timeout=count * interval + timeout + 30)
        match = re.search(r"(\d+) packets transmitted, (\d+) received", out)
        sent, received = map(int, match.groups()) if match else (0, 0)
        if check and (sent == 0 or sent != received):
            raise CommandError(f"{self.short}: ping {target}: {received} of {sent} answered\n{out}")
        return sent, received, out


class GuestNode(Guest):
    """A node of the underlay that is a machine of its own. Has what a peer object needs of a Node."""

    def __init__(self, lab, name, index, mtu=1500):
        super().__init__(lab, name)
        self.index, self.mtu = index, mtu
        self.underlay4, self.underlay6 = f"192.0.2.{index}", f"2001:db8::{index}"
        self.pool4, self.pool6 = f"10.244.{index}.0/24", f"fd00:244:{index}::/64"
        self.v4 = str(ipaddress.ip_network(self.pool4)[10])
        self.v6 = str(ipaddress.ip_network(self.pool6)[0x10])
        self.mac = f"02:00:5e:00:02:{index:02x}"
        self.vtep_mac = f"02:00:c0:00:02:{index:02x}"
        self.tap = f"guest{index}"
        self.devices = {}
        self.boot()
        self._configure()

    def network(self):
        switch = self.lab.switch
        switch.sh("ip", "tuntap", "add", "dev", self.tap, "mode", "tap")
        switch.sysctl(f"net.ipv6.conf.{self.tap}.disable_ipv6", 1)
        switch.sh("ip", "link", "set", self.tap, "mtu", self.mtu, "master", "br0", "up")
        off = ",".join(f"{o}=off" for o in ("csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn",
                                            "guest_ufo", "host_tso4", "host_tso6", "host_ecn", "host_ufo", "mrg_rxbuf"))
        return ["-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no",
                "-device", f"virtio-net-pci,netdev=net,mac={self.mac},romfile=,{off}"]

    def _configure(self):
        self.sh(f"""set -e
            echo 0 > /proc/sys/net/ipv6/conf/all/accept_ra
            echo 1 > /proc/sys/net/ipv4/ip_forward
            echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
            ip link set eth0 mtu {self.mtu} up
            ip addr add {self.underlay4}/24 dev eth0
            ip addr add {self.underlay6}/64 dev eth0 nodad
            ip link add pod0 type dummy
            ip link set pod0 up
            ip addr add {self.v4}/32 dev pod0
            ip addr add {self.v6}/128 dev pod0 nodad""")

    # --- tunnels ---

    def set_tunnel(self, kind, peer, keep=False):
        """Reach the pools of `peer` by one of TUNNELS from now on, for the inner families that it carries.

        keep: leave the other tunnels to this peer as they are, so that packets under way are still accepted; only the
        routes change. Otherwise all devices of this peer are remade, and families the kind can't carry have no route.
        Linux has one ip6tnl device a pair of ends: with keep, use "ip6tnl" rather than "ipip6" and "ip6ip6".
        Returns the largest inner packet.
        """
        tunnel = TUNNELS[kind]
        script = ["set -e"]
        devices = self.devices.setdefault(peer.short, set())
        if not keep:
            script += [f"ip link del {d}" for d in sorted(devices)]
            for family, pool in ((4, peer.pool4), (6, peer.pool6)):
                script.append(f"ip -{family} route flush exact {pool}")
            devices.clear()
        device = "eth0" if tunnel.device is None else f"{kind}{peer.index}"
        if tunnel.device is not None and device not in devices:
            script += self._tunnel_device(tunnel, device, peer)
            devices.add(device)
        for family, pool, source in ((4, peer.pool4, self.v4), (6, peer.pool6, self.v6)):
            if family in tunnel.families:
                via = self._via(tunnel, family, peer)
                script.append(f"ip -{family} route replace {pool} {via} dev {device} src {source}")
        self.sh("\n".join(script))
        return self.mtu - tunnel.overhead

    def _tunnel_device(self, tunnel, device, peer):
        local, remote = ((self.underlay4, peer.underlay4) if tunnel.underlay == 4 else (self.underlay6, peer.underlay6))
        kernel_type = tunnel.device.split()[1]
        module = {"ip6tnl": "ip6_tunnel"}.get(kernel_type, kernel_type)
        script = [f"modprobe {module}"]
        if kernel_type == "vxlan":
            script.append(f"ip link add {device} address {self.vtep_mac} {tunnel.device} local {local} dev eth0")
        else:
            script.append(f"ip link add {device} {tunnel.device} local {local} remote {remote} dev eth0")
        script.append(f"ip link set {device} mtu {self.mtu - tunnel.overhead} up")
        if kernel_type == "vxlan":
            script.append(f"bridge fdb replace {peer.vtep_mac} dev {device} dst {remote}")
            for family, pool in ((4, peer.pool4), (6, peer.pool6)):
                gateway = ipaddress.ip_network(pool)[0]
                # Linux wants an IPv6 gateway on its link even with `onlink` while another route covers it.
                script.append(f"ip -{family} route replace {gateway} dev {device}")
                script.append(f"ip -{family} neigh replace {gateway} lladdr {peer.vtep_mac} dev {device} nud permanent")
        return script

    @staticmethod
    def _via(tunnel, family, peer):
        if tunnel.name == "vxlan":
            return f"via {ipaddress.ip_network(peer.pool4 if family == 4 else peer.pool6)[0]} onlink"
        if tunnel.name == "direct":
            return f"via {peer.underlay4 if family == 4 else peer.underlay6}"
        return ""


class VhostGuest(Guest):
    """A machine that is a vhost pod: virtio-net over vhost-user, its memory shared with the daemon."""

    cpus = 2

    def __init__(self, lab, name, addresses, role="server", queues=1, mtu=1450, **virtio):
        super().__init__(lab, name)
        self.addresses, self.role, self.queues, self.mtu, self.virtio = addresses, role, queues, mtu, virtio
        self.v4 = next((a for a in addresses if ":" not in a), None)
        self.v6 = next((a for a in addresses if ":" in a), None)
        self.socket = os.path.join(lab.dir, f"{name}.vhost")

    def object(self):
        return {"name": self.short, "kind": "vhost", "socket": self.socket, "role": self.role,
                "addresses": self.addresses, "mtu": self.mtu}

    def network(self):
        own = "reconnect=1" if self.role == "server" else "server=on"
        # vectors=0: QEMU 7.2 crashes under TCG when a guest unmasks an MSI-X vector of a vhost device.
        options = {"mac": "02:00:5e:00:03:01", "romfile": "", "host_mtu": self.mtu, "vectors": 0, **self.virtio}
        if self.queues > 1:
            options["mq"] = "on"
        return ["-chardev", f"socket,id=vhost,path={self.socket},{own}",
                "-netdev", f"vhost-user,id=net,chardev=vhost,queues={self.queues}",
                "-device", "virtio-net-pci,netdev=net," + ",".join(f"{k}={v}" for k, v in options.items())]

    def start(self):
        self.boot()
        script = ["set -e", "ip link set eth0 up"]
        for a in self.addresses:
            if ":" in a:
                script += [f"ip addr add {a}/128 dev eth0 nodad", "ip -6 route add default via fe80::1 dev eth0"]
            else:
                script += [f"ip addr add {a}/32 dev eth0", "ip route add 169.254.1.1/32 dev eth0 scope link",
                           "ip route add default via 169.254.1.1 dev eth0"]
        self.sh("\n".join(script))
        return self
