"""The tap of one session, in a process of its own: hears of messages, and answers what becomes of them."""

import heapq
import itertools
import marshal
import os
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vutrace.framing import MAX_FDS
from vutrace.records import Channel, FdInfo, FdKind, Frame, FrameFlag, Side
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.sockets.inspect import describe
from vutrace.sockets.passed import FD_SIZE, descriptors
from vutrace.tap.passing import PassingMessage, Step
from vutrace.tap.script import where
from vutrace.tap.work import BIG_ENDIAN, Decider, Decision, Work

PACKET = 1 << 20
ROOM = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)
SWAP_SECONDS = 1.0  # that a message waits for the one behind it
FILE_SECONDS = 0.05  # between looks whether a file is there
UNSEEN = FdInfo(FdKind.OTHER)
Way = tuple[str, str]


@dataclass(eq=False, slots=True)
class Waiting:
    """A message that is being dealt with; `fds` are closed when it is over."""

    number: int
    way: Way
    decision: Decision
    fds: Sequence[int]
    steps: Iterator[Step]
    since: float
    file: str | None = None
    swapping: bool = False
    first: "Waiting | None" = None  # goes on when this one is over

    @property
    def message(self) -> PassingMessage:
        """What waits."""
        return self.decision.message


@dataclass(frozen=True, slots=True)
class TappedSession:
    """What a script's `opened` and `closed` are given."""

    connection: int
    session: int


class SessionLoop:
    """Serves one session until the relay closes `end`."""

    def __init__(self, end: socket.socket, work: Work, connection: int, session: int) -> None:
        self._end, self._work = end, work
        self._place = connection, session
        self._tracker = Tracker(work.registry, work.device)
        self._decider = Decider(work, connection, session)
        self._timers: list[tuple[float, int, Waiting]] = []
        self._order = itertools.count()
        self.waiting: dict[int, Waiting] = {}
        self._notes: list[str] = []
        self.poll = select.poll()
        self.poll.register(end, select.POLLIN)

    def serve(self) -> None:
        """Until the session is over."""
        known = TappedSession(*self._place)
        self._call("opened", known)
        while True:
            for fd, _ in self.poll.poll(self._wait_ms()):
                if fd == self._end.fileno() and not self._read():
                    self._call("closed", known)
                    return
                if fd != self._end.fileno():
                    self.other_ready(fd)
            self._run_timers()

    def other_ready(self, fd: int) -> None:
        """Something else than the relay has something to say."""

    def _call(self, name: str, known: TappedSession) -> None:
        for script in self._work.scripts:
            function = getattr(script, name)
            try:
                function(known)
            except (Exception, SystemExit) as error:
                path = getattr(getattr(function, "__code__", None), "co_filename", "")
                self._notes.append(f"{script.name}: {name} raised, {where(error, path)}")

    # What comes.

    def _read(self) -> bool:
        packet, ancillary, _, _ = self._end.recvmsg(PACKET, ROOM, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return False
        what, *words = marshal.loads(packet)
        match what:
            case "seen":
                for time_ns, channel, sender, data, count in words[0]:
                    self._row(time_ns, channel, sender, data, (UNSEEN,) * count)
            case "ask":
                self._ask(list(descriptors(ancillary)), *words)
            case "last":
                self._go_on_swapping(words[0])
        return True

    def _row(self, time_ns: int, channel: str, sender: str, data: bytes, fds: tuple[FdInfo, ...]) -> Row:
        where = *self._place, Channel(channel), Side(sender)
        frame = Frame(time_ns, *where, data, fds, FrameFlag.NONE, len(data), BIG_ENDIAN)
        return self._tracker.feed(frame)

    def _ask(self, fds: list[int], number: int, time_ns: int, channel: str, sender: str, data: bytes) -> None:
        row = self._row(time_ns, channel, sender, data, tuple(map(describe, fds)))
        decision = self._decider.decide(row, fds)
        message, way = decision.message, (channel, sender)
        first = next((each for each in self.waiting.values() if each.swapping and each.way == way), None)
        if first:
            first.swapping = False
        self._notes += message.notes
        for text in self._notes:
            self._say("note", number, text)
        self._notes = []
        waiting = Waiting(
            number, way, decision, fds, message.steps(decision.rule), time.monotonic(), first=first
        )
        self.waiting[number] = waiting
        if decision.matched:
            self._say("matched", number, decision.matched)
        if message.untouched:
            self._say("pass", number)
            self._over(waiting)
        else:
            self.advance(waiting)

    # What is done.

    def advance(self, waiting: Waiting) -> None:
        """The steps of a message up to the next wait."""
        for op, *words in waiting.steps:
            match op:
                case "wait":
                    self._say("waits", waiting.number, "", waiting.decision.rule)
                    return self._later(words[0], waiting)
                case "until":
                    waiting.file = words[0]
                    self._tell_hold(waiting)
                    return self._later(FILE_SECONDS, waiting) if waiting.file else None
                case "swap":
                    waiting.swapping = True
                    self._say("next", waiting.number)
                    return self._later(SWAP_SECONDS, waiting)
                case "out":
                    *rest, new = words
                    self._say(op, waiting.number, *rest, fds=new)
                    for fd in new:
                        os.close(fd)
                case _:
                    self._say(op, waiting.number, *words)
        decision = waiting.decision
        self._say("done", waiting.number, decision.rule, self._fate(waiting))
        return self._over(waiting)

    def _tell_hold(self, waiting: Waiting) -> None:
        what = f"until {waiting.file} is there" if waiting.file else "until it is let go"
        text = f"{waiting.message.words} waits {what}, by '{waiting.decision.rule}'"
        self._say("waits", waiting.number, text, waiting.decision.rule)

    def _fate(self, waiting: Waiting) -> str:
        message, rule = waiting.message, waiting.decision.rule
        if message.plan.answers:
            return f"{message.words} answered in the {message.sender.peer.words}'s place by '{rule}'"
        return f"{message.words} dropped by '{rule}'"

    def _over(self, waiting: Waiting) -> None:
        del self.waiting[waiting.number]
        for fd in waiting.fds:
            os.close(fd)
        if waiting.first:
            self.advance(waiting.first)

    def _say(self, op: str, number: int, *words: Any, fds: Sequence[int] = ()) -> None:
        packet = marshal.dumps((op, number, *words))
        if fds:
            socket.send_fds(self._end, [packet], list(fds))
        else:
            self._end.send(packet)

    # Time.

    def _later(self, seconds: float, waiting: Waiting) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), waiting))

    def _wait_ms(self) -> int | None:
        return max(0, int((self._timers[0][0] - time.monotonic()) * 1000 + 0.999)) if self._timers else None

    def _run_timers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            waiting = heapq.heappop(self._timers)[2]
            if waiting.number not in self.waiting:
                continue
            if waiting.file and not os.path.exists(waiting.file):
                self._later(FILE_SECONDS, waiting)
            elif waiting.swapping:
                self._go_on_swapping(waiting.number)
            elif waiting.file != "":
                self.advance(waiting)

    def _go_on_swapping(self, number: int) -> None:
        waiting = self.waiting.get(number)
        if waiting and waiting.swapping:
            waiting.swapping = False
            self.advance(waiting)
