"""One message of the tables in full: layout, replies, descriptors, gates, and where in the spec."""

from collections.abc import Iterable, Iterator

from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES
from vutrace.protocol.layers import Layer, Listed, Tail, size_of, title
from vutrace.protocol.messages import PREFIX, TABLES, heading, resolve
from vutrace.protocol.shows import Kind, Show
from vutrace.protocol.spec import FdRule, MessageSpec, ReplyRule
from vutrace.protocol.wire import REQUESTER
from vutrace.records import Channel
from vutrace.views.fields import FieldShow, shows_of

DOCUMENTS = {Channel.GPU: "vhost-user-gpu.rst"}
NAMES_SHOWN = 4

KINDS = {
    Kind.SIZE: "bytes",
    Kind.FEATURES: "virtio feature bits",
    Kind.RING: "vring index",
    Kind.VRING_BASE: "next index; two indexes with wrap counters when packed",
    Kind.ACK: "0 is success",
    Kind.MAC: "Ethernet address",
    Kind.TEXT: "NUL-padded text",
    Kind.UUID: "UUID",
    Kind.CONFIG: "configuration space, as the device has it",
    Kind.SECRET: "secret: shown only with --secrets",
    Kind.PAD: "without meaning",
}


def message(channel: Channel, spec: MessageSpec) -> Iterator[str]:
    """The message in lines: its name first, what is to be known of it below."""
    sender = REQUESTER[channel]
    yield f"{spec.name}: request {spec.number}, {sender.words} to {sender.peer.words} ({channel} channel)"
    yield from headed(sections(channel, spec))


def headed(parts: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    """Lines under their headings; a heading without lines is left out."""
    for name, texts in parts:
        for number, text in enumerate(texts):
            yield f"  {'' if number else name:<9} {text}".rstrip()


def sections(channel: Channel, spec: MessageSpec) -> Iterator[tuple[str, list[str]]]:
    """What there is to say, under headings."""
    yield "also", [", ".join([PREFIX + spec.name, *spec.aliases])] if in_spec(channel, spec) else []
    yield "request", list(layouts(resolve(spec.request)))
    yield "reply", list(reply(spec))
    yield "fds", [fds(spec)]
    yield "needs", [gate(spec)] if spec.gate else []
    yield "sent", [f"by QEMU since {spec.since}"] if spec.since else []
    yield "once", [f"QEMU since {spec.once}: once per device, not per queue pair"] if spec.once else []
    yield "note", [spec.note] if spec.note else []
    yield "spec", [source(channel, spec)]


def in_spec(channel: Channel, spec: MessageSpec) -> bool:
    """Whether a message is the spec's own."""
    return TABLES[channel].get(spec.number) is spec and not spec.heading


def source(channel: Channel, spec: MessageSpec) -> str:
    """Where a message is described."""
    if in_spec(channel, spec):
        return f'{DOCUMENTS.get(channel, "vhost-user.rst")}, "{heading(channel, spec)}"'
    return f"not in it: {spec.heading or 'a message that a plug-in adds'}"


def layouts(payload: Iterable[type[Layer]]) -> Iterator[str]:
    """Every layout that a payload has in the wild."""
    for number, layer in enumerate(payload):
        yield ("or " if number else "") + f"{title(layer)}{length(layer)}"
        yield from (f"  {line}" for line in fields(layer))


def length(layer: type[Layer]) -> str:
    """How long a layer is, in words."""
    size = size_of(layer)
    varies = any(isinstance(field, Tail | Listed) for field in layer.fields_desc)
    return f", {size} bytes{' or more' if varies else ''}" if size or varies else ""


def fields(layer: type[Layer]) -> Iterator[str]:
    """Offset, size and name of each field, and how it is meant."""
    for field in shows_of(layer):
        size = field.size or "…"
        words = f"{meaning(field.show)}" or inside(field)
        yield f"{'…' if field.start is None else field.start:>4} {size:>4}  {field.name:<18} {words}".rstrip()


def inside(field: FieldShow) -> str:
    """What a nested structure is."""
    return f"{title(field.inner)}, {size_of(field.inner)} bytes each" if field.inner else ""


def meaning(show: Show) -> str:
    """How a field's value is to be read."""
    if show.kind is Kind.PARTS:
        return ", ".join(f"{part.name} {part.mask:#x}" for part in show.parts)
    if show.kind is Kind.ENUM:
        return first_names([f"{value} {name}" for value, name in show.table.items()])
    if show.kind is Kind.FLAGS:
        return first_names([f"bit {bit} {name}" for bit, name in show.table.items()])
    return show.unit or KINDS.get(show.kind, "")


def first_names(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = [f"{len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else []
    return ", ".join(names[:NAMES_SHOWN] + more)


def reply(spec: MessageSpec) -> Iterator[str]:
    """When it is answered, and with what."""
    yield spec.rule.value
    if spec.rule is ReplyRule.ACK:
        yield "then a u64: 0 is success, anything else an error"
    if spec.reply:
        yield from layouts(resolve(spec.reply))


def fds(spec: MessageSpec) -> str:
    """The descriptors that come along, both ways."""
    back = f"; with the reply: {spec.reply_fds.value}" if spec.reply_fds is not FdRule.NONE else ""
    return spec.fds.value + back


def gate(spec: MessageSpec) -> str:
    """The feature without which it may not be sent."""
    for space, table in (("protocol feature", PROTOCOL_FEATURES), ("virtio feature", VIRTIO_FEATURES)):
        for bit, name in table.items():
            if name == spec.gate:
                return f"{space} {name} (bit {bit}, {1 << bit:#x})"
    return f"feature {spec.gate}"
