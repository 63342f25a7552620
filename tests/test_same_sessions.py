"""A session that fails like the one before it is counted where rows are shown live."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kit.transcript import Line, back, closed, connection, front, noted, opened, script

from vutrace.capture import Writer
from vutrace.dissection.registry import load
from vutrace.problems import Severity
from vutrace.records import Connection, Event, EventKind, Record, Side
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.same_sessions import IDLE_SECONDS, MOST, SessionFold

REGISTRY = load()
START = 1_700_000_000_000_000_000
FAILS = [
    opened(),
    front("GET_FEATURES"),
    back("GET_FEATURES", features=1 << 30),
    closed(Side.BACKEND),
]
OTHER = [*FAILS[:-1], front("SET_OWNER"), closed(Side.BACKEND)]


class Watch:
    """Rows as they come, with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.fold = SessionFold(lambda: self.seconds)

    def feed(self, *rows: AnnotatedRow, each: float = 0.0) -> list[str]:
        """What is shown of rows that come `each` seconds apart."""
        shown = []
        for row in rows:
            shown += [words(told) for told in self.fold.feed(row)]
            self.seconds += each
        return shown


def shown(*sessions: Sequence[Line], apart_ns: int = 100_000_000) -> list[str]:
    """What is shown of sessions that follow on a connection, all at once."""
    fold = SessionFold(lambda: 100.0)
    return [words(row) for row in fold.rows(annotated(*sessions, apart_ns=apart_ns))]


def annotated(*sessions: Sequence[Line], apart_ns: int = 100_000_000) -> list[AnnotatedRow]:
    """Their rows, as they are judged and annotated."""
    rows = Judge(least=Severity.WARNING).rows(Tracker(REGISTRY).rows(items(sessions, apart_ns)))
    return [*Annotator({}).annotate_all(rows)]


def items(sessions: Sequence[Sequence[Line]], apart_ns: int) -> list[Connection | Record]:
    """The records of sessions, so far apart."""
    found: list[Connection | Record] = [connection()]
    for number, lines in enumerate(sessions, 1):
        found += script(*lines, session=number, start_ns=START + number * apart_ns)
    return found


def words(shown: AnnotatedRow) -> str:
    """A row in a word: its message, or what happened."""
    what = shown.row.what
    text = f"{what.kind}: {what.text}" if isinstance(what, Event) else what.name
    return f"{shown.row.session} {text}"


def of(session: int, lines: Sequence[Line] = FAILS) -> list[str]:
    """What is shown of one session that is shown whole."""
    return [f"{session} {words(row)[2:]}" for row in annotated(lines)]


def test_four_thousand_failing_sessions_are_one_and_a_count() -> None:
    lines = shown(*[FAILS] * 4000, apart_ns=1_000_000)
    assert lines == [*of(1), "4000 note: sessions 2–4,000: the same as before, 1,000/s"]


def test_one_that_goes_otherwise_is_shown_whole_and_the_count_before_it() -> None:
    count = "3 note: sessions 2–3: the same as before, in 0.1 s"
    again = "5 note: session 5: the same as before, in 0.0 s"
    assert shown(FAILS, FAILS, FAILS, OTHER, FAILS) == [*of(1), count, *of(4, OTHER), again]


def test_sessions_that_fail_in_two_ways_by_turns_are_counted() -> None:
    lines = shown(*[FAILS, OTHER] * 1000, apart_ns=1_000_000)
    assert lines == [*of(1), *of(2, OTHER), "2000 note: sessions 3–2,000: the same as before, 1,000/s"]


def test_sessions_with_nothing_wrong_are_shown_every_one() -> None:
    rows = [AnnotatedRow(row.row._replace(problems=())) for row in annotated(FAILS, FAILS)]
    assert [*SessionFold().rows(rows)] == rows


def test_what_is_held_back_is_shown_when_nothing_more_comes() -> None:
    watch, rows = Watch(), annotated(FAILS, FAILS)
    assert watch.feed(*rows[:-1]) == of(1)
    assert [*watch.fold.overdue()] == []
    watch.seconds += IDLE_SECONDS
    assert [words(row) for row in watch.fold.overdue()] == of(2)[:-1]
    assert watch.feed(rows[-1]) == of(2)[-1:]


def test_a_count_is_told_when_nothing_more_comes_and_every_ten_seconds() -> None:
    watch, rows = Watch(), annotated(*[FAILS] * 31)
    told = watch.feed(*rows, each=0.125)  # half a second a session: the 21st ends 10 s after the first
    assert told[len(FAILS) :] == ["21 note: sessions 2–21: the same as before, 11/s"]
    watch.seconds += IDLE_SECONDS
    assert [words(row) for row in watch.fold.overdue()] == [
        "31 note: sessions 22–31: the same as before, in 0.9 s"
    ]
    assert [*watch.fold.overdue()] == []


def test_what_comes_after_a_session_is_shown_and_does_not_end_the_count() -> None:
    late = [*FAILS, noted("cannot be reached", EventKind.ERROR)]
    lines = shown(late, FAILS, FAILS)
    assert lines[: len(late)] == of(1, late)
    assert lines[len(late) :] == ["3 note: sessions 2–3: the same as before, in 0.1 s"]


def test_of_very_many_connections_the_last_ones_are_shown_whole() -> None:
    rows = annotated(FAILS, FAILS)
    fold = SessionFold()
    for number in range(MOST):
        assert [*fold.feed(on(rows[0], number))]
    assert sum(len([*fold.feed(on(row, MOST))]) for row in rows) == len(rows)


def on(shown: AnnotatedRow, connection: int) -> AnnotatedRow:
    """The row on another connection."""
    what = shown.row.what
    if isinstance(what, Event):
        return shown._replace(row=shown.row._replace(what=replace(what, connection=connection)))
    message = what.again(replace(what.frame, connection=connection))
    return shown._replace(row=shown.row._replace(what=message))


def test_show_follow_counts_and_show_does_not(tmp_path: Path) -> None:
    path = tmp_path / "many.pcapng"
    with Writer(path) as writer:
        for item in items([FAILS] * 50, 1_000_000):
            writer.write(item)
    done, keep = os.pipe()
    os.close(keep)
    follow = run("--follow", "--done-fd", str(done), str(path), fds=(done,))
    assert len(follow) < 10
    assert "note: sessions 2–50: the same as before, in 0.0 s" in follow[-1]
    assert len(run(str(path))) > 50 * len(FAILS)


def run(*arguments: str, fds: tuple[int, ...] = ()) -> list[str]:
    """What `vutrace show` prints."""
    command = [sys.executable, "-m", "vutrace", "show", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, pass_fds=fds)
    return ran.stdout.splitlines()
