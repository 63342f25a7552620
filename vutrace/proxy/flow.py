"""One direction of one channel: read, forward, tell the recorder. The relay's hot path.

Look before you read: a peek without a control buffer returns the bytes up to and with the first piece that
carries descriptors, and MSG_CTRUNC tells whether there is one. Without, whole messages are read and sent
on in one go; with, they are read one by one, so that each keeps its own descriptors.
"""

import array
import contextlib
import errno
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

from vutrace.framing import MAX_FDS, Framer, Message, Part
from vutrace.proxy.passed import Passed
from vutrace.proxy.recorder import Origin, Recorder

Substitute = Callable[[bytes, Sequence[Passed]], Sequence[Passed]]

_AHEAD = memoryview(bytearray(64 * 1024))  # one for all: what was looked at is not kept
_LOOK = [_AHEAD]
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT
_TAKE = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
_SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_ROOM = socket.CMSG_SPACE(MAX_FDS * 4) + socket.CMSG_SPACE(64)  # credentials, where somebody asked for them
_CUT = socket.MSG_CTRUNC


class Flow:
    """Forwards what `source` sends to `sink`.

    `reading`: more input is wanted. `queue`: what `sink` did not take yet; nothing is read meanwhile.
    `ended`: no more input comes. `done`: the sink was told so. `refused`: the sink ended it. `on_change` is
    called when one of these changed. `undelivered` counts bytes.
    """

    def __init__(
        self,
        source: socket.socket,
        sink: socket.socket,
        origin: Origin,
        recorder: Recorder,
        on_change: Callable[[], None],
        substitute: Substitute | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._recorder = recorder
        self._on_change = on_change
        self._substitute = substitute
        self._framer: Framer[Passed] = Framer(origin.channel)
        self._began_ns = 0
        self.origin = origin
        self.queue: deque[tuple[memoryview, Sequence[Passed]]] = deque()
        self.ended = False
        self.done = False
        self.refused = False
        self.undelivered = 0
        self.why = ""

    @property
    def reading(self) -> bool:
        """Whether input is wanted now."""
        return not (self.queue or self.ended)

    @property
    def holds(self) -> bool:
        """Whether part of a message waits for its rest."""
        return self._framer.holds

    @property
    def lost(self) -> str:
        """Why framing was given up, or ""."""
        return self._framer.lost

    # Reading.

    def pump(self) -> None:
        """Forward what the source has, once; called when it is readable."""
        try:
            self._pump()
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(error)

    def _pump(self) -> None:
        framer = self._framer
        if not framer.between:
            return self._continue()
        size, _, flags, _ = self._source.recvmsg_into(_LOOK, 0, _PEEK)
        if not size:
            return self._end()
        ends = framer.ends(_AHEAD, size)
        if not ends:
            return self._continue()
        if flags & _CUT:
            return self._one_by_one(ends)
        data = self._source.recv(ends[-1], _TAKE)
        now = time.time_ns()
        self._send(data)
        if len(ends) == 1:
            return self._recorder.single(now, self.origin, data)
        return self._recorder.burst(now, self.origin, data, ends)

    def _one_by_one(self, ends: list[int]) -> None:
        begin = 0
        for end in ends:
            data, fds, flaw = self._read(end - begin)
            if len(data) < end - begin or flaw:
                return self._take(data, fds, flaw)
            self._whole(data, fds)
            if self.queue or self.done:
                return None
            begin = end
        return None

    def _whole(self, data: bytes, fds: Sequence[Passed]) -> None:
        now = time.time_ns()
        if fds and self._substitute:
            fds = self._substitute(data, fds)
        self._send(data, fds)
        self._recorder.single(now, self.origin, data, fds)

    def _continue(self) -> None:
        """Read on in a message that is not here as a whole, or is long, or in what cannot be framed."""
        data, fds, flaw = self._read(self._framer.wants())
        if not data:
            return self._end()
        return self._take(data, fds, flaw)

    def _read(self, size: int) -> tuple[bytes, list[Passed], bool]:
        data, ancillary, flags, _ = self._source.recvmsg(size, _ROOM, _TAKE)
        fds = [self._recorder.passed(fd) for fd in _descriptors(ancillary)] if ancillary else []
        return data, fds, bool(flags & _CUT)

    def _take(self, data: bytes, fds: Sequence[Passed], flaw: bool) -> None:
        if self._framer.between:
            self._began_ns = time.time_ns()
        lost = self._framer.lost
        self._forward(self._framer.feed(data, fds, flaw))
        if self._framer.holds or self._framer.lost != lost:
            self._on_change()

    def release(self) -> None:
        """Forward what is held of an incomplete message: its header may be why its receiver closes."""
        self._forward(self._framer.release())

    def _forward(self, parts: list[Part[Passed]]) -> None:
        for part in parts:
            message = part.message
            whole = message is not None and message.wire_size == len(part.data)
            fds: Sequence[Passed] = part.fds
            if fds and whole and self._substitute:
                fds = self._substitute(part.data, fds)
            if part.data:
                self._send(part.data, fds)
            if message:
                self._record(message, fds if whole else message.fds)

    def _record(self, message: Message[Passed], fds: Sequence[Passed]) -> None:
        began = time.time_ns() if self._framer.lost else self._began_ns
        self._recorder.single(began, self.origin, message.data, fds, message.flags, message.wire_size)

    # Writing.

    def _send(self, data: bytes | memoryview, fds: Sequence[Passed] = ()) -> None:
        if self.queue or self.done:
            return self._keep(memoryview(data), fds)
        sent = self._try(data, fds)
        if sent < len(data):
            self._keep(memoryview(data)[sent:], () if sent else fds)
        return None

    def _try(self, data: bytes | memoryview, fds: Sequence[Passed]) -> int:
        """Bytes that went out; with the first of them the descriptors did."""
        try:
            if not fds:
                return self._sink.send(data, _SEND)
            rights = array.array("i", [passed.fd for passed in fds])
            sent = self._sink.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], _SEND)
        except OSError as error:
            # ETOOMANYREFS: the receiver has too many descriptors waiting; it has to read first.
            if error.errno not in (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS):
                self._refuse(error)
            return 0
        for passed in fds:
            passed.forwarded()
        return sent

    def _keep(self, rest: memoryview, fds: Sequence[Passed]) -> None:
        if self.done:
            self.undelivered += len(rest)
            for passed in fds:
                passed.forwarded()
        else:
            self.queue.append((rest, fds))
            self._on_change()

    def drain(self) -> None:
        """Send what waits; called when the sink is writable."""
        while self.queue and not self.done:
            data, fds = self.queue.popleft()
            sent = self._try(data, fds)
            if self.done:
                return self._keep(data, fds)
            if sent < len(data):
                self.queue.appendleft((data[sent:], () if sent else fds))
                return None
        if self.ended:
            self._pass_end()
        return self._on_change()

    # Ending.

    def _end(self, error: OSError | None = None) -> None:
        """The source closed: flush, then let the sink see the end."""
        self.ended = True
        self.why = (error.strerror or str(error)) if error else ""
        self._forward(self._framer.finish())
        if not self.queue:
            self._pass_end()
        self._on_change()

    def _pass_end(self) -> None:
        self.done = True
        _shut(self._sink, socket.SHUT_WR)

    def _refuse(self, error: OSError) -> None:
        """The sink takes no more, so the source is told the same."""
        self.ended = self.done = self.refused = True
        self.why = error.strerror or str(error)
        _shut(self._source, socket.SHUT_RD)
        queue, self.queue = self.queue, deque()
        for data, fds in queue:
            self._keep(data, fds)
        self._on_change()

    def close(self) -> None:
        """Give up: record what is held of a message, let go of what was not sent."""
        self.done = self.ended = True
        queue, self.queue = self.queue, deque()
        for data, fds in queue:
            self._keep(data, fds)
        self._forward(self._framer.finish())


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> "array.array[int]":
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds


def _shut(end: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        end.shutdown(how)
