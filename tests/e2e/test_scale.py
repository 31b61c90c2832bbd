# SPDX-License-Identifier: Apache-2.0
"""Many pods on a node: attached and detached under traffic, a fair share of a worker each, rate limits, and queues that
move between workers without losing a packet or its place."""

import json
import os
import subprocess
import time

import pytest

from lab import BUILD, Lab, Namespace, PodlaneNode, wait_for
from vhost_peer import TO_DEVICE, VhostPeer, udp_frame, virtio_header


class LoadPod:
    """A memif pod whose other end is memif_load."""

    def __init__(self, node, name, host, **fields):
        self.node, self.name = node, name
        self.ip = node.address(4, host)
        self.mac = f"02:00:00:00:{host // 256:02x}:{host % 256:02x}"
        self.socket = os.path.join(node.lab.dir, f"{name}.memif")
        self.obj = {"name": name, "kind": "memif", "socket": self.socket, "mac": self.mac, "addresses": [self.ip],
                    "queues": 1, **fields}

    def attach(self):
        self.node.put("pods", self.obj)
        return self


class Load:
    """memif_load between pods; flows are (from, to, {options})."""

    def __init__(self, pods, flows, seconds=20, ring=10):
        argv = [os.path.join(BUILD, "tests", "e2e", "memif_load"), "--ring", str(ring), "--seconds", str(seconds)]
        for pod in pods:
            argv += ["--pod", f"{pod.socket},{pod.ip},{pod.mac}"]
        for source, target, options in flows:
            words = [str(pods.index(source)), str(pods.index(target)), *[f"{k}={v}" for k, v in options.items()]]
            argv += ["--flow", ",".join(words)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pods[0].node.lab.processes.append(self.process)

    def result(self, timeout=40):
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, err
        return json.loads(out)["flows"]


def queues(node):
    return {(q["port"], q["queue"]): q for q in node.get("/v1/state/queues")}


@pytest.fixture(scope="module")
def one():
    """A node with one worker, and few flow entries: it is easy to have more flows than that."""
    with Lab("scale") as lab:
        node = PodlaneNode(lab, "node-a", 1, workers=[1], pool4="10.244.0.0/16", extra_node="flows = 4096;")
        node.write_conf().start()
        yield node


@pytest.fixture(scope="module")
def two():
    """A node with two workers."""
    with Lab("scale") as lab:
        node = PodlaneNode(lab, "node-a", 1, workers=[0, 1], pool4="10.244.0.0/16")
        node.write_conf().start()
        yield node


def test_flood_leaves_others_their_share(one):
    """One pod sends new flows as fast as it can, which is the most work a packet can make; another one's packets all arrive."""
    pods = [LoadPod(one, f"share-{i}", 100 + i, ring_size=4096).attach() for i in range(4)]
    flood, sink, modest, target = pods
    # More ports than the flow table has room for: first packets of flows most of the time.
    load = Load(pods, [(flood, sink, {"ports": 60000}), (modest, target, {"count": 100000, "rate": 20000})], ring=12)
    flooded, calm = load.result()
    assert flooded["sent"] > 5 * calm["sent"], (flooded, calm)
    assert calm["received"] == calm["sent"] == 100000 and calm["full"] == 0 and calm["late"] == 0, calm
    events = {e["event"]: e["count"] for e in one.get("/v1/state/events")}
    assert events["flow_miss"] > calm["sent"], events
    one.assert_balanced()


def test_denied_flood_leaves_others_their_share(one):
    """The same at full rate against a pod that policy closes: nothing gets through, and what is allowed all arrives."""
    pods = [LoadPod(one, f"denied-{i}", 110 + i, ring_size=4096, labels=[f"app=denied-{i}"]).attach() for i in range(4)]
    flood, sink, modest, target = pods
    one.put("policies", {"name": "closed", "selector": "app == 'denied-1'", "types": ["ingress"]})
    before = one.drops().get("policy_ingress", 0)
    flooded, calm = Load(pods, [(flood, sink, {"ports": 60000}), (modest, target, {"count": 40000, "rate": 20000})], ring=12).result()
    assert flooded["sent"] > 5 * calm["sent"] and flooded["received"] == 0, (flooded, calm)
    assert calm["received"] == calm["sent"] == 40000 and calm["full"] == 0 and calm["late"] == 0, calm
    assert one.drops()["policy_ingress"] - before > calm["sent"]
    one.delete("policies", "closed")
    one.assert_balanced()


@pytest.mark.parametrize("limit, direction", [("egress_rate_pps", "egress"), ("egress_rate_kbps", "egress"),
                                              ("ingress_rate_pps", "ingress"), ("ingress_rate_kbps", "ingress")])
def test_rate_limit(one, limit, direction):
    """What arrives is the burst and the rate, however much was sent; the rest is counted under its own reason."""
    source = LoadPod(one, "limit-a", 120).attach()
    target = LoadPod(one, "limit-b", 121).attach()
    limited = source if direction == "egress" else target
    frame_bits = 58 * 8
    rate, burst = 2000, 1000
    if limit.endswith("kbps"):
        changes = {limit: rate * frame_bits // 1000, limit.replace("rate_kbps", "burst_kbit"): burst * frame_bits // 1000}
    else:
        changes = {limit: rate, limit.replace("rate_pps", "burst_packets"): burst}
    one.patch("pods", limited.name, changes)
    reason = f"{direction}_rate_limited"
    before = one.drops().get(reason, 0)
    started = time.monotonic()
    flow, = Load([source, target], [(source, target, {"rate": 50000})], seconds=2).result()
    elapsed = time.monotonic() - started
    dropped = one.drops().get(reason, 0) - before
    assert flow["sent"] == flow["received"] + dropped, (flow, one.drops())
    # At least the burst and what two seconds gave, at most what the whole run of the program could.
    assert 0.9 * (burst + rate * 1.8) < flow["received"] < 1.1 * (burst + rate * elapsed), (flow, elapsed)
    # Live: without a limit all of it arrives.
    one.patch("pods", limited.name, {key: None for key in changes})
    flow, = Load([source, target], [(source, target, {"count": 20000, "window": 256})]).result()
    assert flow["received"] == 20000, flow
    one.assert_balanced()


def test_wrong_limits_are_refused(one):
    LoadPod(one, "limit-a", 120).attach()
    for changes, word in (({"egress_burst_packets": 10}, "egress_rate_pps"), ({"ingress_rate_kbps": 1}, "8"),
                          ({"worker": 1}, "there is no worker 1")):
        status, body = one.request("PATCH", "/v1/pods/limit-a", changes)
        assert status == 422 or status == 400, (status, body)
        assert word in body.decode() and next(iter(changes)) in body.decode(), body
    assert one.get("/v1/pods/limit-a")["egress_burst_packets"] == 0


def test_queues_spread_by_load(two):
    """Eight pods all on worker 0: their queues spread, and every packet arrives in its place."""
    pods = [LoadPod(two, f"spread-{i}", 140 + i, worker=0).attach() for i in range(8)]
    wait_for("all queues on worker 0", lambda: all(queues(two)[f"pod:{p.name}", 0]["worker"] == 0 for p in pods))
    flows = [(pods[i], pods[(i + 1) % 8], {"window": 128}) for i in range(8)]
    load = Load(pods, flows, seconds=8)
    time.sleep(1)
    for pod in pods:
        two.patch("pods", pod.name, {"worker": None})
    # The generator has no CPU of its own here, so loads differ from run to run: some move, none has to be a certain one.
    wait_for("queues on both workers", lambda: len({queues(two)[f"pod:{p.name}", 0]["worker"] for p in pods}) == 2, 6)
    for flow in load.result():
        assert flow["received"] == flow["sent"] > 1000 and flow["late"] == 0, flow
    assert sum(queues(two)[f"pod:{p.name}", 0]["moves"] for p in pods) >= 2
    two.assert_balanced()


def test_moves_lose_nothing(two):
    """A hundred moves of queues under traffic."""
    pods = [LoadPod(two, f"move-{i}", 160 + i, worker=0).attach() for i in range(4)]
    flows = [(pods[i], pods[(i + 1) % 4], {"window": 256}) for i in range(4)]
    load = Load(pods, flows, seconds=7)
    before = {p.name: queues(two)[f"pod:{p.name}", 0]["moves"] for p in pods}
    for turn in range(1, 26):
        for i, pod in enumerate(pods):
            two.patch("pods", pod.name, {"worker": (turn + i) % 2})
        time.sleep(0.15)
    moves = sum(queues(two)[f"pod:{p.name}", 0]["moves"] - before[p.name] for p in pods)
    assert moves >= 90, moves
    for flow in load.result():
        assert flow["received"] == flow["sent"] > 1000 and flow["late"] == 0, flow
    two.assert_balanced()


def talk(node, pods, guests):
    """Each guest sends one packet to the next, and gets one."""
    wait_for("all guests run", lambda: sum(p.get("guest") == "running" for p in node.get("/v1/state/ports")) == len(guests))
    ports = {p["name"]: p["mac"] for p in node.get("/v1/state/ports")}
    addresses = [next(a for a in node.get(f"/v1/pods/{pod['name']}")["addresses"] if ":" not in a) for pod in pods]
    for guest in guests:
        guest.fill()
    for i, guest in enumerate(guests):
        frame, at = udp_frame((pods[i]["mac"], ports[f"pod:{pods[i]['name']}"]), (addresses[i], addresses[(i + 1) % len(guests)]),
                              b"from %d" % i)
        assert guest.send(frame, virtio_header(at))
        guest.kick(TO_DEVICE)
    for i, guest in enumerate(guests):
        _, frame = wait_for(f"guest {i} receives", guest.receive)
        assert frame.endswith(b"from %d" % ((i - 1) % len(guests))), frame


def test_250_pods_at_50_a_second(two):
    """Kernel, memif and vhost pods come and go at 50 a second while others talk; nobody else loses a packet. A guest of one
    among the others sends and receives."""
    lab = two.lab
    pair = [LoadPod(two, f"busy-{i}", 180 + i).attach() for i in range(2)]
    netns = [Namespace(lab, f"k{i}") for i in range(25)]
    pods = [{"name": f"many-{i}", "kind": "tap", "netns": netns[i // 10].name, "queues": 1} if i % 10 == 0 else
            {"name": f"many-{i}", "kind": "vhost" if i % 5 == 1 else "memif", "socket": os.path.join(lab.dir, f"many-{i}.sock"),
             "mac": "02:00:00:00:09:01" if i % 5 == 1 else None, "queues": 1}
            for i in range(250)]
    pods = [{key: value for key, value in pod.items() if value is not None} for pod in pods]
    load = Load(pair, [(pair[0], pair[1], {"window": 64})], seconds=16)
    started = time.monotonic()
    for i, pod in enumerate(pods):
        time.sleep(max(0, started + i / 50 - time.monotonic()))
        two.put("pods", pod)
    state = {p["name"]: p for p in two.get("/v1/state/ports")}
    assert all(state[f"pod:{p['name']}"]["forwarding"] for p in pods)
    assert all(0 < state[f"pod:{p['name']}"]["memory"]["fixed_bytes"] < 65536 for p in pods)
    assert two.get("/v1/state/memory")["resident_bytes"] < 512 << 20
    guests = [VhostPeer(pod["socket"], packed=i % 2 == 1).connect() for i, pod in enumerate(pods) if pod["kind"] == "vhost"]
    assert len(guests) == 50
    talk(two, [pod for pod in pods if pod["kind"] == "vhost"], guests)
    started = time.monotonic()
    for i, pod in enumerate(pods):
        time.sleep(max(0, started + i / 50 - time.monotonic()))
        two.delete("pods", pod["name"])
    for guest in guests:
        guest.close()
    flow, = load.result()
    assert flow["received"] == flow["sent"] > 1000 and flow["late"] == 0, flow
    wait_for("ports are closed", lambda: all("many" not in p["name"] for p in two.get("/v1/state/ports")))
    two.assert_balanced()
