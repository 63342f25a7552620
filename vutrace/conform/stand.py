"""A back-end of ours for a front-end under test: it offers, refuses, delays and ends as a script says."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from vutrace.conform.case import SkippedError, UnmetError
from vutrace.conform.log import CaseLog
from vutrace.conform.script import GOOD, OFFERS, OTHER, StandScript
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.dissection.message import Message
from vutrace.peers import BackEnd
from vutrace.peers.encode import encode_reply
from vutrace.peers.state import RefusedError
from vutrace.problems import Severity
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.effects import Fact
from vutrace.records import Channel, Side
from vutrace.replay.channel import LiveSession
from vutrace.replay.talk import ReceivedRow, Talk
from vutrace.rules.judge import Judge
from vutrace.session.row import Row
from vutrace.sockets.framed import PeerError, close_all

PATIENCE = 15.0  # of a program that starts
GLANCE = 0.05
REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)

# What is told only once the other is known.
RESTS_ON = {Fact.OFFERED: Fact.FEATURES, Fact.PROTOCOL_OFFERED: Fact.PROTOCOL_FEATURES}


class Stand:
    """One case's back-end. It serves until nothing has come for `quiet` seconds, then judges.

    `talk` is the connection at hand, `backend` what we are on it; `met` are the messages at which something
    was done otherwise.
    """

    talk: Talk
    backend: BackEnd

    def __init__(self, target: TestedPeer, log: CaseLog, device: str, quiet: float) -> None:
        self.target, self.log, self.quiet = target, log, quiet
        self.whole = OFFERS.get(device, OTHER)
        self.sessions = 0
        self.lost = False
        self.wrong_row = 0
        self.met: set[str] = set()

    def play(self, script: StandScript) -> None:
        """Serve as the script says, as often as it says; UnmetError where a rule is broken."""
        again = script
        for _ in range(script.sessions):
            self.serve(again)
            again = replace(script, ends_at="", refuses="")
        self.judge()
        if missing := script.waits_for() - self.met:
            raise SkippedError(f"it never sent {' and '.join(sorted(missing))} in the way that is meant")

    def serve(self, script: StandScript) -> None:
        """One connection."""
        try:
            end = self.target.open(PATIENCE)
        except (NotReachedError, PeerError) as error:
            if self.sessions:
                raise SkippedError(f"the front-end does not come back: {error}") from None
            raise
        self.sessions += 1
        self.backend = BackEnd(script.offer(self.whole))
        talk = Talk(end, Side.BACKEND, LiveSession(0, self.sessions), self.log, self.quiet, "conform")
        with contextlib.closing(talk) as self.talk, contextlib.closing(self.backend):
            try:
                self.answer_all(script)
                if script.then:
                    self.do(script.then)
            except (PeerError, RefusedError):
                pass
            self.lost = talk.closed

    def do(self, then: Callable[["Stand"], None]) -> None:
        """What a script does once nothing comes any longer; SkippedError where nobody is left."""
        if self.talk.closed:
            raise SkippedError("the front-end had ended the connection by then")
        then(self)

    def answer_all(self, script: StandScript = GOOD) -> None:
        """Answer until nothing has come for a while, or the connection has ended."""
        with contextlib.suppress(TimeoutError):
            while received := self.talk.receive(time.monotonic() + self.quiet):
                self.answer(received, script)

    def answer(self, received: ReceivedRow, script: StandScript) -> None:
        """One request; RefusedError ends the connection."""
        message, fds = received.message, received.fds
        try:
            if message.channel is not Channel.MAIN or message.reply:
                return
            if message.name == script.ends_at:
                self.met.add(message.name)
                raise RefusedError("as the script says")
            self.take_channel(message, fds)
            if delay := script.delays.get(message.name):
                self.delay(received, delay)
            reply = self.reply(message, fds, script)
        finally:
            close_all(fds)
        if reply is not None:
            self.talk.send(Channel.MAIN, reply)

    def take_channel(self, message: Message, fds: list[int]) -> None:
        """A socket that comes is a channel, over which we may say something."""
        if message.spec.passes and fds:
            self.talk.open_side(message.spec.passes, socket.socket(fileno=os.dup(fds[0])))

    def delay(self, received: ReceivedRow, seconds: float) -> None:
        """Let it wait for its answer; UnmetError where it does not, or says what rests on the answer."""
        deadline, message = time.monotonic() + seconds, received.message
        self.met.add(message.name)
        while time.monotonic() < deadline and not self.talk.closed:
            self.talk.wait(min(deadline, time.monotonic() + GLANCE))
        if self.talk.closed:
            raise UnmetError(f"it ended the connection less than {seconds:g} s after {message.name}")
        asked = message.spec.reply_learns
        rests = RESTS_ON.get(asked.fact) if asked else None
        for row in self.log.rows[received.row.number :]:
            if isinstance(row.what, Message) and (told := row.what.spec.learns) and told.fact is rests:
                raise UnmetError(f"{row.what.name} came before the answer to {message.name}")

    def reply(self, message: Message, fds: list[int], script: StandScript) -> bytes | None:
        """What is answered."""
        asks = message.need_reply and self.backend.state.protocol & REPLY_ACK
        if message.name == script.refuses and asks:
            self.met.add(message.name)
            return encode_reply(message.spec, p.Ack(status=1))
        reply = self.backend.handle(message, fds)
        if reply is not None and message.name in script.alters:
            self.met.add(message.name)
            return script.alters[message.name](reply)
        return reply

    def judge(self) -> None:
        """No message of the front-end may break a rule that is an error."""
        judge = Judge()
        wrong = list(broken(map(judge.judge, self.log.rows)))
        if wrong:
            self.wrong_row = wrong[0][0]
            raise UnmetError("; ".join(text for _, text in wrong[:3]))

    def failed_row(self) -> int:
        """The row of the message that breaks a rule, else the front-end's last."""
        return self.wrong_row or self.log.last_sent(Side.FRONTEND)

    def close(self) -> None:
        """Nothing is left to close: each connection was closed when it was served."""


def broken(rows: Iterable[Row]) -> Iterable[tuple[int, str]]:
    """The errors of the front-end's messages: the row, and the rule with what is wrong."""
    for row in rows:
        if isinstance(row.what, Message) and row.what.frame.sender is Side.FRONTEND:
            for problem in row.problems:
                if problem.severity is Severity.ERROR:
                    yield row.number, f"{problem.name}: {problem}"
