"""One JSON object per row; the keys are fixed (design §6): more may come, none is renamed.

`fields` holds raw values (bytes as hex digits), `names` beside it what they mean. The object's parts
that do not depend on the row are prepared per layer, because a capture may have a million rows.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache, lru_cache
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.bits import bit_names
from vutrace.protocol.layers import Layer
from vutrace.protocol.shows import Kind, Show
from vutrace.records import Event, FdInfo, connection_letter
from vutrace.session.context import RING_PACKED, Context
from vutrace.views.fields import FieldShow, secret_from, shows_of
from vutrace.views.sight import Sight
from vutrace.views.text import REDACTED, feature_names, halves, text_of

Json = Any
Step = Callable[[dict[str, Any]], Any]
Plan = tuple[tuple[str, Step], ...]
Namer = Callable[[Any, Show, Context], Json]

encode = json.JSONEncoder(default=str).encode


class JsonLines:
    """Formats sights as JSON; `secrets` gives keys and host pointers too."""

    def __init__(self, secrets: bool = False) -> None:
        self.secrets = secrets

    def heading(self) -> Iterator[str]:
        """Nothing stands above the first object."""
        return iter(())

    def lines(self, sight: Sight) -> Iterator[str]:
        """The row's line."""
        yield encode(self.object(sight))

    def object(self, sight: Sight) -> dict[str, Json]:
        """The row as a JSON object."""
        what = sight.row.what
        made = self.event(sight, what) if isinstance(what, Event) else self.message(sight, what)
        if sight.device:
            made["device"] = {"name": sight.device.name, "reason": sight.row.context.reason}
        if sight.notes:
            made["notes"] = sight.notes
        return made

    def event(self, sight: Sight, event: Event) -> dict[str, Json]:
        """Something that happened."""
        row = sight.row
        return {
            "number": row.number,
            "time": row.since_first_ns / 1e9,
            "time_ns": event.time_ns,
            "connection": connection_letter(event.connection),
            "session": event.session,
            "channel": event.channel,
            "sender": event.sender,
            "kind": "event",
            "request": None,
            "name": event.kind,
            "reply": False,
            "need_reply": False,
            "ring": None,
            "ring_name": "",
            "size": 0,
            "fields": dict(event.attributes),
            "names": {},
            "fds": [],
            "reply_to": None,
            "latency": None,
            "phase": row.phase,
            "loop": row.loop,
            "problems": sight.problems,
            "text": event.text,
        }

    def message(self, sight: Sight, message: Message) -> dict[str, Json]:
        """A message."""
        row, frame = sight.row, message.frame
        made: dict[str, Json] = {
            "number": row.number,
            "time": row.since_first_ns / 1e9,
            "time_ns": frame.time_ns,
            "connection": connection_letter(frame.connection),
            "session": frame.session,
            "channel": frame.channel,
            "sender": frame.sender,
            "kind": "message",
            "request": message.spec.number,
            "name": message.spec.name,
            "reply": message.reply,
            "need_reply": message.need_reply,
            "ring": message.ring,
            "ring_name": row.ring_name,
            "size": message.size,
            "fields": raw_fields(message.layer, message.fields, self.secrets),
            "names": names(message.layer, message.fields, row.context),
            "fds": [fd(info) for info in frame.fds] if frame.fds else [],
            "reply_to": row.reply_to,
            "latency": None if row.latency_ns is None else row.latency_ns / 1e9,
            "phase": row.phase,
            "loop": row.loop,
            "problems": sight.problems,
        }
        if message.rest:
            hidden = secret_from(message.layer) is not None and not self.secrets
            made["rest"] = REDACTED if hidden else message.rest.hex()
        layout = sight.layout
        if sight.config and layout:
            made["fields"] = made["fields"] | {"config": raw_fields(layout, sight.config, self.secrets)}
            made["names"] = made["names"] | {"config": names(layout, sight.config, row.context)}
        return made


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
        return lambda made: made.update({part.name: part.of(made[name]) for part in field.show.parts})
    if field.number:
        return None
    return lambda made: made.update({name: raw(made[name], field.inner, secrets)})


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
        return NAMERS[field.show.kind](value, field.show, context)
    if isinstance(value, list):
        return [names(field.inner, item, context) for item in value]
    return names(field.inner, value, context)


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
    Kind.PARTS: lambda value, show, context: {part.name: part.of(value) for part in show.parts},
    Kind.VRING_BASE: base_names,
    **dict.fromkeys((Kind.ENUM, Kind.ACK, Kind.MAC, Kind.TEXT, Kind.UUID), text_of),
}


@lru_cache(4096)
def fd(info: FdInfo) -> dict[str, Json]:
    """A descriptor: what is known of it."""
    return {name: value for name in FD_KEYS if (value := getattr(info, name)) not in (None, "")}


FD_KEYS = tuple(each.name for each in fields(FdInfo))
