"""A session that fails like one before it is counted instead of shown: for rows that somebody watches.

Rows of a session that goes as an earlier one went are held back until it ends, or goes otherwise.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from vutrace.problems import Severity
from vutrace.records import Channel, Event, EventKind
from vutrace.rules.folding import PLACES, rate
from vutrace.views.annotated import AnnotatedRow

PATTERNS = 8  # a front-end that hammers fails in some ways by turns
LONGEST = 64  # rows of a session that may be counted
MOST = 1024  # connections that are watched for it
EVERY_SECONDS = 10.0  # between two counts
IDLE_SECONDS = 1.0  # that rows are held back, or a count, when nothing more comes
Step = tuple[object, ...]


@dataclass(slots=True)
class Recurrence:
    """How the sessions of one connection went.

    `patterns` are the latest sessions that were shown and failed, step by step; `steps` is the current one so
    far, whose rows are `held` while it goes as one of them. `count` sessions more were the same, from
    `since_ns` on, the last of which ended with `last`.
    """

    session: int = 0
    patterns: deque[list[Step]] = field(default_factory=partial(deque, maxlen=PATTERNS))
    steps: list[Step] = field(default_factory=list)
    held: list[AnnotatedRow] = field(default_factory=list)
    failed: bool = False
    count: int = 0
    last: AnnotatedRow | None = None
    since_ns: int = 0
    touched: float = 0.0
    said: float = 0.0


class SessionFold:
    """Annotated rows in, rows out; `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._courses: dict[int, Recurrence] = {}
        self._now = now

    def rows(self, rows: Iterable[AnnotatedRow]) -> Iterator[AnnotatedRow]:
        """The rows that are to be shown, with a note for each count."""
        for shown in rows:
            yield from self.feed(shown)
        yield from self._release(self._courses.values())

    def feed(self, shown: AnnotatedRow) -> Iterator[AnnotatedRow]:
        """What is to be shown now that a row has come."""
        courses, connection = self._courses, shown.row.connection
        if connection not in courses and len(courses) >= MOST:
            yield shown
        else:
            yield from self._feed(courses.setdefault(connection, Recurrence()), shown)

    def overdue(self) -> Iterator[AnnotatedRow]:
        """What nobody should wait for any longer; to be asked when nothing comes."""
        before = self._now() - IDLE_SECONDS
        yield from self._release(each for each in self._courses.values() if each.touched <= before)

    def _feed(self, course: Recurrence, shown: AnnotatedRow) -> Iterator[AnnotatedRow]:
        if shown.row.session != course.session:
            if course.held:  # of a session that never ended
                yield from self._otherwise(course)
            course.session, course.failed, course.steps = shown.row.session, False, []
        course.touched = self._now()
        going_on = len(course.held) == len(course.steps)
        if len(course.steps) <= LONGEST:
            course.steps.append(step(shown))
        course.failed |= any(each.severity is not Severity.INFO for each in shown.problems)
        so_far = len(course.steps)
        if going_on and any(each[:so_far] == course.steps for each in course.patterns):
            course.held.append(shown)
        else:
            yield from self._otherwise(course)
            yield shown
        if is_end(shown):
            yield from self._ended(course, shown)

    def _ended(self, course: Recurrence, shown: AnnotatedRow) -> Iterator[AnnotatedRow]:
        if course.held and course.steps in course.patterns:
            course.since_ns = course.since_ns or course.held[0].row.since_first_ns
            course.count, course.last = course.count + 1, shown
            course.held, course.steps = [], []
            if self._now() - course.said >= EVERY_SECONDS:
                yield from self._told(course)
            return
        yield from self._otherwise(course)
        if course.failed and len(course.steps) <= LONGEST:
            course.patterns.append(course.steps)
        course.steps, course.said = [], self._now()

    def _otherwise(self, course: Recurrence) -> Iterator[AnnotatedRow]:
        yield from self._told(course)
        yield from course.held
        course.held = []

    def _release(self, courses: Iterable[Recurrence]) -> Iterator[AnnotatedRow]:
        for course in courses:
            yield from self._otherwise(course)

    def _told(self, course: Recurrence) -> Iterator[AnnotatedRow]:
        """The count so far."""
        if course.last:
            yield count_row(course, course.last)
        course.count, course.last, course.since_ns, course.said = 0, None, 0, self._now()


def step(shown: AnnotatedRow) -> Step:
    """What two rows have in common that are the same step of two sessions."""
    what, problems = shown.row.what, tuple(PLACES.sub("#", str(each)) for each in shown.problems)
    if isinstance(what, Event):
        return what.kind, what.channel, what.sender, PLACES.sub("#", what.text), problems
    frame = what.frame
    return frame.channel, frame.sender, frame.data, len(frame.fds), problems


def is_end(shown: AnnotatedRow) -> bool:
    """Whether a session ends with the row."""
    what = shown.row.what
    return isinstance(what, Event) and what.kind is EventKind.CLOSE and what.channel is Channel.MAIN


def count_row(course: Recurrence, last: AnnotatedRow) -> AnnotatedRow:
    """A note in the place of the last row of what is counted."""
    assert isinstance(last.row.what, Event)
    number, time_ns = last.row.session, last.row.since_first_ns - course.since_ns
    which = f"session {number}" if course.count == 1 else f"sessions {number - course.count + 1:,}–{number:,}"
    text = f"{which}: the same as before, {rate(course.count, time_ns)}"
    event = replace(last.row.what, kind=EventKind.NOTE, text=text)
    row = last.row._replace(what=event, problems=())
    return last._replace(row=row, problems=(), notes=(), endpoints=None)
