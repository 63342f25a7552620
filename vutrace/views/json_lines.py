"""One JSON object per row; the keys are fixed (design §6): more may come, none is renamed.

A capture may have a million rows: a line is written key by key, and the text of a small payload kept.
"""

import json
from collections.abc import Iterator
from functools import lru_cache

from vutrace.dissection.message import Message
from vutrace.protocol.layers import has_secrets
from vutrace.records import Event, connection_letter
from vutrace.session.context import RING_PACKED
from vutrace.views.objects import fd_object, names, raw_fields
from vutrace.views.sight import Sight
from vutrace.views.text import REDACTED

encode = json.JSONEncoder(default=str).encode
quoted = lru_cache(4096)(encode)  # names of messages, rings, phases: few, and on every row
letter = lru_cache(4096)(connection_letter)
KEPT, KEPT_BYTES = 4096, 128
BOOLEANS = {False: "false", True: "true"}


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
        row, frame, spec = sight.row, message.frame, message.spec
        latency = None if row.latency_ns is None else row.latency_ns / 1e9
        return (
            f'{{"number": {row.number}, "time": {row.since_first_ns / 1e9!r}, "time_ns": {frame.time_ns}, '
            f'"connection": "{letter(frame.connection)}", "session": {frame.session}, '
            f'"channel": "{frame.channel}", "sender": "{frame.sender}", "kind": "message", '
            f'"request": {spec.number}, "name": {quoted(spec.name)}, '
            f'"reply": {BOOLEANS[message.reply]}, "need_reply": {BOOLEANS[message.need_reply]}, '
            f'"ring": {known(row.ring)}, "ring_name": {quoted(row.ring_name)}, "size": {message.size}, '
            f"{self.payload(sight, message)}, "
            f'"fds": {encode([fd_object(info) for info in frame.fds]) if frame.fds else "[]"}, '
            f'"reply_to": {known(row.reply_to)}, "latency": {known(latency)}, '
            f'"phase": {quoted(row.phase)}, "loop": {quoted(row.loop)}, '
            f'"problems": {encode([problem.text for problem in sight.problems]) if sight.problems else "[]"}'
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
        hidden = has_secrets(message.layer) and not self.secrets
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
        "problems": [problem.text for problem in sight.problems],
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
