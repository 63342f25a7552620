"""The recording process as the relay sees it: what it is sent, what it says, whether it is there."""

import contextlib
import fcntl
import os
import select
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from vutrace.proxy.counters import WHOLE, Count, Counters
from vutrace.proxy.share import fork

LENGTH = struct.Struct("=Q")  # stands before each batch
PIPE_SIZE = 1 << 20
STEP_MS = 20  # between looks, in the end, whether it is done


@dataclass(frozen=True, slots=True)
class PipeEnds:
    """What the recording process has of it: where batches come from, where its lines go, the relay's pidfd.

    All is open before it begins: there may be no descriptor left a moment later.
    """

    batches: int
    lines: int
    counters: Counters
    parent: int
    parent_ended: int


class Child:
    """A running recording process.

    `fd` takes batches: watch it for writing while `queued` is not 0, and call `drain`. `said` gives its
    lines, `ended` is readable when it ended. None of its methods waits, but `finish`.
    """

    def __init__(self, record: Callable[[PipeEnds], None]) -> None:
        self.counters = Counters()
        self._batches, self.fd = os.pipe2(os.O_CLOEXEC)
        self.said, self._lines = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # users may be short of them
            fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        for end in (self.fd, self.said, self._lines):
            os.set_blocking(end, False)
        self._parent = os.pidfd_open(os.getpid())
        ends = PipeEnds(self._batches, self._lines, self.counters, os.getpid(), self._parent)
        try:
            self._pid = fork(lambda: run(record, ends))
            self.ended = os.pidfd_open(self._pid)
        except OSError:
            self._close_pipes()
            raise
        self._queue: deque[memoryview] = deque()
        self._rest = b""
        self.queued = 0

    def put(self, batch: bytes) -> None:
        """Send a batch, behind what is queued."""
        data = memoryview(LENGTH.pack(len(batch)) + batch)
        sent = 0 if self._queue else self._write(data)
        if sent < len(data):
            self._queue.append(data[sent:])
            self.queued += len(data) - sent

    def drain(self) -> None:
        """Send what is queued, as far as it is taken."""
        while self._queue:
            data = self._queue[0]
            sent = self._write(data)
            self.queued -= sent
            if sent < len(data):
                self._queue[0] = data[sent:]
                return
            self._queue.popleft()

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0

    def lines(self) -> list[str]:
        """What it said since the last time."""
        with contextlib.suppress(BlockingIOError):
            self._rest += os.read(self.said, 1 << 16)
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    @property
    def done(self) -> bool:
        """Whether nothing more will be written."""
        return self.counters.values[Count.DONE] > 0

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return not select.select([self.ended], [], [], 0)[0]

    def finish(self, until_ns: int, grace: float, hurry: Callable[[], bool]) -> bool:
        """Wait until it is done, which it should be at `until_ns` of the monotonic clock; whether all is
        written.

        `hurry`: it should be at once.
        """
        self.counters.values[Count.UNTIL] = until_ns
        latest = until_ns / 1e9 + grace
        while not self.done and self.alive and time.monotonic() < latest:
            if hurry():
                self.counters.values[Count.UNTIL] = 1
                latest = min(latest, time.monotonic() + grace)
            select.select([self.ended], [self.fd] if self._queue else [], [], STEP_MS / 1000)
            self.drain()
        return self.counters.values[Count.DONE] == WHOLE

    def close(self) -> bool:
        """Give back what it was given; False if the process hangs in the system and stays for a while."""
        gone = bool(select.select([self.ended], [], [], 0.2)[0])
        if gone:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        os.close(self.ended)
        self._close_pipes()
        return gone

    def _close_pipes(self) -> None:
        for end in (self._batches, self.fd, self.said, self._lines, self._parent):
            os.close(end)


def run(record: Callable[[PipeEnds], None], ends: PipeEnds) -> None:
    try:
        record(ends)
    except BaseException as error:
        os.write(
            ends.lines, f"an error that should not happen, in the recording process: {error!r}\n".encode()
        )
        raise
