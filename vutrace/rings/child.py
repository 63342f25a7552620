"""The sampler as the recording process sees it: what it is sent, what it says, whether it is there."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence

from vutrace.capture.errors import MalformedError
from vutrace.records import Event, EventKind, Frame, Record, Sample
from vutrace.rings.wire import MOST_BYTES, RingPackets, is_needed, pack, rights, unpack, unpack_packets

MODULE = "vutrace.rings.sampler"
QUEUED = 8192  # records that may wait for it
START_SECONDS, PATIENCE_SECONDS = 60.0, 10.0  # until it says its first word, and between two


class SamplerChild:
    """A running sampler. Nothing here waits. `fd` is readable when it said something, or is gone (then -1).

    It gets copies of descriptors: what is given to `send` may be closed afterwards. `payload` is a word of
    `payload_kinds`, and bytes of a packet; `tally` the file of a Tally, where there is one.
    """

    def __init__(self, interval_ns: int, payload: tuple[str, int] = ("", 0), tally: int = -1) -> None:
        self._sessions: set[tuple[int, int]] = set()
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._ended = ""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            kind, snaplen = payload
            numbers = theirs.fileno(), interval_ns, os.getpid(), snaplen, tally
            words = [sys.executable, "-m", MODULE, *map(str, numbers), kind]
            self._process = subprocess.Popen(
                words,
                pass_fds=[fd for fd in (theirs.fileno(), tally) if fd >= 0],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        self._socket = ours
        self._due = time.monotonic() + START_SECONDS  # when it has to have said something

    @property
    def fd(self) -> int:
        """Watch it for reading, and for writing while `waits`."""
        return self._socket.fileno()

    @property
    def waits(self) -> bool:
        """Whether something is queued."""
        return bool(self._queue)

    def send(self, record: Record, fds: Sequence[int] = ()) -> None:
        """Tell it of a record, with its descriptors."""
        if self.fd < 0 or not is_needed(record):
            return
        place = record.connection, record.session
        if isinstance(record, Frame):
            self._sessions.add(place)
        else:
            self._sessions.discard(place)
        data = pack(record)
        if len(data) > MOST_BYTES:
            return
        if not self._queue and self._sent(data, fds):
            return
        if len(self._queue) >= QUEUED:
            self._give_up("it does not take what it is told")
            return
        self._queue.append((data, [os.dup(fd) for fd in fds]))

    def drain(self) -> None:
        """Send what is queued, as far as it is taken."""
        while self._queue and self._sent(*self._queue[0]):
            for fd in self._queue.popleft()[1]:
                os.close(fd)

    def _sent(self, data: bytes, fds: Sequence[int]) -> bool:
        try:
            self._socket.sendmsg([data], rights(fds))
        except (BlockingIOError, OSError):  # a peer that is gone is seen when it is read from
            return False
        return True

    def take(self) -> Iterator[Sample | RingPackets]:
        """What it said."""
        with contextlib.suppress(BlockingIOError):
            while self.fd >= 0:
                try:
                    data = self._socket.recv(MOST_BYTES)
                except ConnectionResetError:
                    data = b""
                if not data:
                    self._give_up("")
                    return
                self._due = time.monotonic() + PATIENCE_SECONDS
                if packets := unpack_packets(data):
                    yield packets
                    continue
                with contextlib.suppress(MalformedError):
                    if isinstance(sample := unpack(data), Sample):
                        yield sample

    def look(self) -> None:
        """End it where it has said nothing for too long."""
        if self.fd >= 0 and time.monotonic() > self._due:
            self._give_up(f"it did not answer for {PATIENCE_SECONDS:g} s")

    def _give_up(self, why: str) -> None:
        if why:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._ended = why or how(self._process.returncode)
        self._close()

    def ended(self) -> list[Event]:
        """Why it is gone, once: an event for each session that it looked at."""
        why, self._ended = self._ended, ""
        sessions = sorted(self._sessions) if why else []
        text = f"rings are not sampled any more: {why}"
        told = {"sampler": why}
        return [Event(time.time_ns(), *each, EventKind.NOTE, text, attributes=told) for each in sessions]

    def close(self) -> None:
        """End it."""
        if self.fd >= 0:
            self._close()
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)

    def _close(self) -> None:
        self._socket.close()
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()


def how(status: int | None) -> str:
    """How the sampler ended."""
    if status is None:
        return "the sampler closed its socket"
    if status < 0:
        import signal

        return f"the sampler was ended by {signal.Signals(-status).name}"
    return f"the sampler ended with status {status}"
