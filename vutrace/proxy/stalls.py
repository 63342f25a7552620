"""Replies that take long: said after a second, again each ten, and when they come. In the recording process.

What is owed is told by the header and the message's row; nothing here reads a payload but that of
SET_PROTOCOL_FEATURES, which says whether acknowledgements were agreed on.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.effects import Fact
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.spec import MessageSpec, ReplyRule, Table
from vutrace.protocol.wire import HEADER, HEADER_SIZE, VHOST_USER
from vutrace.records import Channel, Event, EventKind, Side

AGAIN_NS = 10 * 10**9
WAITING_KEPT = 64  # of one channel: a front-end waits for one mostly
REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
LOG_SHMFD = bit("LOG_SHMFD", PROTOCOL_FEATURES)
TABLES: dict[Channel, Table] = {Channel.MAIN: FRONTEND_MESSAGES, Channel.BACKEND: BACKEND_MESSAGES}
AGREES = next(row for row in FRONTEND_MESSAGES.values() if row.tells(Fact.PROTOCOL_FEATURES, False))
MASK = struct.Struct("=Q")


class SessionId(NamedTuple):
    """A session of a connection."""

    connection: int
    session: int


@dataclass(slots=True)
class Debt:
    """A reply that is owed since `since_ns`; said `told` times so far. `dropped`: a rule did that."""

    spec: MessageSpec
    channel: Channel
    debtor: Side
    since_ns: int
    told: int = 0
    dropped: bool = False

    def due_ns(self, first_ns: int) -> int:
        """When it is to be said the next time."""
        return self.since_ns + (AGAIN_NS * self.told if self.told else first_ns)


@dataclass(slots=True)
class Waits:
    """One session: what was agreed on, and the debts of each channel, oldest first."""

    protocol_features: int = 0
    debts: dict[Channel, deque[Debt]] = field(default_factory=dict)

    def of(self, channel: Channel) -> deque[Debt]:
        """Those of a channel."""
        return self.debts.setdefault(channel, deque(maxlen=WAITING_KEPT))

    def all(self) -> Iterator[Debt]:
        """Every debt."""
        return (debt for debts in self.debts.values() for debt in debts)


class Stalls:
    """Watches who owes a reply for `seconds` and longer.

    `doing` says of a side of a session who it is ("the back-end (virtiofsd, pid 9)") and what its process
    does now ("is stopped (T)", or "").
    """

    def __init__(self, seconds: float, doing: Callable[[SessionId, Side], tuple[str, str]]) -> None:
        self._first_ns = int(seconds * 1e9)
        self._doing = doing
        self._sessions: dict[SessionId, Waits] = {}

    def frame(
        self, time_ns: int, place: SessionId, channel: Channel, sender: Side, data: bytes
    ) -> tuple[Event | None, bool]:
        """Take a message: an event if it is a reply that was long in coming, and whether it meant anything.

        What did not means nothing again, with the same header from the same place, until what is agreed on
        changes.
        """
        known = known_message(channel, data)
        if known is None:
            return None, False
        spec, flags = known
        waits = self._sessions.setdefault(place, Waits())
        if flags & VHOST_USER.reply:
            return self._answered(time_ns, place, waits, channel, spec), True
        if spec is AGREES and len(data) >= HEADER_SIZE + MASK.size:
            waits.protocol_features = MASK.unpack_from(data, HEADER_SIZE)[0]
        owes = owed(spec, flags, waits)
        if owes:
            waits.of(channel).append(Debt(spec, channel, sender.peer, time_ns))
        return None, owes or spec is AGREES

    def _answered(
        self, time_ns: int, place: SessionId, waits: Waits, channel: Channel, spec: MessageSpec
    ) -> Event | None:
        debts = waits.debts.get(channel)
        debt = next((each for each in debts or () if each.spec is spec), None)
        if debts is None or debt is None:
            return None
        while debts.popleft() is not debt:
            pass
        if not debt.told:
            return None
        who, _ = self._doing(place, debt.debtor)
        seconds = (time_ns - debt.since_ns) / 1e9
        return note(time_ns, place, debt, f"{who} answered {spec.name} after {seconds:.1f} s", seconds)

    def dropped(self, time_ns: int, place: SessionId, channel: Channel, sender: Side, data: bytes) -> None:
        """A rule kept a message from its receiver: who may wait for it, or whose peer for an answer."""
        known = known_message(channel, data)
        if known is None:
            return
        spec, flags = known
        waits = self._sessions.setdefault(place, Waits())
        debts = waits.of(channel)
        if not flags & VHOST_USER.reply:
            if spec is AGREES or owed(spec, flags, waits):
                debts.append(Debt(spec, channel, sender.peer, time_ns, dropped=True))
        elif debt := next((each for each in debts if each.spec is spec and not each.dropped), None):
            debt.dropped = True

    def over(self, place: SessionId) -> None:
        """The session ended: nobody waits any more."""
        self._sessions.pop(place, None)

    def due(self, now_ns: int) -> Iterator[Event]:
        """What is to be said now."""
        for place, waits in self._sessions.items():
            for debt in waits.all():
                if debt.due_ns(self._first_ns) <= now_ns:
                    yield self._said(place, debt, now_ns)

    def _said(self, place: SessionId, debt: Debt, now_ns: int) -> Event:
        seconds = (now_ns - debt.since_ns) / 1e9
        debt.told = max(1, (now_ns - debt.since_ns) // AGAIN_NS + 1)
        if debt.dropped:
            text = (
                f"waiting for {seconds:.{int(seconds < 1)}f} s: a rule dropped {debt.spec.name}, or its reply"
            )
            return note(now_ns, place, debt, text, seconds)
        who, does = self._doing(place, debt.debtor)
        text = f"waiting for {seconds:.{int(seconds < 1)}f} s: {who} owes the reply to {debt.spec.name}"
        return note(now_ns, place, debt, f"{text}; its process {does}" if does else text, seconds, does)

    def wait_ns(self, now_ns: int) -> int | None:
        """How long until something is to be said; None while nobody owes anything."""
        due = (debt.due_ns(self._first_ns) for waits in self._sessions.values() for debt in waits.all())
        earliest = min(due, default=None)
        return None if earliest is None else max(0, earliest - now_ns)


def known_message(channel: Channel, data: bytes) -> tuple[MessageSpec, int] | None:
    """The row and the flags of a message; None for what no table has."""
    table = TABLES.get(channel)
    if table is None or len(data) < HEADER_SIZE:
        return None
    number, flags, _ = HEADER.unpack_from(data)
    spec = table.get(number)
    return (spec, flags) if spec else None


def owed(spec: MessageSpec, flags: int, waits: Waits) -> bool:
    """Whether a request is to be answered, as far as header, row and what was agreed on tell."""
    if spec.rule is ReplyRule.ALWAYS:
        return True
    if spec.rule is ReplyRule.LOG and waits.protocol_features & LOG_SHMFD:
        return True
    asks = bool(flags & VHOST_USER.need_reply) and spec.rule is not ReplyRule.NEVER
    return asks and bool(waits.protocol_features & REPLY_ACK)


def note(time_ns: int, place: SessionId, debt: Debt, text: str, seconds: float, does: str = "") -> Event:
    """A row about a debt."""
    facts = {"stall": f"{seconds:.1f}", "request": debt.spec.name, "debtor": str(debt.debtor)}
    if does:
        facts["process"] = does
    return Event(time_ns, *place, EventKind.NOTE, text, debt.channel, attributes=facts)
