"""One JSON object per row; the keys are fixed (design §6): more may come, none is renamed.

`fields` holds raw values (bytes as hex digits), `names` beside it what they mean. What is to be done
with the fields of a layer is found out once per layer, because a capture may have a million rows.
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
from vutrace.protocol.spec import NEED_REPLY, REPLY
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
quoted = lru_cache(4096)(encode)  # names of messages, rings, phases: few, and on every row
letter = lru_cache(4096)(connection_letter)
KEPT, KEPT_BYTES = 4096, 128
WORDS = {False: "false", True: "true"}


class JsonLines:
    """Formats sights as JSON; `secrets` gives keys and host pointers too."""

    def __init__(self, secrets: bool = False) -> None:
        self.secrets = secrets
        self._payloads: dict[tuple[object, ...], str] = {}

    def heading(self) -> Iterator[str]:
        """Nothing stands above the first object."""
        return iter(())

    def lines(self, sight: Sight) -> Iterator[str]:
        """The row's line."""
        what = sight.row.what
        yield event_line(sight, what) if isinstance(what, Event) else self.message_line(sight, what)

    def message_line(self, sight: Sight, message: Message) -> str:
        """A message. Written key by key, since an encoder takes three times as long for the whole."""
        row, frame, spec, flags = sight.row, message.frame, message.spec, message.flags
        latency = None if row.latency_ns is None else row.latency_ns / 1e9
        return (
            f'{{"number": {row.number}, "time": {row.since_first_ns / 1e9!r}, "time_ns": {frame.time_ns}, '
            f'"connection": "{letter(frame.connection)}", "session": {frame.session}, '
            f'"channel": "{frame.channel}", "sender": "{frame.sender}", "kind": "message", '
            f'"request": {spec.number}, "name": {quoted(spec.name)}, '
            f'"reply": {WORDS[flags & REPLY > 0]}, "need_reply": {WORDS[flags & NEED_REPLY > 0]}, '
            f'"ring": {known(message.ring)}, "ring_name": {quoted(row.ring_name)}, "size": {message.size}, '
            f"{self.payload(sight, message)}, "
            f'"fds": {encode([fd(info) for info in frame.fds]) if frame.fds else "[]"}, '
            f'"reply_to": {known(row.reply_to)}, "latency": {known(latency)}, '
            f'"phase": {quoted(row.phase)}, "loop": {quoted(row.loop)}, '
            f'"problems": {encode(sight.problems) if sight.problems else "[]"}'
            f"{self.rest(message) if message.rest else ''}{added(sight)}}}"
        )

    def payload(self, sight: Sight, message: Message) -> str:
        """`fields` and `names`. The same small payloads come again and again: their text is kept."""
        context, frame = sight.row.context, message.frame
        if sight.config or len(frame.data) > KEPT_BYTES:
            return self.payload_text(sight, message)
        read_by = context.device.name, context.has_feature(RING_PACKED), frame.big_endian
        key = (message.layer, message.spec.name, frame.data, *read_by)
        text = self._payloads.get(key)
        if text is None:
            if len(self._payloads) >= KEPT:
                self._payloads.clear()
            text = self._payloads[key] = self.payload_text(sight, message)
        return text

    def payload_text(self, sight: Sight, message: Message) -> str:
        """The raw values and what they mean, with those of the configuration space."""
        fields = raw_fields(message.layer, message.fields, self.secrets)
        named = names(message.layer, message.fields, sight.row.context)
        if sight.config and sight.layout:
            fields = {**fields, "config": raw_fields(sight.layout, sight.config, self.secrets)}
            named = {**named, "config": names(sight.layout, sight.config, sight.row.context)}
        return f'"fields": {encode(fields)}, "names": {encode(named)}'

    def rest(self, message: Message) -> str:
        """The bytes behind the fields; in a message with secrets they may be some."""
        hidden = secret_from(message.layer) is not None and not self.secrets
        return f', "rest": {encode(REDACTED if hidden else message.rest.hex())}'


def event_line(sight: Sight, event: Event) -> str:
    """Something that happened, with the keys of a message."""
    row = sight.row
    made = {
        "number": row.number,
        "time": row.since_first_ns / 1e9,
        "time_ns": event.time_ns,
        "connection": letter(event.connection),
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
    return f"{encode(made)[:-1]}{added(sight)}}}"


def added(sight: Sight) -> str:
    """The keys that only some rows have: the device where it became known, its dissector's notes."""
    text = ""
    if sight.device:
        text += f', "device": {encode({"name": sight.device.name, "reason": sight.row.context.reason})}'
    return f'{text}, "notes": {encode(sight.notes)}' if sight.notes else text


def known(number: float | None) -> str:
    """A number, or null."""
    return "null" if number is None else repr(number)


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
