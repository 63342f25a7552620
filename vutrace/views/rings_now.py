"""Rings as they stand now, as a table or as JSON."""

from collections.abc import Iterable

from vutrace.records import SampleFlag
from vutrace.session.activity import Moved
from vutrace.session.row import Row
from vutrace.views.samples import JsonObject, in_flight, index, moves, ring_name, ring_object, wrong
from vutrace.views.tables import table

HEADERS = (
    "ring",
    "name",
    "available",
    "used",
    "moves",
    "in flight",
    "kicks",
    "calls",
    "oldest in flight",
    "wrong",
)


def lines(row: Row, rings: Iterable[Moved], width: int | None) -> list[str]:
    """A table of the rings of a session."""
    return table([cells(row, moved) for moved in rings], HEADERS, "simple", width)


def cells(row: Row, moved: Moved) -> list[str]:
    """A ring's row."""
    sample = moved.sample
    known = sample.has(SampleFlag.INDEXES)
    return [
        str(sample.ring),
        ring_name(row, sample.ring),
        str(index(sample, sample.available)) if known else "?",
        str(index(sample, sample.used)) if known else "?",
        moves(moved),
        in_flight(moved),
        str(sample.kicks) if sample.has(SampleFlag.KICKS) else "-",
        str(sample.calls) if sample.has(SampleFlag.CALLS) else "-",
        oldest(moved),
        "; ".join(wrong(sample)),
    ]


def oldest(moved: Moved) -> str:
    """The oldest chain in flight."""
    sample = moved.sample
    if not sample.has(SampleFlag.CHAIN):
        return ""
    what = (
        f"{sample.readable} bytes to read"
        if sample.has(SampleFlag.REQUEST)
        else f"room for {sample.writable}"
    )
    return f"{sample.head}: {what}, {sample.age_ms / 1000:.1f} s"


def objects(row: Row, rings: Iterable[Moved]) -> list[JsonObject]:
    """The rings of a session as JSON."""
    return [ring_object(row, moved) for moved in rings]
