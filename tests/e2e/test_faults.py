# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a node: no huge pages, a full or read-only disk, sockets that cannot be made, interfaces and namespaces
that somebody deletes, peers that come and go all the time. Each is said clearly, other pods notice nothing, nothing is left
behind."""

import contextlib
import mmap
import os
import re
import resource
import shutil
import signal
import socket
import time

import pytest

from lab import BUILD, FlannelNode, Lab, Pod, PodlaneNode, kill_process, run, wait_for
from test_memif import Thief, port
from vhost_peer import VhostPeer

HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB/"


class OwnMounts(PodlaneNode):
    """A node whose daemon has a mount namespace of its own, where its state directory is a small file system."""

    def start(self, wait=True, options="size=256k,mode=700"):
        os.makedirs(self.state, exist_ok=True)
        self.process = self.popen("unshare", "-m", "sh", "-c",
                                  f'mount -t tmpfs -o "$1" state "$2" && exec "$0" --config "$3" --socket "$4" --state "$2"',
                                  os.path.join(BUILD, "ctrl", "podlaned"), options, self.state, self.conf, self.api_socket,
                                  log=f"{self.short}-podlaned.log")
        if wait:
            self.wait_ready()
        return self

    def inside(self, path):
        return f"/proc/{self.daemon_pid()}/root{path}"


def open_files(node):
    """What the daemon has open, without numbers, and without the store, which opens its file again for each checkpoint."""
    time.sleep(0.05)  # it closes our last connections
    where = f"/proc/{node.daemon_pid()}/fd"
    names = []
    for fd in os.listdir(where):
        with contextlib.suppress(FileNotFoundError):
            names.append(re.sub(r"\d+", "N", os.readlink(f"{where}/{fd}")))
    return sorted(n for n in names if ".state/" not in n)


def problem(answer, status, *words):
    """A problem document with this status whose text has these words."""
    got, body = answer
    text = body.decode()
    assert got == status, (got, text)
    for word in words:
        assert word in text, text


def pod_of(lab, node, name, host):
    return Pod(lab, name, [node.address(4, host), node.address(6, host)])


class Others:
    """Two pods of a node that talk all the time, and lose nothing."""

    def __init__(self, first, second):
        self.process = first.popen("ping", "-n", "-q", "-i", "0.01", second.v4, log=f"others-{time.time()}.log")

    def untouched(self):
        time.sleep(0.1)
        kill_process(self.process, signal.SIGINT)
        with open(self.process.log) as f:
            text = f.read()
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
        assert sent > 5 and sent - received <= 1, text  # one may be on its way


@pytest.fixture
def one():
    """A node with two pods."""
    with Lab("faults") as lab:
        node = PodlaneNode(lab, "node-a", 1)
        pods = [pod_of(lab, node, f"pod-{i}", 10 + i) for i in range(2)]
        node.write_conf(pods=pods).start()
        yield lab, node, pods


@contextlib.contextmanager
def all_huge_pages():
    """Somebody takes every page that is free."""
    with open(HUGE + "free_hugepages") as f:
        free = int(f.read())
    if free == 0:
        pytest.skip("there are no huge pages")
    fd = os.memfd_create("greed", os.MFD_HUGETLB)
    os.ftruncate(fd, free << 21)
    memory = mmap.mmap(fd, free << 21)  # reserves them
    try:
        for i in range(free):
            memory[i << 21] = 1
        yield free
    finally:
        memory.close()
        os.close(fd)


def with_huge_pages(node, value):
    with open(node.conf) as f:
        text = f.read()
    with open(node.conf, "w") as f:
        f.write(text.replace('hugepages = "off"', f'hugepages = "{value}"'))


def test_huge_pages_are_gone():
    """At the start: a refusal that says how many are wanted, or a start without. Later: nobody notices."""
    with Lab("faults") as lab:
        node = PodlaneNode(lab, "node-a", 1)
        pods = [pod_of(lab, node, f"pod-{i}", 10 + i) for i in range(3)]
        node.write_conf(pods=pods[:2])
        with_huge_pages(node, "required")
        with all_huge_pages():
            node.start(wait=False)
            assert node.process.wait(15) != 0
            assert 'hugepages = "required", but only 0 MiB of free 2 MiB pages' in node.log_tail(3)
            assert "raise vm.nr_hugepages" in node.log_tail(3)
            assert "eth0" not in pods[0].sh("ip", "-o", "link")
            node.write_conf(pods=pods[:2])
            with_huge_pages(node, "auto")
            node.start()
            assert "no hugepages: using 4 KiB pages free_mb=0" in node.log_tail()
            pods[0].ping(pods[1].v4)
            assert node.stop() == 0
        node.write_conf(pods=pods[:2])
        with_huge_pages(node, "required")
        node.start()
        assert node.get("/v1/state/memory")["hugepages"]
        with all_huge_pages():
            others = Others(*pods[:2])
            node.put("pods", pods[2].object())
            pods[2].ping(pods[0].v4)
            node.put("pods", {"name": "m", "kind": "memif", "socket": os.path.join(lab.dir, "m.sock"),
                              "addresses": [node.address(4, 20)]})
            node.delete("pods", "m")
            node.delete("pods", pods[2].short)
            others.untouched()
        node.assert_balanced()


def test_disk_is_full():
    """Nothing is applied that a restart would not find; what forwards goes on; with room again all is well."""
    with Lab("faults") as lab:
        node = OwnMounts(lab, "node-a", 1)
        pods = [pod_of(lab, node, f"pod-{i}", 10 + i) for i in range(3)]
        node.write_conf(pods=pods[:2]).start()
        others = Others(*pods[:2])
        filler = node.inside(node.state) + "/filler"
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while True:
                f.write(b"x" * 512)
        files = open_files(node)
        refused = 0
        for i in range(400):  # what SQLite's log still has room for is applied
            got, body = node.request("PUT", f"/v1/routes/10.200.{i % 250}.0%2F24",
                                     {"prefix": f"10.200.{i % 250}.0/24", "action": "blackhole" if i < 250 else "prohibit"})
            if got >= 400:
                refused += 1
                problem((got, body), 507, "full", node.state)
                if refused == 3:
                    break
        assert refused == 3
        before = node.get("/v1/routes")
        problem(node.request("PUT", f"/v1/pods/{pods[2].short}", pods[2].object()), 507, "full")
        assert "eth0" not in pods[2].sh("ip", "-o", "link")
        assert node.get("/v1/routes") == before
        wait_for("nothing is left open", lambda: open_files(node) == files)
        others.untouched()
        os.unlink(filler)
        node.put("pods", pods[2].object())
        pods[2].ping(pods[0].v4)
        node.assert_balanced()


def test_state_cannot_be_written():
    """A read-only state directory: no start, and a successor that finds that out leaves the daemon alone."""
    with Lab("faults") as lab:
        node = OwnMounts(lab, "node-a", 1)
        pods = [pod_of(lab, node, f"pod-{i}", 10 + i) for i in range(2)]
        node.write_conf(pods=pods).start(wait=False, options="ro,size=1m")
        assert node.process.wait(15) != 0
        assert f"{node.state}/lock: Read-only file system" in node.log_tail(3)
        assert "eth0" not in pods[0].sh("ip", "-o", "link")
        node.start(options="size=1m")
        others = Others(*pods)
        mount = ["nsenter", "-m", "-t", node.daemon_pid(), "mount"]
        run(*mount, "--bind", node.state, node.state)
        run(*mount, "-o", "remount,bind,ro", node.state)
        os.kill(node.daemon_pid(), signal.SIGUSR2)
        wait_for("it gives up", lambda: "the successor ended before it took over" in node.log_tail(5))
        assert "read" in node.log_tail(5) and node.state in node.log_tail(5), node.log_tail(5)
        others.untouched()
        node.assert_balanced()


def test_sockets_cannot_be_made(one):
    """A socket directory that is read-only or not there: the API's ends the start, a pod's refuses the pod, and both name it."""
    lab, node, pods = one
    files = open_files(node)
    missing = os.path.join(lab.dir, "missing", "x.sock")
    others = Others(*pods)
    for kind in ("memif", "vhost"):
        pod = {"name": "s", "kind": kind, "addresses": [node.address(4, 30)]}
        problem(node.request("PUT", "/v1/pods/s", {**pod, "socket": missing}), 422, "pods/s/socket", missing, "director")
        # A file system without room for another name.
        problem(node.request("PUT", "/v1/pods/s", {**pod, "socket": "/proc/self/x.sock"}), 422, "pods/s/socket",
                "/proc/self/x.sock")
    wait_for("nothing is left open", lambda: open_files(node) == files)
    others.untouched()
    assert node.stop() == 0
    good = node.api_socket
    node.api_socket = "/proc/self/api.sock"
    node.start(wait=False)
    assert node.process.wait(15) != 0
    assert "/proc/self/api.sock: cannot create the socket" in node.log_tail(3), node.log_tail(3)
    node.api_socket = good
    node.start()
    wait_for("pods are back", lambda: pods[0].ping(pods[1].v4, count=1, timeout=1))


def test_no_descriptors_left(one):
    """A limit of open files, at every point of attaching a pod: the answer says just that, nothing is left of the pod, pods and peers
    that are there go on, and with room again all is well."""
    lab, node, pods = one
    kernel, sockets = pod_of(lab, node, "kernel", 20), {k: os.path.join(lab.dir, f"{k}.sock") for k in ("memif", "vhost")}
    served = os.path.join(lab.dir, "served.sock")
    node.put("pods", {"name": "served", "kind": "memif", "socket": served, "addresses": [node.address(4, 40)]})
    new = [kernel.object(), *({"name": k, "kind": k, "socket": path, "addresses": []} for k, path in sockets.items())]

    def all_at_once():
        for obj in new:
            node.put("pods", obj)
        for obj in new:
            node.delete("pods", obj["name"])
    all_at_once()  # what libraries keep for good is there
    Thief(served).close()
    others, files, pid = Others(*pods), open_files(node), node.daemon_pid()
    limit, refused = resource.prlimit(pid, resource.RLIMIT_NOFILE), {obj["kind"]: 0 for obj in new}
    for room in range(1, 16):
        for obj in new:
            wait_for("the last one is gone", lambda: open_files(node) == files)
            # The request takes one; a limit is on numbers, so on none above the lowest free ones.
            numbers = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
            lowest = [n for n in range(max(numbers) + 20) if n not in numbers][room]
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest + 1, limit[1]))
            got, body = node.request("PUT", f"/v1/pods/{obj['name']}", obj)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
            if got >= 400:
                problem((got, body), 500, "Too many open files")
                assert "CAP_NET_ADMIN" not in body.decode(), body
                refused[obj["kind"]] += 1
                assert node.request("GET", f"/v1/pods/{obj['name']}")[0] == 404
                assert "eth0" not in kernel.sh("ip", "-o", "link") and not any(map(os.path.exists, sockets.values()))
            else:
                node.delete("pods", obj["name"])
    assert all(n > 0 for n in refused.values()), refused
    # No room for a peer that comes: it waits.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(numbers) + 1, limit[1]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as waiting:
        waiting.connect(served)
        time.sleep(0.3)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        waiting.settimeout(5)
        assert len(waiting.recv(128)) == 128
    all_at_once()
    wait_for("nothing is left open", lambda: open_files(node) == files)
    others.untouched()
    node.assert_balanced()


def interfaces_of(node):
    """Name, address and flags; a TAP that was taken over is up, and not in an unknown state, as before."""
    return [(name, *more) for name, _, *more in map(str.split, node.sh("ip", "-br", "link").splitlines())]


@pytest.mark.parametrize("taken_over", [False, True])
def test_interface_and_namespace_deleted(one, taken_over):
    """From under the port: it is said, made again, and the others do not notice; no descriptor is left. Also of an interface that
    an earlier daemon made."""
    lab, node, pods = one
    third, interfaces = pod_of(lab, node, "third", 20), interfaces_of(node)
    node.put("pods", third.object())
    third.ping(pods[0].v4)
    if taken_over:
        node.upgrade()
    files = open_files(node)
    others = Others(*pods)
    for what in ("namespace", "interface", "namespace"):
        lines = node.log_tail(1000).count("interface is gone")
        if what == "interface":
            third.sh("ip", "link", "del", "eth0")
        else:
            run("ip", "netns", "del", third.name)
        wait_for("it is noticed", lambda n=lines: node.log_tail(1000).count("interface is gone") == n + 1)
        if what == "namespace":
            state = next(p for p in node.get("/v1/state/ports") if p["name"] == "pod:third")
            assert state["interface_gone"] and not state["link"]
            run("ip", "netns", "add", third.name)
        wait_for("it is there again", lambda: third.ping(pods[0].v4, count=1, timeout=1))
        wait_for("nothing is left open", lambda: open_files(node) == files)
    # Deleted for good: the pod can be, too.
    run("ip", "netns", "del", third.name)
    node.delete("pods", "third")
    run("ip", "netns", "add", third.name)
    others.untouched()
    if taken_over:  # a namespace without a name that still has a process is a pod
        node.put("pods", third.object())
        third.ping(pods[0].v4)
        node.upgrade()
        process = third.popen("sleep", "60")
        wait_for("it is inside", lambda: str(process.pid) in run("ip", "netns", "pids", third.name).split())
        run("ip", "netns", "del", third.name)
        time.sleep(1.5)
        assert not next(p for p in node.get("/v1/state/ports") if p["name"] == "pod:third")["interface_gone"]
        kill_process(process)
        wait_for("nobody is left", lambda: next(p for p in node.get("/v1/state/ports")
                                                if p["name"] == "pod:third")["interface_gone"])
        node.delete("pods", "third")
        run("ip", "netns", "add", third.name)
    assert interfaces_of(node) == interfaces
    assert len([f for f in files if "tun" in f]) == len([f for f in open_files(node) if "tun" in f]) + 1
    node.assert_balanced()


def test_interface_changed_inside(one):
    """Another MAC address is followed, also by who only receives. An interface that was down has its addresses and routes
    again: a pod's under whatever name, and the node's own."""
    lab, node, pods = one
    third = pod_of(lab, node, "third", 20)
    node.put("pods", third.object())
    others = Others(*pods)
    for mac in ("02:11:22:33:44:55", "02:11:22:33:44:66"):
        third.sh("ip", "link", "set", "eth0", "address", mac)
        for address in (third.v4, third.v6):
            wait_for("it is followed", lambda a=address: pods[0].ping(a, count=1, timeout=0.3, check=False)[1])
    for name in ("eth0", "net7"):
        third.sh("ip", "link", "set", "eth0", "down")
        wait_for("it is down", lambda: not port(node, "pod:third")["link"])
        third.sh("ip", "link", "set", "eth0", "name", name)
        third.sh("ip", "link", "set", name, "up")
        for address in (pods[0].v4, pods[0].v6):
            wait_for("the pod has its routes", lambda a=address: third.ping(a, count=1, timeout=0.3, check=False)[1])
    assert "02:11:22:33:44:66" in third.sh("ip", "link", "show", "net7")
    # Addresses that come later are the same interface's. It is down for less than anybody could notice.
    late = node.address(4, 21)
    node.patch("pods", "third", {"addresses": [*third.addresses, late]})
    third.sh("sh", "-c", "ip link set net7 down; ip link set net7 name eth0 address 02:11:22:33:44:77; ip link set eth0 up")
    for address in (late, third.v4, third.v6):
        wait_for("all addresses", lambda a=address: pods[0].ping(a, count=1, timeout=0.3, check=False)[1])
    node.sh("ip", "link", "set", "podlane0", "down")
    wait_for("it is down", lambda: not port(node, "podlane0")["link"])
    node.sh("ip", "link", "set", "podlane0", "up")
    for address in (pods[0].v4, pods[0].v6):
        wait_for("the node reaches its pods", lambda a=address: node.ping(a, count=1, timeout=0.3, check=False)[1])
    others.untouched()
    node.assert_balanced()


def test_sockets_removed_from_outside(one):
    """A cleaner removes the sockets of pods and of the API, or their whole directory: they are made again, who is connected
    stays so, and what somebody else put in their place is left alone."""
    lab, node, pods = one
    directory = os.path.join(lab.dir, "sockets")
    os.mkdir(directory)
    paths = {kind: os.path.join(directory, f"{kind}.sock") for kind in ("memif", "vhost")}
    for i, (kind, path) in enumerate(paths.items()):
        node.put("pods", {"name": kind, "kind": kind, "socket": path, "addresses": [node.address(4, 40 + i)]})
    others, files = Others(*pods), open_files(node)
    stays = Thief(paths["memif"])
    before = port(node, "pod:memif")["rx_packets"]
    os.unlink(paths["memif"])
    wait_for("it is there again", lambda: os.path.exists(paths["memif"]))
    assert port(node, "pod:memif")["memif_state"] == "connected"
    stays.send()
    wait_for("its frames arrive", lambda: port(node, "pod:memif")["rx_packets"] > before)
    stays.close()
    for _ in range(2):
        shutil.rmtree(directory)
        time.sleep(1.2)  # it has looked, in vain
        os.mkdir(directory)
        for path in paths.values():
            wait_for("it is there again", lambda p=path: os.path.exists(p))
        Thief(paths["memif"]).close()
        guest = VhostPeer(paths["vhost"]).connect()
        wait_for("the guest runs", lambda: port(node, "pod:vhost")["guest"] == "running")
        os.unlink(paths["vhost"])
        time.sleep(1.2)
        assert port(node, "pod:vhost")["guest"] == "running"  # made again when the guest has gone
        guest.close()
        wait_for("it is there again", lambda: os.path.exists(paths["vhost"]))
    os.unlink(node.api_socket)
    wait_for("the API answers", lambda: os.path.exists(node.api_socket) and node.get("/v1/pods"))
    for path in (paths["memif"], node.api_socket):
        os.unlink(path)
        with open(path, "w") as f:
            f.write("somebody's")
    wait_for("it is said", lambda: node.log_tail().count("replaced from outside") == 2)
    assert node.log_tail(1000).count("from outside") >= 8
    with open(node.api_socket) as f:
        assert f.read() == "somebody's"
    for path in (paths["memif"], node.api_socket):
        os.unlink(path)
        wait_for("it is there again", lambda p=path: os.path.exists(p))
    Thief(paths["memif"]).close()
    wait_for("nothing is left open", lambda: open_files(node) == files)
    others.untouched()
    assert node.stop() == 0
    assert not os.path.exists(node.api_socket)


def test_log_of_a_peer_in_a_loop(one):
    """A hundred connections: some lines, and how many there would have been."""
    lab, node, pods = one
    path = os.path.join(lab.dir, "loop.sock")
    node.put("pods", {"name": "loop", "kind": "memif", "socket": path, "addresses": [node.address(4, 40)]})
    others, files = Others(*pods), open_files(node)
    for i in range(100):
        Thief(path).close()
        wait_for("the peer is gone", lambda n=i: (port(node, "pod:loop")["connects"], port(node, "pod:loop")["memif_state"])
                 == (n + 1, "listening"))
    lines = lambda: re.findall(r"memif peer connected|memif peer gone|left out port=pod:loop lines=\d+", node.log_tail(2000))
    assert 20 <= len(lines()) <= 30
    # One of the next lines says it.
    said = wait_for("what was left out is counted", lambda: [n for n in lines() if n.startswith("left")])
    total = sum(int(n.rsplit("=", 1)[1]) for n in said) + len(lines()) - len(said)
    assert total == 200, (total, lines())
    wait_for("nothing is left open", lambda: open_files(node) == files)
    others.untouched()


def test_kernel_keeps_quiet():
    """The kernel has the uplink's addresses too: tunnels get no ICMP from it, and a port that is nobody's does."""
    with Lab("faults") as lab:
        node = PodlaneNode(lab, "node-a", 1)
        node.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
        node.sh("ip", "addr", "add", f"{node.underlay4}/24", "dev", "eth0")
        node.sh("ip", "addr", "add", f"{node.underlay6}/64", "dev", "eth0", "nodad")
        # It answers as often as it is asked.
        node.sysctl("net.ipv4.icmp_ratelimit", 0)
        node.sysctl("net.ipv6.icmp.ratelimit", 0)
        peer = FlannelNode(lab, "node-b", 2)
        web = pod_of(lab, node, "web", 10)
        node.write_conf(peers=[peer], pods=[web]).start()
        wait_for("it is said", lambda: "the kernel has an uplink's address too" in node.log_tail())
        for address, family in ((node.underlay4, socket.AF_INET), (node.underlay6, socket.AF_INET6)):
            for port in (8472, 4789):
                assert not unreachable(peer, family, address, port), (address, port)
            assert unreachable(peer, family, address, 4790), address
        assert not protocol_unreachable(peer, node.underlay4)
        # With the peer go the tunnels, and the sockets.
        node.delete("peers", "node-b")
        wait_for("the kernel answers again", lambda: unreachable(peer, socket.AF_INET, node.underlay4, 8472))
        assert protocol_unreachable(peer, node.underlay4)
        # A tunnel device of the kernel's own can have its port.
        node.sh("ip", "link", "add", "vx0", "type", "vxlan", "id", 77, "dstport", 8472, "local", node.underlay4)
        node.sh("ip", "link", "set", "vx0", "up")
        node.put("peers", PodlaneNode.peer_object(peer))
        time.sleep(1.2)
        assert not unreachable(peer, socket.AF_INET, node.underlay4, 4789)
        node.assert_balanced()


def unreachable(peer, family, address, port):
    """Whether a UDP packet there is answered by ICMP "port unreachable"."""
    with peer.entered():
        s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((address, port))
    s.settimeout(0.3)
    try:
        for _ in range(2):
            s.send(b"\x08\x00\x00\x00\x00\x00\x01\x00" + b"x" * 60)
        s.recv(1)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    finally:
        s.close()
    return False


def protocol_unreachable(peer, address):
    """Whether IP-in-IP is answered by ICMP "protocol unreachable"."""
    with peer.entered():
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
    s.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
    s.connect((address, 0))
    s.settimeout(0.3)
    try:
        s.send(b"\x45" + b"\0" * 39)
        s.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True
    finally:
        s.close()
    return False
