"""Negotiation rounds: what was offered, acknowledged and refused each time ("Feature negotiation").

QEMU negotiates once per queue pair and again for each driver. A GET_FEATURES right after a request that
takes effect without an answer is no negotiation but a barrier (see exchanges.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vutrace.dissection.message import Message
from vutrace.protocol.effects import Fact
from vutrace.quick import quick_replace
from vutrace.session.ends import Ends
from vutrace.session.row import Row

ROUNDS_KEPT = 256


@dataclass(frozen=True, slots=True)
class Round:
    """One round: masks are None where that message has not come. `count` rounds in a row were equal.

    `rows` has the row of each mask, by the mask's name.
    """

    first: int
    last: int
    offered: int | None = None
    acknowledged: int | None = None
    protocol_offered: int | None = None
    protocol_acknowledged: int | None = None
    count: int = 1
    rows: Mapping[str, int] = field(default_factory=dict, compare=False)

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
        return self.masks == other.masks

    @property
    def masks(self) -> tuple[int | None, ...]:
        """What was offered and acknowledged of both spaces."""
        return self.offered, self.acknowledged, self.protocol_offered, self.protocol_acknowledged


changed_round = quick_replace(Round)


def refused(offered: int | None, acknowledged: int | None) -> int | None:
    """The bits that were offered in vain."""
    return None if offered is None or acknowledged is None else offered & ~acknowledged


# What is known of a session -> the part of a round that it fills.
FILLS: Mapping[Fact, str] = {
    Fact.OFFERED: "offered",
    Fact.FEATURES: "acknowledged",
    Fact.PROTOCOL_OFFERED: "protocol_offered",
    Fact.PROTOCOL_FEATURES: "protocol_acknowledged",
}


class Negotiation:
    """The rounds of one session: the first `ROUNDS_KEPT` and the latest; `barriers` are counted."""

    def __init__(self) -> None:
        self.barriers = 0
        self.rounds: Ends[Round] = Ends(ROUNDS_KEPT)

    def feed(self, row: Row, message: Message) -> None:
        """Take the message of a row."""
        told = message.spec.reply_learns if message.reply else message.spec.learns
        if row.barrier:
            self.barriers += not message.reply
        elif told is not None and told.fact in FILLS:
            self._fill(row.number, FILLS[told.fact], message.number_in(told.field))

    def _fill(self, number: int, part: str, value: int | None) -> None:
        if value is None:
            return
        open_round = self.rounds.last
        if open_round is None or getattr(open_round, part) is not None:
            opened = self._opened(number, part)
            self._fold()
            self.rounds.append(opened)
        filled = self.rounds.pop()
        rows = {**filled.rows, part: number}
        self.rounds.append(changed_round(filled, **{part: value, "last": number, "rows": rows}))

    def _opened(self, number: int, part: str) -> Round:
        """A new round; a second SET_FEATURES answers the offer that was made before."""
        before = self.rounds.last
        if part == FILLS[Fact.FEATURES] and before:
            return replace(before, first=number, last=number, acknowledged=None, count=1)
        return Round(number, number)

    def _fold(self) -> None:
        """The last two rounds become one if they are equal."""
        if len(self.rounds) < 2:
            return
        later = self.rounds.pop()
        earlier = self.rounds.last
        if earlier and later.equals(earlier):
            self.rounds.pop()
            later = replace(earlier, last=later.last, count=earlier.count + later.count)
        self.rounds.append(later)
