"""A capture with what the rules find in it, for the plug-in, which shows findings and judges nothing.

The rules are Python; what they find is a fact that each record can carry.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from vutrace.capture import (
    CaptureError,
    Item,
    Reader,
    connection_block,
    read,
    record_block,
    section_block,
)
from vutrace.capture.blocks import ENHANCED_PACKET, INTERFACE_DESCRIPTION, encode_block
from vutrace.capture.findings import encode_findings
from vutrace.dissection.registry import Registry
from vutrace.problems import Problem
from vutrace.records import Connection
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

Problems = tuple[Problem, ...]
Found = Mapping[int, Problems]

NOTHING: Problems = ()
# In place of a packet that is not ours, so that the others keep their numbers: an empty one, of USER0.
FOREIGN_INTERFACE = encode_block(INTERFACE_DESCRIPTION, (147).to_bytes(4, "little") + bytes(4))
FOREIGN = encode_block(ENHANCED_PACKET, bytes(20))


def found_in(capture: Path | str, registry: Registry, device: str = "") -> Found:
    """What is found of each record, by its number from 1; of a damaged capture as far as it can be read."""
    judge, found = Judge(), dict[int, Problems]()
    try:
        for row in judge.rows(Tracker(registry, device).rows(read(capture))):
            if row.problems:
                found[row.number] = row.problems
    except CaptureError:
        pass
    for row in judge.end():
        if row.problems:
            found[row.number] = (*found.get(row.number, NOTHING), *row.problems)
    return found


def with_findings(capture: Path | str, registry: Registry, device: str = "") -> Iterator[bytes]:
    """The blocks of the same capture with what is found in it, a packet for each of its packets.

    CaptureError behind what stands before a damage.
    """
    found, reader = found_in(capture, registry, device), read(capture)
    reader.ahead = 1
    numbered = ((item, found.get(reader.records, NOTHING)) for item in reader)
    try:
        yield from blocks(numbered, lambda: reader.records + reader.skipped)
    except CaptureError as error:
        raise CaptureError(f"{capture}: {error}") from None


def judged_live(reader: Reader, registry: Registry, device: str = "") -> Iterator[bytes]:
    """The same while records come; what only shows when a capture is over is not found."""
    tracker, judge = Tracker(registry, device), Judge()

    def judged() -> Iterator[tuple[Item, Problems]]:
        for item in reader:
            problems = NOTHING
            if isinstance(item, Connection):
                list(tracker.rows([item]))
            else:
                problems = judge.judge(tracker.feed(item)).problems
            yield item, problems

    reader.ahead = 1
    return blocks(judged(), lambda: reader.records + reader.skipped)


def blocks(items: Iterable[tuple[Item, Problems]], place: Callable[[], int]) -> Iterator[bytes]:
    """A file of these connections and records; `place` is the number of the packet at hand."""
    yield section_block() + FOREIGN_INTERFACE
    interfaces: dict[int, int] = {}
    waiting: dict[int, Connection] = {}
    written = 0
    for item, problems in items:
        if isinstance(item, Connection):
            waiting[item.number] = item
            continue
        if item.connection in waiting:
            yield connection_block(waiting.pop(item.connection), item.time_ns)
            interfaces[item.connection] = len(interfaces) + 1
        yield FOREIGN * (place() - written - 1)
        yield record_block(item, interfaces[item.connection], encode_findings(problems))
        written = place()
