"""A payload as JSON values: `fields` are raw (bytes as hex digits), `names` beside them what they mean.

What is to be done with the fields of a layer is found out once per layer.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from vutrace.protocol.bits import bit_names
from vutrace.protocol.layers import Layer
from vutrace.protocol.shows import Kind, Show
from vutrace.session.context import RING_PACKED, Context
from vutrace.views.fields import FieldShow, shows_of
from vutrace.views.text import REDACTED, WORDS, feature_names, halves, text_of

Json = Any
Step = Callable[[dict[str, Any]], Any]
Plan = tuple[tuple[str, Step], ...]
Namer = Callable[[Any, Show, Context], Json]


@cache
def raw_plan(layer: type[Layer], secrets: bool) -> Plan:
    """The steps that make a layer's fields fit for JSON; none for a layer of mere numbers."""
    return tuple((field.name, step) for field in shows_of(layer) if (step := raw_step(field, secrets)))


def raw_step(field: FieldShow, secrets: bool) -> Step | None:
    """What is to be done with one field; the parts of a word join it as fields of their own."""
    name, kind = field.name, field.show.kind
    if kind is Kind.PAD:
        return lambda made: made.pop(name)
    if kind is Kind.SECRET and not secrets:
        return lambda made: made.update({name: REDACTED})
    if kind is Kind.PARTS:
        return lambda made: made.update(parts(made[name], field.show))
    if field.number:
        return None
    return lambda made: made.update({name: raw(made[name], field.inner, secrets)})


def parts(value: Any, show: Show) -> dict[str, int]:
    """A word's parts; none of a plug-in's value that is no word."""
    return {part.name: part.of(value) for part in show.parts} if isinstance(value, int) else {}


def raw(value: Any, layer: type[Layer] | None, secrets: bool) -> Json:
    """Bytes as hex digits, structures as objects."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [raw(item, layer, secrets) for item in value]
    return raw_fields(layer, value, secrets) if layer and isinstance(value, dict) else value


def raw_fields(layer: type[Layer], fields: Mapping[str, Any], secrets: bool) -> Mapping[str, Json]:
    """A layer's raw values."""
    plan = raw_plan(layer, secrets)
    if not plan:
        return fields
    made = dict(fields)
    for name, step in plan:
        if name in made:
            step(made)
    return made


@cache
def name_plan(layer: type[Layer]) -> tuple[FieldShow, ...]:
    """The fields of a layer that mean more than their value."""
    return tuple(filter(is_named, shows_of(layer)))


def is_named(field: FieldShow) -> bool:
    """Whether a field, or one inside it, has names."""
    return field.show.kind in NAMERS or bool(field.inner and name_plan(field.inner))


def names(layer: type[Layer], fields: Mapping[str, Any], context: Context) -> dict[str, Json]:
    """What the fields mean: names of bits and values, parts of words."""
    return {
        field.name: name_of(field, fields[field.name], context)
        for field in name_plan(layer)
        if field.name in fields
    }


def name_of(field: FieldShow, value: Any, context: Context) -> Json:
    """What one field means."""
    if field.inner is None:
        kind = WORDS[field.show.kind][0]
        name = NAMERS[field.show.kind] if isinstance(value, kind) else text_of
        return name(value, field.show, context)
    if isinstance(value, list):
        return [names(field.inner, item, context) for item in value]
    return names(field.inner, value, context) if isinstance(value, dict) else {}


def base_names(value: int, _show: Show, context: Context) -> Json:
    """A ring's next index; for a packed ring two, with their wrap counters."""
    if not context.has_feature(RING_PACKED):
        return {"avail": value}
    return {
        key: number
        for name, half in halves(value).items()
        for key, number in ((name, half & 0x7FFF), (f"{name}_wrap", half >> 15))
    }


NAMERS: Mapping[Kind, Namer] = {
    Kind.FLAGS: lambda value, show, context: bit_names(value, show.table),
    Kind.FEATURES: lambda value, show, context: feature_names(value, context.device),
    Kind.PARTS: lambda value, show, context: parts(value, show),
    Kind.VRING_BASE: base_names,
    **dict.fromkeys((Kind.ENUM, Kind.ACK, Kind.MAC, Kind.TEXT, Kind.UUID), text_of),
}
