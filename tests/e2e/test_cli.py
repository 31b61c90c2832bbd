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


@pytest.mark.parametrize("text,where,what", [
    ('@include "parts/peers.conf"\npods: ( { name = "x"; kind = "tap"; netsn = "x"; } );\n', "new.conf:2", 'did you mean "netns"'),
    ('\n@include "parts/peers.conf"\n@include "parts/routes.conf"\nnode: { name = "a"; };\n', "parts/routes.conf:3", "prefix"),
    ('/* one\n two */ @include "parts/peers.conf"\n', "new.conf:2", "syntax error"),
    ('@include "parts/peers.conf"\n\n@include "parts/none.conf"\n', "new.conf:3", "cannot read"),
    ('@include "parts/open.conf"\n', "parts/open.conf:2", "has no end"),
    ('@include "parts/peers.conf"\nroutes: ( { prefix = "198.51.100.0/24";\n  via = ( { peer = "nobody"; } ); } );\n',
     "new.conf:2", "nobody"),  # what only the daemon can know
    ('pods: ( { name = "x"; kind = "tap"; netns = "x"; },\n        { name = "x"; kind = "tap"; netns = "y"; } );\n', "new.conf:2",
     "the first is at"),
    (b'@include "parts/peers.conf"\nnode: { name = "\xff"; };\n', "new.conf:2", "not UTF-8"),
])
def test_errors_name_the_users_file(pair, text, where, what):
    """As `podlaned --check` does: the file that was given or included, and its line. From standard input as well."""
    directory = os.path.join(pair.lab.dir, "conf")
    os.makedirs(os.path.join(directory, "parts"), exist_ok=True)
    for name, content in (("peers", 'peers: ( { name = "node-z"; underlay = [ "192.0.2.77" ]; encap = "direct"; } );\n'),
                          ("routes", '\n\nroutes: ( { prefix = "198.51.100.0/99"; action = "blackhole"; } );\n'), ("open", '\nnode: { name = "a };\n')):
        with open(os.path.join(directory, "parts", f"{name}.conf"), "w") as f:
            f.write(content)
    path, before = os.path.join(directory, "new.conf"), pair.a.get("/v1/peers")
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    for argv in (("diff", path), ("apply", path)):
        with pytest.raises(CommandError) as refused:
            pair.a.cli(*argv)
        assert f"podlane: {directory}/{where}: " in str(refused.value) and what in str(refused.value), refused.value
        assert "request" not in str(refused.value)
    with pytest.raises(CommandError) as refused:
        run("sh", "-c", 'cd "$1" && exec "$0" --socket "$2" diff - <new.conf', os.path.abspath(os.path.join(os.environ["PODLANE_BUILD"], "ctrl", "podlane")),
            directory, pair.a.api_socket)
    assert where.replace("new.conf", "(standard input)") + ": " in str(refused.value), refused.value
    assert pair.a.get("/v1/peers") == before


def test_included_files_are_applied(pair):
    directory = os.path.join(pair.lab.dir, "conf")
    os.makedirs(os.path.join(directory, "parts"), exist_ok=True)
    for name, text in (("new.conf", '@include "parts/r.conf"\n'), ("parts/r.conf", 'routes: ( { prefix = "203.0.113.0/24"; action = "blackhole"; } );\n')):
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
    assert "1 added" in pair.a.cli("apply", os.path.join(directory, "new.conf"))
    assert "1 removed" in pair.a.cli("del", "route", "203.0.113.0/24")


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
