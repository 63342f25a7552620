"""The timeline for a terminal: phases with their loops folded, then a lane for each ring."""

import re
from collections.abc import Iterator, Sequence

from vutrace.records import connection_letter
from vutrace.session.loops import counted
from vutrace.session.model import ConnectionTimeline, Loop, PhaseSpan, SessionTimeline, Timeline
from vutrace.views.colour import Paint
from vutrace.views.lane_text import LEGEND, by_order, by_time
from vutrace.views.loop_text import ONCE, words_of
from vutrace.views.text import printable
from vutrace.views.timeline import Options, Scale

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
INDENT = 4
SECOND = 1_000_000_000
ANOMALIES_SHOWN = 6


def render(timeline: Timeline, options: Options) -> Iterator[str]:
    """The drawing, a line with its newline at a time."""
    for connection in timeline.connections:
        yield from (line.rstrip() + "\n" for line in connection_lines(connection, options))
    if not timeline.connections:
        yield "nothing to draw: the capture has no records\n"


def connection_lines(connection: ConnectionTimeline, options: Options) -> Iterator[str]:
    """One connection, session by session."""
    ends = f"{printable(connection.frontend) or '?'} ⇄ {printable(connection.backend) or '?'}"
    yield options.paint(f"connection {connection_letter(connection.number)}  {ends}", "heading")
    for session in connection.sessions:
        yield ""
        yield from session_lines(session, options)
    if connection.sessions_omitted:
        yield f"… {connection.sessions_omitted} sessions between are not drawn"
    yield ""


def session_lines(session: SessionTimeline, options: Options) -> Iterator[str]:
    """One session: a headline, the phases, the lanes."""
    yield options.paint(headline(session), "heading")
    for i, phase in enumerate(session.phases):
        if session.phases_omitted and i == session.phases_cut:
            yield f"  … {session.phases_omitted} phases between are not drawn"
        yield from phase_lines(phase, options)
    for owing in session.owing:
        yield options.paint(f"  [{owing.row}] {owing.name} was never answered", "problem")
    if any(phase.once for phase in session.phases):
        yield f"  {options.paint('{NAME}', ONCE)} is sent once per device, not once per queue pair"
    if session.rings:
        yield ""
        lanes = by_order if options.scale is Scale.ORDER else by_time
        yield from lanes(session, options.width)
        yield from (options.paint(line, "=") for line in LEGEND)


def headline(session: SessionTimeline) -> str:
    """What the session is, in one line."""
    parts = [
        f"session {session.number}",
        session.device if session.device_reason else "device unknown",
        f"rows {session.first}–{session.last}",
        f"{session.start_ns / SECOND:.6f}–{session.end_ns / SECOND:.6f} s",
        "closed" if session.closed else "open at the end of the capture",
    ]
    if session.problems:
        parts.append(f"{session.problems} rows with problems")
    return ", ".join(parts)


def phase_lines(phase: PhaseSpan, options: Options) -> Iterator[str]:
    """A phase: its rows and how long it took; then its loops and what stood between them."""
    paint = options.paint
    rows = "no messages" if phase.first is None else f"rows {phase.first}–{phase.last}"
    yield f"  {paint(f'{phase.phase:9}', 'heading')} {rows}, {duration(phase.end_ns - phase.start_ns)}"
    for part in phase.parts:
        for words in words_of(part, paint):
            yield from wrapped(words, options.width, INDENT)
        yield from anomaly_lines(part.iterations if isinstance(part, Loop) else (part,), paint)
    if phase.parts_omitted:
        yield f"    … {phase.parts_omitted} parts between are not drawn"


def anomaly_lines(items: Sequence[object], paint: Paint) -> Iterator[str]:
    """What sets iterations apart, or went wrong."""
    lines = [f"{name_of(item)}: {anomaly}" for item in items for anomaly in getattr(item, "anomalies", ())]
    yield from (paint(f"      {line}", "problem") for line in lines[:ANOMALIES_SHOWN])
    if len(lines) > ANOMALIES_SHOWN:
        yield f"      … {counted('more', len(lines) - ANOMALIES_SHOWN)}"


def name_of(item: object) -> str:
    """The iteration an anomaly is of."""
    pair, ring = getattr(item, "pair", None), getattr(item, "ring", None)
    return "here" if pair is None and ring is None else f"ring {ring}" if pair is None else f"pair {pair}"


def duration(nanoseconds: int) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("s", SECOND), ("ms", 1_000_000), ("µs", 1000)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds} ns"


def wrapped(words: Sequence[str], width: int, indent: int) -> Iterator[str]:
    """Words in lines of at most `width` columns; further lines are indented once more."""
    line, used = " " * indent, indent
    for word in words:
        size = len(ESCAPE.sub("", word))
        if used > indent and used + 1 + size > width:
            yield line
            line, used = " " * (indent + 2), indent + 2
            word, size = word.lstrip(), len(ESCAPE.sub("", word.lstrip()))
        gap = "" if line.isspace() else " "
        line, used = line + gap + word, used + len(gap) + size
    yield line
