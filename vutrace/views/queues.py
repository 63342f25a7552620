"""Every ring of a session as a table: what was sent of it, what that makes of it, and by which rule."""

import re
from collections.abc import Callable, Iterator, Sequence

from tabulate import tabulate

from vutrace.outgoing import json_text
from vutrace.records import connection_letter
from vutrace.session.fd_ledger import Holding
from vutrace.session.model import ConnectionTimeline, RingLane, SessionTimeline, Timeline
from vutrace.session.ring import Ring
from vutrace.views.colour import Paint, bare
from vutrace.views.descriptors import identity
from vutrace.views.samples import in_flight, moves
from vutrace.views.tables import sentences
from vutrace.views.text import address, printable
from vutrace.views.timeline.json import Json, holding_json, ring_json

SCHEMA = "queues-1"  # docs/schemas
HEADERS = (
    "ring", "name", "size", "base", "desc, avail, used", "kick", "call", "err",
    "started", "enabled", "by", "last change",
)  # fmt: skip
SPOKEN = tuple("rule" if header == "by" else header for header in HEADERS)
MOVING = ("moved", "in flight")  # at the last look
FOLDED = ("ring", "desc, avail, used", "descriptors", "state", "last change")
FOLDED_TWICE = ("ring", "addresses, descriptors", "state, last change")
ROLES = ("kick", "call", "err")
DASH, TIME = re.compile(r"(?<!\S)-(?!\S)"), re.compile(r" at \d+\.\d{6}")
SENT = {None: "-", True: "1", False: "0"}

Fds = dict[tuple[int | None, str], Holding]


def sessions_of(connection: ConnectionTimeline, wanted: int | None) -> list[SessionTimeline]:
    """The session with number `wanted` (0: the last), or all for None."""
    if wanted is None:
        return list(connection.sessions)
    if wanted == 0:
        return list(connection.sessions[-1:])
    return [session for session in connection.sessions if session.number == wanted]


def text(
    timeline: Timeline,
    session: int | None,
    paint: Paint = bare,
    width: int | None = None,
    at_ns: int | None = None,
) -> Iterator[str]:
    """A table for each session, line by line; `session` as in `sessions_of`, `width` in columns.

    `at_ns` is the time that the timeline goes to, None where it is whole.
    """
    still_open = "still open" if at_ns is None else f"open at {at_ns / 1e9:.6f} s"
    for connection in timeline.connections:
        for each in sessions_of(connection, session):
            letter = connection_letter(connection.number)
            when = f" at {each.end_ns / 1e9:.6f} s" if each.timed else ""
            end = f"closed{when}, as it stood then" if each.closed else still_open
            head = f"connection {letter}, session {each.number}, {printable(each.device)}: {end}"
            yield paint(head, "heading")
            yield from table(each, width).splitlines()
            yield ""


def table(session: SessionTimeline, width: int | None = None) -> str:
    """The rings of one session: a line for each; three, six or a sentence where a line would not fit."""
    if not session.rings:
        return "no message named a ring"
    fds = {(holding.slot.ring, holding.slot.role): holding for holding in session.fds}
    sampled = any(lane.samples for lane in session.rings)
    wide, spoken = (HEADERS + MOVING, SPOKEN + MOVING) if sampled else (HEADERS, SPOKEN)

    def cells(lane: RingLane, fds: Fds) -> list[str]:
        return [*cells_of(lane, fds), *([moves(lane.moved), in_flight(lane.moved)] if sampled else [])]

    def told(form: Callable[[RingLane, Fds], list[str]]) -> list[list[str]]:
        return [[as_known(cell, session) for cell in form(lane, fds)] for lane in session.rings]

    rows = told(cells)
    for form, headers in ((cells, wide), (three_line_row, FOLDED), (six_line_row, FOLDED_TWICE)):
        drawn = told(form)
        lines = tabulate(drawn, headers, "simple", disable_numparse=True)
        if width is None or len(lines.split("\n", 1)[0]) <= width:
            return lines
    return "\n".join(sentences(rows, spoken, width or 0))


def three_line_row(lane: RingLane, fds: Fds) -> list[str]:
    """A ring's row in columns of three lines."""
    ring = lane.ring
    return [
        three_lines(ring),
        "\n".join(parts(ring)),
        fd_lines(ring, fds),
        "\n".join([", ".join(states(ring)), *rules(ring), *moved_line(lane)]),
        change_lines(ring),
    ]


def six_line_row(lane: RingLane, fds: Fds) -> list[str]:
    """A ring's row in columns of six lines."""
    ring = lane.ring
    return [
        three_lines(ring),
        "\n".join([*parts(ring), fd_lines(ring, fds)]),
        "\n".join([*states(ring), *rules(ring), *moved_line(lane), change_lines(ring)]),
    ]


def three_lines(ring: Ring) -> str:
    """Which ring, and what it was set to."""
    return f"{ring.index} {printable(ring.name)}\nsize {number_or_dash(ring.size)}\nbase {base(ring)}"


def as_known(cell: str, session: SessionTimeline) -> str:
    """A cell of an import: what was not told is not known, and times may only give the order."""
    if session.partial:
        cell = DASH.sub("?", cell)
    return cell if session.timed else TIME.sub("", cell)


def fd_lines(ring: Ring, fds: Fds) -> str:
    """Its descriptors, a line each."""
    return "\n".join(f"{role:<4} {fd(fds.get((ring.index, role)))}" for role in ROLES)


def states(ring: Ring) -> tuple[str, str]:
    """What it is, by both of its states."""
    return f"started {started(ring)}", f"enabled {enabled(ring)}"


def change_lines(ring: Ring) -> str:
    """The row that changed it last, and its message."""
    return f"[{ring.changed}] at {ring.changed_ns / 1e9:.6f}\n{ring.changed_by}"


def moved_line(lane: RingLane) -> list[str]:
    """What moved in it at the last look."""
    return [f"moved {moves(lane.moved)}, {in_flight(lane.moved)} in flight"] if lane.moved else []


def cells_of(lane: RingLane, fds: Fds) -> list[str]:
    """A ring's row, cell by cell."""
    ring = lane.ring
    return [
        str(ring.index),
        printable(ring.name),
        number_or_dash(ring.size),
        base(ring),
        " ".join(parts(ring)),
        *(fd(fds.get((ring.index, role))) for role in ROLES),
        started(ring),
        enabled(ring),
        "; ".join(rules(ring)),
        f"[{ring.changed}] {ring.changed_by} at {ring.changed_ns / 1e9:.6f}",
    ]


def number_or_dash(value: int | None) -> str:
    """A number, or - before it is sent."""
    return "-" if value is None else str(value)


def base(ring: Ring) -> str:
    """The next index as it was sent; in hex where it is more than one (packed rings)."""
    return "-" if ring.base is None else str(ring.base) if ring.base < 0x10000 else f"{ring.base:#x}"


def parts(ring: Ring) -> tuple[str, ...]:
    """Where the ring lies: the descriptors, and the other parts as their distance from them."""
    where = ring.addresses
    if where is None:
        return ("-",)
    distances = (f"{part - where.descriptor:+#x}" for part in (where.available, where.used))
    return address(where.descriptor), *distances


def fd(holding: Holding | None) -> str:
    """A descriptor by what identifies it, and how many there were before it."""
    if holding is None:
        return "-"
    name = "NOFD" if holding.fd is None else identity(holding.fd)
    return name if holding.generation == 1 else f"{name} ({ordinal(holding.generation)})"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    teen = number // 10 % 10 == 1
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def started(ring: Ring) -> str:
    """Whether it is, in a word."""
    return "yes" if ring.state.started else "no"


def enabled(ring: Ring) -> str:
    """In effect, and as it was sent."""
    return f"{'yes' if ring.state.enabled else 'no'} (sent {SENT[ring.enable_sent]})"


def rules(ring: Ring) -> tuple[str, ...]:
    """What decided: one rule, or one for each state."""
    return tuple(dict.fromkeys((ring.started_rule, ring.enabled_rule)))


def objects(timeline: Timeline, session: int | None) -> str:
    """The same as JSON: connections with sessions with rings."""
    found = [
        {
            "schema": SCHEMA,
            "connection": connection_letter(connection.number),
            "session": each.number,
            "device": each.device,
            "rings": [ring_object(lane, each.fds) for lane in each.rings],
        }
        for connection in timeline.connections
        for each in sessions_of(connection, session)
    ]
    return json_text(found, indent=1)


def ring_object(lane: RingLane, fds: Sequence[Holding]) -> Json:
    """One ring with its descriptors."""
    mine = [holding for holding in fds if holding.slot.ring == lane.ring.index]
    held = {holding.slot.role: holding_json(holding) for holding in mine}
    return {**ring_json(lane.ring), "queue_pair": lane.pair, "fds": held}
