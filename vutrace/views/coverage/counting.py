"""What of the specification was exercised: a fold over judged rows, of as many captures as one likes.

What there is comes from the tables: messages, fields with named values or bits, feature bits, transitions of
rings, rules.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.protocol import bits
from vutrace.protocol.bits import bit_numbers
from vutrace.protocol.check import Check
from vutrace.protocol.effects import Fact
from vutrace.protocol.layers import Layer, Listed, Nested, title
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.shows import DEC, Kind, Show
from vutrace.protocol.spec import MessageSpec, ReplyRule
from vutrace.records import Channel, Event, EventKind
from vutrace.rules.catalogue import CHECKS, EVENT_CHECKS, rules
from vutrace.session.phases import Phase
from vutrace.session.ring_states import TRANSITIONS, TRIGGERS, RingState, Trigger
from vutrace.session.row import Row

NAMED = (Kind.ENUM, Kind.FLAGS)
FACTS = {
    Fact.OFFERED: "virtio features offered",
    Fact.FEATURES: "virtio features acknowledged",
    Fact.PROTOCOL_OFFERED: "protocol features offered",
    Fact.PROTOCOL_FEATURES: "protocol features acknowledged",
    Fact.STATUS: "status bits set",
}
VALUES, TRANSITIONS_OF_RINGS, PHASES = "values of fields", "transitions of rings", "phases"
ASKED, BROKEN = "rules that could be asked", "rules that were broken"


@dataclass(frozen=True, slots=True)
class CoveredSection:
    """One kind of thing: each by name, with how often it came."""

    name: str
    counts: Mapping[str, int]

    @property
    def seen(self) -> list[str]:
        """Those that came."""
        return [name for name, count in self.counts.items() if count]

    @property
    def missing(self) -> list[str]:
        """Those that did not."""
        return [name for name, count in self.counts.items() if not count]


class Coverage:
    """Counts what rows exercise; a device that comes brings its own feature bits and rules."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._devices: dict[str, Device] = {}
        self._checks: dict[tuple[Channel, str, bool], list[Check]] = {}
        self.sessions = self.rows = 0

    def feed(self, row: Row) -> None:
        """Count what a row exercises."""
        self.rows += 1
        device = row.context.device
        self._devices.setdefault(device.name, device)
        if row.phase:
            self._count(PHASES, str(row.phase))
        for problem in row.problems:
            self._count(BROKEN, problem.name)
        if isinstance(row.what, Event):
            self._event(row, row.what)
        else:
            self._message(row, row.what)

    def sections(self) -> list[CoveredSection]:
        """All kinds, each with everything that there is, in the tables' order."""
        return [CoveredSection(name, self._all(name, there)) for name, there in self._there()]

    def _count(self, section: str, name: str) -> None:
        self._counts.setdefault(section, Counter())[name] += 1

    def _all(self, section: str, there: Iterable[str]) -> Mapping[str, int]:
        counts = self._counts.get(section, Counter[str]())
        return {name: counts[name] for name in dict.fromkeys((*there, *counts))}

    def _event(self, row: Row, event: Event) -> None:
        if event.channel is not Channel.MAIN:
            return
        self.sessions += event.kind is EventKind.OPEN
        for check in EVENT_CHECKS.get(event.kind, ()):
            self._count(ASKED, check.rule.name)
        if event.kind is EventKind.CLOSE:
            for check in (*CHECKS, *row.context.device.checks):
                if check.when is None:
                    self._count(ASKED, check.rule.name)
            self._transitions(row, Trigger.END)

    def _message(self, row: Row, message: Message) -> None:
        self._count(section_of(message.channel, message.reply), message.name)
        for name in named_values(message):
            self._count(VALUES, name)
        for check in self._asked(message, row.context.device):
            self._count(ASKED, check.rule.name)
        self._facts(message, row.context.device)
        if message.spec.effect:
            trigger = TRIGGERS.get(message.spec.effect)
            disabled = trigger is Trigger.ENABLE and not message.number_in("num")
            self._transitions(row, Trigger.DISABLE if disabled else trigger)

    def _transitions(self, row: Row, trigger: Trigger | None) -> None:
        for before, after in row.changes.rings:
            state = RingState.STOPPED if before is None else before.state
            if trigger and after is not None and after.state is not state:
                self._count(TRANSITIONS_OF_RINGS, transition(state, trigger, after.state))

    def _asked(self, message: Message, device: Device) -> list[Check]:
        key = message.channel, message.name, message.reply
        if key not in self._checks:
            about = message.spec, message.channel, message.reply
            self._checks[key] = [
                check for check in (*CHECKS, *device.checks) if check.when and check.when(*about)
            ]
        return self._checks[key]

    def _facts(self, message: Message, device: Device) -> None:
        told = message.spec.reply_learns if message.reply else message.spec.learns
        section = FACTS.get(told.fact) if told else None
        value = message.number_in(told.field) if told and told.field else None
        if section and value is not None:
            names = dict(facts_there(self._devices.values()))[section]
            for bit in bit_numbers(value):
                self._count(section, names.get(bit, f"bit {bit}"))

    def _there(self) -> Iterator[tuple[str, Iterable[str]]]:
        for channel, table in TABLES.items():
            yield section_of(channel, False), (row.name for row in table.values())
            yield section_of(channel, True), (row.name for row in table.values() if answered(row))
        yield VALUES, values_there()
        for section, names in facts_there(self._devices.values()):
            yield section, names.values()
        yield TRANSITIONS_OF_RINGS, transitions_there()
        yield PHASES, map(str, Phase)
        asked = (check.rule.name for checks in (CHECKS, *EVENT_CHECKS.values()) for check in checks)
        theirs = (check.rule.name for device in self._devices.values() for check in device.checks)
        yield ASKED, (*asked, *theirs)
        yield BROKEN, rules(self._devices.values())


def section_of(channel: Channel, reply: bool) -> str:
    """The section of a channel's requests, or of their replies."""
    return f"{'replies' if reply else 'requests'}, {channel.words}"


def answered(row: MessageSpec) -> bool:
    """Whether a message may be answered at all."""
    return row.rule is not ReplyRule.NEVER


def transition(before: RingState, trigger: Trigger, after: RingState) -> str:
    """A transition in words."""
    return f"{before} -> {after} by {trigger}"


def transitions_there() -> Iterator[str]:
    """Every transition that changes something."""
    for (before, trigger), after in TRANSITIONS.items():
        if before is not after:
            yield transition(before, trigger, after)


def facts_there(devices: Iterable[Device]) -> Iterator[tuple[str, Mapping[int, str]]]:
    """The sections of bits, each with all the names that it knows."""
    virtio = dict(bits.VIRTIO_FEATURES)
    for device in devices:
        virtio |= device.features
    names = {"virtio": virtio, "protocol": bits.PROTOCOL_FEATURES, "status": bits.DEVICE_STATUS}
    for section in FACTS.values():
        yield section, names[section.split()[0]]


def values_there() -> Iterator[str]:
    """Every named value and bit of every field of every payload."""
    for table in TABLES.values():
        for row in table.values():
            for layer in (*layers_of(row, reply=False), *layers_of(row, reply=True)):
                yield from layer_values(layer)


def layer_values(layer: type[Layer]) -> Iterator[str]:
    """The named values of a layer's fields, those of the structures in it among them."""
    for field in layer.fields_desc:
        show = getattr(field, "show", DEC)
        if isinstance(field, Nested | Listed):
            yield from layer_values(field.layer)
        elif show.kind in NAMED and show.table not in (bits.PROTOCOL_FEATURES, bits.DEVICE_STATUS):
            yield from (value_name(layer, field.name, name) for name in show.table.values())


def named_values(message: Message) -> Iterator[str]:
    """The named values that a message has."""
    return of_layer(message.layer, message.fields)


def of_layer(layer: type[Layer], fields: Mapping[str, Any]) -> Iterator[str]:
    """Those of a structure."""
    for field in layer.fields_desc:
        value = fields.get(field.name)
        show = getattr(field, "show", DEC)
        if isinstance(field, Nested | Listed):
            for item in value if isinstance(value, list) else [value] if value else []:
                yield from of_layer(field.layer, item)
        elif show.kind in NAMED and isinstance(value, int):
            yield from (value_name(layer, field.name, name) for name in names_in(show, value))


def names_in(show: Show, value: int) -> Iterator[str]:
    """The names of a value: its own, or those of its bits."""
    if show.table in (bits.PROTOCOL_FEATURES, bits.DEVICE_STATUS):
        return
    if show.kind is Kind.ENUM:
        yield show.table.get(value, "another")
        return
    for bit in bit_numbers(value):
        yield show.table.get(bit, f"bit {bit}")


def value_name(layer: type[Layer], field: str, name: str) -> str:
    """A value's name in the list."""
    return f"{title(layer)}: {field} {name}"
