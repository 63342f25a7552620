"""A trial of a conversation on a live peer: started anew where we start it, looked at when it is over."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vutrace.dissection.registry import Registry
from vutrace.problems import Severity
from vutrace.records import Connection, Event, EventKind, Record, Side
from vutrace.replay.act import Actor, Stage
from vutrace.replay.outcome import Outcome
from vutrace.replay.script import Script
from vutrace.rules.judge import Judge
from vutrace.session.row import Row
from vutrace.sockets.endpoints import How, parse_endpoint
from vutrace.sockets.framed import PeerError

PLACE = "{socket}"
OWN_END = "end"  # the group of rules about who left when: the front-end that we play leaves when it is done
ENDS = 0.3  # seconds that a process may take to end once it has closed
BEGINS = 10.0  # and to listen
LOOK = 0.01
UNTIL = re.compile(r"(exit)(?: (\d+))?|(signal)(?: (?:SIG)?([A-Z]+\d*|\d+))?|(closed)|(gone)")


class TrialError(PeerError):
    """The peer cannot be started, or does not listen."""


@dataclass(frozen=True, slots=True)
class PeerFailure:
    """What counts as failing: how the process ends, that the connection closes, or that a rule is broken.

    `word` is exit, signal, closed, gone or finding; `value` which one, "" for any that is not 0.
    """

    word: str
    value: str = ""

    @property
    def text(self) -> str:
        """As it is written."""
        return f"{self.word} {self.value}".strip()


def failure_of(text: str) -> PeerFailure:
    """What `--until` asks for; ValueError where it is none of that."""
    found = UNTIL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text}: 'exit [N]', 'signal [NAME]', 'closed' or 'gone'")
    word = next(each for each in found.group(1, 3, 5, 6) if each)
    return PeerFailure(word, found[2] or signal_number(found[4]))


def signal_number(name: str | None) -> str:
    """A signal's number as text; ValueError for an unknown name."""
    if not name or name.isdecimal():
        return name or ""
    try:
        return str(int(signal.Signals[f"SIG{name}"]))
    except KeyError:
        raise ValueError(f"there is no signal {name}") from None


@dataclass(frozen=True, slots=True)
class TrialBench:
    """Where trials take place: `start` is the peer's command, "" where it runs already at the stage's end.

    `{socket}` in the command is a path that is new for each trial.
    """

    stage: Stage
    registry: Registry
    device: str
    failure: PeerFailure
    start: str = ""

    def fails(self, scripts: Sequence[Script], write: Callable[[Connection | Record], None]) -> bool:
        """Act the sessions out; whether the peer fails. TrialError where it cannot be had."""
        with tempfile.TemporaryDirectory(prefix="vutrace-") as folder:
            path = str(Path(folder) / "s")
            command = shlex.split(self.start.replace(PLACE, path))
            stage = (
                replace(self.stage, endpoint=parse_endpoint(path, How.CONNECT))
                if PLACE in self.start
                else self.stage
            )
            with started(command, stage.endpoint.path if command else "") as process:
                return self._act(scripts, stage, write, process)

    def _act(
        self,
        scripts: Sequence[Script],
        stage: Stage,
        write: Callable[[Connection | Record], None],
        process: "subprocess.Popen[bytes] | None",
    ) -> bool:
        rows, broke = list[Row](), ""
        with contextlib.closing(Actor(stage, self.registry, self.device, write, rows.append)) as actor:
            try:
                actor.act(scripts, Outcome())
            except PeerError as error:
                broke = str(error)
        return self._failed(rows, broke, process)

    def _failed(self, rows: Sequence[Row], broke: str, process: "subprocess.Popen[bytes] | None") -> bool:
        failure = self.failure
        if failure.word == "finding":
            return failure.value in found_in(rows)
        if failure.word in ("closed", "gone"):
            closed = any(isinstance(row.what, Event) and row.what.kind is EventKind.CLOSE for row in rows)
            return bool(broke) and closed is (failure.word == "closed")
        status = status_of(process) if process else None
        if status is None:
            return False
        if failure.word == "signal":
            return status < 0 and failure.value in ("", str(-status))
        return (status > 0 and failure.value in ("", str(status))) or failure.value == str(status)


def found_in(rows: Sequence[Row]) -> set[str]:
    """The rules that are broken in a session, but for how we ourselves ended it."""
    judge = Judge(least=Severity.INFO)
    judged = [*judge.rows(rows), *judge.end()]
    return {
        problem.name
        for row in judged
        for problem in row.problems
        if problem.rule.group != OWN_END or row.record.sender is not Side.FRONTEND
    }


def status_of(process: "subprocess.Popen[bytes]") -> int | None:
    """How a process ended, None while it runs; it has a moment to end."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(ENDS)
    return None


@contextlib.contextmanager
def started(command: list[str], path: str) -> "Iterator[subprocess.Popen[bytes] | None]":
    """The peer while it is needed, listening at `path`; nothing where there is no command."""
    if not command:
        yield None
        return
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise TrialError(f"{command[0]}: {error.strerror}") from None
    try:
        wait_listening(process, command[0], path)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_listening(process: "subprocess.Popen[bytes]", name: str, path: str) -> None:
    """Return when the peer listens; TrialError where it ends before, or does not."""
    deadline = time.monotonic() + BEGINS
    while not os.path.exists(path):
        if process.poll() is not None:
            raise TrialError(f"{name} ended with status {process.returncode} before it listened at {path}")
        if time.monotonic() > deadline:
            raise TrialError(
                f"{name} does not listen at {path}; write {PLACE} where its socket's path belongs"
            )
        time.sleep(LOOK)
