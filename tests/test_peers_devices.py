"""QEMU's front-ends of other devices than net: they send what the program sent in the kept captures."""

import socket
import threading

import pytest
from kit.peers_stage import CAPTURES, TIMEOUT, Tap, captured

from vutrace.peers import DPDK_22_11, FrontEnd, Journal, Offer, PeerError, serve
from vutrace.peers.devices import DEVICES

Q1 = 0x1_7500_0000
BLK = Offer(Q1 | 0x7E46, 0x8F2B, 1, bytes(60))
SENT = {  # the device, the capture, and what its back-end offered
    "blk": ("qemu-7.2-storage-daemon-blk", BLK),
    "fs": ("qemu-7.2-virtiofsd", Offer(Q1, 0x8C2B, 2)),
    "rng": ("qemu-7.2-rng-model", Offer(0x1_7000_0000, 0x9, 4)),
    "vsock": ("qemu-7.2-vsock-model", Offer(0x1_7000_0000, 0x209, 4, bytes(8))),
    "i2c": ("qemu-7.2-i2c-model", Offer(0x1_7000_0001, 0x9, 4)),
    "gpio": ("qemu-7.2-gpio-model", Offer(0x1_7000_0001, 0x209, 4, bytes(8))),
}


def played(name: str, offer: Offer, queues: int = 1, starts: int = 1) -> list[str]:
    """What passes when such a device connects, starts and stops."""
    model, lines = DEVICES[name], list[str]()
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(Tap(theirs, lines, []), offer, Journal()))
    thread.start()
    asked = queues if name == "blk" else 0
    try:
        rings = model.count(queues)
        with FrontEnd(model.profile(), timeout=TIMEOUT, rings=rings, queues=asked) as guest:
            guest.attach(ours)
            for _ in range(starts):
                guest.start()
                guest.stop()
                guest.device.bases.clear()
    finally:
        thread.join(TIMEOUT)
    return lines


@pytest.mark.parametrize("name", SENT)
def test_it_sends_what_qemu_sent(name: str) -> None:
    capture, offer = SENT[name]
    real = [line for line in captured(CAPTURES / f"{capture}.pcapng") if line[0] == ">"]
    model = [line for line in played(name, offer, starts=2 if name == "blk" else 1) if line[0] == ">"]
    if not any("START" in line or "KICK" in line for line in real):  # no driver was in that guest
        model = model[: len(real)]
    assert by_ring(model) == by_ring(real)


def by_ring(lines: list[str]) -> list[str]:
    """The messages; QEMU gives the rings of a device their calls in any order, so each run of them sorted."""
    runs: list[list[str]] = []
    for line in lines:
        if runs and "SET_VRING_CALL" in line and "SET_VRING_CALL" in runs[-1][0]:
            runs[-1].append(line)
        else:
            runs.append([line])
    return [line for run in runs for line in sorted(run)]


@pytest.mark.parametrize("name", DEVICES)
def test_it_starts_with_a_back_end_that_has_a_status(name: str) -> None:
    space = bytes(DEVICES[name].config)
    lines = played(name, Offer(DPDK_22_11.features | 1, 0x18EBF | 1 << 9, 4, space), queues=2)
    assert "> SET_STATUS = 8" in lines
    assert "> SET_STATUS = 15" in lines
    assert sum("KICK" in line for line in lines) == DEVICES[name].count(2)


def test_a_back_end_with_too_few_queues_is_refused() -> None:
    with pytest.raises(PeerError, match="2 queues are configured, but the back-end has 1"):
        played("blk", BLK, queues=2)
