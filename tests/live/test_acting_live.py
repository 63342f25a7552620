"""Rules that act between real programs, and what the ends then say."""

import re

import pytest
from lab import dpdk
from lab.needs import TESTPMD, needs
from lab.process import Lab
from lab.proxy import start_proxy

from vutrace.capture import read
from vutrace.records import Deed, Frame

MRG_RXBUF = 1 << 15
pytestmark = [pytest.mark.live, needs(*TESTPMD, cpus=2)]


@dpdk.patiently
def test_masked_features_and_a_delayed_kick(lab: Lab) -> None:
    front, back = lab.path("front.sock"), lab.path("back.sock")
    vhost = dpdk.start_vhost(lab, back)
    rules = "--mask-features", "-MRG_RXBUF", "--rule", "SET_VRING_KICK ring=1 : delay 500ms"
    proxy = start_proxy(lab, front, back, *rules)
    virtio_user = dpdk.start_virtio_user(lab, front)
    virtio_user.wait_for("RX-packets: [1-9]", 60)
    dpdk.stop(virtio_user)
    vhost.wait_for("vhost peer closed", 20)
    proxy.stop()
    assert "never matched" not in proxy.program.output
    negotiated = re.findall(r"negotiated Virtio features: (0x[0-9a-f]+)", vhost.output)
    assert negotiated
    assert not any(int(mask, 16) & MRG_RXBUF for mask in negotiated)
    frames = [record for record in read(proxy.capture) if isinstance(record, Frame) and record.acted]
    kicks = [frame for frame in frames if frame.acted and frame.acted.deed is Deed.HELD]
    assert kicks
    assert all(0.4e9 < kick.time_ns - kick.acted.came_ns < 2e9 for kick in kicks if kick.acted)
    assert any(frame.acted and frame.acted.deed is Deed.CHANGED for frame in frames)
