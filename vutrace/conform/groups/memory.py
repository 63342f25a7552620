"""Regions of memory: tables, slots, and what cannot be mapped."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

from vutrace.conform.case import Case, Level, UnmetError
from vutrace.conform.guest import MIB, GuestRegion
from vutrace.conform.probe import Probe
from vutrace.protocol import payloads as p

GIB = 1 << 30
MOST = 8  # regions of a table
SLOTS = ("CONFIGURE_MEM_SLOTS",)
ACKED = ("REPLY_ACK",)
FAR = 1 << 47


def several(count: int, probe: Probe) -> None:
    probe.hello()
    probe.memory(*(probe.guest.add((number + 1) * GIB) for number in range(count)))
    probe.silent("SET_MEM_TABLE")


def with_offset(probe: Probe) -> None:
    probe.hello()
    probe.memory(probe.guest.add(GIB, offset=2 * MIB))
    probe.silent("SET_MEM_TABLE")


def replaced(probe: Probe) -> None:
    probe.hello()
    probe.memory()
    probe.memory(probe.guest.add(GIB))
    probe.memory()
    probe.silent("SET_MEM_TABLE")


def same_twice(probe: Probe) -> None:
    probe.hello()
    probe.memory()
    probe.memory()


def no_region(probe: Probe) -> None:
    probe.hello()
    probe.memory()
    probe.send("SET_MEM_TABLE", p.MemoryTable(nregions=0))
    probe.survives()


def table_refused(
    probe: Probe, regions: Sequence[p.MemoryRegion], fds: Sequence[int], count: int = -1
) -> None:
    """A table that cannot be carried out."""
    payload = p.MemoryTable(nregions=len(regions) if count < 0 else count, regions=list(regions))
    probe.refused("SET_MEM_TABLE", payload, fds)


def changed(region: GuestRegion, **fields: int) -> p.MemoryRegion:
    """A region described otherwise than it is."""
    return p.MemoryRegion(**{**region.described().fields, **fields})


def beyond_file(probe: Probe) -> None:
    """Longer than what it is mapped from: reading there would be a bus error."""
    probe.hello()
    region = probe.guest.regions[0]
    table_refused(probe, [changed(region, size=64 * MIB)], [region.fd])


def offset_beyond_file(probe: Probe) -> None:
    probe.hello()
    region = probe.guest.regions[0]
    table_refused(probe, [changed(region, mmap_offset=GIB)], [region.fd])


def no_memory(kind: str, probe: Probe) -> None:
    """A descriptor that cannot be mapped."""
    probe.hello()
    fd = probe.guest.eventfd() if kind == "eventfd" else probe.guest.keep(os.open("/dev/null", os.O_RDWR))
    table_refused(probe, [probe.guest.regions[0].described()], [fd])


def odd(field: str, value: int, probe: Probe) -> None:
    probe.hello()
    region = probe.guest.regions[0]
    table_refused(probe, [changed(region, **{field: value})], [region.fd])


def overlapping(field: str, probe: Probe) -> None:
    probe.hello()
    first, second = probe.guest.regions[0], probe.guest.add(GIB)
    other = changed(second, **{field: int(getattr(first, field)) + MIB})
    table_refused(probe, [first.described(), other], [first.fd, second.fd])


def counted(said: int, there: int, fds: int, probe: Probe) -> None:
    probe.hello()
    regions = [probe.guest.add((number + 1) * GIB) for number in range(max(there, fds))]
    table_refused(
        probe, [each.described() for each in regions[:there]], [each.fd for each in regions[:fds]], said
    )


# Slots


def slot_count(probe: Probe) -> None:
    probe.hello()
    if not 0 < probe.number("GET_MAX_MEM_SLOTS", "max_mem_slots") < 1 << 16:
        raise UnmetError("no sensible number of slots")


def add(probe: Probe, region: GuestRegion) -> None:
    probe.tell("ADD_MEM_REG", p.SingleRegion(region=region.described()), [region.fd])


def remove(probe: Probe, region: GuestRegion, fds: Sequence[int] = (), **fields: int) -> None:
    probe.tell("REM_MEM_REG", p.SingleRegion(region=changed(region, **fields)), fds)


def add_and_remove(probe: Probe) -> None:
    probe.hello()
    regions = [probe.guest.add((number + 1) * GIB) for number in range(3)]
    for region in regions:
        add(probe, region)
    for region in regions:
        remove(probe, region)
    for region in regions:
        add(probe, region)


def remove_by_address(probe: Probe) -> None:
    probe.hello()
    add(probe, probe.guest.regions[0])
    remove(probe, probe.guest.regions[0], mmap_offset=MIB)


def remove_with_fd(probe: Probe) -> None:
    probe.hello()
    region = probe.guest.regions[0]
    add(probe, region)
    remove(probe, region, [region.fd])


def remove_unknown(probe: Probe) -> None:
    probe.hello()
    region = probe.guest.add(GIB)
    probe.refused("REM_MEM_REG", p.SingleRegion(region=region.described()))


def add_beyond_file(probe: Probe) -> None:
    probe.hello()
    region = probe.guest.regions[0]
    probe.refused("ADD_MEM_REG", p.SingleRegion(region=changed(region, size=64 * MIB)), [region.fd])


def too_many_slots(probe: Probe) -> None:
    probe.hello()
    most = probe.number("GET_MAX_MEM_SLOTS", "max_mem_slots")
    if most > 600:
        probe.skip(f"{most} slots are too many to fill")
    fd = probe.guest.regions[0].fd
    for number in range(most):
        described = changed(probe.guest.regions[0], size=4096, guest_address=number << 20,
                            user_address=FAR + (number << 20))  # fmt: skip
        probe.tell("ADD_MEM_REG", p.SingleRegion(region=described), [fd])
    last = changed(
        probe.guest.regions[0], size=4096, guest_address=most << 20, user_address=FAR + (most << 20)
    )
    probe.refused("ADD_MEM_REG", p.SingleRegion(region=last), [fd])


def cases() -> Iterator[Case]:
    """All of them."""
    table, many = "VHOST_USER_SET_MEM_TABLE", "Multiple memory regions description"
    one, should, may = "Memory region description", Level.SHOULD, Level.MAY
    end = "an error or the end of the connection"
    yield from (
        Case("memory/one-region", table, "a table of one region", "it is accepted", partial(several, 1)),
        Case("memory/two-regions", table, "a table of two regions", "it is accepted", partial(several, 2)),
        Case("memory/eight-regions", many, "a table of eight regions, the most there can be",
             "it is accepted",
             partial(several, MOST)),
        Case("memory/offset", one, "a region that begins in the middle of its file", "it is accepted",
             with_offset),
        Case("memory/table-replaced", table, "a table, another, and the first again", "all are accepted",
             replaced),
        Case("memory/table-twice", table, "the same table twice", "both are accepted", same_twice),
        Case("memory/empty-table", table, "a table without a region", "it goes on or closes", no_region, may),
        Case("memory/region-beyond-its-file", one, "a region of 64 MiB in a file of 8 MiB", end, beyond_file,
             should, ACKED),
        Case("memory/offset-beyond-its-file", one, "a region that begins behind the end of its file", end,
             offset_beyond_file, should, ACKED),
        Case("memory/eventfd-as-memory", table, "a region with an eventfd", end,
             partial(no_memory, "eventfd"), should, ACKED),
        Case("memory/device-as-memory", table, "a region with /dev/null", end, partial(no_memory, "null"),
             should, ACKED),
        Case("memory/empty-region", one, "a region of 0 bytes", end, partial(odd, "size", 0), may, ACKED),
        Case("memory/size-wraps", one, "a region whose end is beyond 2^64", end,
             partial(odd, "guest_address", (1 << 64) - 4096), should, ACKED),
        Case("memory/user-address-wraps", one, "a region whose user addresses end beyond 2^64", end,
             partial(odd, "user_address", (1 << 64) - 4096), should, ACKED),
        Case("memory/size-huge", one, "a region of 2^63 bytes", end, partial(odd, "size", 1 << 63), should,
             ACKED),
        Case("memory/overlap-in-guest-addresses", one, "two regions that share guest addresses", end,
             partial(overlapping, "guest_address"), may, ACKED),
        Case("memory/overlap-in-user-addresses", one, "two regions that share user addresses", end,
             partial(overlapping, "user_address"), may, ACKED),
        Case("memory/more-descriptors-than-regions", table, "a table of one region with two descriptors", end,
             partial(counted, 1, 1, 2), should, ACKED),
        Case("memory/fewer-descriptors-than-regions", table, "a table of two regions with one descriptor",
             end,
             partial(counted, 2, 2, 1), should, ACKED),
        Case("memory/nine-regions", many, "a table of nine regions", end, partial(counted, 9, 9, 9), should,
             ACKED),
        Case("memory/count-larger-than-table", many, "a table that says 8 regions and has 1", end,
             partial(counted, 8, 1, 1), should, ACKED),
        Case("memory/count-huge", many, "a table that says 2^32-1 regions and has 1", end,
             partial(counted, 0xFFFF_FFFF, 1, 1), should, ACKED),
        *slot_cases(end),
    )  # fmt: skip


def slot_cases(end: str) -> Iterator[Case]:
    """Regions one by one."""
    remove_, add_ = "VHOST_USER_REM_MEM_REG", "VHOST_USER_ADD_MEM_REG"
    both = (*SLOTS, *ACKED)
    yield from (
        Case("memory/slot-count", "VHOST_USER_GET_MAX_MEM_SLOTS", "GET_MAX_MEM_SLOTS", "a sensible number",
             slot_count, needs=SLOTS),
        Case("memory/add-and-remove", add_, "three regions added, removed and added again",
             "all are accepted",
             add_and_remove, needs=both),
        Case("memory/remove-ignores-offset", remove_, "REM_MEM_REG with another mmap offset",
             "the region is found by its addresses and size", remove_by_address, Level.SHOULD, both),
        Case("memory/remove-with-descriptor", remove_, "REM_MEM_REG with a descriptor",
             "it is accepted and the descriptor closed", remove_with_fd, Level.SHOULD, both),
        Case("memory/remove-unknown", remove_, "REM_MEM_REG of a region that was never added", end,
             remove_unknown, Level.SHOULD, both),
        Case("memory/add-beyond-its-file", add_, "ADD_MEM_REG of 64 MiB in a file of 8 MiB", end,
             add_beyond_file, Level.SHOULD, both),
        Case("memory/more-than-slots", "VHOST_USER_GET_MAX_MEM_SLOTS", "one region more than there are slots",
             end, too_many_slots, Level.SHOULD, both),
    )  # fmt: skip
