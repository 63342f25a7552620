"""Messages of which a log tells some things: what it does not tell is marked as unknown."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.layers import Empty, Layer, Listed, Nested, in_order, minimum, size_of
from vutrace.protocol.messages import layers_of
from vutrace.protocol.shows import DEC, Kind
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import LITTLE, REPLY, VERSION
from vutrace.records import (
    LACKS,
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    Frame,
    FrameFlag,
    Lack,
    Record,
    Side,
)

Item = Connection | Record
Values = Mapping[str, Any]
LAST_TIME = 1 << 64  # what a capture has room for
PADDING = {"padding"}
PREFIX = "VHOST_USER_"
NUMBERS = {name: row.number for row in FRONTEND_MESSAGES.values() for name in (row.name, *row.aliases)}


def row_named(name: str) -> MessageSpec | None:
    """The row of a front-end's message by its name of any time."""
    return FRONTEND_MESSAGES.get(NUMBERS.get(name.removeprefix(PREFIX), -1))


@dataclass(frozen=True, slots=True)
class ToldMessage:
    """One message of the main channel as a log tells it.

    `flags` are the header's, `size` the payload's in bytes, `values` some of its fields, `fds` what came
    along; each None where the log does not tell. `replies`: a reply would be in the log.
    """

    number: int
    reply: bool = False
    flags: int | None = None
    size: int | None = None
    values: Values | None = None
    fds: tuple[FdInfo, ...] | None = None
    replies: bool = False


class LogSession:
    """One session of a log: its records, with times where the log has them, in order where not."""

    def __init__(self, connection: int, session: int, source: str, lacks: tuple[Lack, ...]) -> None:
        self.connection, self.session, self.source, self.lacks = connection, session, source, lacks
        self.closed = False
        self._clock = 0

    def opened(self, time_ns: int | None, text: str, whole: bool = True) -> Event:
        """The first record: what it is made of."""
        kind = EventKind.OPEN if whole else EventKind.NOTE
        return self._event(time_ns, kind, f"session {self.session}, made from {self.source}{text}")

    def ended(self, time_ns: int | None, who: Side) -> Event:
        """The log tells that a side closed."""
        self.closed = True
        return self._event(time_ns, EventKind.CLOSE, f"the {who.words} closed", who)

    def frame(self, time_ns: int | None, told: ToldMessage) -> Frame:
        """A message."""
        row = FRONTEND_MESSAGES.get(told.number)
        payload, known = payload_of(row, told)
        flags = unknown_flags(told, known, time_ns)
        word = VERSION | REPLY * told.reply if told.flags is None else told.flags
        number = told.number & 0xFFFFFFFF
        size = len(payload) if told.size is None else told.size & 0xFFFFFFFF
        whole = known is None or told.size is not None
        data = LITTLE.pack(number, word & 0xFFFFFFFF, size) + payload
        return Frame(
            self._time(time_ns),
            self.connection,
            self.session,
            Channel.MAIN,
            Side.BACKEND if told.reply else Side.FRONTEND,
            data,
            tuple(map(bounded, told.fds or ())),
            flags,
            12 + size if whole else 0,
            known=known or (),
        )

    def _event(self, time_ns: int | None, kind: EventKind, text: str, who: Side | None = None) -> Event:
        lacks = (*self.lacks, *([Lack.TIMES] if time_ns is None else []))
        attributes = {"source": self.source, LACKS: ", ".join(lacks)}
        return Event(
            self._time(time_ns), self.connection, self.session, kind, text, Channel.MAIN, who, attributes
        )

    def _time(self, time_ns: int | None) -> int:
        known = time_ns is not None and 0 <= time_ns < LAST_TIME
        self._clock = time_ns if known and time_ns is not None else self._clock + 1000
        return self._clock


def unknown_flags(
    told: ToldMessage, known: tuple[tuple[int, int], ...] | None, time_ns: int | None
) -> FrameFlag:
    """What the log did not tell of a message."""
    unknown = {
        FrameFlag.FLAGS_UNKNOWN: told.flags is None,
        FrameFlag.PAYLOAD_UNKNOWN: known is not None,
        FrameFlag.FDS_UNKNOWN: told.fds is None,
        FrameFlag.REPLY_UNKNOWN: not told.replies and not told.reply,
        FrameFlag.TIME_UNKNOWN: time_ns is None,
    }
    flags = FrameFlag.NONE
    for flag, so in unknown.items():
        flags |= flag if so else FrameFlag.NONE
    return flags


def payload_of(
    row: MessageSpec | None, told: ToldMessage
) -> tuple[bytes, tuple[tuple[int, int], ...] | None]:
    """A payload with zeros for what is unknown, and its known parts; None where all of it is known."""
    layers = layers_of(row, told.reply) if row else ()
    if told.size == 0 or (layers and all(layer is Empty for layer in layers)):
        return b"", None
    values = told.values or {}
    layer = next((each for each in layers if has(each, values)), None) if values else None
    if layer is None:
        return b"", ()
    try:
        payload = bytes(in_order(layer, False)(**scapy_values(layer, values)))
    except (struct.error, OverflowError):  # a number that the field has no room for
        return b"", ()
    parts = tuple(known_parts(layer, values))
    return (payload, None) if whole(layer, values) else (payload, parts)


def bounded(info: FdInfo) -> FdInfo:
    """A descriptor without a number that none can have."""
    return (
        info if info.backend_fd is None or abs(info.backend_fd) < 1 << 31 else replace(info, backend_fd=None)
    )


def has(layer: type[Layer], values: Values) -> bool:
    """Whether a layer has all the named fields."""
    return set(values) <= {field.name for field in layer.fields_desc}


def whole(layer: type[Layer], values: Values) -> bool:
    """Whether the named fields are all that mean anything."""
    pads = {field.name for field in layer.fields_desc if getattr(field, "show", DEC).kind is Kind.PAD}
    return {field.name for field in layer.fields_desc} - pads - PADDING <= set(values)


def scapy_values(layer: type[Layer], values: Values) -> dict[str, Any]:
    """Values with structures where the layer has such."""
    inner = {field.name: field.layer for field in layer.fields_desc if isinstance(field, Listed | Nested)}

    def made(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [inner[name](**item) for item in value]
        return inner[name](**value) if isinstance(value, dict) else value

    return {name: made(name, value) for name, value in values.items()}


def with_regions(row: MessageSpec | None, regions: list[dict[str, int]]) -> dict[str, Any]:
    """The fields of a message about memory: a table, or the one region that comes or goes."""
    table = {"nregions": len(regions), "regions": regions}
    if row is None or any(has(layer, table) for layer in layers_of(row, reply=False)):
        return table
    return {"region": regions[0]}


def known_parts(layer: type[Layer], values: Values) -> Iterator[tuple[int, int]]:
    """Where the named fields stand."""
    start = 0
    for field in layer.fields_desc:
        size = size_of(field.layer) if isinstance(field, Nested) else minimum(field)
        if isinstance(field, Listed):
            size = size_of(field.layer) * len(values.get(field.name, ()))
        if field.name in values:
            yield start, size
        start += size
