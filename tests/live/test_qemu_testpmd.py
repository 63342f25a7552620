"""QEMU's vhost-user-net with DPDK's testpmd: the messages are those that both sides log themselves."""

import struct
from pathlib import Path

import pytest
from lab import dpdk, newer_qemu
from lab.captures import Keeper
from lab.guest import Guest
from lab.imports import check_import
from lab.messages import captured, frames, requests
from lab.needs import GUEST, TESTPMD, fetched, needs
from lab.process import Lab
from lab.proxy import start_proxy
from lab.qemu import network, start_qemu

from vutrace.records import Channel

pytestmark = [pytest.mark.live, needs(*GUEST, *TESTPMD, cpus=2)]
PACKAGES = ["qemu-system-x86", "dpdk-dev"]
SET_VRING_ENABLE = 18
REQUEST, REPLY, NEED_REPLY = 1, 5, 8  # header flags, with version 1


def enables(capture: Path) -> list[tuple[int, int]]:
    """The ring and the state in every SET_VRING_ENABLE so far; read out of a file still being written."""
    return [
        struct.unpack_from("<II", frame.data, 12)
        for frame in frames(capture)
        if struct.unpack_from("<I", frame.data)[0] == SET_VRING_ENABLE and frame.channel is Channel.MAIN
    ]


def test_the_capture_is_what_qemu_traces_and_what_dpdk_logs(lab: Lab, guest: Guest, keep: Keeper) -> None:
    vhost = dpdk.start_vhost(lab, lab.path("vhost.sock"))
    proxy = start_proxy(lab, lab.path("qemu.sock"), lab.path("vhost.sock"))
    qemu = start_qemu(lab, guest, f"path={lab.path('qemu.sock')}", network(queues=2))
    qemu.wait_boot()
    qemu.power_off()
    vhost.wait_for("vhost peer closed", 20)
    proxy.stop()

    seen = captured(proxy.capture)
    assert len(seen) > 80
    assert seen == qemu.messages()
    assert requests(seen) == dpdk.requests_read(vhost)
    check_import(lab, "qemu", qemu.trace, proxy.capture)
    check_import(lab, "dpdk", vhost.log, proxy.capture)
    shows = "A guest with two queue pairs boots, loads virtio_net and powers off"
    keep(proxy.capture, "qemu-7.2-testpmd", shows, PACKAGES)


def test_ring_states_follow_the_guests_ethtool(lab: Lab, guest: Guest, keep: Keeper) -> None:
    dpdk.start_vhost(lab, lab.path("vhost.sock"))
    proxy = start_proxy(lab, lab.path("qemu.sock"), lab.path("vhost.sock"))
    qemu = start_qemu(lab, guest, f"path={lab.path('qemu.sock')}", network(queues=2))
    qemu.wait_boot()
    qemu.run("ip link set eth0 up")
    before = enables(proxy.capture)
    qemu.run("ethtool -L eth0 combined 2")
    on = enables(proxy.capture)[len(before) :]
    qemu.run("ethtool -L eth0 combined 1")
    off = enables(proxy.capture)[len(before) + len(on) :]
    qemu.power_off()
    proxy.stop()

    assert on == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert off == [(0, 1), (1, 1), (2, 0), (3, 0)]
    shows = "Two queue pairs; the guest turns the second on (ethtool -L eth0 combined 2) and off again"
    keep(proxy.capture, "qemu-7.2-testpmd-ethtool", shows, PACKAGES)


@fetched(newer_qemu.find(), "QEMU 10")
def test_qemu_10_acknowledges_ring_states(lab: Lab, guest: Guest, keep: Keeper) -> None:
    vhost = dpdk.start_vhost(lab, lab.path("vhost.sock"))
    proxy = start_proxy(lab, lab.path("qemu.sock"), lab.path("vhost.sock"))
    lab.path("qemu-10").symlink_to(newer_qemu.find() or "")
    program = newer_qemu.command(lab.path("qemu-10"))
    device = network(queues=2, interrupts="")
    qemu = start_qemu(lab, guest, f"path={lab.path('qemu.sock')}", device, program)
    qemu.wait_boot()
    qemu.run("ip link set eth0 up && ethtool -L eth0 combined 2")
    qemu.power_off()
    vhost.wait_for("vhost peer closed", 20)
    proxy.stop()

    seen = captured(proxy.capture)
    assert seen == qemu.messages()
    assert {m.flags for m in seen if m.request == SET_VRING_ENABLE} == {REQUEST | NEED_REPLY, REPLY}
    shows = "QEMU 10.0: every SET_VRING_ENABLE is acknowledged; two queue pairs, ethtool turns the second on"
    version = newer_qemu.version(lab.path("qemu-10"))
    keep(proxy.capture, "qemu-10.0-testpmd", shows, ["dpdk-dev"], qemu=version)
