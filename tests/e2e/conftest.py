# SPDX-License-Identifier: Apache-2.0
"""Fixtures. A test that fails prints every daemon's log, counters and tables."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory  # noqa: E402


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.failed_call = report.failed
        if report.failed:
            for value in item.funcargs.values():
                lab = getattr(value, "lab", value)
                if isinstance(lab, laboratory.Lab):
                    for ns in lab.namespaces:
                        if isinstance(ns, laboratory.PodlaneNode):
                            report.sections.append((f"node {ns.short}", ns.dump()))
                    break


@pytest.fixture
def lab():
    """An empty laboratory for one test."""
    one = laboratory.Lab("test")
    try:
        yield one
    finally:
        one.close()


class Pair:
    """Two Podlane nodes with two pods each, and a flannel-style Linux node with one."""

    def __init__(self, encap="vxlan", mtu=1500, linux=True, pod_mtu=0):
        self.lab = laboratory.Lab("pair")
        lab = self.lab
        self.a = laboratory.PodlaneNode(lab, "node-a", 1, mtu)
        self.b = laboratory.PodlaneNode(lab, "node-b", 2, mtu)
        self.c = laboratory.FlannelNode(lab, "node-c", 3, mtu) if linux else None
        self.pods = {}
        for node in (self.a, self.b):
            for i in (10, 11):
                name = f"pod-{node.short[-1]}{i - 9}"
                self.pods[name] = laboratory.Pod(lab, name, [node.address(4, i), node.address(6, i)], pod_mtu)
        if self.c is not None:
            self.pods["pod-c1"] = self.c.add_pod("pod-c1")
            self.c.add_peer(self.a)
            self.c.add_peer(self.b)
        others = [(self.c, "vxlan")] if self.c is not None else []
        self.a.write_conf(peers=[(self.b, encap), *others], pods=[self.pods["pod-a1"], self.pods["pod-a2"]])
        self.b.write_conf(peers=[(self.a, encap), *others], pods=[self.pods["pod-b1"], self.pods["pod-b2"]])
        self.a.start(wait=False)
        self.b.start(wait=False)
        self.a.wait_ready()
        self.b.wait_ready()

    @property
    def nodes(self):
        return [self.a, self.b]

    def close(self):
        self.lab.close()


@pytest.fixture(scope="module")
def pair():
    one = Pair()
    try:
        yield one
    finally:
        one.close()
