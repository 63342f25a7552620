"""A recorded back-end acted out for a live front-end."""

import os
import socket
import time
from collections.abc import Iterator

from vutrace.dissection.message import Message
from vutrace.peers import DPDK_22_11, BackEnd, Offer
from vutrace.peers.state import RefusedError
from vutrace.protocol.effects import Fact
from vutrace.protocol.payloads import Config
from vutrace.protocol.spec import ReplyRule
from vutrace.records import Channel, Side
from vutrace.replay.answers import Answers
from vutrace.replay.compare import differences
from vutrace.replay.descriptors import Descriptors
from vutrace.replay.frontend import BrokeOffError
from vutrace.replay.outcome import Finding, Outcome
from vutrace.replay.script import Exchange, Script
from vutrace.replay.talk import ReceivedRow, Talk
from vutrace.session.exchanges import Owed, owed
from vutrace.sockets.framed import close_all

QUIET = 1.0  # seconds without a request, once all was asked, after which a recorded back-end closes if it did


class BackendPlay:
    """One session: answers what the front-end asks with what was recorded as the answer to it.

    What was never recorded is left to a model back-end that offers what the recorded one did; it also
    sees every other request, so that it knows the device. `idle` is how many seconds the front-end may
    take to its next request, `timeout` how many to a reply on the back-end channel.
    """

    def __init__(
        self, script: Script, talk: Talk, descriptors: Descriptors, outcome: Outcome, idle: float
    ) -> None:
        self._talk, self._descriptors, self._outcome, self._idle = talk, descriptors, outcome, idle
        self._answers = Answers(script.main)
        self._closes = script.closed_by is Side.BACKEND
        self._side = list(script.side)
        self._waiting: dict[int, Exchange] = {}
        self._main = script.main
        self._requests: list[ReceivedRow] = []
        self._ended = False  # by us
        self._model = BackEnd(
            offer_of(script), lambda line: outcome.notes.append(f"the model back-end: {line}")
        )

    def run(self) -> None:
        """Act until the front-end ends the session; BrokeOffError where it says nothing any more."""
        self._outcome.sessions += 1
        try:
            while received := self._next():
                try:
                    self._take(received)
                finally:
                    close_all(received.fds)
        finally:
            self._model.close()
        if not self._requests:
            raise BrokeOffError("the front-end closed the connection without a request")
        for exchange in self._waiting.values():
            self._compare(exchange, None)
        self._tell_left()

    def _tell_left(self) -> None:
        """What was recorded and did not come about."""
        asked = {each.message.name for each in self._requests}
        missed = dict.fromkeys(name for each in self._main if (name := each.message.name) not in asked)
        if missed:
            self._outcome.notes.append(f"only the recorded front-end sent {', '.join(missed)}")
        if self._side:
            unsent = ", ".join(exchange.message.name for exchange in self._side)
            self._outcome.notes.append(
                f"there was no occasion for what the recorded back-end asked: {unsent}"
            )

    def _next(self) -> ReceivedRow | None:
        if self._ended:
            return None
        ends = self._closes and self._answers.all_asked
        try:
            return self._talk.receive(time.monotonic() + min(self._idle, QUIET if ends else self._idle))
        except TimeoutError:
            if ends:
                self._end()
                return None
            last = live(self._requests[-1]) if self._requests else "it said nothing at all"
            awaited = f"the next request was awaited from the front-end for {self._idle:g} s"
            raise BrokeOffError(f"{awaited}; its last: {last}") from None

    def _end(self) -> None:
        self._ended = True
        self._outcome.notes.append("the connection was closed, as the recorded back-end had done")

    def _take(self, received: ReceivedRow) -> None:
        message = received.message
        if message.channel is not Channel.MAIN:
            exchange = self._waiting.pop(received.row.reply_to or 0, None)
            if exchange:
                self._compare(exchange, message)
            return
        if message.reply:
            self._outcome.notes.append(f"{message.name}: a reply from the front-end, which sends none")
            return
        self._requests.append(received)
        self._outcome.requests += 1
        exchange = self._answers.find(message, received.row.context)
        self._adopt(received)
        self._answer(received, exchange)
        if exchange:
            self._speak(exchange)

    def _adopt(self, received: ReceivedRow) -> None:
        """A passed socket becomes a channel; the model gets another descriptor of it."""
        channel = received.message.spec.passes
        if channel and received.fds:
            self._talk.open_side(channel, socket.socket(fileno=os.dup(received.fds[0])))

    def _answer(self, received: ReceivedRow, exchange: Exchange | None) -> None:
        answer, refused = self._modelled(received)
        recorded = exchange.reply if exchange else None
        due = owed(received.message, received.row.context)
        if exchange is self._main[-1] and self._closes and due is Owed.YES and not recorded:
            self._end()
        elif exchange is None or (received.message.spec.rule is ReplyRule.ALWAYS and not recorded):
            self._tell_unrecorded(received, exchange, refused)
        elif refused:
            self._outcome.notes.append(f"{live(received)}: the model back-end would refuse it: {refused}")
        if recorded and due is not Owed.NO:
            self._reply(recorded)
        elif answer is not None and not self._ended:
            self._outcome.replies += 1
            self._talk.send(Channel.MAIN, answer)

    def _modelled(self, received: ReceivedRow) -> tuple[bytes | None, str]:
        """What the model answers, or why it refuses."""
        try:
            return self._model.handle(received.message, received.fds), ""
        except (RefusedError, OverflowError) as error:
            return None, str(error)

    def _tell_unrecorded(self, received: ReceivedRow, exchange: Exchange | None, refused: str) -> None:
        how = f"the model back-end refuses it: {refused}" if refused else "the model back-end answers"
        what = "" if exchange is None else "the reply to "
        self._outcome.unrecorded += 1
        self._outcome.notes.append(f"{what}{live(received)} was never recorded; {how}")
        if refused:
            raise BrokeOffError(f"nothing recorded answers {live(received)}; {how}")

    def _reply(self, recorded: Message) -> None:
        made = self._descriptors.make(recorded)
        try:
            self._talk.send(Channel.MAIN, recorded.frame.data, made.fds)
        finally:
            made.sent()
        self._outcome.replies += 1
        self._outcome.same += 1

    def _speak(self, exchange: Exchange) -> None:
        """Send what the recorded back-end asked on a channel of its own after this exchange."""
        for asked in self._due(exchange):
            made = self._descriptors.make(asked.message)
            try:
                row, sent = self._talk.send(asked.message.channel, asked.message.frame.data, made.fds)
            finally:
                made.sent()
            if owed(sent, row.context) is Owed.YES:
                self._waiting[row.number] = asked

    def _due(self, exchange: Exchange) -> Iterator[Exchange]:
        for asked in list(self._side):
            if asked.after <= exchange.after + 1 and self._talk.has(asked.message.channel):
                self._side.remove(asked)
                yield asked

    def _compare(self, exchange: Exchange, live: Message | None) -> None:
        found = list(differences(exchange.reply, live, exchange.row.context.device))
        number, name = exchange.row.number, exchange.message.name
        self._outcome.findings += [Finding(number, name, difference) for difference in found]


def live(received: ReceivedRow) -> str:
    """Which message of the live front-end."""
    return f"live [{received.row.number}] {received.message.name}"


def offer_of(script: Script) -> Offer:
    """What the recorded back-end said of itself, the model's own where it was not asked."""
    features = number_of(script, Fact.OFFERED, DPDK_22_11.features)
    protocol = number_of(script, Fact.PROTOCOL_OFFERED, DPDK_22_11.protocol_features)
    queues = number_of(script, Fact.QUEUE_NUM, DPDK_22_11.queue_pairs)
    return Offer(features, protocol, max(queues, 1), config_of(script))


def number_of(script: Script, fact: Fact, otherwise: int) -> int:
    """What the first reply tells that is about `fact`."""
    for reply in script.replies():
        told = reply.spec.reply_learns
        if told and told.fact is fact:
            value = reply.number_in(told.field)
            return otherwise if value is None else value
    return otherwise


def config_of(script: Script) -> bytes:
    """The configuration space, as far as it was asked for from its beginning."""
    parts = [
        reply.fields.get("data")
        for reply in script.replies()
        if reply.layer is Config and not reply.number_in("offset")
    ]
    return max((part for part in parts if isinstance(part, bytes)), key=len, default=b"")
