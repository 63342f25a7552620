"""Negotiation rounds: what was offered, acknowledged and refused each time ("Feature negotiation").

QEMU negotiates once per queue pair and again for each driver. A GET_FEATURES right after a request that
takes effect without an answer is no negotiation but a barrier: its reply tells that the request was done.
"""

from dataclasses import dataclass, replace

from vutrace.dissection.message import Message
from vutrace.records import Channel

# What front-ends wait for in this way (QEMU without REPLY_ACK, SPDK).
FENCED = frozenset(
    {
        "SET_VRING_ENABLE",
        "SET_VRING_ADDR",
        "SET_VRING_KICK",
        "SET_MEM_TABLE",
        "ADD_MEM_REG",
        "REM_MEM_REG",
        "SET_FEATURES",
    }
)
ROUNDS_KEPT = 256


def is_barrier(message: Message, previous: Message | None) -> bool:
    """Whether `message` only waits for `previous`, the request before it, to be done."""
    return (
        message.name == "GET_FEATURES"
        and previous is not None
        and previous.name in FENCED
        and not previous.need_reply
    )


@dataclass(frozen=True, slots=True)
class Round:
    """One round: masks are None where that message has not come. `count` rounds in a row were equal."""

    first: int
    last: int
    offered: int | None = None
    acknowledged: int | None = None
    protocol_offered: int | None = None
    protocol_acknowledged: int | None = None
    count: int = 1

    @property
    def refused(self) -> int | None:
        """Offered and not acknowledged; None before the acknowledgement."""
        return refused(self.offered, self.acknowledged)

    @property
    def protocol_refused(self) -> int | None:
        """The same of the protocol features."""
        return refused(self.protocol_offered, self.protocol_acknowledged)

    def equals(self, other: "Round") -> bool:
        """Whether both rounds came to the same."""
        return replace(self, first=0, last=0, count=1) == replace(other, first=0, last=0, count=1)


def refused(offered: int | None, acknowledged: int | None) -> int | None:
    """The bits that were offered in vain."""
    return None if offered is None or acknowledged is None else offered & ~acknowledged


# (message name, is a reply) -> (round attribute, payload field)
FILLS = {
    ("GET_FEATURES", True): ("offered", "features"),
    ("SET_FEATURES", False): ("acknowledged", "features"),
    ("GET_PROTOCOL_FEATURES", True): ("protocol_offered", "protocol_features"),
    ("SET_PROTOCOL_FEATURES", False): ("protocol_acknowledged", "protocol_features"),
}
NEGOTIATES = frozenset(name for name, _ in FILLS)


class Negotiation:
    """The rounds of one session: the first `ROUNDS_KEPT` and the latest; `barriers` are counted."""

    def __init__(self) -> None:
        self.barriers = 0
        self.omitted = 0
        self._rounds: list[Round] = []
        self._previous: Message | None = None
        self._in_barrier = False

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds so far, equal neighbours counted."""
        return tuple(self._rounds)

    def feed(self, number: int, message: Message) -> None:
        """Take the message of row `number`."""
        if message.channel is not Channel.MAIN:
            return
        if not message.reply:
            self._in_barrier = is_barrier(message, self._previous)
            self.barriers += self._in_barrier
            self._previous = message
        if message.name not in NEGOTIATES:
            return
        attribute, field = FILLS.get((message.name, message.reply), ("", ""))
        if attribute and not (self._in_barrier and message.name == "GET_FEATURES"):
            self._fill(number, attribute, message.number_in(field))

    def _fill(self, number: int, attribute: str, value: int | None) -> None:
        if value is None:
            return
        full = self._rounds and getattr(self._rounds[-1], attribute) is not None
        if not self._rounds or full:
            self._fold()
            self._rounds.append(self._opened(number, attribute))
        changes: dict[str, int] = {attribute: value, "last": number}
        self._rounds[-1] = replace(self._rounds[-1], **changes)

    def _opened(self, number: int, attribute: str) -> Round:
        """A new round; a second SET_FEATURES answers the offer that was made before."""
        if attribute == "acknowledged" and self._rounds:
            before = self._rounds[-1]
            return replace(before, first=number, last=number, acknowledged=None, count=1)
        return Round(number, number)

    def _fold(self) -> None:
        if len(self._rounds) > 1 and self._rounds[-1].equals(self._rounds[-2]):
            last = self._rounds.pop()
            first = self._rounds[-1]
            self._rounds[-1] = replace(first, last=last.last, count=first.count + last.count)
        elif len(self._rounds) > ROUNDS_KEPT:
            del self._rounds[-1]
            self.omitted += 1
