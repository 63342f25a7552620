"""A listening QEMU and OVS-DPDK, which connects: OVS's own status of the port agrees with the trace."""

import struct

import pytest
from lab import dpdk
from lab.captures import Keeper
from lab.guest import Guest
from lab.messages import captured, frames, requests
from lab.needs import GUEST, OVS, needs
from lab.ovs import Ovs
from lab.process import Lab
from lab.proxy import Proxy, start_proxy
from lab.qemu import network, start_qemu

pytestmark = [pytest.mark.live, needs(*GUEST, *OVS, cpus=2)]
SET_FEATURES, SET_VRING_NUM, SET_VRING_KICK = 2, 8, 12


def test_the_trace_shows_the_features_and_rings_of_ovs(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back = lab.path("qemu.sock"), lab.path("ovs.sock")
    ovs = Ovs(lab)
    qemu = start_qemu(lab, guest, f"path={front},server=on,wait=off", network(queues=2))
    qemu.program.wait_until(front.exists, 30, f"listens on {front}")
    proxy = start_proxy(lab, f"connect:{front}", f"listen:{back}")
    ovs.add_vhost_client("vhost0", back)
    qemu.wait_boot()
    first = ovs.program
    dpdk.wait_read(first, proxy.capture)
    ovs.restart()
    ovs.program.wait_for("virtio is now ready for processing", 60)
    status = ovs.wait_status("vhost0", lambda port: port.get("num_of_vrings") == "4")
    qemu.power_off()
    ovs.program.wait_for("vhost peer closed", 20)
    proxy.stop()

    assert {frame.session for frame in frames(proxy.capture)} == {1, 2}
    assert status["mode"] == "client"
    assert int(status["features"], 16) == payloads(proxy, SET_FEATURES)[-1]
    assert int(status["num_of_vrings"]) == len({ring & 0xFF for ring in payloads(proxy, SET_VRING_KICK)})
    for state in payloads(proxy, SET_VRING_NUM):
        ring, size = state & 0xFFFFFFFF, state >> 32
        assert int(status[f"vring_{ring}_size"]) == size
    assert captured(proxy.capture) == qemu.messages()
    for session, switch in ((1, first), (2, ovs.program)):
        assert requests(captured(proxy.capture, session)) == dpdk.requests_read(switch)
    shows = "OVS-DPDK (dpdkvhostuserclient) connects to a listening QEMU, is killed, and connects again"
    keep(proxy.capture, "qemu-7.2-ovs-dpdk", shows, ["qemu-system-x86", "openvswitch-switch-dpdk"])


def payloads(proxy: Proxy, request: int) -> list[int]:
    """The u64 payloads of the front-end's requests of one kind (a ring state is two u32 in one)."""
    return [
        struct.unpack_from("<Q", frame.data, 12)[0]
        for frame in frames(proxy.capture)
        if frame.sender == "frontend" and struct.unpack_from("<I", frame.data)[0] == request
    ]
