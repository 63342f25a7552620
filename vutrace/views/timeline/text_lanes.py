"""Ring lanes as characters: a column for each phase with what was sent, or a stretch of true time."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from vutrace.session.model import Mark, PhaseSpan, RingLane, SessionTimeline, Span
from vutrace.views.timeline.glyphs import glyph

FILLS: Mapping[str, str] = {"running": "═", "started": "─", "configured": "·", "stopped": " "}
# Of several messages in one place of true time the one that matters most is seen.
WEIGHT = "?eabnECK01G"
CELL = 24
SAME_SHOWN = 3


def state_at(spans: Sequence[Span], row: int) -> str:
    """What the ring was after `row`."""
    found = bisect_right(spans, row, key=lambda span: span.first)
    return spans[found - 1].state if found else "stopped"


@dataclass(frozen=True, slots=True)
class Cell:
    """What a lane has in a phase: its messages, and the sign of the state that the ring is left in."""

    text: str
    fill: str

    def __len__(self) -> int:
        """The columns that show both."""
        return len(self.text) + 1

    def filled(self, size: int) -> str:
        """The text, and the state up to `size` columns."""
        return self.text.ljust(size, self.fill)


def letters(marks: Sequence[Mark]) -> str:
    """A phase's messages about a ring in order: equal ones are counted, of very many the ends are left."""
    words = []
    for letter, group in groupby(marks, key=glyph):
        count = sum(mark.count for mark in group)
        words.append(letter * count if count <= SAME_SHOWN else f"{letter}×{count} ")
    text = "".join(words).rstrip()
    half = (CELL - 1) // 2
    return text if len(text) <= CELL else f"{text[:half]}…{text[-half:]}"


class PhaseColumns:
    """The phases that are drawn, as ranges of rows: each mark falls into one."""

    def __init__(self, phases: Sequence[PhaseSpan]) -> None:
        self.phases = phases
        self.numbered = [(phase.first, i) for i, phase in enumerate(phases) if phase.first is not None]
        self.starts = [first for first, _ in self.numbered]

    def cells(self, lane: RingLane) -> list[Cell]:
        marks: list[list[Mark]] = [[] for _ in self.phases]
        for mark in lane.marks:
            found = bisect_right(self.starts, mark.row) - 1
            if found >= 0:
                marks[self.numbered[found][1]].append(mark)
        return [
            Cell(letters(inside), FILLS[state_at(lane.spans, row)])
            for inside, row in zip(marks, self.last_rows(), strict=True)
        ]

    def last_rows(self) -> Iterator[int]:
        """The row after which each phase's end is seen."""
        last = 0
        for phase in self.phases:
            last = last if phase.last is None else phase.last
            yield last


def by_order(session: SessionTimeline, width: int) -> Iterator[str]:
    """The lanes with a column for each phase, in blocks that fit the width."""
    columns = PhaseColumns(session.phases)
    lanes = [(label(lane), columns.cells(lane)) for lane in session.rings]
    margin = max((len(name) for name, _ in lanes), default=0)
    sizes = [
        max([len(phase.phase), *(len(cells[i]) for _, cells in lanes)])
        for i, phase in enumerate(session.phases)
    ]
    for block in blocks(sizes, width - margin - 2):
        heads = [session.phases[i].phase.ljust(sizes[i]) for i in block]
        yield f"{'':{margin}} │{'│'.join(heads)}│"
        drawn = [
            f"{name:{margin}} │{'│'.join(cells[i].filled(sizes[i]) for i in block)}│" for name, cells in lanes
        ]
        yield from fold_lanes(session.rings, drawn, margin)


def blocks(sizes: Sequence[int], width: int) -> Iterator[list[int]]:
    """The columns that stand side by side."""
    block: list[int] = []
    used = 0
    for i, size in enumerate(sizes):
        if block and used + size + 1 > width:
            yield block
            block, used = [], 0
        block.append(i)
        used += size + 1
    if block:
        yield block


def label(lane: RingLane) -> str:
    return f"{lane.ring.index:>3} {lane.ring.name}"


def fold_lanes(rings: Sequence[RingLane], drawn: Sequence[str], margin: int) -> Iterator[str]:
    """Lanes, where groups (pairs, or rings) that look like the one before are only told of."""
    groups = grouped(rings)
    start = 0
    while start < len(groups):
        first = [drawn[i][margin:] for i in groups[start]]
        end = start + 1
        while end < len(groups) and [drawn[i][margin:] for i in groups[end]] == first:
            end += 1
        yield from (drawn[i] for i in groups[start])
        if same := [rings[i].ring.index for group in groups[start + 1 : end] for i in group]:
            yield (
                f"{'':{margin}} │ rings {same[0]}–{same[-1]}: same"
                if len(same) > 1
                else drawn[groups[start + 1][0]]
            )
        start = end


def grouped(rings: Sequence[RingLane]) -> list[list[int]]:
    """The positions of lanes, those of a queue pair together."""
    keyed = groupby(range(len(rings)), key=lambda i: (rings[i].pair, i if rings[i].pair is None else 0))
    return [list(group) for _, group in keyed]


def by_time(session: SessionTimeline, width: int) -> Iterator[str]:
    """The lanes in true time, from the session's start to its end."""
    margin = max((len(label(lane)) for lane in session.rings), default=0)
    room = max(10, width - margin - 3)
    columns = TimeColumns(session.start_ns, session.end_ns, room)
    yield f"{'':{margin}}  {columns.axis()}"
    drawn = [f"{label(lane):{margin}} │{columns.line(lane)}│" for lane in session.rings]
    yield from fold_lanes(session.rings, drawn, margin)


class TimeColumns:
    def __init__(self, start_ns: int, end_ns: int, room: int) -> None:
        self.start_ns, self.room = start_ns, room
        self.length_ns = max(1, end_ns - start_ns)

    def column(self, time_ns: int) -> int:
        """The column of a time; a clock that went backwards stays inside."""
        return min(self.room - 1, max(0, (time_ns - self.start_ns) * self.room // self.length_ns))

    def line(self, lane: RingLane) -> str:
        drawn = [" "] * self.room
        for span in lane.spans:
            for column in range(self.column(span.start_ns), self.column(span.end_ns) + 1):
                drawn[column] = FILLS.get(span.state, " ")
        seen: dict[int, str] = {}
        for mark in lane.marks:
            column, letter = self.column(mark.time_ns), glyph(mark)
            if WEIGHT.index(letter) >= WEIGHT.index(seen.get(column, "?")):
                seen[column] = letter
        for column, letter in seen.items():
            drawn[column] = letter
        return "".join(drawn)

    def axis(self) -> str:
        """The times at the ends and between."""
        stamps = ""
        for column in range(0, self.room - 12, 20):
            time_ns = self.start_ns + self.length_ns * column // self.room
            stamps = stamps.ljust(column) + f"{time_ns / 1e9:.6f} s"
        return stamps
