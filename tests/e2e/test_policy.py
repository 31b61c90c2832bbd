# SPDX-License-Identifier: Apache-2.0
"""Policies on the wire: random NetworkPolicies against what they mean, between real pods, the node and a stranger; what a change
does to those who are talking; and attacks that others must not notice."""

import json
import os
import socket
import struct
import threading
import time

import pytest

import netpol
from lab import Lab, Namespace, Node, Pod, PodlaneNode, wait_for
from prober import Probe, Prober

MATRICES = int(os.environ.get("POLICY_MATRICES", "100"))
PORTS = (80, 81)


class PolicyPod(Pod):
    """A pod with a place in the cluster's naming."""

    def __init__(self, lab, node, namespace, name, host, labels, ports):
        super().__init__(lab, f"{namespace}-{name}", [node.address(4, host), node.address(6, host)])
        self.name_in_lab, self.namespace, self.labels, self.ports = self.name, namespace, labels, ports

    def object(self):
        return {**super().object(), "namespace": self.namespace, "labels": [f"{k}={v}" for k, v in self.labels.items()],
                "ports": [f"{n}={p}/{proto.lower()}" for n, (p, proto) in self.ports.items()]}


class End:
    """What the prober and the meaning of policies want to know of a place."""

    def __init__(self, ns, name, addresses, namespace=None, labels=None, ports=None, is_node=False):
        self.ns, self.name, self.addresses, self.namespace = ns, name, addresses, namespace
        self.labels, self.ports, self.is_node = labels or {}, ports or {}, is_node

    def address(self, family):
        return self.addresses[family]


class Cluster:
    """One node, three namespaces of three pods each, and a stranger on the underlay."""

    NAMESPACES = {"x": {"ns": "x", "team": "blue"}, "y": {"ns": "y", "team": "red"}, "z": {"ns": "z"}}

    def __init__(self, count=3):
        self.lab = Lab("policy")
        self.node = PodlaneNode(self.lab, "node-a", 1)
        self.pods, self.ends = {}, {}
        for i, ns in enumerate(self.NAMESPACES):
            for j, name in enumerate("abc"[:count]):
                labels = {"pod": name, "ns": ns, **({"role": "db"} if name == "b" else {})}
                ports = {"web": (80 + j % 2, "TCP"), "query": (80, "UDP"), **({"assoc": (81, "SCTP")} if j != 1 else {})}
                pod = PolicyPod(self.lab, self.node, ns, name, 10 + 3 * i + j, labels, ports)
                self.pods[pod.short] = pod
                self.ends[pod.short] = End(pod, pod.short, {4: pod.v4, 6: pod.v6}, ns, labels, ports)
        self.node.write_conf(pods=self.pods.values(), text="namespaces: ( " + ", ".join(
            '{ name = "%s"; labels = [ %s ]; }' % (n, ", ".join(f'"{k}={v}"' for k, v in labels.items()))
            for n, labels in self.NAMESPACES.items()) + " );").start()
        self.ends["node"] = End(self.node, "node", {4: self.node.address(4, 1), 6: self.node.address(6, 1)}, is_node=True)
        stranger = Namespace(self.lab, "stranger")
        self.lab.attach(stranger, "eth0", 1500)
        stranger.sh("ip", "addr", "add", "192.0.2.99/24", "dev", "eth0")
        stranger.sh("ip", "addr", "add", "2001:db8::99/64", "dev", "eth0", "nodad")
        stranger.sh("ip", "route", "add", self.node.pool4, "via", self.node.underlay4)
        stranger.sh("ip", "-6", "route", "add", self.node.pool6, "via", self.node.underlay6)
        self.ends["stranger"] = End(stranger, "stranger", {4: "192.0.2.99", 6: "2001:db8::99"})
        self.names = set()
        self.prober = Prober(list(self.ends.values()), PORTS)

    def all_probes(self):
        """Every pair but the node and the stranger among each other, which is nobody's here to judge."""
        outside = ("node", "stranger")
        return [Probe(f, proto, s, d, port) for f in (4, 6) for proto in netpol.PROTOCOLS for s in self.ends for d in self.ends
                if s != d and not (s in outside and d in outside) for port in PORTS]

    def meaning(self, policies, probes):
        return {p for p in probes if netpol.allowed(policies, self.NAMESPACES, self.ends[p.source], self.ends[p.destination],
                                                    p.family, p.protocol, p.port)}

    def apply(self, objects):
        """These policies and no others, in one transaction."""
        names = {o["name"] for o in objects}
        changes = [{"op": "delete", "type": "policy", "name": n} for n in sorted(self.names - names)]
        changes += [{"op": "put", "type": "policy", "object": o} for o in objects]
        if changes:
            status, body = self.node.request("POST", "/v1/transactions", {"changes": changes})
            assert status == 200, body.decode(errors="replace")
        self.names = names

    def check(self, policies, probes, expected, **how):
        arrived, answered = self.prober.run(probes, expected, **how)
        assert arrived == expected and answered == expected, self.differences(policies, expected, arrived, answered)

    def differences(self, policies, expected, arrived, answered):
        lines = [json.dumps(p) for p in policies]
        for what, found in (("arrived", arrived), ("answered", answered)):
            lines += [f"{what}, but is denied: {p}\n{self.explain(p)}" for p in sorted(found - expected)[:3]]
            lines += [f"not {what}, but is allowed: {p}\n{self.explain(p)}" for p in sorted(expected - found)[:3]]
        return "\n".join(lines)

    def explain(self, p):
        source = self.ends[p.source]
        port = {"node": "podlane0", "stranger": "eth0"}.get(p.source, f"pod:{p.source}")
        return self.node.cli("explain", port, source.address(p.family), self.ends[p.destination].address(p.family),
                             p.protocol.lower(), 40000, p.port, check=False)

    def close(self):
        self.lab.close()


@pytest.fixture(scope="module")
def cluster():
    one = Cluster()
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def clean(cluster):
    """Without policies before and after."""
    cluster.apply([])
    yield cluster
    cluster.apply([])
    cluster.node.assert_balanced()


def generator(cluster, seed):
    blocks = [("0.0.0.0/0", "10.244.1.10/32", "10.244.1.12/30"), ("10.244.1.8/29", "10.244.1.11/32"), ("192.0.2.0/24",),
              ("::/0", "fd00:244:1::10/128", "2001:db8::/64"), ("fd00:244:1::8/125", "fd00:244:1::b/128"), ("2001:db8::99/128",)]
    pods = [e for e in cluster.ends.values() if e.namespace is not None]
    return netpol.Generator(seed, cluster.NAMESPACES, pods, blocks, PORTS)


def test_matrices(clean):
    """Every end to every port of every other, over three protocols and both families, beside what the policies mean. UDP goes on
    with the flows of the matrix before in every other one, so that established flows are judged again."""
    probes = clean.all_probes()
    clean.check([], probes, set(probes))
    seen = [0, 0]
    for seed in range(MATRICES):
        policies = generator(clean, seed).policies()
        expected = clean.meaning(policies, probes)
        seen[0] += len(expected)
        seen[1] += len(probes)
        clean.apply([netpol.policy_object(p) for p in policies])
        clean.check(policies, probes, expected, fresh=seed % 2 == 0)
    assert 0.1 < seen[0] / seen[1] < 0.95, "the policies say something"


def test_answers_name_the_rule(clean):
    """explain, flows, drops, hit counts and questions agree on what denied a connection, and on what allowed one."""
    node, a, b = clean.node, clean.ends["x-a"], clean.ends["x-b"]
    clean.apply([{"name": "x.db", "namespace": "x", "selector": "pod == 'b'",
                  "ingress": [{"name": "web in", "source": "pod == 'a'", "protocol": "tcp", "destination_ports": ["80"]}]}])
    probes = [Probe(f, "TCP", "x-a", "x-b", port) for f in (4, 6) for port in PORTS]
    clean.check([], probes, {p for p in probes if p.port == 80})
    for family in (4, 6):
        words = ("pod:x-a", a.address(family), b.address(family), "tcp")
        said = node.cli("explain", *words, 80)
        assert "web in" in said and "x.db" in said and "forward" in said, said
        said = node.cli("explain", *words, 81)
        assert "by tier default" in said and "policy_ingress" in said, said
        answer = json.loads(node.cli("--json", "explain", *words, 81))
        assert (answer["verdict"], answer["reason"], answer["rule"]["tier"], answer["rule"]["rule"]) == \
            ("drop", "policy_ingress", "default", "(end of tier)"), answer
    flows = [f for f in node.get("/v1/state/flows?limit=0") if f["dst"] == b.address(4) and f["src"] == a.address(4) and
             f["proto"] == "tcp" and "rule" in f]
    assert any("web in" in f["rule"] and f["dport"] == 80 and f["verdict"] == "forward" for f in flows), flows
    assert any("(end of tier)" in f["rule"] and f["dport"] == 81 and f["next_hop"] == "policy_ingress" for f in flows), flows
    rules = node.get("/v1/state/policy-rules?policy=x.db")
    assert {r["rule"]: r["hits"] for r in rules}["web in"] == 2, rules
    assert node.drops()["policy_ingress"] >= 2
    assert 'podlane_policy_rule_hits_total{tier="default",namespace="x",policy="x.db",rule="web in"' in \
        node.get("/metrics", raw=True)[1].decode()
    questions = [{"src": "x/x-a", "dst": "x/x-b", "proto": "tcp", "port": 80}, {"src": "x/x-a", "dst": "x/x-b", "proto": "TCP", "port": 81},
                 {"src": "192.0.2.99", "dst": "x/x-b", "proto": "tcp", "port": 80},
                 {"src": node.address(4, 1), "dst": b.address(4), "proto": "udp", "port": 9}]
    status, body = node.request("POST", "/v1/policy-test", questions)
    assert status == 200, body
    answers = json.loads(body)
    assert [x["allowed"] for x in answers] == [True, False, False, True], answers
    assert answers[0]["ingress"]["rule"]["rule"] == "web in" and answers[2]["egress"] is None, answers
    status, body = node.request("POST", "/v1/policy-test", [questions[0], {"src": "x/nobody", "dst": "x/x-b", "proto": "tcp"}])
    assert status == 422 and json.loads(body)["path"] == "1/src", body


def test_staged_and_log(clean):
    """A staged policy denies nothing and counts what it would have; a log rule writes a line."""
    node = clean.node
    clean.apply([{"name": "y.maybe", "namespace": "y", "staged": True, "ingress": [{"action": "deny", "name": "perhaps"}]},
                 {"name": "x.told", "namespace": "x", "selector": "pod == 'c'",
                  "ingress": [{"action": "log", "protocol": "udp"}, {"name": "all"}]}])
    probes = [Probe(4, proto, "x-a", d, 80) for proto in ("TCP", "UDP") for d in ("y-a", "x-c")]
    clean.check([], probes, set(probes))
    staged = [r for r in node.get("/v1/state/policy-rules") if r["staged"]]
    assert sum(r["hits"] for r in staged) == 2, staged
    line = wait_for("a line in the log", lambda: [x for x in node.log_tail(400).splitlines() if "policy log" in x], 3)
    assert "x.told" in line[-1] and "verdict=allow" in line[-1] and clean.ends["x-a"].address(4) in line[-1], line


def test_refused_change_changes_nothing(clean):
    """A policy with a mistake is refused whole, and what was in force stays."""
    clean.apply([{"name": "x.shut", "namespace": "x", "types": ["ingress"]}])
    status, body = clean.node.request("PUT", "/v1/policies/y.bad", {"name": "y.bad", "namespace": "y", "selector": "pod =="})
    assert status == 422 and "selector" in json.loads(body)["path"], body
    probes = [Probe(4, "TCP", "y-a", d, 80) for d in ("x-a", "z-a")]
    clean.check([], probes, {probes[1]})


# --- changes under load ---------------------------------------------------------------------------------------------

class Stream:
    """UDP from one end to another as fast as a thread sends it, numbered; the receiver notes when each came."""

    def __init__(self, source, destination, family=4, port=7000, pause=0.0005):
        self.family, self.pause = family, pause
        af = socket.AF_INET if family == 4 else socket.AF_INET6
        with destination.ns.entered():
            self.rx = socket.socket(af, socket.SOCK_DGRAM)
            self.rx.bind((destination.address(family), port))
        with source.ns.entered():
            self.tx = socket.socket(af, socket.SOCK_DGRAM)
            self.tx.bind((source.address(family), 0))
            self.tx.connect((destination.address(family), port))
        self.rx.settimeout(0.05)
        self.sent, self.received, self.last, self.ended = 0, 0, 0.0, False
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for t in self.threads:
            t.start()

    def send(self):
        while not self.ended:
            try:
                self.tx.send(struct.pack("!Q", self.sent))
                self.sent += 1
            except OSError:
                pass
            time.sleep(self.pause)

    def receive(self):
        while not self.ended or self.received < self.sent:
            try:
                self.rx.recv(64)
            except (TimeoutError, socket.timeout):
                if self.ended:
                    return
                continue
            self.received += 1
            self.last = time.monotonic()

    def end(self):
        self.ended = True
        for t in self.threads:
            t.join()
        self.rx.close()
        self.tx.close()
        return self.sent, self.received


DENY = {"name": "x.deny", "namespace": "x", "selector": "pod == 'b'", "types": ["ingress"]}


@pytest.mark.parametrize("family", [4, 6])
def test_nothing_after_a_denial(clean, family):
    """When the request that denies has returned, the receiver has got the last packet; a flow of others loses none."""
    stream = Stream(clean.ends["x-a"], clean.ends["x-b"], family)
    other = Stream(clean.ends["y-a"], clean.ends["z-b"], family, port=7001)
    try:
        for _ in range(8):
            before = stream.received
            wait_for("packets", lambda: stream.received > before + 5, 5)
            clean.apply([DENY])
            returned = time.monotonic()
            time.sleep(0.02)
            at = stream.received  # what waited in the receiver's socket has been read by now
            time.sleep(0.05)
            assert stream.received == at and stream.last < returned + 0.02, (stream.last - returned, stream.received - at)
            clean.apply([])
    finally:
        sent, received = other.end()
        stream.end()
    assert sent == received > 0, "a flow that no policy selects"


def test_never_half_a_policy(clean):
    """Two policies that together allow, and each alone does not, are swapped for two others as fast as can be: nothing is lost.
    Two that together deny: nothing ever arrives."""
    def pair(n, allow):
        return [{"name": "x.out", "namespace": "x", "selector": "pod == 'a'", "types": ["egress"],
                 "egress": [{"protocol": "udp", "destination_ports": ["7000"]}] if allow or n == 0 else []},
                {"name": "x.in", "namespace": "x", "selector": "pod == 'b'", "types": ["ingress"],
                 "ingress": [{"name": f"round {n}", "protocol": "udp", "destination_ports": ["7000"]}] if allow or n == 1 else []}]

    clean.apply(pair(0, True))
    stream = Stream(clean.ends["x-a"], clean.ends["x-b"])
    for i in range(40):
        clean.apply(pair(i, True))
    sent, received = stream.end()
    assert sent == received > 0
    clean.apply(pair(0, False))
    stream = Stream(clean.ends["x-a"], clean.ends["x-b"])
    for i in range(40):
        clean.apply(pair(i % 2, False))  # always one end denies, and not always the same
    sent, received = stream.end()
    assert sent > 0 and received == 0


def tcp_pair(source, destination, port=7100):
    with destination.ns.entered():
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((destination.address(4), port))
        server.listen(1)
    with source.ns.entered():
        client = socket.create_connection((destination.address(4), port), timeout=5)
    peer, _ = server.accept()
    server.close()
    for s in (client, peer):
        s.settimeout(5)
    return client, peer


def talk(a, b):
    a.sendall(b"word")
    assert b.recv(16) == b"word"


@pytest.mark.parametrize("change", ["reevaluate", "keep", "reset"])
def test_on_change(clean, change):
    """What a denial means to a connection that is there: silence, nothing, or a reset at both ends. A new one is denied."""
    a, b = clean.ends["x-a"], clean.ends["x-b"]
    client, server = tcp_pair(a, b)
    talk(client, server)
    talk(server, client)
    clean.apply([{**DENY, "on_change": change}])
    if change == "keep":
        talk(client, server)
        talk(server, client)
    elif change == "reset":
        client.sendall(b"over")
        with pytest.raises(ConnectionResetError):
            client.recv(16)
        with pytest.raises(ConnectionResetError):
            server.recv(16)
    else:
        client.sendall(b"lost")
        server.settimeout(0.3)
        with pytest.raises((TimeoutError, socket.timeout)):
            server.recv(16)
        clean.apply([])
        server.settimeout(10)
        assert server.recv(16) == b"lost"  # TCP sends it again
        clean.apply([{**DENY, "on_change": change}])
    clean.check([], [Probe(4, "TCP", "x-a", "x-b", 80)], set())
    for s in (client, server):
        s.close()


def test_new_pod_is_born_closed(clean):
    """A pod comes with the policy that selects it already in force."""
    clean.apply([{"name": "x.new", "namespace": "x", "selector": "pod == 'new'", "types": ["ingress"]}])
    pod = PolicyPod(clean.lab, clean.node, "x", "new", 60, {"pod": "new"}, {})
    client = clean.ends["x-a"]
    with client.ns.entered():
        tx = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ended = threading.Event()

    def flood():
        while not ended.is_set():
            tx.sendto(b"early", (pod.v4, 7200))
    thread = threading.Thread(target=flood)
    thread.start()
    try:
        clean.node.put("pods", pod.object())
        time.sleep(0.1)
    finally:
        ended.set()
        thread.join()
    udp = [line.split() for line in pod.sh("cat", "/proc/net/snmp").splitlines() if line.startswith("Udp:")]
    counts = dict(zip(udp[0][1:], map(int, udp[1][1:])))
    assert counts["InDatagrams"] == counts["NoPorts"] == 0, counts
    dropped = clean.node.drops()["policy_ingress"]
    assert dropped > 0
    clean.node.delete("pods", pod.short)


# --- host policies ----------------------------------------------------------------------------------------------------

def test_host_policies(clean):
    """Traffic of the node itself: what pods may ask of it, what it may ask of others, and ports that no policy closes."""
    node, ends = clean.node, clean.ends
    probes = [Probe(4, "TCP", s, "node", port) for s in ("x-a", "y-a") for port in PORTS] + \
        [Probe(4, "UDP", "node", d, 80) for d in ("x-a", "z-c")]
    clean.check([], probes, set(probes))
    clean.apply([{"name": "host", "subject": "host", "types": ["ingress", "egress"],
                  "ingress": [{"source": "ns == 'x'", "protocol": "tcp", "destination_ports": ["80"]}],
                  "egress": [{"destination": "ns == 'z'"}]}])
    clean.check([], probes, {p for p in probes if p[2:] in (("x-a", "node", 80), ("node", "z-c", 80))})
    # Fail-safe ports stay open.
    node.patch("nodes", "node-a", {"failsafe_in": ["81/tcp"]})
    clean.check([], probes[:4], {p for p in probes[:4] if p.port == 81 or p.source == "x-a"})
    node.patch("nodes", "node-a", {"failsafe_in": None})
    clean.check([], probes[:4], {p for p in probes[:4] if p.port == 80 and p.source == "x-a"})


@pytest.mark.parametrize("family", [4, 6])
def test_what_waits_is_judged_again(family):
    """A packet waits for its next hop's MAC address; meanwhile a policy denies its connection. It must not leave."""
    with Lab("policy-wait") as lab:
        node, peer = PodlaneNode(lab, "node-a", 1), Node(lab, "node-b", 2)
        pod = Pod(lab, "a", [node.address(4, 10), node.address(6, 10)])
        hop, net, there = ("192.0.2.99", "198.51.100.0/24", "198.51.100.1") if family == 4 else \
            ("2001:db8::99", "2001:db8:99::/64", "2001:db8:99::1")
        node.write_conf(pods=[pod], routes=[{"prefix": net, "via": [{"address": hop}]}]).start()
        allow = {"name": "some", "types": ["egress"], "egress": [{"action": "allow", "protocol": "udp"}]}
        node.put("policies", allow)
        with pod.entered():
            s = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        for port in (7000, 7001):
            s.sendto(b"x", (there, port))
        wait_for("two wait", lambda: sum(n["held"] for n in node.get("/v1/state/neighbours")) == 2, 2)
        node.put("policies", {**allow, "egress": [{"action": "allow", "protocol": "udp", "destination_ports": ["7001"]}]})
        peer.sh("ip", "addr", "add", f"{hop}/{24 if family == 4 else 64}", "dev", "eth0", *(["nodad"] if family == 6 else []))
        wait_for("none waits", lambda: sum(n["held"] for n in node.get("/v1/state/neighbours")) == 0, 5)
        assert wait_for("one is dropped", lambda: node.drops().get("policy_egress"), 3) == 1
        assert "neighbour_unresolved" not in node.drops()
        node.assert_balanced()


# --- attacks ----------------------------------------------------------------------------------------------------------

def raw_flood(end, target, ended, counts):
    """SYNs from all ports to all ports of one address, denied and allowed ones, as fast as one thread can."""
    with end.ns.entered():
        tx = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    source = socket.inet_aton(end.address(4))
    destination = socket.inet_aton(target.address(4))
    n = 0
    while not ended.is_set():
        for _ in range(64):
            n += 1
            tcp = struct.pack("!HHIIBBHHH", 1024 + n * 7919 % 60000, 1 + n * 31 % 60000, n, 0, 5 << 4, 2, 1024, 0, 0)
            words = struct.unpack("!16H", source + destination + struct.pack("!HH", 6, 20) + tcp)
            total = sum(words)
            total = (total & 0xFFFF) + (total >> 16)
            total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            try:
                tx.sendto(tcp[:16] + struct.pack("!H", total) + tcp[18:], (target.address(4), 0))
            except OSError:
                pass
    counts.append(n)


def resident_kib(node):
    return int(open(f"/proc/{node.process.pid}/status").read().split("VmRSS:")[1].split()[0])


def test_flood_of_denied_connections(clean):
    """A port scan: one pod tries all ports of another as fast as it can, of which policies let one through. Established flows of
    others lose nothing, new connections of others work, nothing that is denied arrives, and the daemon's memory stays what it was."""
    ends = clean.ends
    clean.apply([{"name": "x.few", "namespace": "x", "selector": "pod == 'b'",
                  "ingress": [{"protocol": "tcp", "destination_ports": ["80"]}]}])
    with ends["x-b"].ns.entered():
        seen = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    seen.setblocking(False)
    other = Stream(ends["y-a"], ends["z-b"], pause=0.001)
    ended, counts, wrong = threading.Event(), [], []
    before = resident_kib(clean.node)
    flood = threading.Thread(target=raw_flood, args=(ends["x-a"], ends["x-b"], ended, counts))
    flood.start()
    try:
        others = [Probe(f, "TCP", s, d, 80) for f in (4, 6) for s in ("y-b", "z-a") for d in ("z-c", "y-c")]
        for _ in range(10):
            clean.check([], others, set(others))
            while True:
                try:
                    packet = seen.recv(128)
                except BlockingIOError:
                    break
                port = struct.unpack("!H", packet[22:24])[0]
                if port != 80:
                    wrong.append(port)
    finally:
        ended.set()
        flood.join()
        sent, received = other.end()
    assert sent == received > 0
    assert not wrong and counts[0] > 1000
    tables = clean.node.get("/v1/state/tables")["flows4"]
    # Of the table's entries, which are mapped as they are first used, and nothing else.
    assert tables["used"] <= tables["capacity"] and resident_kib(clean.node) - before < 4096 + counts[0] // 4
