"""The tables behind `vutrace list`: one dict per line, ready for tabulate or JSON."""

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from vutrace.dissection.conflicts import conflicts
from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry
from vutrace.protocol import bits
from vutrace.protocol.layers import Array, Empty, Fixed, Layer, Listed, Nested, Number, Tail, size_of, title
from vutrace.protocol.messages import TABLES, heading, resolve
from vutrace.protocol.shows import Kind, Show
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.views.fields import shows_of
from vutrace.views.text import count, printable

Line = dict[str, Any]

RINGS_SHOWN = 4
INTEGERS = {"B": "u8", "H": "u16", "I": "u32", "Q": "u64", "b": "i8", "h": "i16", "i": "i32", "q": "i64"}


def messages(registry: Registry) -> Iterator[Line]:
    """Every message of every channel, vendors' messages behind the spec's."""
    for tables in (TABLES, registry.messages):
        for channel, table in tables.items():
            for spec in table.values():
                yield message(channel, spec)


def message(channel: Channel, spec: MessageSpec) -> Line:
    """One row of a message table."""
    return {
        "number": spec.number,
        "name": spec.name,
        "channel": str(channel),
        "aliases": list(spec.aliases),
        "request": layouts(resolve(spec.request)),
        "reply": layouts(resolve(spec.reply)),
        "replied": spec.rule.value,
        "fds": spec.fds.value,
        "reply_fds": spec.reply_fds.value,
        "gate": spec.gate,
        "ring": spec.ring,
        "once": spec.once,
        "since": spec.since,
        "heading": heading(channel, spec),
        "note": spec.note,
    }


def layouts(payload: Iterable[type[Layer]]) -> list[str]:
    """The layouts seen in the wild, with their sizes in bytes."""
    return [f"{title(layer)} ({length(layer)})" for layer in payload if layer is not Empty]


def length(layer: type[Layer]) -> str:
    """A layer's size in bytes; n for the items of a list, + for bytes without bound."""
    text = str(size_of(layer))
    for field in layer.fields_desc:
        if isinstance(field, Listed):
            text += f"+{size_of(field.layer)}n"
        elif isinstance(field, Tail):
            text += "+"
    return text


def features(devices: Iterable[Device]) -> Iterator[Line]:
    """Every bit of every bit space; the virtio bits of `devices` behind the generic ones."""
    protocol, virtio = bits.PROTOCOL_FEATURE_ALIASES, bits.VIRTIO_FEATURE_ALIASES
    yield from feature_lines("protocol", bits.PROTOCOL_FEATURES, protocol)
    yield from feature_lines("virtio", bits.VIRTIO_FEATURES, virtio, bits.LEGACY_FEATURES)
    for device in devices:
        yield from feature_lines(device.name, device.features, {}, device.legacy)
    yield from feature_lines("status", bits.DEVICE_STATUS, {})
    yield from feature_lines("gpu protocol", bits.GPU_PROTOCOL_FEATURES, {})


def feature_lines(
    space: str, table: bits.Bits, aliases: Mapping[int, tuple[str, ...]], legacy: Set[int] = frozenset()
) -> Iterator[Line]:
    """The bits of one space; `legacy` are those that older drivers alone use."""
    for bit, name in table.items():
        yield {
            "space": space,
            "bit": bit,
            "mask": f"{1 << bit:#x}",
            "name": name,
            "aliases": list(aliases.get(bit, ())),
            "note": "legacy" if bit in legacy else "",
        }


def devices(registry: Registry) -> Iterator[Line]:
    """Every device that a dissector knows."""
    for device in registry.devices:
        yield {
            "name": device.name,
            "virtio_id": device.number or None,
            "config_size": size_of(device.config) if device.config else None,
            "rings": ring_names(device),
            "feature_bits": list(device.features.values()),
        }


def ring_names(device: Device) -> list[str]:
    """What the first rings are called before any feature is negotiated."""
    try:
        return [printable(device.ring_name(index, 0)) for index in range(RINGS_SHOWN)]
    except Exception as error:  # a plug-in may raise anything
        return [f"{type(error).__name__}: {error}"]


def dissectors(registry: Registry) -> Iterator[Line]:
    """Every plug-in: where it is from and what it claims; those that failed, and why."""
    for plugin in (*registry.plugins.values(), *registry.shadowed):
        yield {
            "name": plugin.device.name,
            "version": plugin.version,
            "origin": plugin.origin,
            "claims": claims(plugin),
            "conflicts": conflicts(registry, plugin),
            "failure": "",
        }
    for failed in registry.failures:
        reason = printable(failed.reason)
        told = {"claims": [], "conflicts": [], "failure": reason}
        yield {"name": failed.name, "version": "", "origin": failed.origin, **told}


def claims(plugin: Plugin) -> list[str]:
    """What a plug-in dissects."""
    device = plugin.device
    own = [spec.name for table in device.messages.values() for spec in table.values()]
    told = [
        f"virtio id {device.number}" if device.number else "",
        count(len(device.features), "feature bit") if device.features else "",
        f"{size_of(device.config)} bytes of configuration space" if device.config else "",
        f"messages {', '.join(own)}" if own else "",
    ]
    return [text for text in told if text]


def fields(registry: Registry) -> Iterator[Line]:
    """Every field of every layer: payloads, the structures in them, configuration spaces."""
    for layer in dict.fromkeys(layers(registry)):
        for field, shown in zip(layer.fields_desc, shows_of(layer), strict=True):
            yield {
                "layer": title(layer),
                "field": field.name,
                "type": type_of(field),
                "offset": shown.start,
                "size": shown.size or None,
                "meaning": meaning(shown.show),
            }


def layers(registry: Registry) -> Iterator[type[Layer]]:
    """Every layer that can be met, those inside others right behind them."""
    for tables in (TABLES, registry.messages):
        for table in tables.values():
            for spec in table.values():
                for layer in resolve((*spec.request, *spec.reply)):
                    yield from with_inner(layer)
    for device in registry.devices:
        if device.config:
            yield from with_inner(device.config)


def with_inner(layer: type[Layer]) -> Iterator[type[Layer]]:
    """A layer and those inside it."""
    yield layer
    for field in layer.fields_desc:
        if isinstance(field, Nested | Listed):
            yield from with_inner(field.layer)


def type_of(field: Any) -> str:
    """A field's type, as layers are written with it."""
    match field:
        case Number():
            name = INTEGERS[field.code]
            return name.replace("u", {"": "u", "<": "le", ">": "be"}[field.order], 1)
        case Array():
            return f"{field.count} × {INTEGERS[field.code]}"
        case Nested():
            return title(field.layer)
        case Listed():
            return f"{field.count} × {title(field.layer)}"
        case Fixed():
            return "bytes"
        case Tail():
            return "the bytes that are left"
    return type(field).__name__


def meaning(show: Show) -> str:
    """What a field's values stand for."""
    match show.kind:
        case Kind.FLAGS | Kind.ENUM:
            return f"{show.kind.value}: " + ", ".join(f"{key} {name}" for key, name in show.table.items())
        case Kind.PARTS:
            return ", ".join(f"{part.name} {part.mask:#x}" for part in show.parts)
        case Kind.DEC:
            return show.unit
    return str(show.kind.value)
