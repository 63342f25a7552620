"""The back-end channel, the IOTLB, and what devices do by themselves: a packet that comes back."""

import select
import socket
from collections.abc import Iterator

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import STILL, running
from vutrace.conform.probe import Probe
from vutrace.conform.ring import PAGE
from vutrace.conform.work import NET_HEADER, POISON
from vutrace.protocol import payloads as p

UPDATE = 2
READ_WRITE = 3
OUTSIDE = 0x5000_0000_0000
PATIENCE = 0.5
ROOM, ETHERNET_HEADER = 2048, 14
UNTOUCHED = int.from_bytes(POISON * 2, "little")
IOMMU = ("VIRTIO_F_ACCESS_PLATFORM", "BACKEND_REQ", "REPLY_ACK")


def channel(probe: Probe) -> socket.socket:
    """Pass a back-end channel; our end of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        probe.tell("SET_BACKEND_REQ_FD", b"", [theirs.fileno()])
    return ours


def readable(end: socket.socket, seconds: float) -> bool:
    """Whether something comes, or the end."""
    return bool(select.select([end], [], [], seconds)[0])


def replaced(probe: Probe) -> None:
    probe.hello()
    with channel(probe) as first, channel(probe):
        if not readable(first, PATIENCE) or first.recv(1):
            raise UnmetError("the earlier channel is still open")


def quiet(probe: Probe) -> None:
    probe.hello()
    with channel(probe) as ours:
        probe.memory()
        if readable(ours, STILL):
            raise UnmetError(f"{len(ours.recv(4096))} bytes came over the channel")


def update(probe: Probe, user_address: int) -> int | None:
    """What an update of the IOTLB is answered with."""
    payload = p.Iotlb(size=PAGE, user_address=user_address, permission=READ_WRITE, type=UPDATE)
    return probe.ask("IOTLB_MSG", payload).number_in("status")


def mapped(probe: Probe) -> None:
    probe.hello()
    with channel(probe):
        probe.memory()
        if status := update(probe, probe.guest.regions[0].user_address):
            raise UnmetError(f"status {status}")


def unmapped(probe: Probe) -> None:
    probe.hello()
    with channel(probe):
        probe.memory()
        if update(probe, OUTSIDE) == 0:
            raise UnmetError("it was taken (status 0)")


def packet(probe: Probe) -> None:
    """What comes back is a packet."""
    written = received(probe)[1]
    if written < NET_HEADER + ETHERNET_HEADER:
        raise UnmetError(f"{written} bytes are no packet")


def one_buffer(probe: Probe) -> None:
    """The header of what comes back says that it fills one buffer."""
    head = received(probe)[0]
    if (buffers := int.from_bytes(head[10:NET_HEADER], "little")) != 1:
        raise UnmetError(f"num_buffers is {buffers:#x}{' and was not written' * (buffers == UNTOUCHED)}")


def received(probe: Probe) -> tuple[bytes, int]:
    """Buffers in the receive ring, a packet out of the transmit ring; the header that comes, and how much."""
    driver = running(probe)
    receive = driver.rings[0]
    places = [driver.put(POISON * ROOM, writable=True) for _ in range(8)]
    heads = {receive.add([place]): place for place in places}
    receive.kick()
    driver.work_once()
    used = receive.await_used(1, PATIENCE)
    if not used:
        probe.skip("no packet came: whoever is behind it has no reason to send one")
    place = heads[used[0].head]
    return probe.guest.regions[0].read(place.address, NET_HEADER), used[0].written


def cases() -> Iterator[Case]:
    """All of them."""
    back, iommu = "Back-end communication", "IOMMU support"
    yield from (
        Case("channel/replaced", back, "SET_BACKEND_REQ_FD twice", "the earlier channel is closed", replaced,
             Level.SHOULD, ("BACKEND_REQ",)),
        Case("channel/quiet-while-stopped", "Suspended device state", "a channel of a device that is stopped",
             "nothing comes over it", quiet, needs=("BACKEND_REQ",)),
        Case("iotlb/update", iommu, "an update of the IOTLB", "a u64 of 0", mapped, needs=IOMMU),
        Case("iotlb/outside-memory", iommu, "an update of the IOTLB to where no region is", "an error",
             unmapped, Level.SHOULD, IOMMU),
        Case("net/packet-received", "Network Device", "a packet sent, with buffers to receive into",
             "what comes back has a header of virtio 1 and a frame", packet, device="net"),
        Case("net/num-buffers", "Network Device",
             "a packet sent, with buffers to receive into, without MRG_RXBUF",
             "num_buffers is 1 in what comes back", one_buffer, device="net"),
    )  # fmt: skip
