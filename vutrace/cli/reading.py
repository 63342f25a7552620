"""Opening a capture for a verb that shows it: live or whole, with the dissectors that were asked for."""

import os
import stat
import time
from itertools import chain, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vutrace.cli.errors import UsageError
from vutrace.cli.output import go_on_after, note
from vutrace.records import Connection, connection_letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vutrace.capture import Reader
    from vutrace.dissection.registry import Registry
    from vutrace.records import Record
    from vutrace.rules.judge import Judge
    from vutrace.session.row import Row
    from vutrace.session.tracker import Tracker


T = TypeVar("T")
LOOK_SECONDS = 0.1  # between looks for a file that is not there yet
CUT = "cut, it ends within a block; all before that is shown"
EMPTY = "empty, nothing was recorded into it"


def choose_capture(file: str | None, read: str | None) -> str:
    """The one file of FILE and -r FILE; UsageError for none or both."""
    if (file is None) == (read is None):
        raise UsageError("one capture is needed: FILE, or -r FILE; - is stdin")
    return file or read or ""


def choose_captures(files: list[str] | None, read: str | None) -> list[str]:
    """The files of FILE... and -r FILE; UsageError for none, and for stdin twice."""
    chosen = [*(files or []), *([read] if read else [])]
    if not chosen or (files and read):
        raise UsageError("one capture is needed, or several: FILE..., or -r FILE; - is stdin")
    refuse_stdin_twice(chosen)
    return chosen


def refuse_stdin_twice(files: list[str]) -> None:
    """UsageError where two of the captures are stdin."""
    if files.count("-") > 1:
        raise UsageError("stdin can be read once")


def refuse_overwrite(file: str, output: str, option: str = "-o") -> None:
    """UsageError where the output, which `option` named, would overwrite the capture that is read."""
    try:
        there, read = os.stat(output), os.fstat(0) if file == "-" else os.stat(file)
    except OSError:
        return  # nothing there, or - for stdout; what cannot be read is told when it is
    if stat.S_ISREG(there.st_mode) and os.path.samestat(there, read):
        raise UsageError(f"{option} {output}: that is the capture itself, which would be lost")


def open_capture(
    file: str, follow: bool, done_fd: int | None, idle: "Callable[[], None] | None" = None
) -> "Reader":
    """The capture, to its end or for as long as it grows; `idle` is called when nothing comes."""
    from vutrace import capture

    if not follow:
        return capture.read(file)
    if file == "-":
        raise UsageError("--follow needs a file; what comes on stdin is shown as it comes anyway")
    if not os.path.exists(file):
        note(f"{file}: not there yet, waiting for it")
        while not os.path.exists(file):
            time.sleep(LOOK_SECONDS)
    done = None if done_fd is None else capture.WriterGone(done_fd)
    return capture.follow(file, capture.DoneOrIdle(done, idle) if idle else done)


def load_dissectors(files: list[Path] | None) -> "Registry":
    """The installed dissectors and those in `files`; one that fails to load is a note on stderr."""
    from vutrace.dissection.registry import load

    registry = load(files or [])
    for failure in registry.failures:
        note(f"dissector {failure.name} from {failure.origin} is left out: {failure.reason}")
    return registry


def rows_of(file: str, reader: "Reader", registry: "Registry", device: str) -> "Iterator[Row]":
    """The rows of the capture in `file`; a note when it ends in the middle of a block."""
    from vutrace.session.tracker import Tracker

    return noting(file, reader, track(reader, Tracker(registry, device)))


def rows_to_print(file: str, reader: "Reader", tracker: "Tracker", everything: bool) -> "Iterator[Row]":
    """The judged rows of a capture, for printers that look at a row alone: its `state` has gone on.

    They come a batch at a time: making a batch and then printing it takes a fifth less than row by row.
    """
    judge = judge_of(everything)
    batches = (list(judge.rows(tracker.rows(batch))) for batch in reader.batches())
    return noting(file, reader, chain.from_iterable(batches))


def judged(rows: "Iterator[Row]", everything: bool = False) -> "Iterator[Row]":
    """The rows with what the rules find wrong with them; `everything`: also infos."""
    return judge_of(everything).rows(rows)


def judge_of(everything: bool) -> "Judge":
    """Finds what the rules say; `everything`: also infos."""
    from vutrace.problems import Severity
    from vutrace.rules.judge import Judge

    return Judge(least=Severity.INFO if everything else Severity.WARNING)


def track(reader: "Reader", tracker: "Tracker", until_ns: int | None = None) -> "Iterator[Row]":
    """The rows of a capture, read a batch at a time: what is at hand, and no more.

    Each row is made when it is asked for, since it carries the state as it stands right behind it. With
    `until_ns` since the first record nothing that is later changes the state.
    """
    for batch in reader.batches():
        yield from tracker.rows(batch if until_ns is None else takewhile(earlier(until_ns, tracker), batch))


def earlier(until_ns: int, tracker: "Tracker") -> "Callable[[Record | Connection], bool]":
    """Whether a record comes before `until_ns` since the first."""

    def is_earlier(item: "Record | Connection") -> bool:
        first_ns = tracker.first_ns
        return first_ns is None or isinstance(item, Connection) or item.time_ns - first_ns <= until_ns

    return is_earlier


def noting(file: str, reader: "Reader", rows: "Iterable[T]") -> "Iterator[T]":
    """The rows, or records; what is wrong with the capture is said of `file`.

    Where some could be read the verb goes on with them, and the run ends as one whose input is unreadable.
    """
    from vutrace.capture import CaptureError

    some = False
    try:
        for row in rows:
            some = True
            yield row
    except CaptureError as error:
        told = str(error)
        said = CaptureError(told if told.startswith(file) else f"{file}: {told}")
        if not some:
            raise said from None
        go_on_after(said)
    if reader.cut:
        note(f"{file}: {EMPTY if reader.empty else CUT}")


def is_live(file: str, follow: bool) -> bool:
    """Whether rows should be out at once: the capture is growing, or comes through a pipe."""
    return follow or (file == "-" and not stat.S_ISREG(os.fstat(0).st_mode))


def no_session(file: str, found: "Iterable[tuple[int, int]]") -> UsageError:
    """What is wrong when no session is left to work on; `found` are those there are, by connection."""
    names = [f"{number} of {connection_letter(connection)}" for connection, number in found]
    if not names:
        return UsageError(f"{file} has no session with requests")
    return UsageError(f"{file} has no such session with requests; it has {', '.join(names)}")
