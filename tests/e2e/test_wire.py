# SPDX-License-Identifier: Apache-2.0
"""podlane-bench wire: what it counts is what happened. No figure is asserted but counts of frames."""

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

import lab as laboratory
from lab import MemifPod, Namespace, Node, PodlaneNode, run, wait_for

CPU = str(min(os.sched_getaffinity(0)))  # the daemon's worker has the last one
PLAIN = "src=198.18.0.1,dst=198.19.0.1,src_mac=02:00:00:00:00:0a,dst_mac=02:00:00:00:00:0b"
PLAIN6 = "src=2001:db8:18::1,dst=2001:db8:19::1,src_mac=02:00:00:00:00:0a,dst_mac=02:00:00:00:00:0b"
SHORT = ("--lcores", CPU, "--no-huge", "--buffers", "1024", "--settle", "50")


def bench():
    return os.path.join(laboratory.BUILD, "perf", "podlane-bench")


def wire(*argv, code=0, ns=None, timeout=60):
    """Run it; returns its JSON lines, or its messages when it shall fail."""
    prefix = ["ip", "netns", "exec", ns.name] if ns else []
    done = subprocess.run([*prefix, bench(), "wire", *map(str, argv), "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()] if code == 0 else done.stderr


@pytest.fixture
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("wire")


@contextlib.contextmanager
def forwarder(directory, mode, ports=1, *more):
    """testpmd as the memif server; yields (process, device strings of its clients)."""
    sockets = [os.path.join(directory, f"{i}.memif") for i in range(ports)]
    vdevs = [f"--vdev=net_memif{i},role=server,id=0,socket={s},socket-abstract=no" for i, s in enumerate(sockets)]
    with open(os.path.join(directory, "testpmd.log"), "w") as log:
        process = subprocess.Popen(
            ["dpdk-testpmd", "--no-huge", "-m", "192", "--no-shconf", "--no-pci", "--no-telemetry",
             f"--file-prefix=wiretest{os.getpid()}", "--lcores", "0@0-1,1@0-1", *vdevs, "--", f"--forward-mode={mode}",
             "--auto-start", "--disable-link-check", "--total-num-mbufs=8192", "--no-mlockall", "--nb-cores=1", "--no-flush-rx", *more],
            stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        wait_for("testpmd listens", lambda: all(map(os.path.exists, sockets)), 20)
        yield process, [f"net_memif{i},role=client,id=0,socket={s},socket-abstract=no" for i, s in enumerate(sockets)]
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()


@pytest.mark.parametrize("argv, message", [
    ([], "--a DEVICE is missing"),
    (["--a", "net_ring0"], "--a-to-b KEYS is missing"),
    (["--a", "net_ring0", "--a-to-b", "dst=10.0.0.1"], "--a-to-b: src is missing"),
    (["--a", "net_ring0", "--a-to-b", "src=10.0.0.1,dst=2001:db8::1"], "different families"),
    (["--a", "net_ring0", "--a-to-b", "src=10.0.0.1,dst=10.0.0.999"], 'dst takes an IPv4 or IPv6 address or prefix, not "10.0.0.999"'),
    (["--a", "net_ring0", "--a-to-b", "src=10.0.0.1,dst=10.0.0.2,colour=red"], '"colour" is not KEY=VALUE'),
    (["--a", "net_ring0", "--a-to-b", "src=10.0.0.1,dst=10.0.0.2"], "dst_mac is missing"),
    (["--a", "net_ring0", "--a-to-b", PLAIN + ",ipip=1"], "need outer_src and outer_dst"),
    (["--a", "net_ring0", "--a-to-b", PLAIN + ",vxlan_vni=16777216"], "vxlan_vni takes a number"),
    (["--self-test", "--sizes", "63"], "--sizes takes a whole number from 64"),
    (["--self-test", "--loss", "1.5"], "--loss takes a number"),
    (["--self-test", "--rate", "fast"], "--rate takes a number"),
    (["--self-test", "--lcores", "1,1"], "--lcores takes one CPU or two different ones"),
    (["--self-test", "--cacheline-cpus", "0"], "--cacheline-cpus takes two different CPUs"),
    (["--self-test", "--b-answers", "10.0.0.1"], "--b-answers needs --arp"),
    (["--echo", "0,nap"], "--echo takes a CPU, or a CPU and the word sleep"),
    (["--echo", "1", "--lcores", "1"], "--echo: CPU 1 is the tester's own"),
    (["--echo", "0", "--b", "net_ring1"], "--echo has no port b"),
    (["--self-test", "more"], '"more" is not an option'),
    (["--a", "net_ring0", "--a-to-b", PLAIN6, "--sizes", "64"], "has no room for the tester's tag"),
])
def test_wrong_options(argv, message):
    assert message in wire(*argv, code=2)


def test_a_device_that_is_not_there():
    assert "port a: DPDK cannot open net_nothing0" in wire("--a", "net_nothing0", "--a-to-b", PLAIN, *SHORT, code=1)


def test_itself():
    """Everything comes back through a ring: all sizes, all kinds of lines."""
    lines = wire("--self-test", "--sizes", "64,1518,imix", "--flows", 120000, "--loss", "0,0.01", "--latency", "--seconds", 0.05, *SHORT)
    assert {line["size"] for line in lines} == {64, 1518, "imix"}
    for kind, count in (("throughput", 6), ("latency", 9)):
        found = [line for line in lines if line["kind"] == kind]
        assert len(found) == count
        for line in found:
            assert line["tx"] == line["rx"] > 0 and line["loss"] == 0 and line["other"] == 0
            assert [d["direction"] for d in line["directions"]] == ["a-to-b"]
    for line in lines:
        if line["kind"] == "latency":
            us = line["latency_us"]
            assert 0 < us["min"] <= us["p50"] <= us["p90"] <= us["p99"] <= us["p99.9"] <= us["max"]
            assert line["reordered"] == line["duplicates"] == 0
    assert [line["percent"] for line in lines if line["kind"] == "latency"][:3] == [10, 50, 90]


@pytest.mark.parametrize("how", ["", ",sleep"])
def test_echo(how):
    """Without a device everything comes back from another CPU; what flew while the tester was away is counted apart."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    other = max(os.sched_getaffinity(0))
    line, = wire("--echo", f"{other}{how}", "--rate", "5k", "--seconds", 0.3, "--latency", "--flows", 10, *SHORT)
    assert line["kind"] == "latency" and line["tx"] == line["rx"] > 0 and line["other"] == 0
    assert 0 <= line["undisturbed"] <= line["rx"] and line["reordered"] == line["duplicates"] == 0
    if line["undisturbed"] > 0:
        assert line["latency_us"]["min"] <= line["undisturbed_us"]["min"] <= line["undisturbed_us"]["max"] <= line["latency_us"]["max"]


def test_echo_needs_a_cpu_that_is_there():
    assert "--echo: the thread cannot run on CPU 1000" in wire("--echo", "1000", "--rate", "1k", *SHORT, code=1)


def test_rates_are_kept():
    line, = wire("--self-test", "--rate", "20k", "--seconds", 0.5, *SHORT)
    assert line["kind"] == "trial" and line["requested_pps"] == 20000
    assert 0 < line["tx"] <= 10001 and line["tx"] == line["rx"]
    # A rate nobody can offer is said to have been offered short.
    line, = wire("--self-test", "--rate", "1G", "--seconds", 0.1, *SHORT)
    assert line["offered_short"] is True


def test_two_threads_and_interrupt(directory):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    line, = wire("--self-test", "--rate", "10k", "--seconds", 0.2, "--latency", *SHORT[2:], "--lcores", cpus)
    assert line["tx"] == line["rx"] > 0
    process = subprocess.Popen([bench(), "wire", "--self-test", "--rate", "1k", "--seconds", "60", "--json", *SHORT],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    line = json.loads(out)
    # What is on its way at the interrupt is not waited for.
    assert 0 < line["tx"] - 2 <= line["rx"] <= line["tx"] and line["seconds"] < 10


@pytest.mark.parametrize("keys", [PLAIN, PLAIN6])
def test_back_on_the_same_port(directory, keys):
    with forwarder(directory, "io") as (_, (a,)):
        lines = wire("--a", a, "--a-to-b", keys, "--rate", "5k", "--seconds", 0.4, "--sizes", "100,1400,3000", "--flows", 50,
                     "--latency", *SHORT)
    assert [line["size"] for line in lines] == [100, 1400, 3000]
    for line in lines:
        assert line["tx"] == line["rx"] > 0
        assert line["reordered"] == line["duplicates"] == 0


def test_two_ports_both_ways(directory):
    reverse = "src=198.19.0.1,dst=198.18.0.1,src_mac=02:00:00:00:00:0b,dst_mac=02:00:00:00:00:0a"
    with forwarder(directory, "io", 2) as (_, (a, b)):
        line, = wire("--a", a, "--b", b, "--a-to-b", PLAIN, "--b-to-a", reverse, "--rate", "5k", "--seconds", 0.4, *SHORT)
        assert [d["direction"] for d in line["directions"]] == ["a-to-b", "b-to-a"]
        assert all(d["tx"] == d["rx"] > 0 for d in line["directions"])


def test_frames_at_the_wrong_port_are_lost(directory):
    chain = "--port-topology=loop"  # each port gets back what it sent
    with forwarder(directory, "io", 2, chain) as (_, (a, b)):
        line, = wire("--a", a, "--b", b, "--a-to-b", PLAIN, "--rate", "5k", "--seconds", 0.2, *SHORT)
    assert line["rx"] == 0 and line["loss"] == 1 and line["other"] == line["tx"] > 0


def test_a_device_that_drops_everything(directory):
    with forwarder(directory, "rxonly") as (_, (a,)):
        line, = wire("--a", a, "--a-to-b", PLAIN, "--rate", "5k", "--seconds", 0.2, *SHORT)
        assert line["tx"] > 0 and line["rx"] == 0 and line["loss"] == 1
        found = [x for x in wire("--a", a, "--a-to-b", PLAIN, "--seconds", 0.02, *SHORT) if x["kind"] == "throughput"]
        assert len(found) == 1 and found[0]["found"] is False and found[0]["tx"] == 0


def test_a_device_that_goes_away(directory):
    with forwarder(directory, "io") as (process, (a,)):
        tester = subprocess.Popen([bench(), "wire", "--a", a, "--a-to-b", PLAIN, "--rate", "max", "--seconds", "50", *SHORT],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(2)
        process.kill()
        _, messages = tester.communicate(timeout=20)
        assert tester.returncode == 1 and "port a" in messages and "went away" in messages
    assert "port a: it does not start within 0.3 s" in wire("--a", a, "--a-to-b", PLAIN, "--wait", 0.3, *SHORT, code=1)


@contextlib.contextmanager
def misbehaving(lab, *how):
    """A device between two veths; yields the tester's namespace."""
    device, tester = Namespace(lab, "device"), Namespace(lab, "tester")
    for name in ("eth0", "eth1"):
        device.sh("ip", "link", "add", "name", name, "type", "veth", "peer", "name", name, "netns", tester.name)
        for end in (device, tester):
            end.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
            end.sh("ip", "link", "set", name, "up")
    process = device.popen(os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire_device.py"), *map(str, how), log="device.log")
    wait_for("the device is there", lambda: "ready" in open(process.log).read())
    yield tester


BETWEEN_VETHS = ("--a", "net_af_packet0,iface=eth0", "--b", "net_af_packet1,iface=eth1", "--a-to-b", PLAIN,
                 "--b-to-a", "src=2001:db8:19::1,dst=2001:db8:18::1,src_mac=02:00:00:00:00:0b,dst_mac=02:00:00:00:00:0a",
                 "--sizes", 131, "--flows", 7)


@pytest.mark.parametrize("how", ["twice", "half"])
def test_a_device_that_duplicates(lab, how):
    """Copies never stand for lost frames: told apart where frames are numbered, else nothing is claimed. Nor does one direction's
    gain hide another's loss."""
    with misbehaving(lab, how) as tester:
        line, = wire(*BETWEEN_VETHS, "--rate", "1k", "--seconds", 0.5, "--latency", *SHORT, ns=tester)
        sent = sum(d["tx"] for d in line["directions"])
        if how == "twice":
            assert line["rx"] == 2 * sent and line["duplicates"] == sent > 0 and line["loss"] == 0
        else:
            assert abs(line["duplicates"] - sent / 2) <= 1 and abs(line["loss"] - 0.5) < 0.01
            assert all(abs(d["loss"] - 0.5) < 0.01 for d in line["directions"])
        if how == "twice":
            for more in (("--rate", "1k"), ("--loss", 0)):
                assert "the device under test duplicates" in wire(*BETWEEN_VETHS, *more, "--seconds", 0.5, *SHORT, ns=tester, code=1)


def test_a_device_that_reorders(lab):
    with misbehaving(lab, "reorder") as tester:
        line, = wire(*BETWEEN_VETHS, "--rate", "1k", "--seconds", 0.5, "--latency", *SHORT, ns=tester)
        # Of four frames that come back last first, three come after one that was sent later. Up to three wait for the next.
        assert all(d["tx"] - 3 <= d["rx"] <= d["tx"] for d in line["directions"]) and line["duplicates"] == 0
        assert 0.7 * line["rx"] < line["reordered"] <= 0.75 * line["rx"] + 3


def test_a_device_that_stops_during_the_search(lab):
    """The links stay, but nothing comes back any more: no figure is made of that."""
    with misbehaving(lab, "stop", 2 * 4096 + 9000) as tester:
        messages = wire(*BETWEEN_VETHS, "--loss", "0,0.001", "--seconds", 0.3, *SHORT, ns=tester, code=1)
        assert "nothing came back of" in messages and "has stopped" in messages


def test_a_rate_too_low_proves_nothing(directory):
    """A device whose every trial loses is not said to have none to lose because few frames were sent."""
    with forwarder(directory, "rxonly") as (_, (a,)):
        lines = wire("--a", a, "--a-to-b", PLAIN, "--seconds", 0.02, "--loss", 0.9, *SHORT)
        assert lines[-1]["found"] is False and all(t["tx"] >= 900 for t in lines if t["kind"] == "trial")


def test_large_frames_in_small_pages():
    """The memory that buffers need is had without --memory, also where each takes whole pages."""
    lines = wire("--self-test", "--sizes", "9000,64", "--rate", "1k", "--seconds", 0.1, "--lcores", CPU, "--no-huge")
    assert [line["size"] for line in lines] == [9000, 64] and all(line["tx"] == line["rx"] > 0 for line in lines)


def test_through_podlane_from_pod_to_pod(lab):
    node = PodlaneNode(lab, "node-a", 1)
    pods = [MemifPod(lab, f"pod-{i}", [node.address(4, i), node.address(6, i)]) for i in (10, 11)]
    macs = ["02:00:00:00:00:10", "02:00:00:00:00:11"]
    # The node knows the pods' MAC addresses: one that had to ask would drop what comes meanwhile, perhaps still at the trial's start.
    for pod, mac in zip(pods, macs):
        pod.object = lambda pod=pod, mac=mac: MemifPod.object(pod) | {"mac": mac}
    node.write_conf(pods=pods).start()
    devices = [f"net_memif{i},role=client,id=0,socket={pod.socket},socket-abstract=no" for i, pod in enumerate(pods)]
    for family, gateway, size in ((4, "169.254.1.1", 64), (6, "fe80::1", 90)):
        there = f"src={node.address(family, 10)},dst={node.address(family, 11)},src_mac={macs[0]},gw={gateway}"
        back = f"src={node.address(family, 11)},dst={node.address(family, 10)},src_mac={macs[1]},gw={gateway}"
        line, = wire("--a", devices[0], "--b", devices[1], "--a-to-b", there, "--b-to-a", back, "--arp", "--flows", 200,
                     "--rate", "4k", "--seconds", 0.5, "--sizes", size, "--latency", *SHORT)
        assert all(d["tx"] == d["rx"] > 0 for d in line["directions"]), line
        assert line["duplicates"] == 0
    node.assert_balanced()


@pytest.mark.parametrize("encap", ["vxlan", "ipip"])
def test_through_podlane_and_a_tunnel(lab, encap):
    """Port b is the peer node: it takes encapsulated frames, sends such, and answers for the peer's address."""
    node = PodlaneNode(lab, "node-a", 1)
    peer = Node(lab, "node-b", 2)
    peer.pool4, peer.pool6 = "10.244.2.0/24", "fd00:244:2::/64"
    peer.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
    pod = MemifPod(lab, "pod-10", [node.address(4, 10), node.address(6, 10)])
    node.write_conf(peers=[(peer, encap)], pods=[pod]).start()
    tunnel = {"vxlan": f"vxlan_vni=1,vxlan_port=8472,inner_src_mac={peer.vtep_mac},inner_dst_mac={node.vtep_mac}", "ipip": "ipip=1"}[encap]
    for family, gateway, remote in ((4, "169.254.1.1", "10.244.2.10"), (6, "fe80::1", "fd00:244:2::10")):
        local = node.address(family, 10)
        line, = wire("--a", f"net_memif0,role=client,id=0,socket={pod.socket},socket-abstract=no", "--b", "net_af_packet0,iface=eth0",
                     "--a-to-b", f"src={local},dst={remote},gw={gateway}",
                     "--b-to-a", f"src={remote},dst={local},{tunnel},outer_src={peer.underlay4},outer_dst={node.underlay4}",
                     "--arp", "--flows", 20, "--rate", "1k", "--seconds", 0.5, "--sizes", 300, *SHORT, ns=peer)
        assert all(d["tx"] == d["rx"] > 0 for d in line["directions"]), line
    node.assert_balanced()


@pytest.mark.parametrize("family", [4, 6])
def test_through_the_kernel_with_arp(lab, family):
    """The kernel routes between two interfaces; it asks for the tester's addresses, the tester for the kernel's."""
    router, tester = Namespace(lab, "router"), Namespace(lab, "tester")
    for i, name in enumerate(("eth0", "eth1")):
        router.sh("ip", "link", "add", "name", name, "type", "veth", "peer", "name", name, "netns", tester.name)
        tester.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
        for end in (router, tester):
            end.sh("ethtool", "-K", name, "tx", "off", "rx", "off", check=False)
            end.sh("ip", "link", "set", name, "up")
        router.sh("ip", "addr", "add", f"198.18.{i}.1/24", "dev", name)
        router.sh("ip", "addr", "add", f"2001:db8:{i}::1/64", "dev", name, "nodad")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.sysctl("net.ipv6.conf.all.forwarding", 1)
    net = "198.18.%d.%d" if family == 4 else "2001:db8:%d::%d"
    line, = wire("--a", "net_af_packet0,iface=eth0", "--b", "net_af_packet1,iface=eth1",
                 "--a-to-b", f"src={net % (0, 9)},dst={net % (1, 9)},gw={net % (0, 1)}",
                 "--b-to-a", f"src={net % (1, 9)},dst={net % (0, 9)},gw={net % (1, 1)}",
                 "--arp", "--flows", 20, "--rate", "1k", "--seconds", 0.5, "--sizes", 128, *SHORT, ns=tester)
    assert all(d["tx"] == d["rx"] > 0 for d in line["directions"]), line
    nobody = wire("--a", "net_af_packet0,iface=eth0", "--a-to-b", f"src={net % (0, 9)},dst={net % (1, 9)},gw={net % (0, 7)}", "--arp",
                  "--wait", 0.5, "--sizes", 128, *SHORT, ns=tester, code=1)
    assert "nobody answers for" in nobody


@pytest.mark.parametrize("family", [4, 6])
def test_checksums_are_right(lab, family):
    """The kernel as the judge: it takes packets for every destination and counts bad checksums. Odd sizes, stamps, many
    destinations."""
    judge, tester = Namespace(lab, "judge"), Namespace(lab, "tester")
    judge.sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", tester.name)
    for end in (judge, tester):
        end.sh("ethtool", "-K", "eth0", "tx", "off", "rx", "off", check=False)
        end.sh("ip", "link", "set", "eth0", "up")
    judge.sh("ip", "addr", "add", "198.18.0.1/24", "dev", "eth0")
    judge.sh("ip", "addr", "add", "2001:db8::1/64", "dev", "eth0", "nodad")
    judge.sh("ip", "route", "add", "local", "198.19.0.0/16", "dev", "lo")
    judge.sh("ip", "-6", "route", "add", "local", "2001:db8:19::/112", "dev", "lo")
    src, dst, gateway = (("198.18.0.9", "198.19.0.0/16", "198.18.0.1") if family == 4 else
                         ("2001:db8::9", "2001:db8:19::/112", "2001:db8::1"))
    lines = wire("--a", "net_af_packet0,iface=eth0", "--a-to-b", f"src={src},dst={dst},gw={gateway}", "--arp", "--flows", 50300,
                 "--rate", "5k", "--seconds", 0.2, "--sizes", "101,128", "--latency", *SHORT, ns=tester)
    lines += wire("--a", "net_af_packet0,iface=eth0", "--a-to-b", f"src={src},dst={dst},gw={gateway}", "--arp", "--flows", 3,
                  "--rate", "5k", "--seconds", 0.2, "--sizes", "99", *SHORT, ns=tester)
    snmp = judge.sh("cat", "/proc/net/snmp").splitlines()
    counts = {f"{a.split()[0]}{k}": int(v) for a, b in zip(snmp[::2], snmp[1::2]) for k, v in zip(a.split()[1:], b.split()[1:])}
    counts.update((k, int(v)) for k, v in map(str.split, judge.sh("cat", "/proc/net/snmp6").splitlines()))
    names = ("Ip:InHdrErrors", "Udp:InCsumErrors", "Udp:NoPorts") if family == 4 else \
        ("Ip6InHdrErrors", "Udp6InCsumErrors", "Udp6NoPorts")
    assert [counts[name] for name in names[:2]] == [0, 0]
    assert counts[names[2]] >= sum(line["tx"] for line in lines) > 2500


def test_cache_line():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
    line = json.loads(run(bench(), "cacheline", "--cpus", cpus, "--json"))
    assert line["cacheline_tsc"] > 0 and line["cacheline_pause_tsc"] > 0
    for wrong in ("0", "0,0", "0,100000"):
        done = subprocess.run([bench(), "cacheline", "--cpus", wrong], stderr=subprocess.PIPE, text=True)
        assert done.returncode == 2 and "CPU" in done.stderr
