"""The back-end dies and comes back under a running guest: a second session on the same connection."""

import pytest
from lab import dpdk
from lab.captures import Keeper
from lab.guest import Guest
from lab.messages import captured, frames, requests
from lab.needs import GUEST, TESTPMD, needs
from lab.process import Lab
from lab.proxy import start_proxy
from lab.qemu import network, start_qemu

pytestmark = [pytest.mark.live, needs(*GUEST, *TESTPMD, cpus=2)]


def test_a_restarted_back_end_is_a_second_session(lab: Lab, guest: Guest, keep: Keeper) -> None:
    front, back = lab.path("qemu.sock"), lab.path("vhost.sock")
    first = dpdk.start_vhost(lab, back)
    proxy = start_proxy(lab, front, back)
    qemu = start_qemu(lab, guest, f"path={front},reconnect=1", network(queues=2))
    qemu.wait_boot()
    qemu.run("ip link set eth0 up")
    dpdk.wait_read(first, proxy.capture)
    first.kill()
    back.unlink()
    second = dpdk.start_vhost(lab, back)
    second.wait_for("virtio is now ready for processing", 60)
    assert "1" in qemu.run("until grep 1 /sys/class/net/eth0/carrier; do sleep 1; done")
    qemu.power_off()
    second.wait_for("vhost peer closed", 20)
    proxy.stop()

    assert {frame.connection for frame in frames(proxy.capture)} == {0}
    sessions = sorted({frame.session for frame in frames(proxy.capture)})
    before, after = (captured(proxy.capture, session) for session in sessions)
    assert requests(before) == dpdk.requests_read(first)
    assert requests(after) == dpdk.requests_read(second)
    assert before + after == qemu.messages()
    shows = "testpmd is killed and restarted under a running guest (reconnect=1): a second session"
    keep(proxy.capture, "qemu-7.2-testpmd-restart", shows, ["qemu-system-x86", "dpdk-dev"])
