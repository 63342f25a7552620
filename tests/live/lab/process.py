"""Real programs under the tests' control: started, waited for, stopped, their logs at hand."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
TAIL_LINES = 40


class LabError(AssertionError):
    """A program did not do what the test waited for."""


def until(look: Callable[[], T | None], timeout: float, what: str) -> T:
    """Call `look` until it returns something true, and return that; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout:g} s: {what}")
        time.sleep(0.05)
    return found


class Program:
    """One running program; what it prints is in `log`."""

    def __init__(self, argv: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.argv = argv
        self.name = log.stem
        self.log = log
        # setpriv: it dies with pytest, even when pytest is killed; the new session: Ctrl-C is ours alone.
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **env},
            )

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its process: setpriv has become the program."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def type(self, text: str) -> None:
        """Type `text` into its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def wait_for(self, pattern: str, timeout: float, start: int = 0) -> re.Match[str]:
        """Wait until it has printed what matches `pattern`, beyond the first `start` characters."""
        return self.wait_until(
            lambda: re.search(pattern, self.output[start:], re.MULTILINE), timeout, f"prints {pattern!r}"
        )

    def wait_until(self, look: Callable[[], T | None], timeout: float, what: str) -> T:
        """Like `until`, but a program that has ended is not waited for."""

        def look_while_it_runs() -> T | None:
            ran = self.running
            found = look()
            if not found and not ran:
                raise LabError(f"{self.name} ended before: {what}\n{self.tail()}")
            return found

        return until(look_while_it_runs, timeout, f"{self.name} {what}")

    def catches(self, number: signal.Signals) -> bool:
        """Whether it has a handler for a signal by now: QEMU opens its devices before it has."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (number - 1) & 1)

    def wait_exit(self, timeout: float) -> int:
        """Wait until it ends by itself; its exit code."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        raise LabError(f"{self.name} did not end within {timeout:g} s\n{self.tail()}")

    def stop(self, how: signal.Signals = signal.SIGINT, timeout: float = 15) -> int:
        """Ask it to end, and wait; its exit code."""
        if self.running:
            self._process.send_signal(how)
        return self.wait_exit(timeout)

    def kill(self) -> None:
        """End it and what it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def tail(self) -> str:
        """The last lines printed."""
        return tail(self.log)


class Lab:
    """One test's programs and the directory they share; leaving it ends and removes all."""

    def __init__(self) -> None:
        # not pytest's tmp_path: a socket's path may have 107 bytes only
        self.directory = Path(tempfile.mkdtemp(prefix="vutrace-lab-"))
        self.programs: list[Program] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        self.directory.rmdir()

    def clear(self) -> None:
        """End all programs and remove what is in the directory, as if nothing had been done yet."""
        for program in reversed(self.programs):
            program.kill()
        self.programs.clear()
        shutil.rmtree(self.directory)
        self.directory.mkdir(mode=0o700)

    def path(self, name: str) -> Path:
        """A file or socket of this test."""
        return self.directory / name

    def start(self, name: str, *argv: str | Path, env: Mapping[str, str] | None = None) -> Program:
        """Start a program; `name` is unique in the test, or gets a number (a restarted program)."""
        count = sum(program.name.startswith(name) for program in self.programs)
        log = self.path(f"{name}.{count}.log" if count else f"{name}.log")
        program = Program([str(arg) for arg in argv], log, env or {})
        self.programs.append(program)
        return program

    def logs(self) -> list[tuple[str, str]]:
        """A title and the last lines of every log in the directory, for a failure report."""
        commands = {program.log: " ".join(program.argv) for program in self.programs}
        logs = sorted(self.directory.glob("*.log"))
        return [(f"{log.name}: {commands.get(log, '')}", tail(log)) for log in logs]


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def run(*argv: str | Path, timeout: float = 60) -> str:
    """Run a command to its end; what it printed. Fails with what it said if it fails."""
    command = [str(arg) for arg in argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
