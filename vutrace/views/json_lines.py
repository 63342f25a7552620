"""One JSON object per row; the keys are fixed (design §6): more may come, none is renamed.

A capture may have a million rows: a line is written key by key, and what a short message says is kept.
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

from vutrace.dissection.kept import Kept
from vutrace.dissection.message import Message
from vutrace.protocol.layers import has_secrets
from vutrace.records import (
    UNKNOWN_WORDS,
    Acted,
    Event,
    FdInfo,
    Frame,
    FrameFlag,
    Sample,
    Side,
    connection_letter,
)
from vutrace.rules.findings import PlacedProblem, is_wrong
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.findings.objects import finding
from vutrace.views.objects import names, raw_fields
from vutrace.views.samples import ring_object
from vutrace.views.text import REDACTED

encode = json.JSONEncoder(default=str).encode
quoted = lru_cache(4096)(encode)  # names of messages, rings, phases: few, and on every row
letter = lru_cache(4096)(connection_letter)
SCHEMA = "row-1"  # docs/schemas
FD_KEYS = tuple(each.name for each in fields(FdInfo))
fd_values = attrgetter(*FD_KEYS)
UNANSWERED = '"reply_to": null, "latency": null'
BOOLEANS = {False: "false", True: "true"}


class JsonLines:
    """Formats annotated rows as JSON; `secrets` gives keys and host pointers too, `file` is on each.

    The first has the version of the schema, too.
    """

    def __init__(self, secrets: bool = False, file: str = "") -> None:
        self.secrets = secrets
        self._file = f'"file": {encode(file)}, ' if file else ""
        self._lead = f'"schema": "{SCHEMA}", {self._file}'
        self._contents: Kept[tuple[object, ...], str] = Kept()

    def heading(self) -> Iterator[str]:
        """Nothing stands above the first object."""
        return iter(())

    def lines(self, shown: AnnotatedRow) -> Iterator[str]:
        """The row's line."""
        what = shown.row.what
        line = event_line(shown, what) if isinstance(what, Event) else self.message_line(shown, what)
        lead, self._lead = self._lead, self._file
        return iter((f"{{{lead}{line[1:]}" if lead else line,))

    def message_line(self, shown: AnnotatedRow, message: Message) -> str:
        """A message. Written key by key, since an encoder takes three times as long for the whole."""
        row, frame = shown.row, message.frame
        return (
            f'{{"number": {row.number}, {times(row, frame)}, '
            f'"connection": "{letter(frame.connection)}", "session": {frame.session}, '
            f"{self.content(shown, message)}, "
            f'"fds": {fd_list(frame.fds) if frame.fds else "[]"}, '
            f"{answered(row) if row.request else UNANSWERED}, "
            f'"phase": {quoted(row.phase)}, "loop": {quoted(row.loop)}, '
            f"{problems(shown) if shown.problems else NO_PROBLEMS}"
            f"{self.rest(message) if message.rest else ''}{unknown(message) if frame.flags else ''}"
            f"{self.acted(frame.acted, row.came) if frame.acted else ''}{added(shown)}}}"
        )

    def content(self, shown: AnnotatedRow, message: Message) -> str:
        """From `channel` to `names`: what its bytes say, kept for the next message of the same."""
        if shown.config or message.content is None:
            return self.content_text(shown, message)
        row = shown.row
        key = message.content, row.context, row.ring, row.ring_name
        text = self._contents.get(key)
        return text or self._contents.keep(key, self.content_text(shown, message))

    def content_text(self, shown: AnnotatedRow, message: Message) -> str:
        """From `channel` to `names`."""
        row = shown.row
        return (
            f'"channel": "{message.channel}", "sender": "{message.frame.sender}", "kind": "message", '
            f'"request": {message.request}, "name": {quoted(message.name)}, '
            f'"reply": {BOOLEANS[message.reply]}, "need_reply": {asks(message)}, '
            f'"ring": {known(row.ring)}, "ring_name": {quoted(row.ring_name)}, "size": {length(message)}, '
            f"{self.payload(shown, message)}"
        )

    def payload(self, shown: AnnotatedRow, message: Message) -> str:
        """The raw values and what they mean, with those of the configuration space."""
        values = raw_fields(message.layer, message.fields, self.secrets)
        named = names(message.layer, message.fields, shown.row.context)
        if shown.config and shown.layout:
            values = {**values, "config": raw_fields(shown.layout, shown.config, self.secrets)}
            named = {**named, "config": names(shown.layout, shown.config, shown.row.context)}
        return f'"fields": {encode(values)}, "names": {encode(named)}'

    def acted(self, acted: Acted, came: Message | None) -> str:
        """What a rule did, and where it changed something the message as it came."""
        made: dict[str, object] = {"deed": acted.deed, "rule": acted.rule, "came_time_ns": acted.came_ns}
        if came:
            made |= {"size": came.size, "fields": raw_fields(came.layer, came.fields, self.secrets)}
        fds = f', "fds": {fd_list(came.frame.fds)}' if came else ""
        return f', "acted": {encode(made)[:-1]}{fds}}}'

    def rest(self, message: Message) -> str:
        """The bytes behind the fields; in a message with secrets they may be some."""
        hidden = has_secrets(message.layer) and not self.secrets
        return f', "rest": {encode(REDACTED if hidden else message.rest.hex())}'


def event_line(shown: AnnotatedRow, event: Event) -> str:
    """Something that happened, with the keys of a message."""
    row = shown.row
    made: dict[str, object] = {
        "number": row.number,
        "time": row.since_first_ns / 1e9 if row.timed else None,
        "time_ns": event.time_ns if row.timed else None,
        "time_ns_text": str(event.time_ns) if row.timed else None,
        "connection": letter(event.connection),
        "session": event.session,
        "channel": event.channel,
        "sender": event.sender,
        "kind": "sample" if isinstance(event, Sample) else "event",
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
    }
    text = f'"text": {encode(event.text)}'
    if isinstance(event, Sample):
        text += f', "samples": {encode([ring_object(row, moved) for moved in row.changes.moved])}'
        text += f', "log": {encode(event.log._asdict())}' if event.log else ""
    return f"{encode(made)[:-1]}, {problems(shown)}, {text}{added(shown)}}}"


NO_PROBLEMS = '"problems": [], "findings": []'


def problems(shown: AnnotatedRow) -> str:
    """What is wrong, as texts; and all findings, those that are only worth knowing among them."""
    row = shown.row
    texts = [problem.text for problem in shown.problems if is_wrong(problem)]
    found = [
        finding(PlacedProblem(problem, row.number, row.connection, row.session)) for problem in shown.problems
    ]
    return f'"problems": {encode(texts)}, "findings": {encode(found)}'


def added(shown: AnnotatedRow) -> str:
    """The keys that only some rows have.

    The device where it became known, its dissector's notes, a connection's two sockets on its first row, the
    row of the IOTLB miss that an update ends.
    """
    text = ""
    if shown.endpoints:
        ends = {side.value: getattr(shown.endpoints, side.value) for side in Side}
        text += f', "endpoints": {encode(ends)}'
    if shown.miss:
        text += f', "miss": {shown.miss.number}'
    if shown.device:
        text += f', "device": {encode({"name": shown.device.name, "reason": shown.row.context.reason})}'
    if shown.notes:
        text += f', "notes": {encode([note.text for note in shown.notes])}'
    return text


def times(row: Row, frame: Frame) -> str:
    """When it was, null where the source of an import did not tell."""
    if frame.flags and not row.timed:
        return '"time": null, "time_ns": null, "time_ns_text": null'
    time_ns = frame.time_ns
    return f'"time": {row.since_first_ns / 1e9!r}, "time_ns": {time_ns}, "time_ns_text": "{time_ns}"'


def asks(message: Message) -> str:
    """Whether a reply is asked for."""
    return "null" if message.frame.flags & FrameFlag.FLAGS_UNKNOWN else BOOLEANS[message.need_reply]


def length(message: Message) -> str:
    """The payload's size."""
    return "null" if message.size_unknown else str(message.size)


def unknown(message: Message) -> str:
    """What the source of an import did not tell."""
    flags = message.frame.flags.unknown
    words = [word for each, word in UNKNOWN_WORDS.items() if flags & each]
    return f', "unknown": {encode(words)}' if words else ""


def fd_list(infos: tuple[FdInfo, ...]) -> str:
    """The descriptors, with what is known of each."""
    return f"[{', '.join(map(fd_text, infos))}]"


def fd_text(info: FdInfo) -> str:
    """A descriptor, key by key."""
    known = zip(FD_KEYS, fd_values(info), strict=True)
    texts = [
        f'"{name}": {value if isinstance(value, int) else quoted(value)}'
        for name, value in known
        if value is not None and value != ""
    ]
    return f"{{{', '.join(texts)}}}"


def answered(row: Row) -> str:
    """The request that a reply answers, and the seconds that it took."""
    passed = row.latency_ns
    latency = "null" if passed is None else repr(passed / 1e9)
    return f'"reply_to": {row.reply_to}, "latency": {latency}'


def known(number: float | None) -> str:
    """A number, or null."""
    return "null" if number is None else repr(number)
