"""Everything there is to know of a row: header, fields with their meaning, bits one by one, descriptors."""

from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import chain
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.bits import (
    LEGACY_FEATURES,
    PROTOCOL_FEATURE_ALIASES,
    PROTOCOL_FEATURES,
    VIRTIO_FEATURE_ALIASES,
    VIRTIO_FEATURES,
    Bits,
    bit_names,
    bit_numbers,
)
from vutrace.protocol.layers import Layer, has_secrets, title
from vutrace.protocol.shows import Kind, Show
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import UNKNOWN_WORDS, Channel, Event, FrameFlag, Sample
from vutrace.session.context import Context
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.descriptors import facts, identity
from vutrace.views.fields import FieldShow, shows_of
from vutrace.views.samples import sample_lines
from vutrace.views.text import REDACTED, flag_words, hex_of, printable, text_of

STEP = "  "
BYTES_SHOWN = 64
Fields = Mapping[str, Any]


class Tree:
    """Lines below a row; `secrets` shows keys and host pointers too."""

    def __init__(self, secrets: bool = False) -> None:
        self.secrets = secrets

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The tree of a message or an event; names may be a stranger's, hence made printable."""
        what = shown.row.what
        if isinstance(what, Sample):
            told = sample_lines(shown.row)
        else:
            told = attributes(what) if isinstance(what, Event) else self.message(shown, what)
        problems = (f"! {problem.text} [{problem.name}, {problem.severity}]" for problem in shown.problems)
        return map(printable, chain(told, problems))

    def message(self, shown: AnnotatedRow, message: Message) -> Iterator[str]:
        """Header, place, payload, descriptors."""
        row, frame = shown.row, message.frame
        if not is_headless(message):
            yield header(message)
        yield place(row, message)
        yield from unknown(message)
        yield from self.fields(message.layer, message.fields, row, offers(message, row.context))
        if shown.config and shown.layout:
            yield f"{title(shown.layout)}:"
            yield from indent(self.fields(shown.layout, shown.config, row))
        if message.rest:
            hidden = has_secrets(message.layer) and not self.secrets
            rest = REDACTED if hidden else hex_of(message.rest, BYTES_SHOWN)
            yield f"{len(message.rest)} more bytes: {rest}"
        for number, info in enumerate(frame.fds):
            yield f"descriptor {number}: {identity(info)}"
            yield from indent(facts(info, shown.names))

    def fields(
        self, layer: type[Layer], fields: Fields, row: Row, offered: Mapping[str, int] | None = None
    ) -> Iterator[str]:
        """A layer's fields, as far as there are any."""
        for field in shows_of(layer):
            if field.name in fields and field.show.kind is not Kind.PAD:
                yield from self.field(field, fields[field.name], row, (offered or {}).get(field.name))

    def field(self, field: FieldShow, value: Any, row: Row, offered: int | None) -> Iterator[str]:
        """One field: a value, a structure, or several."""
        if field.inner and isinstance(value, dict):
            yield f"{field.name}:"
            yield from indent(self.fields(field.inner, value, row))
        elif field.inner and isinstance(value, list):
            for number, item in enumerate(value):
                yield f"{field.name}[{number}]:"
                yield from indent(self.fields(field.inner, item, row))
        elif isinstance(value, list):
            yield from numbered(field, value, row.context)
        else:
            yield f"{field.name}: {self.value(value, field.show, row)}"
            yield from indent(below(value, field.show, row.context, offered))

    def value(self, value: Any, show: Show, row: Row) -> str:
        """A value as it is, and what it means where that is more."""
        if show.kind is Kind.SECRET:
            return raw(value) if self.secrets else REDACTED
        if isinstance(value, int) and show.kind in LISTED:
            return f"{value:#x}"
        if show.kind is Kind.RING:
            return f"{value} ({row.ring_name})" if row.ring_name else str(value)
        meaning = text_of(value, show, row.context)
        if not isinstance(value, int) or show.kind is Kind.HEX:
            return meaning
        return meaning if meaning.startswith(raw(value)) else f"{raw(value)} ({meaning})"


def attributes(event: Event) -> Iterator[str]:
    """The named facts of an event."""
    return (f"{name}: {text}" for name, text in event.attributes.items())


LISTED = {Kind.FLAGS, Kind.FEATURES, Kind.PARTS}


def raw(value: Any) -> str:
    """A value without its meaning."""
    return hex_of(value, BYTES_SHOWN) if isinstance(value, bytes) else str(value)


def indent(lines: Iterable[str]) -> Iterator[str]:
    """Lines one step to the right."""
    return (STEP + line for line in lines)


def is_headless(message: Message) -> bool:
    """Whether the bytes are no message with a header."""
    return len(message.frame.data) < HEADER_SIZE or bool(message.frame.flags & FrameFlag.RAW)


def header(message: Message) -> str:
    """The twelve bytes before the payload."""
    named = flag_words(message.flags, versioned=message.channel is not Channel.GPU)
    told = not message.frame.flags & FrameFlag.FLAGS_UNKNOWN
    flags = f"{message.flags:#x} ({named})" if told else "unknown" + ", a reply" * message.reply
    size = "unknown" if message.size_unknown else message.size
    return f"header: request {message.request}, flags {flags}, size {size}"


def unknown(message: Message) -> Iterator[str]:
    """What the source of an import did not tell."""
    flags = message.frame.flags.unknown
    words = [word for each, word in UNKNOWN_WORDS.items() if flags & each]
    if words:
        yield f"not known: {', '.join(words)}"


def place(row: Row, message: Message) -> str:
    """Where the message belongs."""
    words = [
        f"session {message.frame.session}",
        f"{message.channel} channel, from the {message.frame.sender.words}",
    ]
    words += [f"phase {row.phase}"] if row.phase else []
    words += [f"loop {row.loop}"] if row.loop else []
    return ", ".join(words)


def numbered(field: FieldShow, values: list[Any], context: Context) -> Iterator[str]:
    """An array's items that are not zero."""
    for number, value in enumerate(values):
        if value:
            yield f"{field.name}[{number}]: {text_of(value, field.show, context)}"


def offers(message: Message, context: Context) -> Mapping[str, int]:
    """What a mask that acknowledges is to be compared with."""
    if message.reply:
        return {}
    known = {"features": context.offered, "protocol_features": context.protocol_offered}
    return {name: mask for name, mask in known.items() if mask is not None}


def below(value: Any, show: Show, context: Context, offered: int | None) -> Iterator[str]:
    """The bits or parts of a word, one to a line."""
    if not isinstance(value, int):
        return
    if show.kind is Kind.PARTS:
        yield from (f"{part.name}: {part.of(value)}" for part in show.parts)
    elif show.kind is Kind.FLAGS:
        yield from bit_lines(value, offered, (show.table,), aliases_of(show.table))
    elif show.kind is Kind.FEATURES:
        tables = (VIRTIO_FEATURES, context.device.features)
        legacy = LEGACY_FEATURES | context.device.legacy
        yield from bit_lines(value, offered, tables, VIRTIO_FEATURE_ALIASES, legacy)


def aliases_of(table: Bits) -> Mapping[int, tuple[str, ...]]:
    """Older names of the bits in a table."""
    return PROTOCOL_FEATURE_ALIASES if table is PROTOCOL_FEATURES else {}


def bit_lines(
    mask: int,
    offered: int | None,
    tables: tuple[Bits, ...],
    aliases: Mapping[int, tuple[str, ...]],
    legacy: Set[int] = frozenset(),
) -> Iterator[str]:
    """One line for each bit that is set or was offered."""
    for bit in bit_numbers(mask | (offered or 0)):
        name = bit_names(1 << bit, *tables)[0]
        known = (*aliases.get(bit, ()), *["legacy"] * (bit in legacy))
        also = f" ({', '.join(known)})" if known else ""
        yield mark(mask >> bit & 1, None if offered is None else offered >> bit & 1, f"{bit:>2} {name}{also}")


def mark(taken: int, offered: int | None, text: str) -> str:
    """A bit with a sign for what became of its offer."""
    if offered is None or (taken and offered):
        return f"  {text}"
    return f"- {text}: offered, not acknowledged" if offered else f"+ {text}: acknowledged, not offered"
