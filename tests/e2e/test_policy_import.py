# SPDX-License-Identifier: Apache-2.0
"""A cluster's own files on one node: imported, in force between real pods, and tested against a table with and without the daemon."""

import os

from lab import Lab, Pod, PodlaneNode

OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{team: blue}}}}
---
apiVersion: v1
kind: List
items:
- {{apiVersion: v1, kind: Pod, metadata: {{name: web, namespace: shop, labels: {{app: web}}}}, status: {{podIPs: [{{ip: {web}}}]}}}}
- {{apiVersion: v1, kind: Pod, metadata: {{name: db, namespace: shop, labels: {{app: db}}}}, spec: {{containers: [{{name: c, ports: [{{name: pg, containerPort: 5432}}]}}]}}, status: {{podIPs: [{{ip: {db}}}]}}}}
- {{apiVersion: v1, kind: Pod, metadata: {{name: far, namespace: shop, labels: {{app: web}}}}, status: {{podIPs: [{{ip: 10.99.0.1}}]}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: db, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: db}}}}
  ingress:
  - from: [{{podSelector: {{matchLabels: {{app: web}}}}}}]
    ports: [{{port: pg}}]
"""
TABLE = "src,dst,proto,port,allowed\nshop/web,shop/db,TCP,5432,true\nshop/web,shop/db,TCP,80,false\nshop/web,shop/db,UDP,5432,false\n"


def reaches(source, address, port):
    """Whether a TCP connection gets an answer; a refusal is one as well."""
    code = f"import socket; s = socket.socket(); s.settimeout(1); print(s.connect_ex(('{address}', {port})))"
    return source.sh("python3", "-c", code).strip() in ("0", "111")


def test_import():
    lab = Lab("policy-import")
    try:
        node = PodlaneNode(lab, "node-a", 1)
        web, db = Pod(lab, "web", [node.address(4, 10)]), Pod(lab, "db", [node.address(4, 11)])
        node.write_conf(pods=[web, db]).start()
        objects, table = os.path.join(lab.dir, "all.yaml"), os.path.join(lab.dir, "table.csv")
        with open(objects, "w") as f:
            f.write(OBJECTS.format(web=web.v4, db=db.v4))
        with open(table, "w") as f:
            f.write(TABLE)
        assert reaches(web, db.v4, 80) and reaches(web, db.v4, 5432)
        assert "db" in node.cli("policy", "import", "--dry-run", objects)
        assert reaches(web, db.v4, 80), "a dry run does nothing"
        for _ in range(2):  # again is the same
            node.cli("policy", "import", objects)
        assert node.get("/v1/pods/" + db.short)["labels"] == ["app=db"]
        assert node.get("/v1/endpoints/shop.far")["addresses"] == ["10.99.0.1"]
        assert reaches(web, db.v4, 5432) and not reaches(web, db.v4, 80) and reaches(db, web.v4, 80)
        for subject, words in (("namespaces", "shop"), ("endpoints", "shop.far"), ("policy-objects", "app == 'db'"), ("pods", "shop")):
            assert words in node.cli("show", subject), subject
        assert "no sets" in node.cli("show", "sets") and "default" in node.cli("show", "tiers")
        known = node.get(f"/v1/state/identity?address={db.v4}")
        assert (known["kind"], known["namespace"], known["labels"], known["ports"]) == ("pod", "shop", ["app=db"], ["pg=5432/tcp"]), known
        assert [(p["name"], p["ingress"], p["egress"]) for p in known["policies"]] == [("shop.db", True, False)], known
        assert node.get("/v1/state/identity?address=10.99.0.1")["policies"] == []
        assert node.get("/v1/state/identity?address=10.99.0.2")["kind"] is None
        assert node.get(f"/v1/state/identity?address={node.address(6, 1)}")["kind"] == "node"
        said = node.cli("show", "identity", db.v4)
        assert "app=db" in said and "shop.db" in said, said
        assert 'found "db"' in node.cli("show", "identity", "db", check=False)
        assert "3 connections, 0 differ" in node.cli("policy", "test", table)
        assert "3 connections, 0 differ" in node.cli("policy", "test", table, "--objects", objects)
        with open(table, "w") as f:
            f.write(TABLE.replace("80,false", "80,true"))
        said = node.cli("policy", "test", table, check=False)
        assert "1 differ" in said and "is denied by ingress of shop/db: the end of tier default" in said, said
        node.assert_balanced()
    finally:
        lab.close()
