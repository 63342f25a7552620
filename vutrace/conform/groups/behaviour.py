"""Rings that really work: requests that a device carries out, in both layouts of ring."""

import os
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.driver import STILL, Driver, running
from vutrace.conform.guest import MIB
from vutrace.conform.packed import PackedRing
from vutrace.conform.probe import PROTOCOL, Probe
from vutrace.conform.ring import DESCRIPTOR, NEXT, NO_INTERRUPT, Buffer, SplitRing
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.protocol.wire import NOFD

GIB = 1 << 30
LAYOUTS = {"split": (), "packed": ("VIRTIO_F_RING_PACKED",)}
OUTSIDE = 0x5000_0000_0000
PAGE_BITS = 12
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
LOG_BYTES = 1 << 16


def one(probe: Probe) -> None:
    running(probe).work_once()


def is_called(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    if not driver.ring.called(probe.timeout):
        raise UnmetError("the call descriptor was not written")


def in_pieces(probe: Probe) -> None:
    running(probe).work_once(pieces=4)


def batch(probe: Probe) -> None:
    driver = running(probe)
    requests = [driver.place() for _ in range(8)]
    driver.ring.kick()
    driver.done(requests)


def many(count: int, size: int, base: int, probe: Probe) -> None:
    """More requests than the ring has room for, one after the other."""
    driver = running(probe, size, base)
    for _ in range(count):
        driver.work_once()


def no_call_descriptor(probe: Probe) -> None:
    driver = running(probe)
    probe.tell("SET_VRING_CALL", p.VringFd(u64=driver.ring.index | NOFD))
    driver.work_once()


def call_replaced(probe: Probe) -> None:
    driver = running(probe)
    driver.ring.call_fd = probe.guest.eventfd()
    probe.tell("SET_VRING_CALL", p.VringFd(u64=driver.ring.index), [driver.ring.call_fd])
    driver.work_once()
    if not driver.ring.called(probe.timeout):
        raise UnmetError("the new call descriptor was not written")


def no_interrupt(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    driver.ring.called(STILL)
    driver.ring.suppress(NO_INTERRUPT)  # type: ignore[attr-defined]
    driver.work_once()
    if driver.ring.called(STILL):
        raise UnmetError("the call descriptor was written although the driver wants no interrupt")


def event_index(probe: Probe) -> None:
    driver = running(probe)
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    ring.want_call_at(ring.base)  # at the first request
    driver.work_once()
    if not ring.called(probe.timeout):
        raise UnmetError("no call although used_event was passed")
    ring.want_call_at(ring.base + 10)
    driver.work_once()
    if ring.called(STILL):
        raise UnmetError("a call although used_event is 9 requests away")


# Start and stop


def still_after_stop(probe: Probe) -> None:
    driver = running(probe)
    driver.work_once()
    driver.stop()
    driver.place()
    driver.ring.kick()
    driver.still()


def base_counts(probe: Probe) -> None:
    driver = running(probe)
    for _ in range(3):
        driver.work_once()
    base = driver.stop()
    ring = driver.ring
    wanted = ring.position() if isinstance(ring, PackedRing) else (ring.base + 3) & 0xFFFF
    if base != wanted:
        raise UnmetError(f"base {base:#x} instead of {wanted:#x}")


def starts_again(probe: Probe) -> None:
    driver = running(probe)
    for _ in range(3):
        driver.work_once()
    driver.ring.base = driver.stop()
    for ring in driver.rings.values():
        driver.start_ring(ring)
    if probe.features & PROTOCOL:
        for index in driver.rings:
            probe.tell("SET_VRING_ENABLE", p.VringEnable(index=index, num=1))
    driver.work_once()


def before_kick(probe: Probe) -> None:
    """A request that is there when the ring starts, without a kick of its own."""
    probe.hello()
    probe.memory()
    driver = Driver(probe)
    request = driver.place()
    driver.start()
    driver.done([request])


def after_reconnect(probe: Probe) -> None:
    running(probe).work_once()
    probe.disconnect()
    time.sleep(0.02)
    if not probe.target.running():
        probe.skip("the program ended with the connection")
    probe.guest.add(0)
    probe.guest.regions.insert(0, probe.guest.regions.pop())
    running(probe).work_once()


def after_reset(probe: Probe) -> None:
    running(probe).work_once()
    probe.tell("RESET_DEVICE")
    probe.guest.add(0)
    probe.guest.regions.insert(0, probe.guest.regions.pop())
    probe.tell("SET_FEATURES", p.Features(features=probe.features))
    probe.memory()
    driver = Driver(probe)
    driver.start()
    driver.work_once()


def without_protocol(probe: Probe) -> None:
    """Without PROTOCOL_FEATURES a ring is enabled when it starts."""
    running_as(probe, "SET_VRING_ENABLE is not needed")


def running_as(probe: Probe, why: str) -> None:
    features = probe.number("GET_FEATURES", "features") & bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
    probe.features, probe.protocol = features, 0
    probe.send("SET_OWNER")
    probe.send("SET_FEATURES", p.Features(features=features))
    probe.memory()
    driver = Driver(probe)
    driver.start()
    try:
        driver.work_once()
    except UnmetError as error:
        raise UnmetError(f"{error}; {why}") from None


# Memory


def other_region(offset: int, probe: Probe) -> None:
    """Rings and buffers in a second region, which may begin in the middle of its file."""
    probe.hello()
    region = probe.guest.add(GIB, offset)
    probe.memory(probe.guest.regions[0], region)
    driver = Driver(probe, region)
    driver.start()
    driver.work_once()


def region_added(probe: Probe) -> None:
    """A region that comes while the device runs holds the buffers of a request."""
    probe.hello()
    add(probe, 0)
    driver = Driver(probe)
    driver.start()
    driver.work_once()
    driver.region = probe.guest.add(GIB)
    add(probe, -1)
    driver.work_once()


def add(probe: Probe, number: int) -> None:
    """Hand over one region."""
    region = probe.guest.regions[number]
    probe.tell("ADD_MEM_REG", p.SingleRegion(region=region.described()), [region.fd])


def dirty_log(probe: Probe) -> None:
    """The used ring's page, which the device wrote, is marked in the log."""
    probe.hello()
    probe.memory()
    driver = Driver(probe)
    log = probe.guest.keep(os.memfd_create("log", os.MFD_CLOEXEC))
    os.ftruncate(log, LOG_BYTES)
    probe.send("SET_LOG_BASE", p.Log(mmap_size=LOG_BYTES, mmap_offset=0), [log])
    probe.reply("SET_LOG_BASE")
    probe.tell("SET_FEATURES", p.Features(features=probe.features | LOG_ALL))
    driver.start()
    page = (driver.ring.start >> PAGE_BITS) + 2
    probe.tell("SET_VRING_ADDR", driver.address(driver.ring, 1, page << PAGE_BITS))
    driver.work_once()
    time.sleep(0.02)
    if not os.pread(log, LOG_BYTES, 0)[page // 8] & 1 << page % 8:
        raise UnmetError(f"page {page:#x}, of the used ring, is not marked in the log")


# Rings that are wrong: whatever the device does, it goes on


def bad(make: Callable[[Driver], None], probe: Probe) -> None:
    """A ring with something wrong in it; the process still answers."""
    driver = running(probe)
    driver.work_once()
    make(driver)
    driver.ring.kick()
    time.sleep(0.03)
    probe.survives()


def outside(driver: Driver) -> None:
    """A buffer that no region has."""
    driver.ring.add([Buffer(OUTSIDE, 512), Buffer(OUTSIDE, 512, writable=True)])


def wraps(driver: Driver) -> None:
    """A buffer whose end is beyond 2^64."""
    driver.ring.add([Buffer((1 << 64) - 16, 512), Buffer((1 << 64) - 16, 512, writable=True)])


def too_long(driver: Driver) -> None:
    """A buffer that goes on behind the region's end."""
    last = driver.region.guest_address + driver.region.size - 16
    driver.ring.add([Buffer(last, 0xFFFF_FFFF), Buffer(last, 0xFFFF_FFFF, writable=True)])


def empty(driver: Driver) -> None:
    """A request without a byte."""
    driver.ring.add([Buffer(driver.region.guest_address, 0)])


def writable_first(driver: Driver) -> None:
    """Parts in the wrong order."""
    address = driver.region.guest_address + MIB
    driver.ring.add([Buffer(address, 16, writable=True), Buffer(address, 16)])


def looped(driver: Driver) -> None:
    """A chain that comes back to itself."""
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    head = ring.next_free
    ring.region.write(ring.slot(head), DESCRIPTOR.pack(driver.region.guest_address, 16, NEXT, head))
    ring.offer(head)


def next_beyond(driver: Driver) -> None:
    """A chain that goes on outside the table."""
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    ring.region.write(
        ring.slot(ring.next_free), DESCRIPTOR.pack(driver.region.guest_address, 16, NEXT, 0xFFF0)
    )
    ring.offer(ring.next_free)


def head_beyond(driver: Driver) -> None:
    """A head that the table does not have."""
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    ring.offer(0xFFF0)


def index_jumps(driver: Driver) -> None:
    """An available index that is further away than the ring is long."""
    ring = driver.ring
    assert isinstance(ring, SplitRing)
    ring.region.write(ring.start + 0x1002, struct.pack("<H", (ring.offered + 1000) & 0xFFFF))


def cases() -> Iterator[Case]:
    """All of them."""
    for layout, needs in LAYOUTS.items():
        yield from layout_cases(layout, needs)
    yield from memory_cases()
    yield from start_cases()
    yield from hostile_cases()


def layout_cases(layout: str, needs: tuple[str, ...]) -> Iterator[Case]:
    """What holds for a layout of ring."""
    heading = "Split Virtqueues" if layout == "split" else "Packed Virtqueues"
    indirect = (*needs, "VIRTIO_F_INDIRECT_DESC")
    around = partial(many, 12, 64, 65530) if layout == "split" else partial(many, 20, 16, 0)
    what = (
        "requests over index 65,535"
        if layout == "split"
        else "requests over the ring's end and its wrap counter"
    )
    rows: tuple[tuple[str, str, str, Callable[[Probe], None], Level, tuple[str, ...]], ...] = (
        ("request", "a request that the device knows", "it comes back, carried out", one, Level.MUST, needs),
        ("call", "a request", "the call descriptor is written", is_called, Level.MUST, needs),
        ("pieces", "a request whose parts are in pieces", "it comes back, carried out", in_pieces, Level.MUST,
         needs),
        ("batch", "eight requests and one kick", "all come back", batch, Level.MUST, needs),
        ("indirect", "a request in an indirect table", "it comes back, carried out", one, Level.MUST,
         indirect),
        ("around", what, "all come back", around, Level.MUST, needs),
        ("three-rounds", "three times as many requests as the ring has room for", "all come back",
         partial(many, 48, 16, 0), Level.MUST, needs),
        ("still-after-stop", "a request and a kick after GET_VRING_BASE", "no used entry moves",
         still_after_stop, Level.MUST, needs),
        ("base-counts", "three requests, then GET_VRING_BASE", "the base is three further", base_counts,
         Level.MUST, needs),
        ("starts-again", "a stopped ring started at the base that came", "requests come back", starts_again,
         Level.MUST, needs),
    )  # fmt: skip
    for name, sends, expects, act, level, wanted in rows:
        yield Case(f"{layout}/{name}", heading, sends, expects, act, level, wanted)
    if layout == "split":
        yield Case("split/event-index", heading, "used_event at the next request, then far away",
                   "a call at the first, none at the second", event_index, Level.SHOULD,
                   ("VIRTIO_F_EVENT_IDX",))  # fmt: skip
        yield Case("split/no-interrupt", heading, "a request, with VRING_AVAIL_F_NO_INTERRUPT",
                   "the call descriptor is not written", no_interrupt, Level.SHOULD)  # fmt: skip


def start_cases() -> Iterator[Case]:
    """Starting, stopping, and starting again."""
    states, call = "Ring states", "VHOST_USER_SET_VRING_CALL"
    yield from (
        Case("rings/request-before-start", states, "a ring that has a request when it starts",
             "it comes back, without another kick", before_kick, Level.SHOULD),
        Case("rings/enabled-by-default", states, "a start without PROTOCOL_FEATURES and SET_VRING_ENABLE",
             "requests come back", without_protocol),
        Case("rings/no-call-descriptor", call, "a request after SET_VRING_CALL without a descriptor",
             "it comes back", no_call_descriptor),
        Case("rings/call-replaced", call, "a request after another call descriptor came",
             "the new one is written", call_replaced),
        Case("reconnect/works-again", "Communication", "a new connection after one that worked",
             "requests come back, in other memory", after_reconnect, Level.SHOULD),
        Case("reset/works-again", "VHOST_USER_RESET_DEVICE", "RESET_DEVICE, and a start in other memory",
             "requests come back", after_reset, needs=("RESET_DEVICE",)),
    )  # fmt: skip


def memory_cases() -> Iterator[Case]:
    """Memory that is really read and written where the descriptor says."""
    one_, table = "Memory region description", "VHOST_USER_SET_MEM_TABLE"
    yield from (
        Case("memory/works-in-second-region", table, "a ring and a request in the second region",
             "it comes back, carried out", partial(other_region, 0)),
        Case("memory/works-behind-offset", one_, "a ring and a request in a region with an mmap offset",
             "it comes back, carried out", partial(other_region, 2 * MIB)),
        Case("memory/works-in-added-region", "VHOST_USER_ADD_MEM_REG",
             "a request in a region that was added while the device runs", "it comes back, carried out",
             region_added, needs=("CONFIGURE_MEM_SLOTS",)),
        Case("migration/marks-the-used-ring", "Migration", "a request with LOG_ALL and a log",
             "the used ring's page is marked", dirty_log, needs=("LOG_SHMFD", "VHOST_F_LOG_ALL")),
    )  # fmt: skip


def hostile_cases() -> Iterator[Case]:
    """Rings that no driver makes."""
    rows: tuple[tuple[str, str, Callable[[Driver], None]], ...] = (
        ("buffer-outside-memory", "a buffer that no region has", outside),
        ("buffer-wraps", "a buffer whose end is beyond 2^64", wraps),
        ("buffer-too-long", "a buffer of 4 GiB at the end of its region", too_long),
        ("request-empty", "a request of 0 bytes", empty),
        ("request-reversed", "a writable part before a readable one", writable_first),
        ("chain-loops", "a chain that comes back to itself", looped),
        ("next-beyond-table", "a chain that goes on outside the table", next_beyond),
        ("head-beyond-table", "a head that the table does not have", head_beyond),
        ("index-jumps", "an available index 1000 further in a ring of 64", index_jumps),
    )
    for name, sends, make in rows:
        yield Case(f"hostile/{name}", "Split Virtqueues", sends, "it does not die", partial(bad, make),
                   Level.SHOULD)  # fmt: skip
