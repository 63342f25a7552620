"""A back-end of ours for a front-end under test: it offers, refuses, delays and ends as a script says."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vutrace.conform.case import SkippedError, UnmetError
from vutrace.conform.log import CaseLog
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.dissection.message import Message
from vutrace.peers import DPDK_22_11, BackEnd, Offer
from vutrace.peers.encode import encode_reply
from vutrace.peers.state import RefusedError
from vutrace.problems import Severity
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.records import Channel, Side
from vutrace.replay.channel import LiveSession
from vutrace.replay.talk import ReceivedRow, Talk
from vutrace.rules.judge import Judge
from vutrace.session.row import Row
from vutrace.sockets.framed import PeerError, close_all

PATIENCE = 15.0  # of a program that starts
REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
CONFIG = bit("CONFIG", PROTOCOL_FEATURES)
COMMON = sum(
    bit(name, VIRTIO_FEATURES)
    for name in ("VIRTIO_F_VERSION_1", "VHOST_USER_F_PROTOCOL_FEATURES", "VIRTIO_F_INDIRECT_DESC")
)
SECTORS = 2048
DISK = SECTORS.to_bytes(8, "little").ljust(60, b"\0")
OFFERS: Mapping[str, Offer] = {
    "net": DPDK_22_11,
    "blk": Offer(COMMON, DPDK_22_11.protocol_features | CONFIG, queue_pairs=1, config=DISK),
}
OTHER = Offer(COMMON, DPDK_22_11.protocol_features, queue_pairs=4)


@dataclass(frozen=True, slots=True)
class StandScript:
    """What our back-end does otherwise than a good one.

    `refuses` are answered with an error where they ask for an acknowledgement, `ends_at` ends the connection
    instead of the answer, `delays` are seconds before it. `protocol` and `features` are masks of what is
    offered, `queues` the number of queues. `sessions`: how often a front-end is waited for.
    """

    refuses: frozenset[str] = frozenset()
    ends_at: str = ""
    delays: Mapping[str, float] = field(default_factory=dict)
    protocol: int = -1
    features: int = -1
    queues: int = 0
    sessions: int = 1

    def offer(self, whole: Offer) -> Offer:
        """What is offered of everything."""
        return replace(
            whole,
            features=whole.features & self.features,
            protocol_features=whole.protocol_features & self.protocol,
            queue_pairs=self.queues or whole.queue_pairs,
        )


class Stand:
    """One case's back-end. It serves until nothing has come for `quiet` seconds, then judges."""

    def __init__(self, target: TestedPeer, log: CaseLog, device: str, quiet: float) -> None:
        self.target, self.log, self.quiet = target, log, quiet
        self.whole = OFFERS.get(device, OTHER)
        self.sessions = 0
        self.lost = False
        self.wrong_row = 0

    def play(self, script: StandScript) -> None:
        """Serve as the script says, as often as it says; UnmetError where a rule is broken."""
        for _ in range(script.sessions):
            self.serve(script)
            script = replace(script, ends_at="", refuses=frozenset())
        self.judge()

    def serve(self, script: StandScript) -> None:
        """One connection."""
        try:
            end = self.target.open(PATIENCE)
        except (NotReachedError, PeerError) as error:
            if self.sessions:
                raise SkippedError(f"the front-end does not come back: {error}") from None
            raise
        self.sessions += 1
        session = LiveSession(0, self.sessions)
        backend = BackEnd(script.offer(self.whole))
        with contextlib.closing(Talk(end, Side.BACKEND, session, self.log, self.quiet, "conform")) as talk:
            with contextlib.suppress(TimeoutError, PeerError, RefusedError):
                while received := talk.receive(time.monotonic() + self.quiet):
                    self.answer(received, script, backend, talk)
            self.lost = talk.closed
            backend.close()

    def answer(self, received: ReceivedRow, script: StandScript, backend: BackEnd, talk: Talk) -> None:
        """One request; RefusedError ends the connection."""
        message, fds = received.message, received.fds
        try:
            if message.channel is not Channel.MAIN or message.reply:
                return
            if message.name == script.ends_at:
                raise RefusedError("as the script says")
            time.sleep(script.delays.get(message.name, 0.0))
            reply = self.reply(message, fds, script, backend)
        finally:
            close_all(fds)
        if reply is not None:
            talk.send(Channel.MAIN, reply)

    def reply(self, message: Message, fds: list[int], script: StandScript, backend: BackEnd) -> bytes | None:
        """What is answered."""
        if message.name in script.refuses and message.need_reply and backend.state.protocol & REPLY_ACK:
            return encode_reply(message.spec, p.Ack(status=1))
        return backend.handle(message, fds)

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
