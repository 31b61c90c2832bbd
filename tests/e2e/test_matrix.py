# SPDX-License-Identifier: Apache-2.0
"""The main job: every pod reaches every other over both families, with counters that add up."""

import itertools
import json
import os

import pytest

from lab import CommandError, run, wait_for

PODS = ["pod-a1", "pod-a2", "pod-b1", "pod-b2", "pod-c1"]


@pytest.mark.parametrize("src,dst", itertools.permutations(PODS, 2))
def test_ping(pair, src, dst):
    source, target = pair.pods[src], pair.pods[dst]
    source.ping(target.v4, count=3)
    source.ping(target.v6, count=3)


def test_pods_have_what_they_asked_for(pair):
    pod = pair.pods["pod-a1"]
    link = json.loads(pod.sh("ip", "-j", "-d", "addr", "show", "eth0"))[0]
    addresses = {(a["local"], a["prefixlen"]) for a in link["addr_info"] if a.get("scope") == "global"}
    assert addresses == {(pod.v4, 32), (pod.v6, 128)}
    assert link["operstate"] in ("UP", "UNKNOWN")
    assert link["mtu"] == 1430 or link["mtu"] == 1450
    assert "169.254.1.1" in pod.sh("ip", "route", "show", "default")
    assert "fe80::1" in pod.sh("ip", "-6", "route", "show", "default")


def test_gateway_answers(pair):
    pair.pods["pod-a1"].ping("169.254.1.1")
    pair.pods["pod-a1"].ping("fe80::1%eth0")


def test_node_reaches_pods_through_host_port(pair):
    for node, pod in ((pair.a, "pod-a1"), (pair.b, "pod-b2")):
        node.ping(pair.pods[pod].v4)
        node.ping(pair.pods[pod].v6)
    # ... also those of other nodes, and pods reach the node.
    pair.a.ping(pair.pods["pod-b1"].v4)
    pair.a.ping(pair.pods["pod-b1"].v6)
    pair.pods["pod-b1"].ping(pair.a.address(4, 1))
    pair.pods["pod-b1"].ping(pair.a.address(6, 1))


@pytest.mark.parametrize("client,server", [("pod-a1", "pod-a2"), ("pod-a1", "pod-b1"), ("pod-a1", "pod-c1"),
                                           ("pod-c1", "pod-b1")])
@pytest.mark.parametrize("family", [4, 6])
def test_tcp_moves_data(pair, client, server, family):
    """TCP runs at speed; test_sizes.py checks every byte."""
    target = pair.pods[server]
    address = target.v4 if family == 4 else target.v6
    daemon = target.popen("iperf3", "-s", "-1", "-p", "5201", log=f"iperf3-{server}.log")
    wait_for("iperf3 listens", lambda: ":5201" in target.sh("ss", "-Htln"))
    out = json.loads(pair.pods[client].sh("iperf3", "-J", "-c", address, "-p", "5201", "-n", "20M", "-b", "0", timeout=60))
    assert "error" not in out, out.get("error")
    # The client stops at the last byte sent; what is in flight then is not counted as received.
    assert out["end"]["sum_sent"]["bytes"] >= 20 * 1000 * 1000
    assert out["end"]["sum_received"]["bytes"] >= 20 * 1000 * 1000 * 0.7
    daemon.wait(10)


def test_checksums_and_lengths_are_right(pair):
    """What leaves on the underlay has right lengths and checksums, outside and inside."""
    capture = f"{pair.lab.dir}/underlay.pcap"
    dump = pair.c.popen("tcpdump", "-i", "eth0", "-w", capture, "-U", "--immediate-mode", "udp port 8472", log="tcpdump.log")
    wait_for("tcpdump listens", lambda: "listening" in open(dump.log).read())
    pair.pods["pod-a1"].ping(pair.pods["pod-c1"].v4, count=3, size=1000)
    pair.pods["pod-a1"].ping(pair.pods["pod-c1"].v6, count=3, size=1000)
    wait_for("tcpdump has written them", lambda: os.path.getsize(capture) > 12 * 1000)
    dump.terminate()
    dump.wait(5)
    # tcpdump is told that the inner traffic is VXLAN; -vv verifies IP, UDP and ICMP checksums.
    text = run("tcpdump", "-vv", "-n", "-r", capture, "-T", "vxlan", check=False)
    assert "VXLAN" in text and "ICMP echo request" in text
    for bad in ("bad cksum", "bad udp cksum", "wrong icmp", "bad-len", "truncated"):
        assert bad not in text, text


def test_unknown_destination_is_refused_with_icmp(pair):
    pod = pair.pods["pod-a1"]
    for address in (pair.a.address(4, 77), pair.a.address(6, 0x77)):
        _, received, out = pod.ping(address, count=2, check=False)
        assert received == 0
        assert "errors" in out or "nreachable" in out or "100% packet loss" in out
    drops = pair.a.drops()
    assert drops.get("route_unreachable", 0) + drops.get("no_route", 0) > 0


def test_spoofed_source_is_dropped(pair):
    pod = pair.pods["pod-a1"]
    before = pair.a.drops().get("spoofed_source", 0)
    pod.sh("ip", "addr", "add", "10.244.9.9/32", "dev", "eth0")
    try:
        with pytest.raises(CommandError):
            pod.sh("ping", "-c", "2", "-W", "1", "-i", "0.1", "-I", "10.244.9.9", pair.pods["pod-a2"].v4)
    finally:
        pod.sh("ip", "addr", "del", "10.244.9.9/32", "dev", "eth0")
    assert pair.a.drops().get("spoofed_source", 0) >= before + 2


def test_traceroute_shows_the_hops(pair):
    """TTL runs out at the nodes, with ICMP errors from them."""
    before = pair.a.drops().get("ttl_expired", 0)
    out = pair.pods["pod-a1"].sh("ping", "-c", "1", "-W", "1", "-t", "1", pair.pods["pod-b1"].v4, check=False)
    assert "Time to live exceeded" in out
    out = pair.pods["pod-a1"].sh("ping", "-6", "-c", "1", "-W", "1", "-t", "1", pair.pods["pod-b1"].v6, check=False)
    assert "Hop limit" in out or "Time exceeded" in out
    assert pair.a.drops().get("ttl_expired", 0) >= before + 2


def test_everything_is_accounted_for(pair):
    for node in pair.nodes:
        balance = node.assert_balanced()
        assert balance["received"] > 0
