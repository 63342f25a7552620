"""Guest memory: whether rings and translations lie inside.

Sources: vhost-user.rst, "Memory access", "IOMMU support".
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.check import Breach, Check, asks
from vutrace.records import Channel
from vutrace.rules.extents import extents
from vutrace.rules.look import ACCESS_PLATFORM, number, ring_after, span_text, starts
from vutrace.rules.memory_regions import guest, user
from vutrace.rules.ring_setup import KICKS
from vutrace.rules.seen import History, inside, span
from vutrace.session.row import Row

ERROR, WARNING = Severity.ERROR, Severity.WARNING
GPA_ADDRESSES = bit("GPA_ADDRESSES", PROTOCOL_FEATURES)
MISS, UPDATE = 1, 2
READ_OR_WRITE = frozenset({1, 2, 3})


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


CHECKS = (
    Check(
        Rule(
            "memory.ring-outside",
            ERROR,
            "Memory access",
            "The back-end cannot reach the ring: it refuses to start it, or crashes.",
            "Compare the ring's addresses with the memory table, which may lack a part of the guest's RAM.",
        ),
        KICKS,
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
)
