"""The timeline for a terminal: phases with their loops folded, then a lane for each ring."""

import re
from collections.abc import Iterator
from collections.abc import Sequence as Items
from itertools import groupby

from vutrace.records import connection_letter
from vutrace.session.model import (
    ConnectionTimeline,
    Loop,
    Part,
    PhaseSpan,
    SessionTimeline,
    Timeline,
)
from vutrace.views.text import duration, printable
from vutrace.views.timeline.facts import facts, owing_words
from vutrace.views.timeline.formats import DrawingOptions, Scale
from vutrace.views.timeline.glyphs import LEGEND
from vutrace.views.timeline.loops import ONCE, part_lines
from vutrace.views.timeline.text_lanes import by_order, by_time
from vutrace.views.timeline.text_moves import move_lines
from vutrace.views.timeline.words import headline, name_of, rows_words

# Where and when something was: the number of a session, rows, times.
PLACES = re.compile(r"\[\d+\]|\b(?:session|rows?) \d+(?:–\d+)?|\b[\d.]+(?:–[\d.]+)? (?:s|ms|µs|ns)\b")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
INDENT = 4
ANOMALIES_SHOWN = 6


def render(timeline: Timeline, options: DrawingOptions) -> Iterator[str]:
    """The drawing, a line with its newline at a time."""
    for connection in timeline.connections:
        yield from (line.rstrip() + "\n" for line in connection_lines(connection, options))
    if timeline.connections_omitted:
        yield f"… {timeline.connections_omitted} more connections are not drawn\n"
    if not timeline.connections:
        yield "nothing to draw: the capture has no records\n"


def connection_lines(connection: ConnectionTimeline, options: DrawingOptions) -> Iterator[str]:
    """One connection, session by session."""
    ends = f"{printable(connection.frontend) or '?'} ⇄ {printable(connection.backend) or '?'}"
    yield from wrap_text(f"connection {connection_letter(connection.number)}  {ends}", options, 0, "heading")
    drawn = ((session, list(session_lines(session, options))) for session in connection.sessions)
    for _, alike in groupby(drawn, lambda each: shape(each[1])):
        (_, lines), *others = alike
        yield ""
        yield from lines
        if others:
            which = sessions_words([session for session, _ in others])
            yield from wrap_text(f"{which}: the same, but for rows and times", options, 0)
    if connection.sessions_omitted:
        yield f"… {connection.sessions_omitted} sessions between are not drawn"
    yield ""


def shape(lines: Items[str]) -> str:
    """What is drawn of a session, without what differs from session to session."""
    return PLACES.sub("#", " ".join(" ".join(lines).split()))


def sessions_words(sessions: Items[SessionTimeline]) -> str:
    """Which they are; some between may be left out."""
    first, last = sessions[0].number, sessions[-1].number
    return f"session {first}" if first == last else f"{len(sessions)} sessions, {first} to {last}"


def session_lines(session: SessionTimeline, options: DrawingOptions) -> Iterator[str]:
    """One session: a headline, the phases, the lanes."""
    yield from wrap_text(headline(session), options, 0, "heading")
    for i, phase in enumerate(session.phases):
        if session.phases_omitted and i == session.phases_cut:
            yield f"  … {session.phases_omitted} phases between are not drawn"
        yield from phase_lines(phase, options, session.timed)
    if any(phase.once for phase in session.phases):
        name = options.paint("{braces}", ONCE)
        pairs = ", not once per queue pair" if session.kind.pairs else ""
        yield from wrap_text(f"{name}: sent once per device{pairs}", options, 2)
    yield from fact_lines(session, options)
    if session.rings:
        yield ""
        lanes = by_order if options.scale is Scale.ORDER else by_time
        yield from lanes(session, options.width)
        for line in LEGEND:
            yield from wrap_text(line, options, 0, "=")
        yield from move_lines(session, options.width)


def phase_lines(phase: PhaseSpan, options: DrawingOptions, timed: bool = True) -> Iterator[str]:
    """A phase: its rows and how long it took; then its loops and what stood between them."""
    paint = options.paint
    rows = "no messages" if phase.first is None else rows_words(phase.first, phase.last)
    took = f", {duration(phase.end_ns - phase.start_ns)}" if timed else ""
    yield f"  {paint(f'{phase.phase:9}', 'heading')} {rows}{took}"
    for part in phase.parts:
        for words in part_lines(part, paint):
            yield from wrap_words(words, options.width, INDENT)
        yield from anomaly_lines(part, options)
    if phase.parts_omitted:
        yield f"    … {phase.parts_omitted} parts between are not drawn"


def fact_lines(session: SessionTimeline, options: DrawingOptions) -> Iterator[str]:
    """What the ends agreed on, and who still owes what."""
    for fact in facts(session):
        yield from wrap_text(f"{fact.about:9} {fact.summary}", options, 2)
        for line in fact.lines:
            yield from wrap_text(line, options, INDENT)
    for owing in session.owing:
        yield from wrap_text(owing_words(owing), options, 2, "problem")


def anomaly_lines(part: Part, options: DrawingOptions) -> Iterator[str]:
    """What went wrong, and what sets iterations apart."""
    items = part.iterations if isinstance(part, Loop) else (part,)
    odd = [item for item in items if item.anomalies]
    for item in odd[:ANOMALIES_SHOWN]:
        wrong = any(anomaly.row is not None for anomaly in item.anomalies)
        line = ": ".join(filter(None, (name_of(item), ", ".join(map(str, item.anomalies)))))
        yield from wrap_text(line, options, INDENT + 2, "problem" if wrong else "=")
    if len(odd) > ANOMALIES_SHOWN:
        yield f"{' ' * INDENT}  … {len(odd) - ANOMALIES_SHOWN} more that differ"


def wrap_text(text: str, options: DrawingOptions, indent: int, style: str = "") -> Iterator[str]:
    """Plain words in lines that fit."""
    for line in wrap_words(text.split(" "), options.width, indent):
        yield options.paint(line, style) if style else line


def wrap_words(words: Items[str], width: int, indent: int) -> Iterator[str]:
    """Words in lines of at most `width` columns; further lines are indented once more."""
    line, used, first = " " * indent, indent, True
    for word in words:
        size = len(ESCAPE.sub("", word))
        if not first and used + 1 + size > width:
            yield line
            line, used, first = " " * (indent + 2), indent + 2, True
        if first:
            word = word.lstrip()
            line, used, first = line + word, used + len(ESCAPE.sub("", word)), False
        else:
            line, used = f"{line} {word}", used + 1 + size
    yield line
