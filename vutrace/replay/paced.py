"""A recording shown again as if it were live: each record when it is due."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from vutrace.records import Connection, Event, Record
from vutrace.replay.keyboard import Keyboard
from vutrace.replay.pace import Pace
from vutrace.session.row import Row

Item = Connection | Record
SECOND = 1_000_000_000
ALWAYS = 1e9  # seconds: longer than any recording
LONG_WAIT = 3600.0  # seconds; the system takes no wait of centuries, as damaged times make them

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Window:
    """The part that is shown, in nanoseconds since the first record; `end_ns` None for all."""

    start_ns: int = 0
    end_ns: int | None = None


ALL = Window()


def window(start: float, end: float) -> Window:
    """The part from one second to another, which may be infinity."""
    return Window(int(min(start, ALWAYS) * SECOND), None if end > ALWAYS else int(end * SECOND))


def paced(
    items: Iterable[Item], pace: Pace, keys: Keyboard, part: Window, tell: Tell
) -> Iterator[tuple[Item, bool]]:
    """Each item when it is due, and whether it is to be shown; what comes before the part is due now.

    `tell` gets how the clock goes when a key has changed that.
    """
    first_ns: int | None = None
    began = False
    for item in items:
        if isinstance(item, Connection):
            yield item, False
            continue
        first_ns = item.time_ns if first_ns is None else first_ns
        since = item.time_ns - first_ns
        if part.end_ns is not None and since > part.end_ns:
            return
        if since >= part.start_ns:
            if not began:
                pace.begin(first_ns + part.start_ns, time.monotonic())
            began = True
            wait_due(item.time_ns, pace, keys, tell)
            if pace.ended:
                return
        yield item, since >= part.start_ns
        pace.shown(item.time_ns, time.monotonic())


def wait_due(recorded_ns: int, pace: Pace, keys: Keyboard, tell: Tell) -> None:
    """Wait until what was recorded then is due, or the end is asked for."""
    while not pace.ended:
        wait = pace.wait(recorded_ns, time.monotonic())
        if wait == 0.0:
            return
        before = pace.words
        pace.press(keys.wait(None if wait is None else min(wait, LONG_WAIT)), time.monotonic())
        if pace.words != before:
            tell(pace.words)


def as_now(row: Row) -> Row:
    """A row whose message is of this moment, for a view that tells how long something takes."""
    now, what = time.time_ns(), row.what
    if isinstance(what, Event):
        return row._replace(what=replace(what, time_ns=now))
    return row._replace(what=what._replace(frame=replace(what.frame, time_ns=now)))
