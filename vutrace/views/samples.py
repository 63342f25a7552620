"""Samples of rings in words and as JSON: how fast they move, what is in flight, what is wrong with them."""

from collections.abc import Iterator

from vutrace.records import DirtyLog, Event, EventKind, NoticeTimes, RingSample, Sample, SampleFlag
from vutrace.session.activity import Moved
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.text import count, printable

SHOWN = 4  # rings of a sample in a row
UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
POSITION, WRAP = 0x7FFF, 0x8000
WRONG = {
    SampleFlag.OUTSIDE: "it lies in no region of memory",
    SampleFlag.UNREADABLE: "its memory cannot be read",
    SampleFlag.BEYOND: "the used index is beyond the available one",
    SampleFlag.JUMPED: "an index is further than the ring is long",
    SampleFlag.BROKEN_CHAIN: "its oldest chain has no end",
}
JsonObject = dict[str, object]


def rate(per_second: float, at_least: bool = False) -> str:
    """How much moves in a second."""
    scale, unit = next(((scale, unit) for scale, unit in UNITS if per_second >= scale), (1.0, ""))
    number = per_second / scale
    text = f"{number:.1f}" if number < 10 and per_second else f"{number:.0f}"
    return f"{'≥' if at_least and per_second else ''}{text}{f' {unit}' if unit else ''}/s"


def moves(moved: Moved | None) -> str:
    """How fast a ring moves; - where nobody looked."""
    if moved is None:
        return "-"
    sample = moved.sample
    return rate(moved.used, sample.has(SampleFlag.AT_LEAST)) if sample.has(SampleFlag.INDEXES) else "?"


def in_flight(moved: Moved | None) -> str:
    """What the device has and did not give back, of what the ring holds."""
    if moved is None:
        return "-"
    sample = moved.sample
    return f"{sample.in_flight} of {sample.size}" if sample.has(SampleFlag.INDEXES) else "?"


def index(sample: RingSample, word: int) -> int:
    """An index; of a packed ring the descriptor."""
    return word & POSITION if sample.has(SampleFlag.PACKED) else word


def wrap(sample: RingSample, word: int) -> int | None:
    """The wrap counter of a packed ring's position."""
    return int(bool(word & WRAP)) if sample.has(SampleFlag.PACKED) else None


def is_worth_a_row(shown: AnnotatedRow) -> bool:
    """Whether a row is more than a look into rings in which nothing is wrong."""
    what = shown.row.what
    looked = isinstance(what, Event) and what.kind in (EventKind.SAMPLE, EventKind.PAYLOAD)
    return not looked or bool(shown.problems)


def wrong(sample: RingSample) -> list[str]:
    """What is wrong with a ring."""
    return [text for flag, text in WRONG.items() if sample.has(flag)]


def ring_name(row: Row, index: int) -> str:
    """A ring as its device calls it."""
    ring = row.state.rings.by_index.get(index)
    return printable(ring.name) if ring and ring.name else f"q{index}"


def sample_words(row: Row) -> str:
    """The rings of a sample in a line."""
    rings = row.changes.moved
    found = [f"{ring_name(row, moved.sample.ring)} {ring_words(moved)}" for moved in rings[:SHOWN]]
    more = len(rings) - SHOWN
    log = [log_words(row.what.log)] if isinstance(row.what, Sample) and row.what.log else []
    return "; ".join([*found, *([f"and {count(more, 'ring')} more"] if more > 0 else []), *log])


def ring_words(moved: Moved) -> str:
    """One ring in a few words."""
    sample = moved.sample
    known = [f"{moves(moved)}, {in_flight(moved)} in flight"] if sample.has(SampleFlag.INDEXES) else []
    if sample.has(SampleFlag.COUNTED):
        known.append(f"{count(sample.kick_total, 'kick')}, {count(sample.call_total, 'call')}")
    return ", ".join([*known, *wrong(sample)])


def sample_lines(row: Row) -> Iterator[str]:
    """Everything about each ring of a sample."""
    for moved in row.changes.moved:
        ring = moved.sample.ring
        yield f"ring {ring} {ring_name(row, ring)}: {ring_words(moved)}"
        for name, value in ring_object(row, moved).items():
            if name not in ("ring", "ring_name", "wrong") and value is not None:
                yield f"  {name.replace('_', ' ')}: {value}"


def ring_object(row: Row, moved: Moved) -> JsonObject:
    """A ring of a sample as JSON; null is what is not known."""
    sample, has = moved.sample, moved.sample.has
    indexes, events = has(SampleFlag.INDEXES), has(SampleFlag.EVENTS)
    return {
        "ring": sample.ring,
        "ring_name": ring_name(row, sample.ring),
        "format": "packed" if has(SampleFlag.PACKED) else "split",
        "size": sample.size,
        "available": index(sample, sample.available) if indexes else None,
        "available_wrap": wrap(sample, sample.available) if indexes else None,
        "used": index(sample, sample.used) if indexes else None,
        "used_wrap": wrap(sample, sample.used) if indexes else None,
        "in_flight": sample.in_flight if indexes else None,
        "available_total": sample.available_total,
        "used_total": sample.used_total,
        "at_least": has(SampleFlag.AT_LEAST),
        "available_per_second": round(moved.made, 3),
        "used_per_second": round(moved.used, 3),
        "driver_flags": sample.driver_flags if indexes else None,
        "device_flags": sample.device_flags if indexes else None,
        "driver_event": index(sample, sample.driver_event) if events else None,
        "device_event": index(sample, sample.device_event) if events else None,
        "kicks": sample.kicks if has(SampleFlag.KICKS) else None,
        "calls": sample.calls if has(SampleFlag.CALLS) else None,
        **counted(row, sample),
        "oldest": oldest(sample) if has(SampleFlag.CHAIN) else None,
        "wrong": wrong(sample),
    }


def counted(row: Row, sample: RingSample) -> JsonObject:
    """How many kicks and calls there were and when the latest, where they are counted; the in-flight buffer.

    Times are seconds since the first record, each with how many there had been by then.
    """
    found: JsonObject = {}
    if sample.has(SampleFlag.COUNTED):
        found |= {"kick_total": sample.kick_total, "call_total": sample.call_total}
        found |= {f"{each.role}_times": times(row, each) for each in noticed(row, sample.ring)}
        found["uncalled"] = sample.uncalled_ms / 1000 if sample.has(SampleFlag.UNCALLED) else None
    if sample.has(SampleFlag.MARKED):
        found |= {"inflight_marked": sample.marked, "inflight_used": sample.marked_used}
    return found


def noticed(row: Row, ring: int) -> Iterator[NoticeTimes]:
    """The kicks and calls of a ring that a sample tells."""
    if isinstance(row.what, Sample):
        yield from (each for each in row.what.notices if each.ring == ring)


def times(row: Row, notices: NoticeTimes) -> list[list[float]]:
    """When they were, and how many by then."""
    first = row.record.time_ns - row.since_first_ns
    return [[(time_ns - first) / 1e9, total] for time_ns, total in notices.times]


def log_words(log: DirtyLog) -> str:
    """The log of dirty pages in a few words."""
    return f"log: {count(log.dirty, 'page')} dirty"


def oldest(sample: RingSample) -> JsonObject:
    """The oldest chain in flight; its age in seconds, its bytes for the device to read and to write."""
    return {
        "head": sample.head,
        "length": sample.length,
        "age": sample.age_ms / 1000,
        "readable": sample.readable,
        "writable": sample.writable,
    }
