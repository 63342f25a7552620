"""A flow with messages that rules watch: each of those waits until the tap has said what becomes of it.

What nobody watches goes the way of every flow. Loaded only where there are rules.
"""

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from vutrace.framing import ForwardPart, FramedMessage
from vutrace.protocol.wire import HEADER, HEADER_SIZE
from vutrace.proxy.flow import WHOLE, WORD, Flow
from vutrace.proxy.held import Held, discard, is_new
from vutrace.proxy.interest import NONE, Numbers
from vutrace.proxy.pending import unpack_origin
from vutrace.proxy.recorder import Came
from vutrace.proxy.stalls import TABLES
from vutrace.proxy.watched import EVERYTHING, TappedFramer, requests_in
from vutrace.records import Deed, Event, EventKind, FrameFlag
from vutrace.sockets.passed import Ancillary, Passed, descriptors

if TYPE_CHECKING:
    from vutrace.proxy.tap import SessionTap

HEX_LIMIT = 8000  # bytes of a dropped message that are kept


class TappedFlow(Flow):
    """A flow whose messages of the numbers `asked` (None: all) are the tap's to decide on.

    Of those of the numbers `told` it hears. What is neither costs what it does without a tap.
    """

    _framer: TappedFramer

    def __init__(self, tap: "SessionTap", asked: Numbers, told: Numbers, *rest: Any) -> None:
        super().__init__(*rest)
        self._tap = tap
        self.place = unpack_origin(self._origin)
        self._framer = TappedFramer(self.place.channel)
        self._told = EVERYTHING if told is None else requests_in(told)
        self._held: deque[Held] = deque()
        self._late_end: str | None = None
        self.other: TappedFlow = self
        self.side = self.place.sender
        self._watch(asked)
        if told != NONE:
            self._tell_forwarded(told)

    def _watch(self, asked: Numbers, all_of_them: bool = False) -> None:
        """Read on; `all_of_them`: the next message is the tap's, whatever it is."""
        self._framer.watch(asked, all_of_them)
        self._apart = EVERYTHING if all_of_them or asked is None else self._replaced | requests_in(asked)

    def _tell_forwarded(self, told: Numbers) -> None:
        """Have the tap hear of what goes the fast way."""
        whole, burst, seen, words = self._whole, self._burst, self._tap.seen, self._told

        def tell_whole(time_ns: int, origin: bytes, data: bytes, ancillary: Ancillary) -> None:
            whole(time_ns, origin, data, ancillary)
            if data[:4] in words:
                seen(time_ns, origin, data, len(descriptors(ancillary)) if ancillary else 0)

        def tell_burst(time_ns: int, origin: bytes, data: bytes, count: int) -> None:
            burst(time_ns, origin, data, count)
            # Any place will do: to hear of a few messages too many does no harm.
            if told is None or any(WORD.pack(number) in data for number in told):
                seen(time_ns, origin, data, 0)

        self._whole, self._burst = tell_whole, tell_burst

    def _partly(self, now: int, data: bytes, ancillary: Ancillary, sent: int) -> None:
        super()._partly(now, data, ancillary, sent)
        if data[:4] in self._told:
            self._tap.seen(now, self._origin, data, len(descriptors(ancillary)) if ancillary else 0)

    @property
    def reading(self) -> bool:
        """See `Flow`; not while a message waits, unless the next one is wanted."""
        return (not self._held or self._framer.all) and super().reading

    @property
    def waiting(self) -> deque[Held]:
        """The messages that wait, oldest first."""
        return self._held

    def _forward(self, parts: list[ForwardPart[Passed]]) -> None:
        for part in parts:
            message = part.message
            if message and self._is_asked(part.data, message):
                self._ask(message)
            else:
                super()._forward([part])
                if message and message.flags in WHOLE and message.data[:4] in self._told:
                    self._tap.seen(self._began_ns, self._origin, message.data, len(message.fds))

    def _is_asked(self, data: bytes, message: FramedMessage[Passed]) -> bool:
        # Only what is here as a whole and in one piece, as with those that are replaced.
        whole = message.flags in WHOLE and message.wire_size == len(data) >= HEADER_SIZE
        return whole and self._tap.alive and self._framer.asks(WORD.unpack_from(data)[0])

    def _ask(self, message: FramedMessage[Passed]) -> None:
        self._framer.pause()
        held = self._tap.ask(self, self._began_ns, message)
        self._held.append(held)
        self._on_change()

    def release(self) -> None:
        """See `Flow`; nothing overtakes a message that waits."""
        if not self._held:
            super().release()

    def _end(self, why: str = "") -> None:
        if self._held:
            self._late_end, self._framer.all, self.ended = why, False, True
            self._tap.no_next(self._held[-1])
            return
        super()._end(why)

    # What the tap says.

    def next(self) -> None:
        """The message behind those that wait is wanted, whatever it is."""
        if not self.ended:
            self._watch(self._framer.asked, True)
            self._on_change()

    def passes(self, held: Held) -> None:
        """It goes on as it came, as if nobody had watched."""
        message = held.message
        self._emit(message.data, message.fds)
        self._recorder.single(held.came_ns, self._origin, message)
        self._over(held)

    def out(self, held: Held, data: bytes, fds: Sequence[int | Passed], last: bool, rule: str) -> None:
        """These bytes go on, the `last` of a message; a number for a descriptor is one of those that came."""
        passed = [self._copy(held, fd) if isinstance(fd, int) else fd for fd in fds]
        self._emit(data, passed)
        held.out += data
        held.out_fds += passed
        if last:
            self._record(held, rule, FrameFlag.NONE)

    def _copy(self, held: Held, index: int) -> Passed:
        return self._recorder.passed(os.dup(held.message.fds[index].fd))

    def _emit(self, data: bytes, fds: Sequence[Passed]) -> None:
        if fds and len(data) >= HEADER_SIZE and data[:4] in self._replaced:
            fds = self._substitution.replace(data, fds)
        if data:
            self.outlet.send(data, fds)

    def _record(self, held: Held, rule: str, flags: FrameFlag) -> None:
        came = held.message
        data, fds = held.out, tuple(held.out_fds)
        changed = data != came.data or len(fds) != len(came.fds) or any(map(is_new, fds))
        deed = Deed.MADE if held.copies else Deed.CHANGED if changed else Deed.HELD
        before = Came(held.came_ns)
        if deed is Deed.CHANGED:
            before = Came(held.came_ns, came.data, tuple(self._copy(held, at) for at in range(len(came.fds))))
            for passed in before.fds:
                passed.gone = True
        message = FramedMessage(data, fds, came.flags | flags, len(data))
        self._recorder.acted(self._origin, message, str(deed), rule, before)
        held.out, held.out_fds, held.copies = b"", [], held.copies + 1

    def make(self, data: bytes, fds: Sequence[Passed], rule: str) -> None:
        """Send what nobody on this side said."""
        self._emit(data, fds)
        message = FramedMessage(data, tuple(fds), FrameFlag.NONE, len(data))
        self._recorder.acted(self._origin, message, str(Deed.MADE), rule, Came(time.time_ns()))

    def done(self, held: Held, rule: str, words: str) -> None:
        """Nothing more becomes of it."""
        if held not in self._held:
            return
        if held.out:
            self._record(held, rule, FrameFlag.PARTIAL)
        if not held.copies:
            self.drop(held, rule, words)
        discard(held.message.fds)
        self._over(held)

    def drop(self, held: Held, rule: str, words: str) -> None:
        """Record that its receiver never gets it."""
        held.copies = 1
        data = held.message.data
        facts = {
            "rule": rule,
            "held": str(held.came_ns),
            "data": data[:HEX_LIMIT].hex(),
            "fds": str(len(held.message.fds)),
        }
        if len(data) > HEX_LIMIT:
            facts["size"] = str(len(data))
        self._recorder.event(self._event(EventKind.DROPPED, words, facts))

    def _event(self, kind: EventKind, text: str, facts: dict[str, str]) -> Event:
        place = self.place
        where = place.connection, place.session
        return Event(time.time_ns(), *where, kind, text, place.channel, place.sender, facts)

    def tell(self, text: str, facts: dict[str, str]) -> None:
        """A note about a message."""
        self._recorder.event(self._event(EventKind.NOTE, text, facts))

    def _over(self, held: Held) -> None:
        self._held.remove(held)
        if self._held:
            return
        self._watch(self._framer.asked)
        if self._late_end is not None:
            why, self._late_end = self._late_end, None
            super()._end(why)
        else:
            self._on_change()

    def let_go(self, why: str) -> None:
        """Everything that waits goes on as it came, in order."""
        self._framer.all = False
        for held in list(self._held):
            if held.copies or held.out:
                self.done(held, why, why)
                continue
            message = held.message
            self.out(held, message.data, range(len(message.fds)), True, why)
            self.done(held, why, why)

    def break_off(self) -> None:
        """Nothing that its sender said behind this message is sent, as if it had died there."""
        self._end()

    def stop_asking(self) -> None:
        """Watch nothing any more."""
        self._watch(NONE)

    def half_close(self) -> None:
        """The receiver is told that nothing more comes."""
        self.outlet.end()

    def _name(self, held: Held) -> str:
        number = HEADER.unpack_from(held.message.data)[0]
        row = TABLES.get(self.place.channel, {}).get(number)
        return row.name if row else f"request {number}"

    def close(self) -> None:
        """See `Flow`."""
        for held in list(self._held):
            self.outlet.done = True
            self.done(held, held.rule, f"{self._name(held)} waited when the session ended")
        super().close()
