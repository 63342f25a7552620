"""One direction of one channel: read, forward, tell the recorder. The relay's hot path.

Look before you read: a peek returns the bytes up to and with the first piece that carries descriptors, and
without a control buffer MSG_CTRUNC tells whether there is one. Without, whole messages are read and sent on
in one go; with, they are read one by one, so that each keeps its own descriptors.
"""

import socket
import struct
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter as _clock
from time import time_ns as _now

from vutrace.framing import MAX_FDS, RECORD_BOUND, ForwardPart, FramedMessage, Framer
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.proxy.outlet import SEND, Outlet, shut
from vutrace.proxy.pending import Origin
from vutrace.proxy.recorder import Recorder
from vutrace.proxy.turns import FlowTurns
from vutrace.records import FrameFlag
from vutrace.sockets.passed import FD_SIZE, Ancillary, Passed, descriptors

WORD = struct.Struct("=I")
SIZE = struct.Struct("=I").unpack_from
AHEAD = memoryview(bytearray(RECORD_BOUND))  # one for all: what was looked at is not kept
LOOK = [AHEAD]
# int: the enum's operators cost as much as a system call.
PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
TAKE = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
ROOM = socket.CMSG_SPACE(MAX_FDS * 4)
CUT = int(socket.MSG_CTRUNC)
TURN = 256  # messages that are taken at once: others wait meanwhile
MANY = 32 * FD_SIZE  # bytes of descriptors that make a turn of one message
WHOLE = (FrameFlag.NONE, FrameFlag.FDS_LOST)


@dataclass(frozen=True, slots=True)
class Substitution:
    """Which requests have their descriptors replaced, and how."""

    requests: Iterable[int] = ()
    replace: Callable[[bytes, Sequence[Passed]], Sequence[Passed]] = lambda _, fds: fds


class Flow:
    """Forwards what `source` sends to `outlet`.

    `ended`: no more input comes; `why` is the system's reason, if it had one. `turns`: whether it is to rest,
    because others wait while it floods. `on_change` is called when these or `reading`, `holds` or `lost` may
    have changed.
    """

    def __init__(
        self,
        source: socket.socket,
        outlet: Outlet,
        origin: Origin,
        recorder: Recorder,
        on_change: Callable[[], None],
        substitution: Substitution,
    ) -> None:
        self._source = source
        # Bound once: the lookups would cost as much as the system calls. recv_into is the cheaper look,
        # recvmsg_into the one that tells of descriptors.
        self._glance, self._look, self._read = source.recv_into, source.recvmsg_into, source.recvmsg
        self._recorder = recorder
        self._whole, self._burst = recorder.whole, recorder.burst
        self._on_change = on_change
        self._substitution = substitution
        self._replaced = frozenset(map(WORD.pack, substitution.requests))
        self._apart: Container[bytes] = self._replaced  # requests that are not just sent on as they are read
        self._framer: Framer[Passed] = Framer(origin.channel)
        self._began_ns = 0
        self._origin = origin.pack()
        self.outlet = outlet
        self._queue, self._send, self._send_with = outlet.queue, outlet.send_plain, outlet.send_rights
        self.turns = FlowTurns(recorder)
        self.ended = False
        self.why = ""

    @property
    def reading(self) -> bool:
        """Whether input is wanted: not while the outlet has some queued, it rests, or there is no room."""
        return not (self.outlet.queue or self.ended or self.turns.waits)

    @property
    def holds(self) -> bool:
        """Whether part of a message waits for its rest."""
        return self._framer.holds

    @property
    def lost(self) -> str:
        """Why framing was given up, or ""."""
        return self._framer.lost

    def pump(self) -> None:
        """Forward what the source has, once; called when it is readable."""
        # One whole message waits: nearly always so, hence all of it here, with no call that can be spared.
        try:
            if self._queue or not self._framer.between or self._recorder.blocked:
                return self._pump()
            size = self._glance(AHEAD, 0, PEEK)
            if size < HEADER_SIZE or SIZE(AHEAD, 8)[0] + HEADER_SIZE != size:
                return self._pump()
            data, ancillary, flags, _ = self._read(size, ROOM, TAKE)
            if len(data) != size or flags & CUT or data[:4] in self._apart:
                return self._take(data, ancillary, flags)
            if ancillary and len(ancillary[0][2]) > MANY:
                return self._with_many(data, ancillary)
        except BlockingIOError:
            return None
        except OSError as error:
            return self._end(error.strerror or str(error))
        try:
            sent = self._send_with((data,), ancillary, SEND) if ancillary else self._send(data, SEND)
        except OSError as error:
            sent = self.outlet.failed(error)
        now = _now()
        if sent == size:
            return self._whole(now, self._origin, data, ancillary)
        return self._partly(now, data, ancillary, sent)

    def _pump(self) -> None:
        if self.turns.short:
            self._recorder.when_room(self._on_change, self.turns.level)
            return self._on_change()
        if not self.reading:
            return None
        if not self._framer.between:
            return self._continue()
        began = _clock()
        size, _, flags, _ = self._look(LOOK, 0, PEEK)
        ends = self._framer.ends(AHEAD, size, TURN)
        if not ends:
            return self._continue() if size else self._end()
        if flags & CUT:
            self._one_by_one(ends)
        else:
            self._at_once(ends)
        return self._turn_over(len(ends) == TURN or size == len(AHEAD), began)

    def _turn_over(self, full: bool, began: float) -> None:
        """Let others come first, if this one always has more than a turn takes."""
        if self.turns.over(full, began):
            self._on_change()

    def go_on(self) -> None:
        """It has rested."""
        self.turns.rests = False
        self._on_change()

    def _with_many(self, data: bytes, ancillary: Ancillary) -> None:
        """One message whose descriptors take as long as many messages."""
        began = _clock()
        sent = self.outlet.attempt(data, ancillary)
        if sent == len(data):
            self._whole(_now(), self._origin, data, ancillary)
        else:
            self._partly(_now(), data, ancillary, sent)
        self._turn_over(True, began)

    def _partly(self, now: int, data: bytes, ancillary: Ancillary, sent: int) -> None:
        """Queue what did not go out."""
        fds = self._receive(ancillary)
        self.outlet.settle(data, fds, sent)
        self._recorder.single(now, self._origin, FramedMessage(data, fds, FrameFlag.NONE, len(data)))

    def _one_by_one(self, ends: list[int]) -> None:
        """Whole messages, of which one has descriptors: which one, the kernel tells when it is read."""
        for begin, end in pairwise([0, *ends]):
            data, ancillary, flags, _ = self._read(end - begin, ROOM, TAKE)
            if len(data) < end - begin or flags & CUT or data[:4] in self._apart:
                return self._take(data, ancillary, flags)
            if ancillary and self._recorder.blocked:
                self.turns.brings(len(descriptors(ancillary)))
            sent = self.outlet.attempt(data, ancillary)
            if sent < len(data):
                return self._partly(_now(), data, ancillary, sent)
            self._whole(_now(), self._origin, data, ancillary)
        return None

    def _at_once(self, ends: list[int]) -> None:
        data = self._source.recv(ends[-1], TAKE)
        sent = self.outlet.attempt(data, ())
        self._burst(_now(), self._origin, data, len(ends))
        if sent < len(data):
            self.outlet.settle(data, (), sent)

    def _continue(self) -> None:
        """Read on in a message that is not here as a whole, or is long, or in what cannot be framed."""
        data, ancillary, flags, _ = self._read(self._framer.wants(), ROOM, TAKE)
        return self._take(data, ancillary, flags) if data else self._end()

    def _take(self, data: bytes, ancillary: Ancillary, flags: int) -> None:
        if self._framer.between or self._framer.lost:
            self._began_ns = _now()
        if flags & CUT:
            self._recorder.descriptors_lost()
        lost = self._framer.lost
        self._forward(self._framer.feed(data, self._receive(ancillary), bool(flags & CUT)))
        if self._framer.holds or self._framer.lost != lost:
            self._on_change()

    def _receive(self, ancillary: Ancillary) -> tuple[Passed, ...]:
        fds = descriptors(ancillary) if ancillary else ()
        if fds and self._recorder.blocked:
            self.turns.brings(len(fds))
        return tuple(map(self._recorder.passed, fds))

    def release(self) -> None:
        """Forward what is held of an incomplete message: its header may be why its receiver closes."""
        self._forward(self._framer.release())

    def _forward(self, parts: list[ForwardPart[Passed]]) -> None:
        for part in parts:
            fds: Sequence[Passed] = part.fds
            message = part.message
            if fds and message and self._is_replaced(part.data, message):
                fds = self._substitution.replace(part.data, fds)
            if part.data:
                self.outlet.send(part.data, fds)
            if message:
                self._recorder.single(self._began_ns, self._origin, message)

    def _is_replaced(self, data: bytes, message: FramedMessage[Passed]) -> bool:
        # Only what is here as a whole and in one piece: else its descriptors may have gone on already.
        whole = message.flags in WHOLE and message.wire_size == len(data)
        return whole and data[:4] in self._replaced

    def _end(self, why: str = "") -> None:
        """The source closed: what it said is passed on, then its end."""
        self.ended = True
        self.why = why
        self._forward(self._framer.finish())
        self.outlet.end()
        self._on_change()

    def refuse(self) -> None:
        """Nobody takes it any more, and the source is told so."""
        self.ended = True
        shut(self._source, socket.SHUT_RD)

    def close(self) -> None:
        """Give up: what is held of a message is recorded, what was not sent is lost."""
        self.ended = True
        self.outlet.close()
        self._forward(self._framer.finish())
