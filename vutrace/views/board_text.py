"""The board as lines for a screen: a table of rings below the facts of each session."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from vutrace.protocol.bits import DEVICE_STATUS, bit_names
from vutrace.records import connection_letter
from vutrace.session.exchanges import Request
from vutrace.session.ring import Ring
from vutrace.session.ring_states import RingState
from vutrace.views.board import Board, Standing
from vutrace.views.colour import Paint, bare
from vutrace.views.masks import protocol_names, virtio_names
from vutrace.views.queues import enabled, fd, number_or_dash
from vutrace.views.samples import in_flight, moves, rate
from vutrace.views.text import count, duration, happened, joined, printable

COLUMNS = ("ring", "name", "size", "set up", "started", "enabled", "kick", "call", "last change")
LEAST_TELLING = ("call", "kick", "set up")
MOVING = ("moves", "in flight")  # where somebody looked
STATE_STYLES = {RingState.RUNNING: "<", RingState.STARTED: "fds"}
STALLED_NS = 1_000_000_000  # who owes a reply for so long is told in red
FOLDED_FROM = 3
INDENT = "   "


class Line(NamedTuple):
    """A line and its style."""

    text: str
    style: str = ""


def board_lines(
    board: Board, now_ns: int, width: int, height: int, cut: bool = True, paint: Paint = bare
) -> list[str]:
    """The board at `now_ns` (since the epoch) for a screen of `width` and `height`.

    Rings that are alike are folded where it would be too high; if it still is, its end is `cut` off.
    """
    lines = [*all_lines(board, now_ns, width, fold=False)]
    if len(lines) > height:
        lines = [*all_lines(board, now_ns, width, fold=True)]
    if cut and len(lines) > height:
        lines[height - 1 :] = [Line(f"… {len(lines) - height + 1} more lines than this terminal has", "=")]
    return [paint(clipped(line.text, width), line.style) for line in lines]


def clipped(text: str, width: int) -> str:
    """Text that fits."""
    return text if len(text) <= width else text[: width - 1] + "…"


def all_lines(board: Board, now_ns: int, width: int, fold: bool) -> Iterator[Line]:
    """Every connection, an empty line between them."""
    found = False
    for standing in board.standing():
        if found:
            yield Line("")
        found = True
        yield from session_lines(board, standing, now_ns, width, fold)
    if not found:
        yield Line("nothing is connected yet", "=")
    if board.omitted:
        yield Line(f"… {len(board.omitted)} more connections are not shown", "=")


def session_lines(board: Board, standing: Standing, now_ns: int, width: int, fold: bool) -> Iterator[Line]:
    """One session: what it is, what is negotiated, who owes what, its rings, what happened last."""
    yield Line(headline(board, standing), "heading")
    yield from (Line(f"{INDENT}{name:<10}{printable(text)}") for name, text in negotiated(standing))
    for each in standing.waiting:
        stalled = now_ns - each.time_ns >= STALLED_NS
        yield Line(f"{INDENT}{'waiting':<10}{waiting(each, now_ns)}", "problem" if stalled else "fds")
    for each in standing.unpaid:
        until_ns = standing.last.record.time_ns
        yield Line(f"{INDENT}{'waited':<10}{waiting(each, until_ns, 'never gave')}", "problem")
    for event in standing.held.values():
        yield Line(
            f"{INDENT}{'held':<10}for {duration(max(0, now_ns - event.time_ns))}: {printable(event.text)}"
        )
    yield from ring_lines(standing, width, fold)
    for number, event in standing.events:
        yield Line(f"{INDENT}[{number}] {happened(event)}", "=")


def headline(board: Board, standing: Standing) -> str:
    """Who, which session, what, in which phase, how much."""
    context = standing.state.context
    ends = board.endpoints.get(standing.last.connection)
    words = [
        f"{connection_letter(standing.last.connection)}  session {standing.last.session}"
        f"{' (closed)' if standing.state.closed else ''}",
        context.device.name if context.reason else "device unknown",
        f"phase {standing.state.phase}" if standing.state.sent else "no message yet",
        count(standing.rows, "row"),
    ]
    if rings := standing.state.rings.values():
        running = sum(ring.drawn == RingState.RUNNING for ring in rings)
        verb = "were running" if standing.state.closed else "running"
        words.insert(-1, f"{running} of {count(len(rings), 'ring')} {verb}")
    if standing.problems:
        words.append(f"{standing.problems} with problems")
    if ends:
        words.append(f"{printable(ends.frontend)} ⇄ {printable(ends.backend)}")
    return ", ".join(words)


def negotiated(standing: Standing) -> Iterator[tuple[str, str]]:
    """What both ends agreed on so far."""
    context = standing.state.context
    if context.features is not None:
        yield "features", f"{context.features:#x} {joined(virtio_names(context.device)(context.features))}"
    if context.protocol_features is not None:
        names = joined(protocol_names(context.protocol_features))
        yield "protocol", f"{context.protocol_features:#x} {names}"
    if context.status is not None:
        yield "status", f"{context.status:#x} {joined(bit_names(context.status, DEVICE_STATUS))}"


def waiting(request: Request, now_ns: int, verb: str = "owes") -> str:
    """Who owes what, and for how long."""
    passed = duration(max(0, now_ns - request.time_ns))
    who, where = request.debtor.words, request.message.channel.words
    return f"for {passed}: the {who} {verb} the reply to {request.name} [{request.number}] on the {where}"


def ring_lines(standing: Standing, width: int, fold: bool) -> Iterator[Line]:
    """The table of rings; where it is to be short, neighbours that are alike have one line."""
    rings = standing.state.rings.values()
    if not rings:
        return
    rows = [
        row
        for _, group in groupby(rings, key=lambda ring: alike(ring) if fold else (ring.index,))
        for row in ring_rows(standing, list(group))
    ]
    columns = (*COLUMNS[:-1], *MOVING, COLUMNS[-1]) if standing.state.activity.by_ring else COLUMNS
    widths = [max(map(len, column)) for column in zip(columns, *(cells for cells, _ in rows), strict=True)]
    kept = fitting(columns, widths, width - len(INDENT))
    for cells, style in (
        (columns, "heading"),
        *((cells, STATE_STYLES.get(state, "")) for cells, state in rows),
    ):
        yield Line(aligned([cells[i] for i in kept], [widths[i] for i in kept]), style)


def fitting(columns: Sequence[str], widths: Sequence[int], room: int) -> list[int]:
    """The columns that there is room for: the least telling give way first."""
    kept = list(range(len(columns)))
    for name in LEAST_TELLING:
        if sum(widths[i] + 2 for i in kept) - 2 > room:
            kept.remove(columns.index(name))
    return kept


def alike(ring: Ring) -> tuple[object, ...]:
    """What rings that are folded have in common."""
    return ring.size, ring.configured, ring.state, ring.enable_sent, ring.kick_sent


def ring_rows(standing: Standing, rings: list[Ring]) -> Iterator[tuple[tuple[str, ...], RingState]]:
    """A row for each of them, or one for all where they are many."""
    if len(rings) >= FOLDED_FROM:
        yield with_moves(standing, folded_row(standing, rings), rings), rings[0].state
        return
    for ring in rings:
        cells = cells_of(ring, fd_of(standing, ring, "kick"), fd_of(standing, ring, "call"))
        yield with_moves(standing, cells, [ring]), ring.state


def with_moves(standing: Standing, cells: tuple[str, ...], rings: list[Ring]) -> tuple[str, ...]:
    """A row with what moves in its rings, all together, where somebody looked."""
    by_ring = standing.state.activity.by_ring
    if not by_ring:
        return cells
    known = [by_ring[ring.index] for ring in rings if ring.index in by_ring and ring.state.started]
    if len(known) == 1:
        told = moves(known[0]), in_flight(known[0])
    else:
        flying = sum(moved.sample.in_flight for moved in known)
        told = (rate(sum(moved.used for moved in known)), str(flying)) if known else ("-", "-")
    return *cells[:-1], *told, cells[-1]


def folded_row(standing: Standing, rings: list[Ring]) -> tuple[str, ...]:
    """Many rings: the first and the last, how many descriptors there are, and the last change of all."""
    latest = max(rings, key=lambda ring: ring.changed)
    counts = (
        f"{sum(fd_of(standing, ring, role) != '-' for ring in rings)} of {len(rings)}"
        for role in ("kick", "call")
    )
    _, _, *rest = cells_of(latest, *counts)
    ends = rings[0], rings[-1]
    index, name = ("–".join(words) for words in ([str(e.index) for e in ends], [e.name for e in ends]))
    return index, printable(name), *rest


def cells_of(ring: Ring, kick: str, call: str) -> tuple[str, ...]:
    """A ring's row."""
    return (
        str(ring.index),
        printable(ring.name),
        number_or_dash(ring.size),
        "yes" if ring.configured else "no",
        "yes" if ring.state.started else "no",
        enabled(ring),
        kick,
        call,
        f"[{ring.changed}] {ring.changed_by} at {ring.changed_ns / 1e9:.6f}",
    )


def fd_of(standing: Standing, ring: Ring, role: str) -> str:
    """A ring's descriptor."""
    return fd(standing.state.fds.of_ring(ring.index, role))


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """A row of the table; the first column is of numbers."""
    first, *rest = zip(cells, widths, strict=True)
    words = [first[0].rjust(first[1]), *(cell.ljust(width) for cell, width in rest)]
    return f"{INDENT}{'  '.join(words)}".rstrip()
