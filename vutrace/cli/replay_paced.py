"""`vutrace replay` without --as: rows, or the board, at the recorded pace."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from vutrace.cli.board import show_board
from vutrace.cli.errors import UsageError
from vutrace.cli.output import note
from vutrace.cli.printers import shower
from vutrace.cli.reading import noting, open_capture
from vutrace.records import Connection, Record
from vutrace.replay.keyboard import keyboard
from vutrace.replay.pace import KEYS, Pace
from vutrace.replay.paced import ALL, Window, as_now, paced, window
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.views.board import Board
from vutrace.views.colour import When, painter

Take = Callable[[Iterator[Row]], None]


def part_of(start: float, to: str) -> Window:
    """The part between --from and --to."""
    try:
        end = float(to) if to else math.inf
    except ValueError:
        raise UsageError(f"--to {to}: a second to end at, or an endpoint together with --as") from None
    if not start <= end:
        raise UsageError(f"--from {start:g} --to {to}: the end is before the beginning")
    return window(start, end)


def show_paced(
    name: str,
    tracker: Tracker,
    part: Window,
    pace: Pace,
    sink: Callable[[Connection | Record], None],
    board: bool,
    quiet: bool,
    color: When,
) -> None:
    """Show the part's rows at their pace, record all with `sink`; with a terminal, keys pause and step."""
    reader, shown = open_capture(name, False, None), False
    with keyboard(name == "-") as keys:
        tell = (lambda words: None) if keys.fd < 0 or board else note

        def rows() -> Iterator[Row]:
            nonlocal shown
            for item, due in paced(reader, pace, keys, part, tell):
                sink(item)
                shown |= due
                # a board is what all that went before has made of the rings
                yield from (row for row in tracker.rows([item]) if due or board)

        if keys.fd >= 0:
            note(KEYS)
        status = partial(status_words, pace, part) if keys.fd >= 0 else None
        take = on_board(tracker, color, status) if board else on_rows(tracker, quiet, color)
        take(noting(name, reader, rows()))
    if not shown and part != ALL:
        note(f"{name}: nothing was recorded in that part")


def status_words(pace: Pace, part: Window) -> str:
    """Where a replay is, how fast it goes, and its keys."""
    seconds = (part.start_ns + pace.passed_ns(time.monotonic())) / 1e9
    return f"{pace.words}, at {seconds:.3f} s   {KEYS}"


def on_board(tracker: Tracker, color: When, status: Callable[[], str] | None) -> Take:
    """Shows how the rings stand while rows come, with a line about the pace."""
    paint, board = painter(color, os.environ, sys.stdout.isatty()), Board(tracker.connections)
    return lambda rows: show_board(map(as_now, rows), board, True, paint, sys.stdout, status=status)


def on_rows(tracker: Tracker, quiet: bool, color: When) -> Take:
    """Prints each row when it comes."""

    def take(rows: Iterator[Row]) -> None:
        show = shower(quiet, color, tracker.connections)
        for row in rows:
            show(row)

    return take
