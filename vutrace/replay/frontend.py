"""A recorded front-end acted out against a live back-end."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from vutrace.dissection.message import Message
from vutrace.peers.encode import encode_reply
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit_names
from vutrace.protocol.payloads import Ack
from vutrace.records import Channel, Side
from vutrace.replay.answers import Answers
from vutrace.replay.compare import differences
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.outcome import Finding, Outcome
from vutrace.replay.rings import RingMemory
from vutrace.replay.script import Exchange, Script
from vutrace.replay.talk import ReceivedRow, Talk
from vutrace.session.context import Context
from vutrace.session.exchanges import Owed, owed
from vutrace.session.row import Row
from vutrace.sockets.framed import PeerError, close_all

GATES = {name: 1 << number for number, name in PROTOCOL_FEATURES.items()}
SETTLE = 0.2  # seconds in which a back-end may still break off after the last message
ASKED_SHOWN = 4

Clock = Callable[[int], float]
"""When (monotonic, in seconds) what was recorded at a time (ns since the epoch) is to be sent."""


class BrokeOffError(PeerError):
    """The peer closed the connection, or left something unanswered; the text says at which message."""


class FrontendPlay:
    """One session: sends what was recorded, waits by the rules of the protocol, compares the replies."""

    def __init__(
        self,
        script: Script,
        talk: Talk,
        descriptors: Descriptors,
        outcome: Outcome,
        timeout: float,
        clock: Clock = lambda recorded_ns: 0.0,
        settle: float = SETTLE,
    ) -> None:
        self._script, self._talk, self._descriptors = script, talk, descriptors
        self._outcome, self._timeout, self._clock = outcome, timeout, clock
        self._settle = settle
        self._side = Answers(script.side)
        self._rings = RingMemory()
        self._waiting: dict[int, Exchange] = {}  # by the live request's row
        self._sent: list[Exchange] = []  # since the last reply
        self._answered: Exchange | None = None
        self._doubts: list[str] = []
        self._begun = self._asked = 0

    def run(self) -> None:
        """Act the session out; BrokeOffError where the back-end does not go along."""
        self._outcome.sessions += 1
        try:
            self._act()
        except BrokeOffError:
            if not self._ends_as_recorded():
                raise
            self._outcome.notes.append("the back-end closed the connection, as the recorded one did")
            return
        for exchange in self._waiting.values():
            if exchange.reply:
                self._compare(exchange, None)
        if (missing := len(self._script.side) - self._asked) > 0:
            channels = " and ".join(dict.fromkeys(str(each.message.channel) for each in self._script.side))
            which = f"on the {channels} channel, which this one did not"
            self._outcome.notes.append(f"the recorded back-end asked {missing} times more {which}")

    def _act(self) -> None:
        for exchange in self._script.main:
            self._pause(exchange)
            self._begun += 1
            self._exchange(exchange)
        self._linger(time.monotonic() + self._settle)

    def _ends_as_recorded(self) -> bool:
        """Whether the recorded back-end closed as well, and had nothing more to say by then."""
        left = [*self._waiting.values(), *self._script.main[self._begun :]]
        closed = self._talk.closed and self._script.closed_by is Side.BACKEND
        return closed and not any(exchange.reply for exchange in left)

    def _exchange(self, exchange: Exchange) -> None:
        row, sent = self._send(exchange)
        self._outcome.requests += 1
        self._doubt(exchange, row.context)
        due = owed(sent, row.context)
        if exchange.reply or due is not Owed.NO:
            self._waiting[row.number] = exchange
        if due is Owed.YES:
            self._await(row.number, exchange, self._timeout)
        elif exchange.reply:  # nobody has to answer, so it is no break if nobody does
            with contextlib.suppress(TimeoutError):
                self._await(row.number, exchange, self._settle)

    def _send(self, exchange: Exchange) -> tuple[Row, Message]:
        message = exchange.message
        made = self._descriptors.make(message)
        self._rings.follow(message, made.fds, exchange.row.context)
        self._sent.append(exchange)
        try:
            sent = self._talk.send(Channel.MAIN, message.frame.data, made.fds)
        except PeerError as error:
            raise self._broke_off(str(error)) from None
        finally:
            made.sent()
        if made.ends and message.spec.passes:
            self._talk.open_side(message.spec.passes, made.ends[0])
        return sent

    def _await(self, number: int, exchange: Exchange, timeout: float) -> None:
        """Wait for the reply to the request of live row `number`; if others keep coming, twice as long."""
        deadline = time.monotonic() + timeout
        what = f"the reply to {exchange_words(exchange)}"
        while number in self._waiting:
            try:
                received = self._talk.receive(deadline)
                if time.monotonic() >= deadline + timeout:
                    raise TimeoutError
            except TimeoutError:
                if timeout < self._timeout:
                    raise
                raise self._broke_off(
                    f"{what} was awaited from the back-end for {self._timeout:g} s", closed=False
                ) from None
            except PeerError as error:
                raise self._broke_off(str(error)) from None
            if received is None:
                raise self._broke_off(f"the back-end closed the connection; {what} was awaited")
            self._take(received)

    def _pause(self, exchange: Exchange) -> None:
        """Wait until it is this message's turn; take what comes meanwhile."""
        self._linger(self._clock(exchange.message.frame.time_ns))

    def _linger(self, until: float) -> None:
        """Take what is here, and what comes until then."""
        waiting = True
        try:
            while waiting and not self._talk.closed:
                waiting = time.monotonic() < until
                self._talk.wait(until)
                for received in self._talk.received():
                    self._take(received)
        except PeerError as error:
            raise self._broke_off(str(error)) from None
        if self._talk.closed:
            raise self._broke_off("the back-end closed the connection")

    def _take(self, received: ReceivedRow) -> None:
        close_all(received.fds)
        message = received.message
        if message.channel is not Channel.MAIN:
            if not message.reply:
                self._answer(received)
            return
        exchange = self._waiting.pop(received.row.reply_to or 0, None)
        if exchange is None:
            self._outcome.unrecorded += 1
            self._outcome.notes.append(f"{message.name}: a reply that nobody waited for")
            return
        self._sent.clear()
        self._doubts.clear()
        self._answered = exchange
        self._compare(exchange, message)

    def _compare(self, exchange: Exchange, live: Message | None) -> None:
        self._outcome.replies += live is not None
        found = list(differences(exchange.reply, live, exchange.row.context.device))
        if exchange.reply is None and self._script.is_cut_before_the_reply_to(exchange):
            found = [replace(each, own="the recording ends before") for each in found]
        self._outcome.same += not found
        number, name = exchange.row.number, exchange.message.name
        self._outcome.findings += [Finding(number, name, difference) for difference in found]

    def _answer(self, received: ReceivedRow) -> None:
        """A request on the back-end channel (or the GPU's): what the recorded front-end said, or yes."""
        message, context = received.message, received.row.context
        self._asked += 1
        recorded = self._side.find(message, context)
        if recorded is None:
            self._outcome.notes.append(f"{message.name} on the {message.channel} channel was never recorded")
        if owed(message, context) is Owed.NO or not self._talk.has(message.channel):
            return
        reply = recorded.reply if recorded else None
        made = self._descriptors.make(reply) if reply else None
        data = reply.frame.data if reply else encode_reply(message.spec, Ack(status=0))
        with contextlib.suppress(PeerError):  # that channel alone may be gone
            self._talk.send(message.channel, data, made.fds if made else ())
        if made:
            made.sent()

    def _doubt(self, exchange: Exchange, live: Context) -> None:
        """Note what the live back-end has reason to refuse: it explains an end that may follow."""
        message, protocol = exchange.message, live.protocol_offered
        taken = (
            ("features", live.offered, (VIRTIO_FEATURES, live.device.features)),
            ("protocol_features", protocol, (PROTOCOL_FEATURES,)),
        )
        wrong = []
        for field, offered, tables in taken:
            value = message.number_in(field)
            if value is not None and offered is not None and (more := value & ~offered):
                wrong.append(f"acknowledges {more:#x} ({', '.join(bit_names(more, *tables))})")
        gate = message.spec.gate
        if protocol is not None and gate in GATES and not protocol & GATES[gate]:
            wrong.append(f"needs {gate}")
        self._doubts += [
            f"{exchange_words(exchange)} {each}, which this back-end does not offer" for each in wrong
        ]

    def _broke_off(self, why: str, closed: bool = True) -> BrokeOffError:
        return BrokeOffError("; ".join([why, *([self._since()] if closed else []), *self._doubts]))

    def _since(self) -> str:
        """At which message it broke off."""
        asked = list(map(exchange_words, self._sent))
        if len(asked) > ASKED_SHOWN:
            asked = [*asked[: ASKED_SHOWN - 1], "…", asked[-1]]
        if asked:
            return f"sent since its last reply: {', '.join(asked)}"
        return (
            f"its last reply was to {exchange_words(self._answered)}"
            if self._answered
            else "nothing was sent yet"
        )


def exchange_words(exchange: Exchange) -> str:
    """Which message of the recording."""
    return f"[{exchange.row.number}] {exchange.message.name}"
