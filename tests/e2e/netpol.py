# SPDX-License-Identifier: Apache-2.0
"""Kubernetes NetworkPolicy (networking.k8s.io/v1) for tests: random policies, what they mean, and the same as objects of
Podlane. The meaning is written from the API reference and shares nothing with the daemon.

A policy is a dict as in YAML's `spec`, with `name` and `namespace`. A pod is an object with namespace, name, labels, address(family)
and ports ({name: (port, protocol)}); something outside the cluster has namespace None.
"""

import ipaddress
import random

PROTOCOLS = ("TCP", "UDP", "SCTP")


# --- meaning ------------------------------------------------------------------------------------------------------

def selects(selector, labels):
    """A LabelSelector; {} is everything."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for e in selector.get("matchExpressions", []):
        value = labels.get(e["key"])
        if not {"In": lambda: value in e["values"], "NotIn": lambda: value not in e["values"],
                "Exists": lambda: value is not None, "DoesNotExist": lambda: value is None}[e["operator"]]():
            return False
    return True


def peer_matches(peer, policy, end, address, namespaces):
    if "ipBlock" in peer:
        address = ipaddress.ip_address(address)
        block = peer["ipBlock"]

        def within(cidr):
            net = ipaddress.ip_network(cidr)
            return net.version == address.version and address in net
        return within(block["cidr"]) and not any(within(c) for c in block.get("except", []))
    if end.namespace is None:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], namespaces[end.namespace]):
            return False
    elif end.namespace != policy["namespace"]:
        return False
    return selects(peer.get("podSelector", {}), end.labels)


def port_matches(rule_port, protocol, port, receiver):
    if rule_port.get("protocol", "TCP") != protocol:
        return False
    want = rule_port.get("port")
    if want is None:
        return True
    if isinstance(want, str):
        return getattr(receiver, "ports", {}).get(want) == (port, protocol)
    return want <= port <= rule_port.get("endPort", want)


def rules_allow(rules, peers, policy, other, address, protocol, port, receiver, namespaces):
    for rule in rules:
        ends, ports = rule.get(peers, []), rule.get("ports", [])
        if ends and not any(peer_matches(p, policy, other, address, namespaces) for p in ends):
            continue
        if ports and not any(port_matches(p, protocol, port, receiver) for p in ports):
            continue
        return True
    return False


def types_of(policy):
    return policy.get("policyTypes") or (["Ingress", "Egress"] if policy.get("egress") else ["Ingress"])


def direction_allows(policies, namespaces, pod, kind, other, other_address, protocol, port, receiver):
    mine = [p for p in policies if p["namespace"] == pod.namespace and kind in types_of(p) and
            selects(p["podSelector"], pod.labels)]
    peers = "from" if kind == "Ingress" else "to"
    return not mine or any(rules_allow(p.get(kind.lower(), []), peers, p, other, other_address, protocol, port, receiver,
                                       namespaces) for p in mine)


def allowed(policies, namespaces, source, destination, family, protocol, port):
    """May `source` open a connection to that port of `destination`? The node itself (`is_node`) reaches its pods."""
    if source is destination:
        return True
    if source.namespace is not None and not direction_allows(policies, namespaces, source, "Egress", destination,
                                                             destination.address(family), protocol, port, destination):
        return False
    if destination.namespace is None or getattr(source, "is_node", False):
        return True
    return direction_allows(policies, namespaces, destination, "Ingress", source, source.address(family), protocol, port,
                            destination)


# --- as objects of Podlane ----------------------------------------------------------------------------------------

def selector_text(selector):
    terms = [f"{k} == '{v}'" for k, v in selector.get("matchLabels", {}).items()]
    for e in selector.get("matchExpressions", []):
        values = ", ".join(f"'{v}'" for v in e.get("values", []))
        terms.append({"In": f"{e['key']} in {{ {values} }}", "NotIn": f"{e['key']} not in {{ {values} }}",
                      "Exists": f"has({e['key']})", "DoesNotExist": f"!has({e['key']})"}[e["operator"]])
    return " && ".join(terms) or "all()"


def peer_fields(peer, end):
    if "ipBlock" in peer:
        fields = {f"{end}_cidrs": [peer["ipBlock"]["cidr"]]}
        if peer["ipBlock"].get("except"):
            fields[f"{end}_not_cidrs"] = peer["ipBlock"]["except"]
        return fields
    fields = {}
    if "namespaceSelector" in peer:
        fields[f"{end}_namespaces"] = selector_text(peer["namespaceSelector"])
    if "podSelector" in peer or "namespaceSelector" not in peer:
        fields[end] = selector_text(peer.get("podSelector", {}))
    return fields


def port_fields(port):
    fields = {"protocol": port.get("protocol", "TCP").lower()}
    if "endPort" in port:
        fields["destination_ports"] = [f"{port['port']}:{port['endPort']}"]
    elif "port" in port:
        fields["destination_ports"] = [str(port["port"])]
    return fields


def rule_objects(rules, peers, end):
    out = []
    for rule in rules:
        for peer in rule.get(peers) or [None]:
            for port in rule.get("ports") or [None]:
                out.append({**(peer_fields(peer, end) if peer is not None else {}),
                            **(port_fields(port) if port is not None else {}), "action": "allow"})
    return out


def policy_object(policy):
    return {"name": f"{policy['namespace']}.{policy['name']}", "namespace": policy["namespace"],
            "selector": selector_text(policy["podSelector"]), "types": [t.lower() for t in types_of(policy)],
            "ingress": rule_objects(policy.get("ingress", []), "from", "source"),
            "egress": rule_objects(policy.get("egress", []), "to", "destination")}


# --- at random ----------------------------------------------------------------------------------------------------

class Generator:
    """Policies over a small cluster, so that most of what they say matters."""

    def __init__(self, seed, namespaces, pods, blocks, ports):
        self.r = random.Random(seed)
        self.namespaces, self.pods, self.blocks, self.ports = namespaces, pods, blocks, ports

    def selector(self, label_sets):
        labels = self.r.choice(label_sets)
        key = self.r.choice(sorted(labels))
        values = sorted({other[key] for other in label_sets if key in other})
        kind = self.r.randrange(6)
        if kind == 0:
            return {}
        if kind <= 2:
            return {"matchLabels": {key: labels[key]}}
        if kind == 3:
            return {"matchExpressions": [{"key": key, "operator": self.r.choice(["In", "NotIn"]),
                                          "values": self.r.sample(values, self.r.randint(1, len(values)))}]}
        if kind == 4:
            return {"matchExpressions": [{"key": self.r.choice([key, "nobody-has-it"]),
                                          "operator": self.r.choice(["Exists", "DoesNotExist"])}]}
        return {"matchLabels": {key: labels[key]}, "matchExpressions": [{"key": key, "operator": "Exists"}]}

    def peer(self):
        pods, namespaces = [p.labels for p in self.pods], list(self.namespaces.values())
        kind = self.r.randrange(4)
        if kind == 0:
            return {"podSelector": self.selector(pods)}
        if kind == 1:
            return {"namespaceSelector": self.selector(namespaces)}
        if kind == 2:
            return {"podSelector": self.selector(pods), "namespaceSelector": self.selector(namespaces)}
        block = self.r.choice(self.blocks)
        return {"ipBlock": {"cidr": block[0], "except": self.r.sample(block[1:], self.r.randint(0, len(block) - 1))}}

    def port(self):
        port = {"protocol": self.r.choice(PROTOCOLS)}
        kind = self.r.randrange(4)
        if kind == 0:
            names = sorted({n for p in self.pods for n, (_, proto) in p.ports.items() if proto == port["protocol"]})
            if names:
                port["port"] = self.r.choice(names)
        elif kind == 1:
            port["port"] = min(self.ports) - self.r.randint(0, 3)
            port["endPort"] = self.r.choice([*self.ports, 65535])
        elif kind == 2:
            port["port"] = self.r.choice(self.ports)
        return port

    def rules(self, peers):
        out = []
        for _ in range(self.r.randrange(4)):
            rule = {}
            if self.r.random() < 0.8:
                rule[peers] = [self.peer() for _ in range(self.r.randint(1, 3))]
            if self.r.random() < 0.6:
                rule["ports"] = [self.port() for _ in range(self.r.randint(1, 2))]
            out.append(rule)
        return out

    def policy(self, number):
        namespace = self.r.choice(sorted(self.namespaces))
        policy = {"name": f"p{number}", "namespace": namespace, "podSelector": self.selector([p.labels for p in self.pods])}
        types = self.r.choice([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        if types is not None:
            policy["policyTypes"] = types
        if types is None or "Ingress" in types:
            policy["ingress"] = self.rules("from")
        if types is not None and "Egress" in types or types is None and self.r.random() < 0.4:
            policy["egress"] = self.rules("to")
        return policy

    def policies(self):
        return [self.policy(i) for i in range(self.r.randint(1, 5))]
