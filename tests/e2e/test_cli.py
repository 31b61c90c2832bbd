# SPDX-License-Identifier: Apache-2.0
"""The command line as people use it."""

import json
import os

import pytest

from lab import CommandError, run, wait_for


def test_every_subject_shows_something(pair):
    for subject in ("node", "uplinks", "pools", "pods", "ports", "peers", "routes", "neighbours", "flows", "drops", "events",
                    "workers", "memory", "tables", "transactions"):
        assert pair.a.cli("show", subject).strip()
        json.loads(pair.a.cli("show", subject, "--json"))


def test_dry_run_changes_nothing(pair):
    path = os.path.join(pair.lab.dir, "more.conf")
    with open(path, "w") as f:
        f.write('routes: ( { prefix = "203.0.113.0/24"; action = "blackhole"; } );\n')
    for argv in (("diff", path), ("apply", path, "--dry-run"), ("apply", "--dry-run", path)):
        assert "+ route 203.0.113.0/24" in pair.a.cli(*argv)
        assert pair.a.get("/v1/routes") == []


def test_confirm_option_after_the_file(pair):
    path = os.path.join(pair.lab.dir, "more.conf")
    with open(path, "w") as f:
        f.write('routes: ( { prefix = "203.0.113.0/24"; action = "blackhole"; } );\n')
    assert "undone at" in pair.a.cli("apply", path, "--confirm", "60")
    assert "203.0.113.0/24" in pair.a.cli("show", "routes", "--limit", "0")
    assert "rolled back" in pair.a.cli("rollback")
    assert pair.a.get("/v1/routes") == []


def test_add_set_del(pair):
    assert "1 added" in pair.a.cli("add", "route", "198.51.100.0/24", "via=192.0.2.2,192.0.2.3@3")
    with pytest.raises(CommandError, match="already"):
        pair.a.cli("add", "route", "198.51.100.0/24", "via=192.0.2.2")
    assert "action" in pair.a.cli("set", "route", "198.51.100.0/24", "action=unreachable", "via=[]")
    assert "1 removed" in pair.a.cli("del", "route", "198.51.100.0/24")
    with pytest.raises(CommandError, match="there is no route"):
        pair.a.cli("del", "route", "198.51.100.0/24")
    with pytest.raises(CommandError, match="vni"):
        pair.a.cli("set", "peer", "node-b", "vni=many")


def test_explain_says_what_happens(pair):
    a1, b1 = pair.pods["pod-a1"], pair.pods["pod-b1"]
    out = pair.a.cli("explain", "pod:pod-a1", a1.v4, b1.v4, "tcp", "80")
    assert "packet: forward" in out and "vxlan to node-b" in out and "reply: forward" in out
    out = pair.a.cli("explain", "pod:pod-a1", "10.9.9.9", b1.v4)
    assert "spoofed_source" in out


def test_trace_follows_packets(pair):
    trace = pair.a.popen(os.path.join(os.environ["PODLANE_BUILD"], "ctrl", "podlane"), "--socket", pair.a.api_socket, "trace",
                         "-c", "2", "-t", "10", "-p", "pod:pod-a1", "icmp", log="trace.log")
    wait_for("two packets are traced", lambda: pair.pods["pod-a1"].ping(pair.pods["pod-b1"].v4, count=1) and
             trace.poll() is not None, 10, 0.2)
    text = open(trace.log).read()
    assert "receive" in text and "flow" in text and "send" in text and "vxlan to node-b" in text


def test_capture_opens_in_tcpdump(pair):
    path = os.path.join(pair.lab.dir, "capture.pcapng")
    capture = pair.a.popen(os.path.join(os.environ["PODLANE_BUILD"], "ctrl", "podlane"), "--socket", pair.a.api_socket,
                           "capture", "-w", path, "-c", "6", "-a", "rx,inner,tx", "icmp or udp port 8472", log="capture.log")
    wait_for("six packets are captured", lambda: pair.pods["pod-a1"].ping(pair.pods["pod-b1"].v4, count=1) and
             capture.poll() is not None, 10, 0.2)
    out = run("tcpdump", "-n", "-r", path)
    assert "ICMP echo request" in out and ".8472: " in out


def test_top_and_completion(pair):
    out = pair.a.cli("top", "-n", "1", "-d", "0.2")
    assert "PORT" in out and "WORKER" in out
    assert "peer" in pair.a.cli("complete", "add", "pe")
    assert "encap=" in pair.a.cli("complete", "set", "peer", "node-b", "enc")
    assert "node-b" in pair.a.cli("complete", "set", "peer", "no")
