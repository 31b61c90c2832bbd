# SPDX-License-Identifier: Apache-2.0
"""A DPDK driver that computes checksums and cuts segments (net_tap, the one that needs no hardware) as an uplink: what it sends
is right in a kernel's eyes, and what it cannot do is done in software."""

import pytest

from lab import Lab, Pod, PodlaneNode, transfer, wait_for
from test_uplink import DATA, uplink

TX = ["tx-checksum", "tx-segmentation"]


class NicNode(PodlaneNode):
    """Its NIC is a TAP, bridged to eth0, which is the wire."""

    def __init__(self, lab, name, index, disabled=()):
        super().__init__(lab, name, index)
        self.uplink_driver = "ethdev"
        self.uplink_device = "net_tap0,iface=wire0"
        if disabled:
            self.uplink_more = f"disabled_offloads = [ {', '.join(f'{chr(34)}{d}{chr(34)}' for d in disabled)} ];"

    def start(self, *args, **kwargs):
        super().start(*args, **kwargs)
        self.sh("ip", "link", "add", "nb", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        for dev in ("nb", "wire0"):
            self.sysctl(f"net.ipv6.conf.{dev}.disable_ipv6", 1)
        self.sh("ip", "link", "set", "wire0", "address", f"02:00:00:00:f0:{self.index:02x}")  # the kernel's end has the NIC's
        for dev in ("eth0", "wire0"):
            self.sh("ip", "link", "set", dev, "master", "nb", "up")
        self.sh("ip", "link", "set", "nb", "up")
        return self

    def events(self):
        return {e["event"]: e["count"] for e in self.get("/v1/state/events")}

    def offloads(self):
        return {o["name"]: o for o in self.get("/v1/state/offloads")}


@pytest.mark.parametrize("disabled", [[], ["tx-segmentation"], ["all"]], ids=["all", "no-tso", "none"])
def test_offloads_of_a_driver(disabled):
    """net_tap announces segmentation, and (in DPDK 22.11) never takes a packet whose segments fill the MTU: found out while
    a connection waits. Its checksums are right."""
    with Lab("nic") as lab:
        a = NicNode(lab, "node-a", 1, disabled)
        b = PodlaneNode(lab, "node-b", 2)
        pod, remote = (Pod(lab, f"pod-{n.short[-1]}", [n.address(4, 10), n.address(6, 10)]) for n in (a, b))
        a.write_conf(peers=[(b, "direct")], pods=[pod]).start()
        b.write_conf(peers=[(a, "direct")], pods=[remote]).start()
        used = [] if disabled == ["all"] else [o for o in TX if o not in disabled]
        assert uplink(a)["offloads"] == used
        found = a.offloads()
        for name in TX:
            assert found[name]["in_use"] == (name in used)
            assert found[name]["state"] == ("not verified" if name in used else "disabled"), found[name]
        assert found["tx-vxlan-segmentation"]["state"] == "lacked"
        assert "net_tap" in a.cli("show", "offloads")
        for encap in ("direct", "vxlan", "ipip"):
            for node, peer in ((a, b), (b, a)):
                node.patch("peers", peer.short, {"encap": encap})
            for address in remote.addresses:
                pod.ping(address, count=2, size=1300)
            before = a.events()
            transfer(pod, remote, DATA)
            transfer(remote, pod, DATA)
            finished = {e: n - before.get(e, 0) for e, n in a.events().items()}
            assert finished.get("segmented", 0) > 0, finished
            # What is small enough to go out in one piece still has its checksum computed by somebody.
            assert (finished.get("checksummed", 0) == 0) == (encap == "direct" and "tx-checksum" in used), (encap, finished)
        if not disabled:
            wait_for("segmentation is not used any more",
                     lambda: a.offloads()["tx-segmentation"]["state"] == "refused" and uplink(a)["offloads"] == TX[:1])
            assert "offload=tx-segmentation" in a.log_tail(200)
        a.assert_balanced()
        b.assert_balanced()
        assert not [r for r in b.drops() if r.startswith(("tunnel_", "l4_", "ip4_", "ip6_", "offload_"))]
        assert not [r for r in a.drops() if r.startswith(("offload_", "l4_", "ip4_", "ip6_"))], a.drops()
