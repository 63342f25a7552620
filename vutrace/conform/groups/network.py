"""What a network device does by itself: a packet that comes back."""

from collections.abc import Iterator

from vutrace.conform.case import Case, UnmetError
from vutrace.conform.driver import running
from vutrace.conform.probe import Probe
from vutrace.conform.work import NET_HEADER, POISON

PATIENCE = 0.5
ROOM, ETHERNET_HEADER = 2048, 14
UNTOUCHED = int.from_bytes(POISON * 2, "little")


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
    yield from (
        Case("net/packet-received", "Network Device", "a packet sent, with buffers to receive into",
             "what comes back has a header of virtio 1 and a frame", packet, device="net"),
        Case("net/num-buffers", "Network Device",
             "a packet sent, with buffers to receive into, without MRG_RXBUF",
             "num_buffers is 1 in what comes back", one_buffer, device="net"),
    )  # fmt: skip
