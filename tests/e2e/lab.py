# SPDX-License-Identifier: Apache-2.0
"""A laboratory of network namespaces: nodes on a bridged underlay, pods, and real peers.

Everything lives in namespaces named after one Lab; the machine's own interfaces, addresses, routes and switches
are never touched. Leaving the `with` block, an exception or Ctrl-C takes it all away again. Two labs side by side
do not meet.
"""

import atexit
import contextlib
import hashlib
import ipaddress
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.environ.get("PODLANE_BUILD", "build")


class CommandError(AssertionError):
    """A command failed; the message holds what it printed."""


def run(*argv, check=True, timeout=60, stdin=None, env=None):
    """Run a command, return its output (stdout and stderr together)."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, input=stdin,
                          timeout=timeout, text=True, env=env)
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(str(a) for a in argv)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def wait_for(what, predicate, timeout=10.0, interval=0.02):
    """Poll until predicate() is true; its value is returned. AssertionErrors inside count as 'not yet'."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = predicate()
            if value:
                return value
        except (AssertionError, OSError, ValueError, KeyError) as e:
            last = e
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {timeout} s: {what}" + (f": {last}" if last else ""))
        time.sleep(interval)


class Namespace:
    """One network namespace."""

    def __init__(self, lab, name):
        self.lab = lab
        self.short = name
        self.name = f"{lab.prefix}-{name}"
        run("ip", "netns", "add", self.name)
        lab.namespaces.append(self)
        self.sh("ip", "link", "set", "lo", "up")
        # Link-local duplicate address detection only slows tests down.
        for scope in ("default", "all"):
            self.sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
            self.sysctl(f"net.ipv6.conf.{scope}.accept_ra", 0)
            self.sysctl(f"net.ipv6.conf.{scope}.router_solicitations", 0)

    def sh(self, *argv, **kwargs):
        return run("ip", "netns", "exec", self.name, *argv, **kwargs)

    def sysctl(self, key, value):
        path = "/proc/sys/" + key.replace(".", "/")
        self.sh("sh", "-c", f"echo {value} > {path}")

    def popen(self, *argv, log=None, **kwargs):
        """A process of the lab: killed at its end. Output goes to a file of the lab."""
        path = os.path.join(self.lab.dir, log or f"{self.short}-{os.path.basename(str(argv[0]))}.log")
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        with open(path, "ab") as out:
            process = subprocess.Popen(["ip", "netns", "exec", self.name, *[str(a) for a in argv]], stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True, **kwargs)
        process.log = path
        self.lab.processes.append(process)
        return process

    @contextlib.contextmanager
    def entered(self):
        """Sockets opened inside belong to this namespace (they keep it after leaving)."""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if libc.setns(inside, 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            yield
        finally:
            libc.setns(before, 0x40000000)
            os.close(before)
            os.close(inside)

    def ping(self, target, count=3, interval=0.05, size=None, timeout=2, df=False, check=True):
        """Ping; returns (sent, received, output)."""
        argv = ["ping", "-n", "-q", "-c", count, "-i", interval, "-W", timeout]
        if size is not None:
            argv += ["-s", size]
        if df:
            argv += ["-M", "do"]
        out = self.sh(*argv, target, check=False, timeout=count * interval + timeout + 20)
        received = sent = 0
        for line in out.splitlines():
            if "packets transmitted" in line:
                words = line.replace(",", "").split()
                sent, received = int(words[0]), int(words[3])
        if check and (sent == 0 or sent != received):
            raise CommandError(f"{self.short}: ping {target}: {received} of {sent} answered\n{out}")
        return sent, received, out


class Pod(Namespace):
    """A namespace whose eth0 a node makes."""

    def __init__(self, lab, name, addresses, mtu=0):
        super().__init__(lab, name)
        self.addresses = addresses
        self.mtu = mtu
        self.v4 = next((a for a in addresses if ":" not in a), None)
        self.v6 = next((a for a in addresses if ":" in a), None)

    def object(self):
        obj = {"name": self.short, "kind": "tap", "netns": self.name, "addresses": self.addresses}
        return {**obj, "mtu": self.mtu} if self.mtu else obj


class MemifPod(Namespace):
    """A pod behind memif: testpmd joins the memif to a TAP in a namespace, so that ordinary tools can use it."""

    def __init__(self, lab, name, addresses):
        super().__init__(lab, name)
        self.addresses = addresses
        self.v4 = next((a for a in addresses if ":" not in a), None)
        self.v6 = next((a for a in addresses if ":" in a), None)
        self.socket = os.path.join(lab.dir, f"{name}.memif")
        self.process = None

    def object(self):
        return {"name": self.short, "kind": "memif", "socket": self.socket, "addresses": self.addresses}

    def vdev(self):
        return f"net_memif0,role=client,id=0,socket={self.socket},socket-abstract=no,bsize=2048,rsize=10"

    def start(self, *options):
        """testpmd as the peer of Podlane's port, forwarding to a TAP called eth0."""
        self.process = self.popen(
            "chrt", "-i", "0",  # it polls: only what others leave
            "dpdk-testpmd", "--no-huge", "-m", "192", "--no-shconf", "--no-pci", "--no-telemetry",
            f"--file-prefix={self.name}", "--lcores", "0@0-1,1@0-1", f"--vdev={self.vdev()}",
            "--vdev=net_tap0,iface=eth0", "--", "--forward-mode=io", "--auto-start", "--disable-link-check", "--total-num-mbufs=8192",
            "--no-mlockall", "--nb-cores=1", "--port-topology=paired", *options, log=f"{self.short}-testpmd.log",
            stdin=subprocess.PIPE)  # it ends at the end of its input
        wait_for(f"{self.short}: eth0 of testpmd", lambda: "eth0" in self.sh("ip", "-o", "link"), 20)
        self.sh("ip", "link", "set", "eth0", "up")
        for a in self.addresses:
            bits, gateway = (128, "fe80::1") if ":" in a else (32, "169.254.1.1")
            family = "-6" if ":" in a else "-4"
            self.sh("ip", family, "addr", "add", f"{a}/{bits}", "dev", "eth0", *(["nodad"] if ":" in a else []))
            if ":" not in a:
                self.sh("ip", "route", "add", f"{gateway}/32", "dev", "eth0", "scope", "link")
            self.sh("ip", family, "route", "add", "default", "via", gateway, "dev", "eth0")
        self.sh("ethtool", "-K", "eth0", "tx", "off", check=False)
        return self

    def kill(self):
        kill_process(self.process, signal.SIGKILL)


class VhostPod(MemifPod):
    """A pod behind vhost-user: testpmd joins a virtio-user device to a TAP in a namespace."""

    def __init__(self, lab, name, addresses, role="server", queues=1, **virtio):
        super().__init__(lab, name, addresses)
        self.socket = os.path.join(lab.dir, f"{name}.vhost")
        self.role, self.queues, self.virtio = role, queues, virtio

    def object(self):
        return {"name": self.short, "kind": "vhost", "socket": self.socket, "role": self.role, "addresses": self.addresses}

    def vdev(self):
        options = {"path": self.socket, "queues": self.queues, "queue_size": 256, **self.virtio}
        if self.role == "client":  # ours; then testpmd makes the socket
            options["server"] = 1
        return "net_virtio_user0," + ",".join(f"{k}={v}" for k, v in options.items())

    def start(self, *options):
        if self.role == "client":  # testpmd binds, and a killed one left its socket
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket)
        if self.queues > 1:
            options += (f"--rxq={self.queues}", f"--txq={self.queues}")
        return super().start(*options)


def kill_process(process, sig=signal.SIGTERM, wait=5):
    if process is None or process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(process.pid)  # Popen.wait would look now and then, up to 50 ms late
        os.killpg(getattr(process, "group", process.pid), sig)
        select.select([fd], [], [], wait)
        os.close(fd)
    try:
        process.wait(wait)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)


class Successor:
    """A daemon that took the place of the one the lab had started: in its process group, but not a child of ours."""

    def __init__(self, pid, group, log):
        self.pid, self.group, self.log, self.returncode = pid, group, log, None

    def poll(self):
        try:
            with open(f"/proc/{self.pid}/stat") as f:
                gone = f.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            gone = True
        self.returncode = 0 if gone else None  # its status is the init process's to know
        return self.returncode

    def wait(self, timeout):
        wait_for(f"process {self.pid} ends", lambda: self.poll() is not None, timeout)
        return self.returncode


class Node(Namespace):
    """A node of the underlay: a namespace with eth0 on the lab's bridge."""

    def __init__(self, lab, name, index, mtu=1500, queues=1):
        super().__init__(lab, name)
        self.index = index
        self.underlay4 = f"192.0.2.{index}"
        self.underlay6 = f"2001:db8::{index}"
        self.vtep_mac = f"02:00:c0:00:02:{index:02x}"
        self.pods = {}
        lab.attach(self, "eth0", mtu, queues)


class PodlaneNode(Node):
    """A node that runs podlaned. The kernel keeps no address on eth0: Podlane owns it."""

    def __init__(self, lab, name, index, mtu=1500, pool4=None, pool6=None, workers=None, extra_node="",
                 queues=1):
        super().__init__(lab, name, index, mtu, queues)
        self.pool4 = pool4 or f"10.244.{index}.0/24"
        self.pool6 = pool6 or f"fd00:244:{index}::/64"
        self.mtu = mtu
        self.workers = workers
        self.extra_node = extra_node
        self.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
        self.api_socket = os.path.join(lab.dir, f"{name}.sock")
        self.state = os.path.join(lab.dir, f"{name}.state")
        self.conf = os.path.join(lab.dir, f"{name}.conf")
        self.process = None
        self.memory_options = 'hugepages = "off"; memory_mb = 192;'
        self.uplink_driver = "af_packet"
        self.uplink_device = "eth0"
        self.uplink_more = ""

    def uplink_fields(self):
        return f'addresses = [ "{self.underlay4}/24", "{self.underlay6}/64" ];'

    def address(self, family, host):
        net = ipaddress.ip_network(self.pool4 if family == 4 else self.pool6)
        return str(net[host])

    def write_conf(self, peers=(), pods=(), routes=(), pools=True, uplinks=True, text=""):
        """peers: nodes (encap vxlan) or (node, encap) pairs or dicts."""
        def value(v):
            if isinstance(v, bool):
                return "true" if v else "false"
            if isinstance(v, int):
                return str(v)
            if isinstance(v, (list, tuple)):
                if v and isinstance(v[0], dict):
                    return "( " + ", ".join(group(x) for x in v) + " )"
                return "[ " + ", ".join(value(x) for x in v) + " ]"
            return json.dumps(v)

        def group(obj):
            return "{ " + " ".join(f"{k} = {value(v)};" for k, v in obj.items()) + " }"

        workers = f" worker_cpus = [ {', '.join(map(str, self.workers))} ];" if self.workers is not None else ""
        lines = [f'node: {{ name = "{self.short}"; vtep_mac = "{self.vtep_mac}"; {self.memory_options}'
                 f' buffers = 16384; log_level = "debug"; metrics_listen = "";{workers}'
                 f' host_addresses = [ "{self.address(4, 1)}", "{self.address(6, 1)}" ]; {self.extra_node} }};']
        if uplinks:
            lines.append(f'uplinks: ( {{ name = "eth0"; driver = "{self.uplink_driver}"; device = "{self.uplink_device}"; mtu = {self.mtu};'
                         f' {self.uplink_fields()} {self.uplink_more} }} );')
        if pools:
            lines.append(f'pools: ( {{ name = "pods"; cidr = "{self.pool4}"; }}, '
                         f'{{ name = "pods6"; cidr = "{self.pool6}"; }} );')
        if peers:
            lines.append("peers: ( " + ",\n         ".join(group(self.peer_object(p)) for p in peers) + " );")
        if pods:
            lines.append("pods: ( " + ",\n        ".join(group(p.object()) for p in pods) + " );")
        if routes:
            lines.append("routes: ( " + ", ".join(group(r) for r in routes) + " );")
        with open(self.conf, "w") as f:
            f.write("\n".join(lines) + "\n" + text + "\n")
        return self

    @staticmethod
    def peer_object(peer):
        if isinstance(peer, dict):
            return peer
        node, encap = peer if isinstance(peer, tuple) else (peer, "vxlan")
        return {"name": node.short, "underlay": [node.underlay4, node.underlay6],
                "pod_cidrs": [node.pool4, node.pool6], "encap": encap, "vtep_mac": node.vtep_mac}

    def start(self, wait=True, options=()):
        env = dict(os.environ)
        self.process = self.popen(os.path.join(BUILD, "ctrl", "podlaned"), *options, "--config", self.conf, "--socket",
                                  self.api_socket, "--state", self.state, log=f"{self.short}-podlaned.log", env=env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=15):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.short}: podlaned exited with {self.process.returncode}\n{self.log_tail()}")
            return self.get("/readyz", raw=True)[0] == 200
        wait_for(f"{self.short}: podlaned ready", ready, timeout)

    def log_tail(self, lines=60):
        try:
            with open(os.path.join(self.lab.dir, f"{self.short}-podlaned.log"), errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except OSError:
            return ""

    def stop(self, sig=signal.SIGTERM):
        kill_process(self.process, sig, 10)
        return self.process.returncode

    def upgrade(self, by_hand=False, command=False, options=()):
        """The daemon starts its successor and makes room for it, by a signal or the command line client; or we start one that
        takes its place."""
        old, said = self.daemon_pid(), None
        if by_hand:
            self.start(wait=False, options=["--take-over"])
        elif command:
            said = self.cli("upgrade", *options)
        else:
            os.kill(old, signal.SIGUSR2)
        state = {}

        def replaced():
            with contextlib.suppress(OSError):
                state.update(self.get("/v1/state/node"))
            return state.get("pid", old) != old and self.get("/readyz", raw=True)[0] == 200
        wait_for(f"{self.short}: a successor", replaced, 15)
        if by_hand:
            return said
        self.process = Successor(state["pid"], getattr(self.process, "group", old), self.process.log)
        return said

    def kill(self):
        """kill -9 of the daemon itself, at once."""
        kill_process(self.process, signal.SIGKILL)

    def daemon_pid(self):
        """`ip netns exec` execs, so the process is the daemon."""
        return self.process.pid

    # --- API and CLI ---

    def exchange(self, request, timeout):
        """The bytes of a request to the API, for those of its answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(timeout)
            s.connect(self.api_socket)
            s.sendall(request)
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
            return answer

    def request(self, method, path, body=None, timeout=60):
        """One HTTP request over the Unix socket. Returns (status, body bytes)."""
        data = b"" if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        head = (f"{method} {path} HTTP/1.1\r\nHost: podlane\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n")
        header, _, payload = self.exchange(head.encode() + data, timeout).partition(b"\r\n\r\n")
        if not header:
            raise ConnectionResetError(f"{self.short}: the daemon ended before it answered")
        if b"transfer-encoding: chunked" in header.lower():
            out = b""
            while payload:
                size, _, payload = payload.partition(b"\r\n")
                n = int(size, 16)
                if n == 0:
                    break
                out, payload = out + payload[:n], payload[n + 2:]
            payload = out
        return int(header.split()[1]), payload

    def get(self, path, raw=False):
        status, body = self.request("GET", path)
        if raw:
            return status, body
        assert status == 200, f"GET {path}: {status}: {body.decode(errors='replace')}"
        return json.loads(body)

    def put(self, plural, obj, key=None):
        status, body = self.request("PUT", f"/v1/{plural}/{key or obj['name']}", obj)
        assert status in (200, 201), f"PUT {plural}: {status}: {body.decode(errors='replace')}"
        return json.loads(body)

    def patch(self, plural, key, changes):
        status, body = self.request("PATCH", f"/v1/{plural}/{key}", changes)
        assert status == 200, f"PATCH {plural}/{key}: {status}: {body.decode(errors='replace')}"
        return json.loads(body)

    def delete(self, plural, key):
        status, body = self.request("DELETE", f"/v1/{plural}/{key}")
        assert status in (200, 204), f"DELETE {plural}/{key}: {status}: {body.decode(errors='replace')}"

    def cli(self, *argv, **kwargs):
        return run(os.path.join(BUILD, "ctrl", "podlane"), "--socket", self.api_socket, *argv, **kwargs)

    def drops(self):
        """Reasons that counted: {name: packets}."""
        state = self.get("/v1/state/drops")
        return {d["reason"]: d["packets"] for d in state["reasons"] if d["packets"] > 0}

    def balance(self):
        """The invariant of the drop table; `difference` must be 0."""
        return self.get("/v1/state/drops")["balance"]

    def assert_balanced(self):
        balance = wait_for(f"{self.short}: counters balance",
                           lambda: (lambda b: b if b["difference"] == 0 else None)(self.balance()), 3)
        return balance

    def dump(self):
        """What a failure report needs."""
        parts = [f"=== {self.short}: log", self.log_tail()]
        for subject in ("drops", "events", "ports", "neighbours", "peers"):
            try:
                parts += [f"=== {self.short}: podlane show {subject}", self.cli("show", subject, check=False, timeout=5)]
            except (OSError, subprocess.TimeoutExpired) as e:
                parts.append(str(e))
        return "\n".join(parts)


class SharedNode(PodlaneNode):
    """A node that runs podlaned over AF_XDP: eth0 stays the kernel's, addresses and all."""

    def __init__(self, *args, xdp_mode="auto", **kwargs):
        super().__init__(*args, **kwargs)
        self.uplink_driver = "af_xdp"
        self.xdp_mode = xdp_mode
        self.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
        self.sh("ip", "addr", "add", f"{self.underlay4}/24", "dev", "eth0")
        self.sh("ip", "addr", "add", f"{self.underlay6}/64", "dev", "eth0", "nodad")

    def uplink_fields(self):
        return f'xdp_mode = "{self.xdp_mode}";'


class FlannelNode(Node):
    """Plain Linux with the kernel's VXLAN device set up the way flannel does it: VNI, no learning, one route, one
    neighbour and one FDB entry a peer. Its pods hang on veths."""

    def __init__(self, lab, name, index, mtu=1500, vni=1, port=8472, family=4):
        super().__init__(lab, name, index, mtu)
        self.pool4 = f"10.244.{index}.0/24"
        self.pool6 = f"fd00:244:{index}::/64"
        self.family = family
        self.sh("ip", "addr", "add", f"{self.underlay4}/24", "dev", "eth0")
        self.sh("ip", "addr", "add", f"{self.underlay6}/64", "dev", "eth0", "nodad")
        local = self.underlay4 if family == 4 else self.underlay6
        self.sh("ip", "link", "add", "flannel.1", "address", self.vtep_mac, "type", "vxlan", "id", vni, "dstport", port,
                "local", local, "dev", "eth0", "nolearning", *(["udp6zerocsumrx"] if family == 6 else []))
        self.tunnel_mtu = mtu - (50 if family == 4 else 70)
        self.sh("ip", "link", "set", "flannel.1", "mtu", self.tunnel_mtu, "up")
        self.sh("ip", "addr", "add", f"10.244.{index}.0/32", "dev", "flannel.1")
        self.sh("ip", "addr", "add", f"fd00:244:{index}::/128", "dev", "flannel.1", "nodad")
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.ipv6.conf.all.forwarding", 1)

    def add_direct_peer(self, node):
        """Its pods by a route, without a tunnel."""
        self.sh("ip", "route", "replace", node.pool4, "via", node.underlay4)
        self.sh("ip", "-6", "route", "replace", node.pool6, "via", node.underlay6)

    def add_peer(self, node):
        dst = node.underlay4 if self.family == 4 else node.underlay6
        v4 = str(ipaddress.ip_network(node.pool4)[0])
        v6 = str(ipaddress.ip_network(node.pool6)[0])
        self.sh("ip", "neigh", "replace", v4, "lladdr", node.vtep_mac, "dev", "flannel.1", "nud", "permanent")
        self.sh("ip", "neigh", "replace", v6, "lladdr", node.vtep_mac, "dev", "flannel.1", "nud", "permanent")
        self.sh("bridge", "fdb", "replace", node.vtep_mac, "dev", "flannel.1", "dst", dst)
        self.sh("ip", "route", "replace", node.pool4, "via", v4, "dev", "flannel.1", "onlink")
        self.sh("ip", "-6", "route", "replace", node.pool6, "via", v6, "dev", "flannel.1", "onlink")

    def add_pod(self, name, host=10):
        pod = Pod(self.lab, name, [f"10.244.{self.index}.{host}", f"fd00:244:{self.index}::{host}"])
        inside = f"v{host}"
        self.sh("ip", "link", "add", inside, "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        self.sh("ip", "link", "set", inside, "mtu", self.tunnel_mtu, "up")
        pod.sh("ip", "link", "set", "eth0", "mtu", self.tunnel_mtu, "up")
        for end, dev in ((self, inside), (pod, "eth0")):
            if not self.lab.offloads:
                end.sh("ethtool", "-K", dev, "tx", "off", check=False)
        gateway = "02:70:6f:64:6c:01"
        self.sh("ip", "link", "set", inside, "address", gateway)
        self.sh("ip", "addr", "add", "169.254.1.1/32", "dev", inside, "scope", "link")
        self.sh("ip", "addr", "add", "fe80::1/64", "dev", inside, "nodad")
        self.sh("ip", "route", "add", f"{pod.v4}/32", "dev", inside)
        self.sh("ip", "-6", "route", "add", f"{pod.v6}/128", "dev", inside)
        pod.sh("ip", "addr", "add", f"{pod.v4}/32", "dev", "eth0")
        pod.sh("ip", "addr", "add", f"{pod.v6}/128", "dev", "eth0", "nodad")
        pod.sh("ip", "route", "add", "169.254.1.1/32", "dev", "eth0", "scope", "link")
        pod.sh("ip", "route", "add", "default", "via", "169.254.1.1", "dev", "eth0")
        pod.sh("ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0")
        self.pods[name] = pod
        return pod


READER = """
import hashlib, socket, sys
s = socket.create_server((sys.argv[1], 7000), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
c, _ = s.accept()
h = hashlib.sha256()
while (data := c.recv(1 << 20)):
    h.update(data)
print(h.hexdigest(), flush=True)
"""
WRITER = "import socket, sys; s = socket.create_connection((sys.argv[1], 7000)); s.sendall(open(sys.argv[2], 'rb').read()); s.close()"


def transfer(source, sink, data):
    """TCP, both families at once: what was sent arrives."""
    path = os.path.join(source.lab.dir, "data")
    with open(path, "wb") as f:
        f.write(data)
    readers = [sink.popen("/usr/bin/python3", "-c", READER, address, log=f"reader-{source.short}-{sink.short}-{n}")
               for n, address in enumerate((sink.v4, sink.v6))]
    wait_for("readers listen", lambda: sink.sh("ss", "-Htln").count(":7000") == 2)
    for address in (sink.v4, sink.v6):
        source.sh("/usr/bin/python3", "-c", WRITER, address, path)
    for reader in readers:
        reader.wait(20)
        with open(reader.log) as f:
            assert f.read().split()[-1] == hashlib.sha256(data).hexdigest()  # the file is of all runs


class Lab:
    """Owns namespaces, processes and a directory."""

    count = 0

    def __init__(self, name="lab", keep=False, offloads=False):
        """offloads: the underlay and kernel pods keep those of the kernel, so that large packets cross whole."""
        Lab.count += 1
        self.prefix = f"pl{os.getpid()}x{Lab.count}"
        self.dir = tempfile.mkdtemp(prefix=f"podlane-{name}-")
        self.namespaces, self.processes, self.ports = [], [], 0
        self.keep = keep
        self.offloads = offloads
        self.closed = False
        atexit.register(self.close)
        self.switch = Namespace(self, "switch")
        self.switch.sh("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        self.switch.sysctl("net.ipv6.conf.br0.disable_ipv6", 1)
        for family in ("ip", "ip6", "arp") if os.path.exists("/proc/sys/net/bridge") else ():  # a wire has no netfilter
            self.switch.sysctl(f"net.bridge.bridge-nf-call-{family}tables", 0)
        self.switch.sh("ip", "link", "set", "br0", "up")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not issubclass(kind, (KeyboardInterrupt, SystemExit)):
            for node in self.namespaces:
                if isinstance(node, PodlaneNode):
                    print(node.dump())
        self.close()

    def attach(self, node, dev, mtu, queues=1):
        """A veth from a node to the bridge; without offloads it is a wire."""
        self.ports += 1
        port = node.port = f"p{self.ports}"
        n = ["numtxqueues", queues, "numrxqueues", queues]
        self.switch.sh("ip", "link", "add", port, "mtu", mtu, *n, "type", "veth", "peer", "name", dev, "mtu", mtu, *n, "netns",
                       node.name)
        self.switch.sysctl(f"net.ipv6.conf.{port}.disable_ipv6", 1)
        self.switch.sh("ip", "link", "set", port, "master", "br0", "up")
        for end, name in ((self.switch, port), (node, dev)) if not self.offloads else ():
            end.sh("ethtool", "-K", name, "tx", "off", "rx", "off", "tso", "off", "gso", "off", "gro", "off", check=False)
        node.sh("ip", "link", "set", dev, "up")

    def access_port(self, node):
        """Put a node into VLAN 100, of which it knows nothing: the switch tags what it sends, and takes off the tags of what it gets."""
        program = os.path.join(BUILD, "tests", "e2e", "access_port.bpf.o")
        self.switch.sh("tc", "qdisc", "add", "dev", node.port, "clsact")
        for direction, section in (("ingress", "push"), ("egress", "pop")):
            self.switch.sh("tc", "filter", "add", "dev", node.port, direction, "bpf", "direct-action", "obj", program, "sec", section)

    def close(self):
        if self.closed:
            return
        self.closed = True
        atexit.unregister(self.close)
        old = signal.signal(signal.SIGINT, signal.SIG_IGN) if _main_thread() else None
        try:
            for process in reversed(self.processes):
                kill_process(process)
            for ns in reversed(self.namespaces):
                for pid in run("ip", "netns", "pids", ns.name, check=False).split():
                    with contextlib.suppress(ProcessLookupError, ValueError):
                        os.kill(int(pid), signal.SIGKILL)
                run("ip", "netns", "del", ns.name, check=False)
            if not self.keep:
                shutil.rmtree(self.dir, ignore_errors=True)
        finally:
            if old is not None:
                signal.signal(signal.SIGINT, old)


def _main_thread():
    import threading
    return threading.current_thread() is threading.main_thread()


@contextlib.contextmanager
def built(kind):
    """An object with a lab of its own, `lab`, which is closed also when the object could not be made whole."""
    one = kind.__new__(kind)
    try:
        one.__init__()
        yield one
    finally:
        one.lab.close()
