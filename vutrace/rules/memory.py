"""Guest memory: regions, what backs them, and whether rings and translations lie inside.

Sources: vhost-user.rst, "Memory region description", "Memory access", "IOMMU support" and the sections of the
messages.
"""

from collections.abc import Iterator
from itertools import combinations

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Breach, Check, Once, any_of, asks
from vutrace.protocol.effects import MemoryEffect, RingEffect
from vutrace.records import Channel, FdKind
from vutrace.rules.extents import extents
from vutrace.rules.look import ACCESS_PLATFORM, message_of, number, ring_after, span_text, starts
from vutrace.rules.seen import History, inside, overlapping, span
from vutrace.session.memory import Region
from vutrace.session.row import Row

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
GPA_ADDRESSES = bit("GPA_ADDRESSES", PROTOCOL_FEATURES)
MOST = 8  # regions of a table
COMPARED = 16  # a hostile table has more
READ_OR_WRITE = frozenset({1, 2, 3})
PAGE = 4096
HUGE_PAGE = 2 << 20
MISS, UPDATE = 1, 2
FOREIGN_GRANT = 0b11
TABLE = asks(memory=MemoryEffect.TABLE)
ADD = asks(memory=MemoryEffect.ADD)
REMOVE = asks(memory=MemoryEffect.REMOVE)
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


def too_many(row: Row, _seen: History) -> Iterator[str]:
    """A table that no fixed array holds."""
    if number(row, "nregions") > MOST:
        yield f"{number(row, 'nregions')} regions; a table has {MOST} at most"


def beyond_slots(row: Row, _seen: History) -> Iterator[str]:
    """More regions than the back-end has room for."""
    slots, regions = row.context.mem_slots, len(row.state.memory.regions)
    if slots is not None and regions > slots:
        yield f"{regions} regions for a back-end with {slots} memory slots"


def unknown_region(row: Row, _seen: History) -> Iterator[str]:
    """A removal of what is not there."""
    change = row.changes.memory
    if change and not change.removed:
        yield "no region has this guest address, user address and size"


def needless_descriptor(row: Row, _seen: History) -> Iterator[str]:
    """A descriptor with a removal."""
    if message_of(row).frame.fds:
        yield "a descriptor comes along, which nobody needs"


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


def ring_outside(row: Row, _seen: History) -> Iterator[str]:
    """A ring is started where there is no memory."""
    ring, context = ring_after(row), row.context
    if not (ring and ring.addresses and ring.size and starts(row)) or context.features is None:
        return
    if context.has_feature(ACCESS_PLATFORM):
        return  # the addresses are the guest's own, to be translated when they are used
    kind = guest if context.has_protocol(GPA_ADDRESSES) else user
    regions = [kind(region) for region in row.state.memory.regions]
    for name, start, end in extents(ring, context):
        if not inside((start, end), regions):
            begins = any(whole[0] <= start < whole[1] for whole in regions)
            how = "reaches beyond its memory region" if begins else "lies in no memory region"
            yield f"{name} {span_text(start, end)} {how}"
            return


def translation_outside(row: Row, _seen: History) -> Iterator[str]:
    """A translation to where there is no memory."""
    target = span(number(row, "user_address"), number(row, "size"))
    if number(row, "type") == UPDATE and not inside(target, map(user, row.state.memory.regions)):
        yield f"{span_text(*target)} lies in no memory region"


def translation_permission(row: Row, _seen: History) -> Iterator[str]:
    """A miss for nothing, or for what does not exist."""
    if number(row, "type") == MISS and number(row, "permission") not in READ_OR_WRITE:
        yield f"permission {number(row, 'permission')}: a miss is for reading, writing or both"


def partly_translated(row: Row, seen: History) -> Iterator[Breach]:
    """A ring of which a part was translated, and a part never."""
    for ring in row.state.rings.by_index.values():
        if not (ring.addresses and ring.size):
            continue
        for name, start, end in extents(ring, row.context):
            covered = covered_bytes((start, end), seen.translated)
            if covered and covered < end - start:
                yield Breach(
                    f"of {name} {span_text(start, end)} only {covered} bytes were translated", ring.index
                )


def covered_bytes(part: tuple[int, int], ranges: list[tuple[int, int]]) -> int:
    """How much of a range others cover."""
    covered, reached = 0, part[0]
    for start, end in sorted(ranges):
        start, end = max(start, reached), min(end, part[1])
        covered, reached = covered + max(end - start, 0), max(end, reached)
    return covered


def table_while_running(row: Row, _seen: History) -> Iterator[str]:
    """New memory under rings that are started."""
    if row.state.rings.started and not row.context.postcopy:
        yield "the whole table is replaced while rings are started"


def same_table(row: Row, _seen: History) -> Iterator[str]:
    """A table that changes nothing."""
    change = row.changes.memory
    if change and not (change.added or change.removed):
        yield "the same table as before"


def mixed_messages(_row: Row, seen: History) -> Iterator[str]:
    """A table after single regions."""
    if seen.added:
        yield "a table replaces what was told region by region"


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
            "memory.too-many-regions",
            ERROR,
            "Multiple memory regions description",
            "A memory table has eight regions at most; back-ends have no room for more.",
            "Use fewer memory devices, or a back-end with CONFIGURE_MEM_SLOTS.",
        ),
        TABLE,
        too_many,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.beyond-slots",
            ERROR,
            "VHOST_USER_GET_MAX_MEM_SLOTS",
            "The back-end said how many regions it can map, and gets more.",
            "Use fewer memory devices.",
        ),
        BRINGS,
        beyond_slots,
    ),
    Check(
        Rule(
            "memory.unknown-region",
            ERROR,
            "VHOST_USER_REM_MEM_REG",
            "A region is removed that the back-end does not have; the two ends disagree about memory.",
            "Guest address, user address and size must be those it was added with.",
        ),
        REMOVE,
        unknown_region,
    ),
    Check(
        Rule(
            "memory.needless-descriptor",
            WARNING,
            "VHOST_USER_REM_MEM_REG",
            "The back-end must close the descriptor unused; one that forgets it leaks one each time.",
            "Send the message without a descriptor.",
            deviates=("qemu: 5.1 to 7.0 attach one (hw/virtio/vhost-user.c)",),
        ),
        REMOVE,
        needless_descriptor,
        anytime=True,
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
            "memory.ring-outside",
            ERROR,
            "Memory access",
            "The back-end cannot reach the ring: it refuses to start it, or crashes.",
            "Compare the ring's addresses with the memory table, which may lack a part of the guest's RAM.",
        ),
        asks(effect=frozenset({RingEffect.KICK, RingEffect.NOTIFY})),
        ring_outside,
    ),
    Check(
        Rule(
            "memory.translation-outside",
            ERROR,
            "IOMMU support",
            "The translation leads to memory that the back-end was never given.",
            "Mend the front-end: an update lies within the regions of the memory table.",
        ),
        asks(request="Iotlb"),
        translation_outside,
    ),
    Check(
        Rule(
            "memory.translation-permission",
            WARNING,
            "An IOTLB message",
            "A miss asks for a translation and does not say for what.",
            "Mend the back-end: 1 is for reading, 2 for writing, 3 for both.",
        ),
        asks(Channel.BACKEND, request="Iotlb"),
        translation_permission,
        anytime=True,
    ),
    Check(
        Rule(
            "memory.ring-partly-translated",
            WARNING,
            "IOMMU support",
            "The ring spans several translations, and some were never given: the back-end works with a part.",
            "The back-end must ask for every page of the ring (DPDK did not before 5d9dc18e1b).",
        ),
        None,
        partly_translated,
    ),
    Check(
        Rule(
            "memory.table-while-running",
            INFO,
            "VHOST_USER_SET_MEM_TABLE",
            "Lawful, as when memory is plugged in; but SPDK starts its session anew, DPDK maps all again.",
            "If I/O stops at this moment: the back-end may not support memory that changes.",
        ),
        TABLE,
        table_while_running,
    ),
    Check(
        Rule(
            "memory.same-table",
            INFO,
            "VHOST_USER_SET_MEM_TABLE",
            "Nothing changes, but a back-end may map everything again.",
            "Nothing to do; some front-ends send the table at each start.",
        ),
        TABLE,
        same_table,
        once=Once.SESSION,
    ),
    Check(
        Rule(
            "memory.mixed-messages",
            INFO,
            "VHOST_USER_ADD_MEM_REG",
            "The spec has either the table or single regions; what a table does to those is not said.",
            "Remove and add single regions where CONFIGURE_MEM_SLOTS is acknowledged.",
        ),
        TABLE,
        mixed_messages,
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
