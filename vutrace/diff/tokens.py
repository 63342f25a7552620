"""What a recorded exchange means, as words that do not change from one run to the next.

Gone are descriptor numbers, addresses and times. An index tells whether a ring has moved, not how far.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit_names
from vutrace.protocol.effects import RingEffect
from vutrace.protocol.shows import Kind, Show, shown
from vutrace.protocol.spec import ReplyRule
from vutrace.protocol.wire import REPLY, VERSION
from vutrace.replay.compare import kinds_of, values
from vutrace.replay.script import Exchange

FactText: TypeAlias = "str | frozenset[str]"
"""Words, or the names of a mask's bits."""


@dataclass(frozen=True, slots=True)
class Token:
    """One step: `key` is what it is, by which two sections are laid side by side; `facts` what it says.

    `reply` are the facts of its reply, if it has one. `row` is where it stands, `rows` where a fact stands
    that stands elsewhere. A `mark` belongs to another
    section and only tells the place of what stands around it. `counted`: it means something how often
    it comes in a row; a guest masks and unmasks interrupts as it likes.
    """

    key: str
    facts: Mapping[str, FactText] = field(default_factory=dict)
    row: int | None = None
    mark: bool = False
    counted: bool = True
    reply: Mapping[str, FactText] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)

    def row_of(self, fact: str) -> int | None:
        """Where a fact stands."""
        return self.rows.get(fact, self.row)


ADDRESSES = {"descriptor", "used", "available", "log", "user_address", "iova", "mmap_offset", "fd_offset"}
# What a ring message is about anyway, and what other parts of a comparison tell.
TOLD = {"index", "nregions", "guest_address", "size"}
NEGOTIATED = {"features", "protocol_features"}


def token_of(exchange: Exchange) -> Token:
    """A request with its reply."""
    message, reply, device = exchange.message, exchange.reply, exchange.row.context.device
    facts, replied = dict(facts_of(message, device)), dict[str, FactText]()
    if message.spec.rule is ReplyRule.ALWAYS:
        facts["reply"] = "none" if reply is None else "yes"
        replied |= {f"reply {name}": fact for name, fact in facts_of(reply, device)} if reply else {}
    else:
        facts["acknowledged"] = acknowledged(message, reply, device)
    counted = message.spec.effect is not RingEffect.CALL
    return Token(key_of(message), facts, exchange.row.number, counted=counted, reply=replied)


def acknowledged(message: Message, reply: Message | None, device: Device) -> str:
    """Whether an acknowledgement was asked for, and what it was."""
    if reply is None:
        return "asked for, never answered" if message.need_reply else "not asked for"
    words = ", ".join(f"{name} {fact}" for name, fact in facts_of(reply, device)).removeprefix("status ")
    return words if message.need_reply else f"unasked: {words}"


def key_of(message: Message) -> str:
    """What a request is, with its value where that makes it another."""
    value = message.number_in(message.spec.key)
    return (
        message.name
        if value is None
        else f"{message.name} {value:#x}"
        if value > 9
        else f"{message.name} {value}"
    )


def facts_of(message: Message, device: Device) -> Iterator[tuple[str, FactText]]:
    if message.reply and message.flags != VERSION | REPLY:
        yield "flags", f"{message.flags:#x}"
    if message.frame.fds:
        yield "descriptors", kinds_of(message)
    if message.problems:
        yield "problems", "; ".join(map(str, message.problems))
    for name, (value, show) in values(message, device).items():
        plain = name.rpartition(".")[2]
        if plain in ADDRESSES or plain in NEGOTIATED or (plain in message.spec.unset and not message.reply):
            continue
        if plain in TOLD and (message.spec.ring or message.spec.memory):
            continue
        yield name, fact_of(value, show, device)
    yield from layout(message)


def fact_of(value: object, show: Show, device: Device) -> FactText:
    """One value in words."""
    if isinstance(value, int):
        match show.kind:
            case Kind.FEATURES:
                return frozenset(bit_names(value, VIRTIO_FEATURES, device.features))
            case Kind.FLAGS:
                return frozenset(bit_names(value, show.table))
            case Kind.VRING_BASE:
                return progress(value)
            case Kind.PARTS:
                return ", ".join(
                    f"{part.name} {part.of(value)}" for part in show.parts if part.name != "index"
                )
    return shown(show, value)


BEGINNING, FURTHER = "at its beginning", "moved on"
MOVED: set[FactText] = {BEGINNING, FURTHER}


def progress(base: int | None) -> str:
    """Whether a ring has gone on from its beginning; how far is the traffic's doing."""
    return "not set" if base is None else FURTHER if base & 0x7FFF else BEGINNING


def layout(message: Message) -> Iterator[tuple[str, FactText]]:
    """How the parts of a ring lie to each other."""
    descriptor = message.number_in("descriptor")
    if descriptor is not None:
        parts = ((name, (message.number_in(name) or 0) - descriptor) for name in ("available", "used"))
        yield "layout", ", ".join(f"{name} {distance:+#x}" for name, distance in parts)
