"""Rings of a device that run, with requests on them: what a guest's driver does, step by step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vutrace.conform.case import SkippedError, UnmetError
from vutrace.conform.guest import GuestRegion
from vutrace.conform.packed import PackedRing
from vutrace.conform.probe import PROTOCOL, Probe
from vutrace.conform.ring import Buffer, GuestRing, SplitRing, UsedBuffer
from vutrace.conform.work import POISON, WORKS, DeviceRequest
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES, bit

RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
INDIRECT = bit("VIRTIO_F_INDIRECT_DESC", VIRTIO_FEATURES)
STILL = 0.15  # how long nothing has to happen


@dataclass(slots=True)
class PlacedRequest:
    """A request in memory: its head in the ring, and where the device writes."""

    head: int
    written: list[tuple[GuestRegion, int, int]] = field(default_factory=list)


class Driver:
    """The rings that a device's work needs, set up over a probe; `ring` is the one for requests.

    `work` is another request than the usual one; SkippedError where none is known for the device.
    `meanwhile` is done again and again while a request is awaited.
    """

    def __init__(
        self,
        probe: Probe,
        region: GuestRegion | None = None,
        size: int = 64,
        base: int = 0,
        work: DeviceRequest | None = None,
    ) -> None:
        self.probe = probe
        self.meanwhile: Callable[[], None] = lambda: None
        self.work = work or works(probe)
        self.region = region or probe.guest.regions[0]
        kind = PackedRing if probe.features & RING_PACKED else SplitRing
        indirect = "VIRTIO_F_INDIRECT_DESC" in probe.needs
        self.rings: dict[int, GuestRing] = {
            index: kind(probe.guest, self.region, index, size, base, indirect) for index in self.work.rings
        }

    @property
    def ring(self) -> GuestRing:
        """The ring that requests go to."""
        return self.rings[self.work.ring]

    def start(self) -> None:
        """All rings, in QEMU's order."""
        for ring in self.rings.values():
            self.start_ring(ring)
        self.enable()

    def enable(self) -> None:
        """All rings, where that needs saying."""
        if self.probe.features & PROTOCOL:
            for index in self.rings:
                self.probe.tell("SET_VRING_ENABLE", p.VringEnable(index=index, num=1))

    def start_ring(self, ring: GuestRing) -> None:
        """Size, base, addresses, kick and call."""
        tell, index = self.probe.tell, ring.index
        self.describe(ring)
        tell("SET_VRING_KICK", p.VringFd(u64=index), [ring.kick_fd])
        tell("SET_VRING_CALL", p.VringFd(u64=index), [ring.call_fd])
        ring.kick()  # QEMU does, and some back-ends start a ring at its first kick

    def describe(self, ring: GuestRing) -> None:
        """Size, base and addresses."""
        tell, index = self.probe.tell, ring.index
        tell("SET_VRING_NUM", p.VringState(index=index, num=ring.size))
        tell("SET_VRING_BASE", p.VringBase(index=index, num=ring.base))
        tell("SET_VRING_ADDR", self.address(ring))

    def address(self, ring: GuestRing, flags: int = 0, log: int = 0) -> p.VringAddr:
        """Where a ring lies."""
        return p.VringAddr(
            index=ring.index,
            flags=flags,
            descriptor=ring.place(0),
            available=ring.place(1),
            used=ring.place(2),
            log=log,
        )

    def stop(self) -> int:
        """Stop all rings; the base of the one for requests."""
        bases = {
            index: self.probe.number("GET_VRING_BASE", "num", p.VringState(index=index))
            for index in self.rings
        }
        return bases[self.work.ring]

    def place(self, pieces: int = 1, indirect: bool | None = None) -> PlacedRequest:
        """Put a request into memory and make it available; its last writable part is cut into `pieces`."""
        request, buffers = PlacedRequest(-1), [self.put(data) for data in self.work.readable]
        for size in self.work.room:
            part = self.put(POISON * size, writable=True)
            request.written.append((self.region, part.address - self.region.device_address, size))
            buffers += self.cut(part, pieces)
        request.head = self.ring.add(buffers, indirect)
        return request

    def put(self, data: bytes, writable: bool = False) -> Buffer:
        """Bytes in memory."""
        place = self.region.take(len(data))
        self.region.write(place, data)
        return Buffer(self.region.device_address + place, len(data), writable)

    def cut(self, part: Buffer, pieces: int) -> Sequence[Buffer]:
        """A buffer in so many parts, where it is large enough."""
        if pieces == 1 or part.size < pieces:
            return [part]
        size = part.size // pieces
        first = [Buffer(part.address + number * size, size, part.writable) for number in range(pieces - 1)]
        begun = size * (pieces - 1)
        return [*first, Buffer(part.address + begun, part.size - begun, part.writable)]

    def work_once(self, pieces: int = 1) -> None:
        """One request, kicked, carried out, and right."""
        request = self.place(pieces)
        self.ring.kick()
        self.done([request])

    def done(self, requests: Sequence[PlacedRequest]) -> None:
        """All of these come back, and are right; UnmetError says what is not."""
        used = self.ring.await_used(len(requests), self.probe.timeout, self.meanwhile)
        if len(used) < len(requests):
            raise UnmetError(self.stuck(len(used), len(requests)))
        given = {each.head: each for each in used}
        for request in requests:
            if request.head not in given:
                raise UnmetError(f"head {request.head} did not come back, but {sorted(given)}")
            self.look(request, given[request.head])

    def look(self, request: PlacedRequest, used: UsedBuffer) -> None:
        """What the device wrote has to be right."""
        parts = [region.read(place, size) for region, place, size in request.written]
        if wrong := self.work.wrong(parts, used.written):
            raise UnmetError(wrong)

    def stuck(self, came: int, wanted: int) -> str:
        """Why requests did not come back, as far as it shows."""
        if crash := self.probe.target.crash(0.05):
            return crash
        return f"{came} of {wanted} requests came back within {self.probe.timeout:g} s"

    def still(self) -> None:
        """Nothing comes back for a while."""
        if used := self.ring.await_used(1, STILL, self.meanwhile):
            raise UnmetError(f"{len(used)} requests came back")


def works(probe: Probe) -> DeviceRequest:
    """The request that the device is known to carry out; SkippedError where none is known."""
    work = WORKS.get(probe.survey.device.name)
    if work is None:
        raise SkippedError(f"no request is known for {probe.survey.device.name}")
    return work


def running(probe: Probe, size: int = 64, base: int = 0) -> Driver:
    """A device that runs, with the first region as its memory."""
    works(probe)
    probe.hello()
    probe.memory()
    driver = Driver(probe, size=size, base=base)
    driver.start()
    return driver
