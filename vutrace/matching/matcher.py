"""What chooses messages: every condition must hold. Both rules and filters are such."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.message import Message
from vutrace.matching.values import MatchError, number_of, values_at
from vutrace.matching.when import EVERY, Occurrence
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import Channel, Event, Side
from vutrace.session.phases import Phase
from vutrace.session.recognition import telling
from vutrace.session.ring_states import TRIGGERS
from vutrace.session.row import Row

Number = tuple[Channel, int]
COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "!&": lambda value, mask: not value & mask,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "&": lambda value, mask: value & mask == mask,
}
MOVE_RINGS = frozenset(
    number for number, row in FRONTEND_MESSAGES.items() if row.effect in TRIGGERS or row.learns
)
"""Requests without which nobody knows which rings run."""
LEARN = frozenset(number for number, row in FRONTEND_MESSAGES.items() if row.learns or row.reply_learns)
"""Requests that tell, or whose replies tell, what both ends agree on: rings are named by that."""


@dataclass(frozen=True, slots=True)
class FieldTest:
    """A field compared with what was written."""

    path: tuple[str, ...]
    sign: str
    text: str

    def holds(self, message: Message, devices: Sequence[Device]) -> bool:
        """Whether some value at the path compares so; False where there is none."""
        compare = COMPARISONS[self.sign]
        for value, show in values_at(message.layer, message.fields, self.path):
            if isinstance(value, int):
                try:
                    if compare(value, number_of(self.text, show, devices)):
                        return True
                except MatchError:
                    continue
            elif isinstance(value, bytes) and self.sign == "=" and value.hex() == self.text.lower():
                return True
        return False


@dataclass(frozen=True, slots=True)
class Matcher:
    """The conditions; an empty one or None does not choose. `messages` are (channel, number) pairs.

    `rings` are indexes, `ring_names` names. `after` are messages one of which was sent before in the
    session. `when` counts what all else chooses, in each session; see `Chooser`. `devices` give feature
    bits their names.
    """

    messages: frozenset[Number] = frozenset()
    reply: bool | None = None
    need_reply: bool | None = None
    sender: Side | None = None
    channel: Channel | None = None
    connection: int | None = None
    session: Occurrence = EVERY
    rings: frozenset[int] = frozenset()
    ring_names: frozenset[str] = frozenset()
    phases: frozenset[Phase] = frozenset()
    running: bool | None = None
    after: frozenset[Number] = frozenset()
    fds: int | None = None
    fields: tuple[FieldTest, ...] = ()
    when: Occurrence = EVERY
    devices: tuple[Device, ...] = ()

    @property
    def all(self) -> bool:
        """Whether every row is wanted."""
        return self == Matcher(devices=self.devices)

    @property
    def needs_state(self) -> bool:
        """Whether it asks for what earlier messages tell."""
        return bool(self.ring_names or self.phases or self.after or self.running is not None)

    def heeds(self, channel: Channel) -> frozenset[int] | None:
        """The numbers of messages that tell how things stand, as far as it asks for that; None for all."""
        numbers = frozenset(number for where, number in self.after if where is channel)
        if channel is not Channel.MAIN:
            return numbers
        if self.phases:
            return None
        if self.ring_names:
            names = telling(self.devices)
            numbers |= LEARN | {number for number, row in FRONTEND_MESSAGES.items() if row.name in names}
        return numbers if self.running is None else numbers | MOVE_RINGS

    def wants(self, row: Row) -> bool:
        """Whether a row is wanted, but for `when`; events where nothing is chosen, or a channel alone."""
        what = row.what
        if isinstance(what, Event):
            place = self.channel in (None, what.channel)
            return place and self == Matcher(devices=self.devices, channel=self.channel)
        return (
            (not self.messages or (what.channel, what.request) in self.messages)
            and self.sender in (None, what.frame.sender)
            and self.channel in (None, what.channel)
            and self.reply in (None, what.reply)
            and self.need_reply in (None, what.need_reply)
            and self._place(row)
            and (not self.fields or self._fields(what, row.context.device))
            and self.fds in (None, len(what.frame.fds))
            and (not self.needs_state or self._state(row))
        )

    def _place(self, row: Row) -> bool:
        named = not (self.rings or self.ring_names)
        return (
            (named or row.ring in self.rings or row.ring_name in self.ring_names)
            and self.connection in (None, row.connection)
            and self.session.chooses(row.session)
        )

    def _fields(self, message: Message, device: Device) -> bool:
        devices = self.devices if device is UNKNOWN_DEVICE else (device,)
        return all(test.holds(message, devices) for test in self.fields)

    def _state(self, row: Row) -> bool:
        return (
            (not self.phases or row.phase in self.phases)
            and self.running in (None, bool(row.state.rings.running))
            and (not self.after or any(row.state.sent[each] for each in self.after))
        )

    def ways(self, channel: Channel, sender: Side) -> frozenset[int] | None:
        """The numbers of messages that it may choose in one direction; None for all of them."""
        if self.channel not in (None, channel) or self.sender not in (None, sender):
            return frozenset()
        return (
            frozenset(number for where, number in self.messages if where is channel)
            if self.messages
            else None
        )


class Chooser:
    """A matcher that counts: `wants` is asked once for each row."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self._counts: Counter[tuple[int, int]] = Counter()

    @property
    def all(self) -> bool:
        """Whether every row is wanted."""
        return self.matcher.all

    def wants(self, row: Row) -> bool:
        """Whether the row is wanted."""
        if not self.matcher.wants(row):
            return False
        place = row.connection, row.session
        self._counts[place] += 1
        return self.matcher.when.chooses(self._counts[place])
