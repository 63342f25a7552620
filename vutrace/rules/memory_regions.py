"""Guest memory: what a region is, what backs it, and which lie in each other's way.

Sources: vhost-user.rst, "Memory region description" and the sections of the messages.
"""

from collections.abc import Iterator
from itertools import combinations

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Breach, Check, any_of, asks
from vutrace.protocol.effects import MemoryEffect
from vutrace.records import FdKind
from vutrace.rules.look import message_of, span_text
from vutrace.rules.seen import History, overlapping, span
from vutrace.session.memory import Region
from vutrace.session.row import Row

ERROR, WARNING = Severity.ERROR, Severity.WARNING
GPA_ADDRESSES = bit("GPA_ADDRESSES", PROTOCOL_FEATURES)
COMPARED = 16  # a hostile table has more
PAGE = 4096
HUGE_PAGE = 2 << 20
FOREIGN_GRANT = 0b11
TABLE = asks(memory=MemoryEffect.TABLE)
ADD = asks(memory=MemoryEffect.ADD)
BRINGS = any_of(TABLE, ADD)


def added(row: Row) -> tuple[Region, ...]:
    """The regions that the message brought."""
    change = row.changes.memory
    return change.added if change else ()


def guest(region: Region) -> tuple[int, int]:
    """A region's guest addresses."""
    return span(region.guest_address, region.size)


def user(region: Region) -> tuple[int, int]:
    """A region's user addresses."""
    return span(region.user_address, region.size)


def overlap_in(regions: list[Region], where: str) -> Iterator[str]:
    """Two regions with an address in common."""
    of = guest if where == "guest" else user
    for one, other in combinations(regions, 2):
        if overlapping(of(one), of(other)):
            yield f"regions overlap in {where} addresses: {span_text(*of(one))} and {span_text(*of(other))}"
            return


def guest_overlap(row: Row, _seen: History) -> Iterator[str]:
    """A table whose regions overlap in the guest."""
    yield from overlap_in(row.state.memory.regions[:COMPARED], "guest")


def user_overlap(row: Row, _seen: History) -> Iterator[str]:
    """A table whose regions overlap in the front-end."""
    yield from overlap_in(row.state.memory.regions[:COMPARED], "user")


def overlaps_existing(row: Row, _seen: History) -> Iterator[str]:
    """A region where one already is."""
    for new in added(row):
        for old in row.state.memory.regions:
            if old is not new and (overlapping(guest(old), guest(new)) or overlapping(user(old), user(new))):
                yield f"guest {span_text(*guest(new))} overlaps the region {span_text(*guest(old))}"
                return


def empty_region(row: Row, _seen: History) -> Iterator[str]:
    """A region without a byte."""
    if any(region.size == 0 for region in added(row)):
        yield "a region of 0 bytes"


def guest_is_not_user(row: Row, _seen: History) -> Iterator[str]:
    """Two addresses where both are one."""
    if row.context.has_protocol(GPA_ADDRESSES):
        for region in added(row):
            if region.guest_address != region.user_address:
                yield f"user address {region.user_address:#x} is not guest address {region.guest_address:#x}"
                return


def xen_flags(row: Row, _seen: History) -> Iterator[str]:
    """Neither foreign nor granted, or both."""
    fields = message_of(row).fields
    regions = fields.get("regions") or [fields.get("region")]
    for region in regions if isinstance(regions, list) else []:
        kind = region.get("xen_mmap_flags") if isinstance(region, dict) else None
        if isinstance(kind, int) and kind & FOREIGN_GRANT not in (1, 2):
            yield f"Xen flags {kind:#x}: exactly one of FOREIGN and GRANT is wanted"
            return


def beyond_file(row: Row, _seen: History) -> Iterator[str | Breach]:
    """A region longer than what backs it."""
    for place, region in enumerate(added(row)):
        size = region.fd.size if region.fd else None
        end = region.mmap_offset + region.size
        if size and end > size:
            yield Breach(f"the region ends at {end:#x} of a file of {size:#x} bytes", descriptor=place)
            return


def not_whole_pages(row: Row, _seen: History) -> Iterator[str | Breach]:
    """A region that cannot be mapped as it is."""
    for place, region in enumerate(added(row)):
        page = HUGE_PAGE if region.fd and region.fd.kind is FdKind.HUGETLBFS else PAGE
        if region.size % page or region.mmap_offset % PAGE:
            yield Breach(
                f"{region.size:#x} bytes at offset {region.mmap_offset:#x} are not whole pages of {page:#x}",
                descriptor=place,
            )
            return


def not_memory(row: Row, _seen: History) -> Iterator[Breach]:
    """A region without anything that can be mapped."""
    for place, region in enumerate(added(row)):
        if region.fd and region.fd.kind in (FdKind.EVENTFD, FdKind.SOCKET, FdKind.PIPE, FdKind.USERFAULTFD):
            yield Breach(f"the region is backed by {region.fd.kind}, which is no memory", descriptor=place)
            return


CHECKS = (
    Check(
        Rule(
            "memory.guest-overlap",
            ERROR,
            "Memory region description",
            "One guest address is in two regions: the two ends may read different memory.",
            "Mend the front-end's memory table.",
        ),
        TABLE,
        guest_overlap,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.user-overlap",
            ERROR,
            "Memory region description",
            "One user address is in two regions: a ring may be looked for in the wrong one.",
            "Mend the front-end's memory table.",
        ),
        TABLE,
        user_overlap,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.overlaps-existing",
            ERROR,
            "Memory region description",
            "A region is added where one still is: back-ends refuse it, or use the old memory.",
            "Remove the old region first.",
        ),
        ADD,
        overlaps_existing,
    ),
    Check(
        Rule(
            "memory.empty-region",
            WARNING,
            "Memory region description",
            "Nothing can be mapped from it: mmap refuses a length of 0.",
            "Mend the front-end's memory table.",
        ),
        BRINGS,
        empty_region,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.guest-is-not-user",
            ERROR,
            "Memory region description",
            "With GPA_ADDRESSES a region has one address; a back-end may read from either.",
            "Mend the front-end, or do not acknowledge GPA_ADDRESSES (rust-vmm up to 0.16 takes the bit for "
            "SHMEM).",
            deviates=("rust-vmm: up to 0.16 bit 21 is SHMEM (vhost/src/vhost_user/message.rs)",),
        ),
        BRINGS,
        guest_is_not_user,
    ),
    Check(
        Rule(
            "memory.xen-flags",
            ERROR,
            "Memory region description",
            "It is not said how the region is to be mapped.",
            "Mend the front-end: exactly one of FOREIGN (bit 0) and GRANT (bit 1) is set.",
        ),
        any_of(*(asks(request=layer) for layer in ("XenMemoryTable", "XenSingleRegion"))),
        xen_flags,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.beyond-file",
            ERROR,
            "Memory region description",
            "The region is longer than what backs it: who touches its end is killed (SIGBUS).",
            "Look at the memory backend's size in the front-end, and at the file's.",
        ),
        BRINGS,
        beyond_file,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.not-whole-pages",
            WARNING,
            "Memory region description",
            "Only whole pages can be mapped; SPDK wants multiples of 2 MiB besides.",
            "Give the guest a multiple of the page size of the memory that backs it.",
            deviates=("libblkio: hands over rings and buffers as long as they are (virtio-driver crate)",),
        ),
        BRINGS,
        not_whole_pages,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.not-memory",
            ERROR,
            "VHOST_USER_SET_MEM_TABLE",
            "What backs the region cannot be mapped: the back-end refuses the table, or ends.",
            "Mend the front-end: the descriptor is that of a memfd, a file or hugetlbfs.",
        ),
        BRINGS,
        not_memory,
        anytime=True,
    ),
)
