"""The tap of one session, in a process of its own: hears of messages, and answers what becomes of them."""

import heapq
import itertools
import marshal
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vutrace.framing import MAX_FDS
from vutrace.proxy.pending import ends_of, unpack_origin
from vutrace.records import Channel, FdInfo, FdKind, Frame, FrameFlag, Side
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.sockets.inspect import describe
from vutrace.sockets.passed import FD_SIZE, descriptors
from vutrace.tap.console import by_hand, note
from vutrace.tap.passing import PassingMessage, Step
from vutrace.tap.script import where
from vutrace.tap.work import BIG_ENDIAN, Decider, Decision, Work

PACKET = 1 << 20
ROOM = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)
SWAP_SECONDS = 1.0  # that a message waits for the one behind it
TOLD_SECONDS = 1.0  # waits that are so long are told when they begin
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
    by_hand: bool = False
    first: "Waiting | None" = None  # goes on when this one is over

    @property
    def message(self) -> PassingMessage:
        """What waits."""
        return self.decision.message


class TappedSession:
    """What a script's `opened` and `closed` are given."""

    def __init__(self, connection: int, session: int, tell: Callable[[str], None]) -> None:
        self.connection, self.session, self._tell = connection, session, tell

    def note(self, text: str) -> None:
        """A line for the user, and in the capture while the session is open."""
        self._tell(text)


class SessionLoop:
    """Serves one session until the relay closes `end`; `hands` is the socket of who sits at the terminal."""

    def __init__(
        self,
        end: socket.socket,
        work: Work,
        connection: int,
        session: int,
        hands: socket.socket | None = None,
    ) -> None:
        self._end, self._work = end, work
        self._place = connection, session
        self._tracker = Tracker(work.registry, work.device)
        self._decider = Decider(work, connection, session)
        self._timers: list[tuple[float, int, Waiting]] = []
        self._order = itertools.count()
        self._waiting: dict[int, Waiting] = {}
        self._hands = hands
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)
        if hands:
            self._poll.register(hands, select.POLLIN)

    def serve(self) -> None:
        """Until the session is over."""
        known = TappedSession(*self._place, self._note)
        self._call("opened", known)
        try:
            while self._turn():
                self._run_timers()
        except (BrokenPipeError, ConnectionResetError):  # the relay closed it while something was said
            pass
        self._call("closed", TappedSession(*self._place, note))

    def _turn(self) -> bool:
        for fd, _ in self._poll.poll(self._wait_ms()):
            if fd == self._end.fileno() and not self._read():
                return False
            if self._hands and fd == self._hands.fileno():
                self._obey(self._hands)
        return True

    def _note(self, text: str) -> None:
        self._say("note", 0, text)

    def _call(self, name: str, known: TappedSession) -> None:
        for script in self._work.scripts:
            function = getattr(script, name)
            try:
                function(known)
            except (Exception, SystemExit) as error:
                path = getattr(getattr(function, "__code__", None), "co_filename", "")
                known.note(f"{script.name}: {name} raised, {where(error, path)}")

    # What somebody at the terminal wants.

    def _obey(self, hands: socket.socket) -> None:
        packet = hands.recv(PACKET)
        if not packet:
            self._poll.unregister(hands)
            self._hands = None
            return
        number, text = marshal.loads(packet)
        waiting = self._waiting.get(number)
        if waiting is None or waiting.file != "":
            return
        goes, trouble = by_hand(waiting.message, text)
        if trouble or not goes:
            self._show(waiting, trouble)
        else:
            waiting.file, waiting.by_hand = None, True
            self.advance(waiting)

    def _show(self, waiting: Waiting, trouble: str = "") -> None:
        if self._hands:
            message, at = waiting.message, waiting.since
            self._hands.send(marshal.dumps((waiting.number, message.words, message.said, at, trouble)))

    # What comes.

    def _read(self) -> bool:
        packet, ancillary, _, _ = self._end.recvmsg(PACKET, ROOM, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return False
        what, *words = marshal.loads(packet)
        match what:
            case "seen":
                for time_ns, origin, data, count in words[0]:
                    *_, channel, sender, _, _ = unpack_origin(origin)
                    begin = 0
                    for end in ends_of(data):
                        self._row(time_ns, channel, sender, data[begin:end], (UNSEEN,) * count)
                        begin = end
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
        first = next((each for each in self._waiting.values() if each.swapping and each.way == way), None)
        if first:
            first.swapping = False
        for text in message.notes:
            self._say("note", number, text)
        waiting = Waiting(number, way, decision, fds, message.steps(), time.monotonic(), first=first)
        self._waiting[number] = waiting
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
                    self._tell_delay(waiting, words[0])
                    return self._later(words[0], waiting)
                case "until":
                    waiting.file = words[0]
                    self._tell_hold(waiting)
                    if not waiting.file:
                        self._show(waiting)
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
                case "answered":
                    self._say("drop", waiting.number, waiting.message.rule, self._fate(waiting))
                case _:
                    self._say(op, waiting.number, *words)
        self._say("done", waiting.number, waiting.message.rule, self._fate(waiting))
        return self._over(waiting)

    def _tell_delay(self, waiting: Waiting, seconds: float) -> None:
        message = waiting.message
        text = f"{message.words} waits {seconds:g} s, by '{message.rule}'" if seconds >= TOLD_SECONDS else ""
        self._say("waits", waiting.number, text, message.rule)

    def _tell_hold(self, waiting: Waiting) -> None:
        what = f"until {waiting.file} is there" if waiting.file else "until it is let go"
        text = f"{waiting.message.words} waits {what}, by '{waiting.message.rule}'"
        self._say("waits", waiting.number, text, waiting.message.rule)

    def _fate(self, waiting: Waiting) -> str:
        message, rule = waiting.message, waiting.message.rule
        if message.plan.answers:
            return f"{message.words} answered in the {message.sender.peer.words}'s place by '{rule}'"
        return f"{message.words} dropped by '{rule}'"

    def _over(self, waiting: Waiting) -> None:
        del self._waiting[waiting.number]
        for fd in waiting.fds:
            os.close(fd)
        if self._hands and waiting.by_hand:
            self._hands.send(marshal.dumps((waiting.number, "", "", 0.0, "")))
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
            if waiting.number not in self._waiting:
                continue
            if waiting.file and not os.path.exists(waiting.file):
                self._later(FILE_SECONDS, waiting)
            elif waiting.swapping:
                self._go_on_swapping(waiting.number)
            elif waiting.file != "":
                self.advance(waiting)

    def _go_on_swapping(self, number: int) -> None:
        waiting = self._waiting.get(number)
        if waiting and waiting.swapping:
            waiting.swapping = False
            self.advance(waiting)
