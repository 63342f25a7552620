"""Rings that no driver makes: whatever the device does about them, it goes on."""

import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

from vutrace.conform.case import Case, Level
from vutrace.conform.driver import Driver, running
from vutrace.conform.guest import MIB
from vutrace.conform.probe import Probe
from vutrace.conform.ring import DESCRIPTOR, NEXT, Buffer, SplitRing

OUTSIDE = 0x5000_0000_0000


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
