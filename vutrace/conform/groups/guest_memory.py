"""Memory that is really read and written where the descriptor says, and the log of what was written."""

import os
import time
from collections.abc import Iterator
from functools import partial

from vutrace.conform.case import Case, UnmetError
from vutrace.conform.driver import Driver
from vutrace.conform.guest import MIB
from vutrace.conform.probe import Probe
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import VIRTIO_FEATURES, bit

GIB = 1 << 30
PAGE_BITS = 12
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
LOG_BYTES = 1 << 16


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


def cases() -> Iterator[Case]:
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
