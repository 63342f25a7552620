"""The timeline as one SVG picture without references to anything outside of it.

For each session: a band of phases with what is sent once per device in red, then a lane for each ring
with its states as bars and its messages as letters. Pointing at anything tells what it is.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import accumulate, pairwise
from typing import Protocol

from vutrace.records import connection_letter
from vutrace.session.model import Mark, PhaseSpan, RingLane, SessionTimeline, Span, Timeline
from vutrace.views.text import duration, printable
from vutrace.views.timeline.formats import DrawingOptions, Scale
from vutrace.views.timeline.glyphs import LEGEND, glyph
from vutrace.views.timeline.words import headline, rows_words

WIDTH, WIDEST, MARGIN, LANE, GAP = 1200, 4000, 96, 16, 5
ROW = 8  # the room of a row, until the picture would be wider than WIDEST
LETTER = 6  # marks nearer to each other than this are ticks instead of letters
SILENT_ROWS = 12  # the room of a phase without messages, in rows
NARROW = 64  # phases narrower than this have no label, only a tooltip
PHASE_COLOURS: Mapping[str, str] = {
    "init": "#c7d7ee",
    "features": "#e6d3ee",
    "start": "#fde3b5",
    "running": "#cbe8cb",
    "stop": "#e0e0e0",
    "migration": "#bfe5e8",
    "reset": "#f3c9c2",
}
STATE_COLOURS: Mapping[str, str] = {
    "stopped": "#eeeeee",
    "configured": "#d5d5d5",
    "started": "#f2c14e",
    "running": "#5aa469",
}
MARK_COLOURS: Mapping[str, str] = {
    "configure": "#555555",
    "kick": "#0b3d91",
    "call": "#6a3d9a",
    "err": "#a85d00",
    "enable 1": "#005a2b",
    "enable 0": "#7a1f1f",
    "stop": "#222222",
    "once": "#d00000",
}
STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#222}"
    ".t{font-weight:bold;font-size:13px}.m{font-size:10px;text-anchor:middle}"
    ".s{stroke:#fff;stroke-width:.5}"
)


def render(timeline: Timeline, options: DrawingOptions) -> Iterator[str]:
    body: list[str] = list(legend())
    top, width = 34.0, WIDTH
    for connection in timeline.connections:
        for session in connection.sessions:
            title = f"connection {connection_letter(connection.number)}, {headline(session)}"
            timed = session.timed and options.scale is Scale.TIME
            axis = TimeAxis(session) if timed else OrderAxis(session)
            drawing = Drawing(title, session, axis, top)
            body += drawing.pieces()
            top, width = drawing.bottom + 24, max(width, int(axis.end) + GAP)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" width="{width}">\n'
    yield f"<style>{STYLE}</style>\n"
    yield f'<rect width="{width}" height="{top:.0f}" fill="#ffffff"/>\n'
    yield from body
    yield "</svg>\n"


def legend() -> Iterator[str]:
    """What colours and letters mean."""
    left = 8.0
    for state, colour in STATE_COLOURS.items():
        yield box(left, left + 14, 8, LANE - 4, colour, state)
        yield text(left + 18, 18, state)
        left += 100
    yield text(left, 18, LEGEND[0])
    yield f'<text x="{left + 520}" y="18" style="fill:{MARK_COLOURS["once"]}">▼ once per device</text>\n'


class Axis(Protocol):
    """Where things stand from left to right."""

    end: float

    def x(self, row: int, time_ns: int) -> float:
        """The place of a row."""

    def band(self, position: int) -> tuple[float, float]:
        """The sides of the phase at `position`."""


class TimeAxis:
    """True time, from the session's start to its end."""

    def __init__(self, session: SessionTimeline) -> None:
        self.session, self.end = session, float(WIDTH - GAP)
        self.length_ns = max(1, session.end_ns - session.start_ns)

    def x(self, _row: int, time_ns: int) -> float:
        """The place of a time; a clock that went backwards stays inside."""
        part = (time_ns - self.session.start_ns) / self.length_ns
        return MARGIN + min(1.0, max(0.0, part)) * (self.end - MARGIN)

    def band(self, position: int) -> tuple[float, float]:
        """From when to when."""
        phase = self.session.phases[position]
        return self.x(0, phase.start_ns), self.x(0, phase.end_ns)


class OrderAxis:
    """Row after row; a phase in which the device ran without a message has some room, too."""

    def __init__(self, session: SessionTimeline) -> None:
        sizes = [rows_of(phase) for phase in session.phases]
        ends = [0, *accumulate(sizes)]
        self.end = float(min(WIDEST, max(WIDTH, MARGIN + ROW * ends[-1])) - GAP)
        unit = (self.end - MARGIN) / max(1, ends[-1])
        self.sides = [(MARGIN + left * unit, MARGIN + right * unit) for left, right in pairwise(ends)]
        self.spans = [
            (phase.first, phase.first + size, *self.sides[i])
            for i, (phase, size) in enumerate(zip(session.phases, sizes, strict=True))
            if phase.first is not None
        ]

    def x(self, row: int, _time_ns: int) -> float:
        """The middle of a row's place; what is outside of all phases stands at their sides."""
        at = bisect_right(self.spans, row, key=lambda span: span[0]) - 1
        if at < 0:
            return float(MARGIN)
        first, after, left, right = self.spans[at]
        return left + min(1.0, (row - first + 0.5) / (after - first)) * (right - left)

    def band(self, position: int) -> tuple[float, float]:
        """Over its rows."""
        return self.sides[position]


def rows_of(phase: PhaseSpan) -> int:
    """The rows that a phase takes."""
    if phase.first is None or phase.last is None:
        return SILENT_ROWS
    return max(1, phase.last - phase.first + 1)


class Drawing:
    """One session from `top` on; `bottom` is where it ends."""

    def __init__(self, title: str, session: SessionTimeline, axis: Axis, top: float) -> None:
        self.title, self.session, self.axis, self.top = title, session, axis, top
        self.lanes = top + 22 + 2 * LANE + GAP
        self.bottom = self.lanes + sum(LANE + gap_before(lane) for lane in session.rings)

    def pieces(self) -> Iterator[str]:
        yield text(8, self.top + 12, self.title, "t")
        for i, phase in enumerate(self.session.phases):
            yield from self.phase(i, phase)
        top = self.lanes
        for lane in self.session.rings:
            top += gap_before(lane)
            yield from self.lane(lane, top)
            top += LANE

    def phase(self, position: int, phase: PhaseSpan) -> Iterator[str]:
        """A band, its name, and below it in red what is sent once."""
        left, right = self.axis.band(position)
        rows = "no messages" if phase.first is None else rows_words(phase.first, phase.last)
        about = f"{phase.phase}: {rows}{self.took(phase)}"
        top = self.top + 22
        yield box(left, right, top, LANE, PHASE_COLOURS.get(phase.phase, "#dddddd"), about)
        if right - left >= NARROW:
            yield text(left + 4, top + 12, str(phase.phase))
        for mark in phase.once_marks:
            yield letter(self.axis.x(mark.row, mark.time_ns), top + LANE + 12, "▼", mark, self.session.timed)

    def lane(self, lane: RingLane, top: float) -> Iterator[str]:
        """A ring: its states, then its messages."""
        yield text(8, top + 12, f"{lane.ring.index:>3} {printable(lane.ring.name)}")
        for span, until in zip(lane.spans, [*lane.spans[1:], None], strict=True):
            left = self.axis.x(span.first, span.start_ns)
            right = self.axis.x(until.first, until.start_ns) if until else self.axis.end
            about = f"{span.state} from row {span.first}{self.took(span)}: {span.rule}"
            yield box(left, right, top + 2, LANE - 4, STATE_COLOURS.get(span.state, "#eeeeee"), about)
        yield from self.marks(lane.marks, top)

    def took(self, span: PhaseSpan | Span) -> str:
        """How long it lasted, where times are known."""
        return f", {duration(span.end_ns - span.start_ns)}" if self.session.timed else ""

    def marks(self, marks: Iterable[Mark], top: float) -> Iterator[str]:
        """A ring's messages: letters, or ticks where those would lie on each other."""
        last = -float(LETTER)
        for mark in marks:
            x = self.axis.x(mark.row, mark.time_ns)
            if x - last < LETTER:
                yield tick(x, top, mark, self.session.timed)
            else:
                yield letter(x, top + 12, glyph(mark), mark, self.session.timed)
                last = x


def gap_before(lane: RingLane) -> int:
    """Room between queue pairs."""
    return GAP if lane.pair is not None and lane.ring.index % 2 == 0 else 0


def box(left: float, right: float, top: float, height: float, colour: str, about: str) -> str:
    """A bar that says what it is."""
    place = f'x="{left:.1f}" y="{top:.1f}" width="{max(0.5, right - left):.1f}" height="{height}"'
    return f'<rect {place} fill="{colour}" class="s"><title>{clean(about)}</title></rect>\n'


def text(x: float, y: float, words: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style} xml:space="preserve">{clean(words)}</text>\n'


def letter(x: float, y: float, sign: str, mark: Mark, timed: bool) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" class="m" style="fill:{colour_of(mark)}"'
    return f"<text {place}>{sign}<title>{clean(about_mark(mark, timed))}</title></text>\n"


def tick(x: float, top: float, mark: Mark, timed: bool) -> str:
    """A message where there is no room for a letter."""
    return box(x - 0.5, x + 0.5, top, LANE, colour_of(mark), about_mark(mark, timed))


def colour_of(mark: Mark) -> str:
    """By the kind of message."""
    return MARK_COLOURS.get(mark.kind, "#222222")


def about_mark(mark: Mark, timed: bool) -> str:
    """What a message is, where, and when if that is known."""
    rows = rows_words(mark.row, mark.last) + (f", {mark.count} messages" if mark.count > 1 else "")
    once = ", once per device" if mark.kind == "once" else ""
    when = f", {mark.time_ns / 1e9:.6f} s" if timed else ""
    return f"{mark.name}{once}: {rows}{when}"


def clean(words: str) -> str:
    """Words that XML can hold, whatever a capture had in its names."""
    return escape("".join(c if c.isprintable() else "?" for c in words))
