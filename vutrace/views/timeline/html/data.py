"""What the page knows: sessions with phases, loops and rings, and their rows as columns of integers.

Texts stand once in a table and are told by their place in it, so that 20,000 messages are about a megabyte.
Times are nanoseconds since the first record, rows are numbers as in `vutrace show`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from vutrace.records import Event, connection_letter
from vutrace.session.model import (
    ConnectionTimeline,
    Iteration,
    Loop,
    PhaseSpan,
    RingLane,
    SessionTimeline,
    Span,
    Timeline,
)
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.masks import protocol_names, virtio_names
from vutrace.views.queues import HEADERS, MOVING, Fds, cells_of
from vutrace.views.samples import in_flight, moves
from vutrace.views.text import joined
from vutrace.views.timeline.facts import facts, owing_words
from vutrace.views.timeline.glyphs import glyph_names
from vutrace.views.timeline.html.columns import KINDS, Columns, Texts
from vutrace.views.timeline.html.fates import NOTHING_KNOWN, Fate, Fates
from vutrace.views.timeline.loops import part_lines
from vutrace.views.timeline.words import end_words, name_of

Json = dict[str, Any]
Place = tuple[int, int]  # connection and session

ROWS_KEPT = 60_000  # at each end of the capture; those between are counted


def page_data(timeline: Timeline, rows: Iterable[Row]) -> Json:
    texts = Texts()
    columns = {
        (connection.number, session.number): Columns(session, texts)
        for connection in timeline.connections
        for session in connection.sessions
    }
    fates = Fates()
    omitted = fill(columns, watched(rows, fates), timeline.rows)
    became = fates.all()
    return {
        "kinds": KINDS,
        "glyphs": glyph_names(),
        "first_ns": str(timeline.first_ns),  # too large for a number of JavaScript
        "connections_omitted": timeline.connections_omitted,
        "connections": [connection_data(each, columns, omitted, became) for each in timeline.connections],
        "texts": texts.all,
    }


def watched(rows: Iterable[Row], fates: Fates) -> Iterator[Row]:
    """The rows, each while its state is as it stands there."""
    for row in rows:
        fates.feed(row)
        yield row


def fill(columns: dict[Place, Columns], rows: Iterable[Row], total: int) -> dict[Place, int]:
    """Hand each row to its session; how many of each were left out."""
    omitted: dict[Place, int] = defaultdict(int)
    for shown in Annotator().annotate_all(rows):
        place = place_of(shown)
        kept = shown.row.number <= ROWS_KEPT or shown.row.number > total - ROWS_KEPT
        if not (kept and place in columns and columns[place].add(shown)):
            omitted[place] += 1
    return omitted


def place_of(shown: AnnotatedRow) -> Place:
    """The connection and session of a row."""
    what = shown.row.what
    record = what if isinstance(what, Event) else what.frame
    return record.connection, record.session


def connection_data(
    connection: ConnectionTimeline,
    columns: dict[Place, Columns],
    omitted: dict[Place, int],
    fates: Mapping[Place, Fate],
) -> Json:
    number = connection.number
    alike, others = omitted_sessions(connection, fates)
    return {
        "letter": connection_letter(number),
        "frontend": connection.frontend,
        "backend": connection.backend,
        "omitted": others,
        "sessions": [
            {
                **session_data(session),
                **fate_data(fates.get((number, session.number), NOTHING_KNOWN)),
                "more": alike.get(session.number, 0),
                "rows": columns[number, session.number].data(),
                "omitted": omitted.get((number, session.number), 0),
            }
            for session in connection.sessions
        ],
    }


def omitted_sessions(
    connection: ConnectionTimeline, fates: Mapping[Place, Fate]
) -> tuple[dict[int, int], int]:
    """How many that are not drawn came to the same as the drawn one before, by its number; and the others."""
    if not connection.sessions_omitted:
        return {}, 0
    drawn, last = {each.number for each in connection.sessions}, 0
    alike: dict[int, int] = defaultdict(int)
    for place, fate in sorted(fates.items()):
        if place[0] != connection.number:
            continue
        if place[1] in drawn:
            last, likeness = place[1], fate.likeness
        elif last and fate.likeness == likeness:
            alike[last] += 1
    return alike, connection.sessions_omitted - sum(alike.values())


def fate_data(fate: Fate) -> Json:
    """What became of a session."""
    return {
        "verdict": fate.text,
        **({} if fate.began else {"ended": "it never began"}),
        "failed": fate.failed,
        "look": fate.look,
        "broke": fate.broke,
        "wrong": [list(each) for each in fate.wrong],
        "likeness": fate.likeness,
    }


def accepted(session: SessionTimeline) -> list[list[str]]:
    """What was accepted in the end, by name."""
    spaces = (
        ("features", [each.acknowledged for each in session.rounds], virtio_names(session.kind)),
        ("protocol features", [each.protocol_acknowledged for each in session.rounds], protocol_names),
    )
    found = [(what, [mask for mask in masks if mask is not None], names) for what, masks, names in spaces]
    return [
        ["accepted", f"{what} {masks[-1]:#x}\n{joined(names(masks[-1]))}"]
        for what, masks, names in found
        if masks
    ]


def session_data(session: SessionTimeline) -> Json:
    """One session without its rows."""
    fds = {(holding.slot.ring, holding.slot.role): holding for holding in session.fds}
    return {
        "number": session.number,
        "device": session.device if session.device_reason else "device unknown",
        "reason": session.device_reason,
        "first": session.first,
        "last": session.last,
        "start": session.start_ns,
        "end": session.end_ns,
        "timed": session.timed,
        "closed": session.closed,
        "problems": session.problems,
        "phases": [phase_data(each) for each in session.phases],
        "phases_omitted": session.phases_omitted,
        "rings": [ring_data(each, fds) for each in session.rings],
        "owing": [owing_words(each) for each in session.owing],
        "ended": end_words(session),
        "agreed": [
            *accepted(session),
            *([each.about, "\n".join(filter(None, (each.summary, *each.lines)))] for each in facts(session)),
        ],
    }


def phase_data(phase: PhaseSpan) -> Json:
    """One phase; `lines` are its loops in words, as the text timeline has them."""
    return {
        "name": str(phase.phase),
        "first": phase.first,
        "last": phase.last,
        "start": phase.start_ns,
        "end": phase.end_ns,
        "messages": phase.messages,
        "lines": [" ".join(words) for words in chain.from_iterable(map(part_lines, phase.parts))],
        "loops": [loop_data(loop) for loop in phase.loops],
    }


def loop_data(loop: Loop) -> Json:
    """A loop; `turns` are (name, first row, last row, what sets it apart)."""
    return {
        "name": loop.name,
        "first": loop.first,
        "last": loop.last,
        "repeats": loop.repeats,
        "turns": [turn_data(each) for each in loop.iterations],
    }


def turn_data(turn: Iteration) -> list[Any]:
    return [name_of(turn), turn.first, turn.last, ", ".join(map(str, turn.anomalies))]


def ring_data(lane: RingLane, fds: Fds) -> Json:
    """A ring; `facts` is its row in `vutrace queues`."""
    return {
        "index": lane.ring.index,
        "name": lane.ring.name,
        "pair": lane.pair,
        "facts": [*zip(HEADERS, cells_of(lane, fds), strict=True), *moved_facts(lane)],
        "spans": [span_data(each) for each in lane.spans],
        **({"samples": [[each.time_ns, round(each.used)] for each in lane.samples]} if lane.samples else {}),
    }


def moved_facts(lane: RingLane) -> Iterator[tuple[str, str]]:
    """What moved in it at the last look."""
    if lane.moved:
        yield from zip(MOVING, (moves(lane.moved), in_flight(lane.moved)), strict=True)


def span_data(span: Span) -> list[Any]:
    """A state: (its name, from, to, first row, the rule)."""
    return [span.state, span.start_ns, span.end_ns, span.first, span.rule]
