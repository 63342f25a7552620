"""Devices behind an IOMMU: translations that are told, asked for and taken back."""

from collections.abc import Iterator

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import STILL, Driver, works
from vutrace.conform.probe import Probe
from vutrace.conform.side import SideChannel
from vutrace.dissection.message import Message
from vutrace.protocol import payloads as p
from vutrace.protocol.payloads import IOTLB_MISS, IOTLB_UPDATE

INVALIDATE = 3
READ_WRITE = 3
PAGE = 0x1000
BUS = 1 << 40
MOST = 32
OUTSIDE = 0x5000_0000_0000
IOMMU = ("VIRTIO_F_ACCESS_PLATFORM", "BACKEND_REQ", "REPLY_ACK")


def update(probe: Probe, bus: int, size: int, user: int) -> int | None:
    """What an update of the IOTLB is answered with."""
    payload = p.Iotlb(iova=bus, size=size, user_address=user, permission=READ_WRITE, type=IOTLB_UPDATE)
    return probe.ask("IOTLB_MSG", payload, need_reply=True).number_in("status")


def mapped(probe: Probe) -> None:
    probe.hello()
    SideChannel(probe)
    probe.memory()
    if status := update(probe, 0, PAGE, probe.guest.regions[0].user_address):
        raise UnmetError(f"status {status}")


def unmapped(probe: Probe) -> None:
    probe.hello()
    SideChannel(probe)
    probe.memory()
    if update(probe, 0, PAGE, OUTSIDE) == 0:
        raise UnmetError("it was taken (status 0)")


class TranslatedDevice:
    """A device that knows its memory by bus addresses, and asks us what they mean."""

    def __init__(self, probe: Probe) -> None:
        works(probe)
        probe.hello()
        self.probe, self.side = probe, SideChannel(probe)
        self.region = probe.guest.regions[0]
        self.region.bus_address = BUS
        self.misses: list[int] = []
        probe.memory()

    def tell(self) -> None:
        """The translation of all memory."""
        update(self.probe, BUS, self.region.size, self.region.user_address)

    def forget(self) -> None:
        """Take it back."""
        payload = p.Iotlb(iova=BUS, size=self.region.size, type=INVALIDATE)
        self.probe.ask("IOTLB_MSG", payload, need_reply=True)

    def start(self) -> Driver:
        """Its rings."""
        driver = Driver(self.probe)
        driver.start()
        driver.meanwhile = self.answer_all
        return driver

    def answer_all(self) -> None:
        """Tell the translations that it asked for."""
        while message := self.side.next(0.0):
            self.take(message)
            if len(self.misses) > MOST:
                raise UnmetError(f"{len(self.misses)} misses, although each was answered")
            self.tell()

    def take(self, message: Message) -> None:
        """A miss, in order; UnmetError for anything else."""
        place = message.number_in("iova") or 0
        if message.number_in("type") != IOTLB_MISS:
            raise UnmetError(f"{message.name} came, and is no miss")
        if not BUS <= place < BUS + self.region.size:
            raise UnmetError(f"a miss at {place:#x}, where neither ring nor buffer is")
        self.misses.append(place)


def miss(probe: Probe) -> None:
    device = TranslatedDevice(probe)
    driver = device.start()
    driver.place()
    driver.ring.kick()
    message = device.side.next()
    if message is None:
        raise UnmetError(f"no miss within {probe.timeout:g} s")
    device.take(message)


def answered(probe: Probe) -> None:
    TranslatedDevice(probe).start().work_once()


def told_before(probe: Probe) -> None:
    device = TranslatedDevice(probe)
    device.tell()
    device.start().work_once()
    device.answer_all()
    if device.misses:
        raise UnmetError(f"a miss at {device.misses[0]:#x}, whose translation had been told")


def invalidated(probe: Probe) -> None:
    device = TranslatedDevice(probe)
    device.tell()
    driver = device.start()
    driver.work_once()
    device.forget()
    driver.meanwhile = lambda: None
    driver.place()
    driver.ring.kick()
    if device.side.next() is None:
        raise UnmetError(f"no miss within {probe.timeout:g} s")
    if driver.ring.await_used(1, STILL):
        raise UnmetError("the request came back, through a translation that was taken back")


def cases() -> Iterator[Case]:
    """All of them."""
    iommu = "IOMMU support"
    yield from (
        Case("iotlb/update", iommu, "an update of the IOTLB", "a u64 of 0", mapped, needs=IOMMU),
        Case("iotlb/outside-memory", iommu, "an update of the IOTLB to where no region is", "an error",
             unmapped, Level.SHOULD, IOMMU),
        Case("iotlb/miss", iommu, "rings and a request, and no translation of their addresses",
             "a miss over the back-end channel", miss, needs=IOMMU),
        Case("iotlb/miss-answered", iommu, "an update for each miss", "the request comes back, carried out",
             answered, needs=IOMMU),
        Case("iotlb/told-before", iommu, "the translation of all memory before the rings",
             "the request comes back, without a miss", told_before, Level.SHOULD, IOMMU),
        Case("iotlb/invalidated", iommu, "a request after its translation was taken back",
             "a miss, and no access", invalidated, needs=IOMMU),
    )  # fmt: skip
