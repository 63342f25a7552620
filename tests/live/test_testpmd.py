"""testpmd with testpmd, no VM: the descriptors that pass through carry real packets, in both socket roles."""

import pytest
from lab import dpdk
from lab.captures import Keeper
from lab.messages import captured, requests
from lab.needs import TESTPMD, needs
from lab.process import Lab, Program
from lab.proxy import Proxy, start_proxy

pytestmark = [pytest.mark.live, needs(*TESTPMD, cpus=2)]


@dpdk.patiently
def test_virtio_user_connects(lab: Lab, keep: Keeper) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    vhost = dpdk.start_vhost(lab, back)
    proxy = start_proxy(lab, front, back)
    virtio_user = dpdk.start_virtio_user(lab, front)
    check_traffic_and_messages(proxy, virtio_user, vhost)
    shows = "DPDK virtio-user connects to a listening vhost back-end, two queue pairs"
    keep(proxy.capture, "virtio-user-testpmd", shows, ["dpdk-dev"])


@dpdk.patiently
def test_vhost_connects(lab: Lab, keep: Keeper) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    virtio_user = dpdk.start_virtio_user(lab, front, server=True)
    virtio_user.wait_until(front.exists, 30, f"listens on {front}")
    proxy = start_proxy(lab, f"connect:{front}", f"listen:{back}")
    vhost = dpdk.start_vhost(lab, back, client=True)
    check_traffic_and_messages(proxy, virtio_user, vhost)
    shows = "DPDK vhost (client=1) connects to a listening virtio-user (server=1), two queue pairs"
    keep(proxy.capture, "virtio-user-server-testpmd-client", shows, ["dpdk-dev"])


def check_traffic_and_messages(proxy: Proxy, virtio_user: Program, vhost: Program) -> None:
    """Let packets flow, stop all, and compare with the statistics and the log of DPDK."""
    virtio_user.wait_for("RX-packets: [1-9]", 60)
    dpdk.stop(virtio_user)
    vhost.wait_for("vhost peer closed", 20)
    dpdk.stop(vhost)
    proxy.stop()

    for program in (virtio_user, vhost):
        counts = dpdk.packets(program)
        assert sorted(counts) == [0, 1], f"{program.name} forwarded on queues {counts}"
        assert all(received > 0 and sent > 0 for received, sent in counts.values()), counts
    seen = captured(proxy.capture)
    assert len(seen) > 40
    assert requests(seen) == dpdk.requests_read(vhost)
