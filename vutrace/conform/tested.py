"""What is under test: a process of ours, made anew for each case, or a socket where somebody is already."""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from typing import IO

from vutrace.errors import PEER, VutraceError
from vutrace.records import Side
from vutrace.replay.meet import meet
from vutrace.sockets.endpoints import Endpoint, open_source

SOCKET = "{socket}"
LAST_LINES = 6
LAST_BYTES = 4096
GLANCE = 0.005
SOON = 0.15  # from closing the connection to the end of a process that died
KIND = 2.0  # what a process has to end in when it is asked to
CRASHES = {getattr(signal, f"SIG{name}") for name in ("SEGV", "ABRT", "BUS", "FPE", "ILL", "TRAP", "SYS")}
PANIC = 101  # how a Rust program ends that panicked
SANITIZERS = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer")


class NotReachedError(VutraceError):
    """There is nobody to test; the text says why."""

    status = PEER


class TestedPeer(ABC):
    """The back-end or front-end under test."""

    @abstractmethod
    def open(self, timeout: float) -> socket.socket:
        """A connection to it, within so many seconds; NotReachedError, or PeerError."""

    def crash(self, patience: float = 0.0) -> str:
        """How it died, "" where it lives or ended in order; a death is waited for, so many seconds."""
        return ""

    def running(self) -> bool:
        """Whether it may still take a connection."""
        return True

    def output(self) -> tuple[str, ...]:
        """The last lines that it printed."""
        return ()

    def rest(self) -> str:
        """A case is over; how it died, if it did when it was told to end."""
        return ""

    def close(self) -> None:  # noqa: B027
        """All cases are over."""


class Reached(TestedPeer):
    """Somebody at an endpoint, who is there for all cases; `side` is who that is."""

    def __init__(self, endpoint: Endpoint, side: Side = Side.BACKEND) -> None:
        self._endpoint, self._side, self._source = endpoint, side, open_source(endpoint)

    def open(self, timeout: float) -> socket.socket:
        """The next connection."""
        return meet(self._source, self._endpoint, self._side, timeout)

    def close(self) -> None:
        """Listen no longer."""
        self._source.close()


class Started(TestedPeer):
    """A process made of `command`, whose `{socket}` is a path; a fresh one for each case unless `shared`."""

    def __init__(self, command: str, shared: bool = False) -> None:
        self._command, self._shared = command, shared
        self._directory = tempfile.TemporaryDirectory(prefix="vutrace-conform-")
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._count = 0

    @property
    def path(self) -> str:
        """Where the process at hand listens."""
        return os.path.join(self._directory.name, f"{self._count}.sock")

    def open(self, timeout: float) -> socket.socket:
        """A connection, to a new process where none runs."""
        if not self.running():
            self._end()
            self.begin()
        deadline = time.monotonic() + timeout
        while True:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                end.connect(self.path)
                return end
            except OSError as error:
                end.close()
                self._look(error, deadline)
            time.sleep(GLANCE)

    def crash(self, patience: float = 0.0) -> str:
        """How the process died."""
        if self._process is None:
            return ""
        try:
            return self._death(self._process.wait(patience) if patience else self._process.poll())
        except subprocess.TimeoutExpired:
            return ""

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> tuple[str, ...]:
        """The last lines of both its outputs."""
        return tuple(self._printed().splitlines()[-LAST_LINES:])

    def rest(self) -> str:
        """End the process, unless it is for all cases."""
        return "" if self._shared else self._end()

    def close(self) -> None:
        """End the process, and take away what was made for it."""
        self._end()
        self._directory.cleanup()

    def begin(self) -> None:
        """Start the process anew."""
        self._count += 1
        self._start()

    def _start(self) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the process)
        words = [word.replace(SOCKET, self.path) for word in shlex.split(self._command)]
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except OSError as error:
            raise NotReachedError(f"--start: {words[0]}: {error.strerror}") from None

    def _look(self, error: OSError, deadline: float) -> None:
        said = "; ".join(self.output()[-2:])
        if not self.running():
            code = self._process.returncode if self._process else 0
            raise NotReachedError(f"the process ended ({code}) before it took a connection: {said}") from None
        if time.monotonic() >= deadline:
            why = error.strerror or "nothing came"
            raise NotReachedError(f"no connection at {self.path}: {why}; it said: {said}") from None

    def _end(self) -> str:
        process, self._process = self._process, None
        if process is None:
            return ""
        signal_all(process, signal.SIGTERM)
        try:
            code = process.wait(KIND)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        signal_all(process, signal.SIGKILL)  # what a shell has started is there still
        process.wait()
        return self._death(code)

    def _death(self, code: int | None) -> str:
        if code is None:
            return ""
        if code < 0 and -code in CRASHES:
            return f"killed by {signal.Signals(-code).name}"
        printed = self._printed()
        told = next((word for word in SANITIZERS if word in printed), "")
        if told:
            return f"exited {code}: {told}"
        return f"exited {code}, a panic" if code == PANIC else ""

    def _printed(self) -> str:
        if self._output is None:
            return ""
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), LAST_BYTES, max(0, size - LAST_BYTES)).decode(errors="replace")


class StartedFrontEnd(Started):
    """A front-end made of `command`, which connects to `{socket}`, where we listen."""

    def __init__(self, command: str) -> None:
        super().__init__(command)
        self._listener: socket.socket | None = None

    def open(self, timeout: float) -> socket.socket:
        """The next connection of the process at hand, or the first of a new one."""
        if self._listener is None:
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._count += 1
            self._listener.bind(self.path)
            self._listener.listen()
            self._start()
        self._listener.settimeout(GLANCE * 4)
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self._listener.accept()[0]
            except TimeoutError as error:
                self._look(error, deadline)

    def rest(self) -> str:
        """End the process; nobody listens any longer."""
        if self._listener:
            self._listener.close()
            self._listener = None
        return super().rest()


def signal_all(process: subprocess.Popen[bytes], number: int) -> None:
    """Tell a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
