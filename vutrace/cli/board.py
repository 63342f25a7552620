"""The board on a terminal: drawn in place on the other screen until nothing more comes, then for good.

Rows are read by a thread, so that a reply that does not come is told although nothing happens.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from vutrace.views.colour import Paint

if TYPE_CHECKING:
    from vutrace.capture import Reader
    from vutrace.dissection.registry import Registry
    from vutrace.session.row import Row
    from vutrace.views.board import Board

PICTURES = 0.1  # seconds between two pictures
# xterm's control sequences: the other screen and no cursor; and back
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, END_OF_LINE, END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
KEYS = "q end   j k down, up   space b half a page   ? hides this line"
SCROLLS = {"j": 1, "k": -1, " ": 1, "b": -1}
USUAL_SIZE = os.terminal_size((100, 24))
ENDLESS = os.terminal_size((100_000, 100_000))  # where it is not a terminal that it goes to


def board_of(
    file: str,
    reader: "Reader",
    registry: "Registry",
    device: str,
    live: bool,
    paint: Paint,
    ends: int = 0,
) -> None:
    """Show the board of the capture in `file`, `live` while it grows; q ends the proxy `ends`, if any."""
    from vutrace.cli.reading import judged, noting, track
    from vutrace.session.tracker import Tracker
    from vutrace.views.board import Board

    tracker = Tracker(registry, device)
    rows = judged(noting(file, reader, track(reader, tracker)))
    # As Ctrl-C would: the proxy ends in order, and so does what is shown of it.
    leave = partial(os.kill, ends, signal.SIGINT) if ends else None
    show_board(rows, Board(tracker.connections), live, paint, sys.stdout, leave)


class Feeder:
    """Feeds a board with rows in a thread; what ends it before its time is raised in `finish`."""

    def __init__(self, rows: "Iterable[Row]", board: "Board") -> None:
        self.rows, self.board = rows, board
        self.lock = threading.Lock()
        self.done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._feed, daemon=True).start()

    def _feed(self) -> None:
        try:
            for row in self.rows:
                with self.lock:
                    self.board.feed(row)
        except BaseException as error:  # every one has to reach the user, from whichever thread
            self._error = error
        finally:
            self.done.set()

    def finish(self) -> None:
        """Raise what went wrong."""
        if self._error:
            raise self._error


def show_board(
    rows: "Iterable[Row]",
    board: "Board",
    live: bool,
    paint: Paint,
    out: TextIO,
    leave: Callable[[], None] | None = None,
    status: Callable[[], str] | None = None,
) -> None:
    """Show the board while rows come; only as it stands at the end on what cannot be drawn on in place.

    q ends it, or does what `leave` does, after which no more rows come. With a `status`, that is its last
    line, and the keys are another's.
    """
    from vutrace.views.board_text import board_lines

    feeder = Feeder(rows, board)

    def lines(size: os.terminal_size, cut: bool) -> list[str]:
        with feeder.lock:
            now_ns = time.time_ns() if live else board.now_ns
            return board_lines(board, now_ns, size.columns, size.lines, cut, paint)

    try:
        if live and out.isatty() and os.environ.get("TERM") != "dumb":
            redraw(feeder.done, lines, out, leave, status)
        else:
            feeder.done.wait()
    finally:
        size = size_of(out) if out.isatty() else ENDLESS
        out.write("".join(f"{line}\n" for line in lines(size, False)))
        out.flush()
    feeder.finish()


def redraw(
    done: threading.Event,
    lines: Callable[[os.terminal_size, bool], list[str]],
    out: TextIO,
    leave: Callable[[], None] | None,
    status: Callable[[], str] | None,
) -> None:
    """Draw in place until `done` or q, also when the terminal changes its size; its last line is the keys."""
    from vutrace.replay.keyboard import Keyboard, keyboard

    first, told = 0, True
    with other_screen(out), nullcontext(Keyboard(-1)) if status else keyboard(False) as keys:
        while not done.is_set():
            size = size_of(out)
            last = status() if status else KEYS if keys.fd >= 0 else ""
            footer = [last[: size.columns]] if told and last and size.lines > 1 else []
            room = os.terminal_size((size.columns, size.lines - len(footer)))
            whole = lines(room, False)
            first = max(0, min(first, len(whole) - room.lines))
            shown = whole[first : first + room.lines] if first else lines(room, True)
            body = "\n".join(line + END_OF_LINE for line in [*shown, *footer])
            out.write(HOME + body + END_OF_SCREEN)
            out.flush()
            key = keys.wait(PICTURES)
            if key == "q":
                if leave is None:
                    return
                leave()
            told = told != (key == "?")
            first += SCROLLS.get(key, 0) * (room.lines // 2 if key in " b" else 1)


@contextmanager
def other_screen(out: TextIO) -> Iterator[None]:
    """The alternate screen; however this ends, the terminal is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, terminated)
    try:
        out.write(ENTER)
        yield
    finally:
        out.write(LEAVE)
        out.flush()
        signal.signal(signal.SIGTERM, before)


def terminated(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def size_of(out: TextIO) -> os.terminal_size:
    """How large the terminal is now."""
    try:
        size = os.get_terminal_size(out.fileno())
    except OSError:
        return USUAL_SIZE
    # a serial console often does not know its size, and says 0
    return os.terminal_size((size.columns or USUAL_SIZE.columns, size.lines or USUAL_SIZE.lines))
