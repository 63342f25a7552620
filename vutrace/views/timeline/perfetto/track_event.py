"""Perfetto's TrackEvent packets as bytes: tracks, slices, instants, with annotations and flows.

Source: perfetto.dev, "Writing TrackEvent Protos Synthetically"; the numbers are those of trace_packet.proto,
track_descriptor.proto, track_event.proto and debug_annotation.proto. Times are nanoseconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any

from vutrace.views.timeline.perfetto.protobuf import WORD, fixed64, message, number, text

# Trace, TracePacket
PACKET, TIMESTAMP, SEQUENCE, TRACK_EVENT, SEQUENCE_FLAGS, TRACK_DESCRIPTOR = 1, 8, 10, 11, 13, 60
# TrackDescriptor
UUID, NAME, PROCESS, PARENT, COUNTER, DESCRIPTION, CHILD_ORDERING, RANK = 1, 2, 3, 5, 8, 14, 11, 12
PID, PROCESS_NAME, EXPLICIT = 1, 6, 3
# TrackEvent
ANNOTATION, TYPE, TRACK, CATEGORY, EVENT_NAME, COUNTER_VALUE, FLOW, LAST_FLOW = 4, 9, 11, 22, 23, 30, 47, 48
# DebugAnnotation
BOOL, UINT, INT, STRING, ANNOTATION_NAME, ENTRY, ITEM = 2, 3, 4, 6, 10, 11, 12

ONE_SEQUENCE = number(SEQUENCE, 1)
STATE_CLEARED = 1

Annotations = Mapping[str, Any]


class Type(IntEnum):
    """TrackEvent.Type."""

    BEGIN = 1
    END = 2
    INSTANT = 3
    COUNTER = 4


def beginning() -> bytes:
    """The first packet: nothing that came before is referred to."""
    return message(PACKET, ONE_SEQUENCE, number(SEQUENCE_FLAGS, STATE_CLEARED))


def process(uuid: int, pid: int, name: str) -> bytes:
    """A process, whose tracks stand in the order of their ranks."""
    described = message(PROCESS, number(PID, pid), text(PROCESS_NAME, name))
    return packet(message(TRACK_DESCRIPTOR, number(UUID, uuid), described, number(CHILD_ORDERING, EXPLICIT)))


def track(uuid: int, parent: int, name: str, rank: int, description: str = "") -> bytes:
    """A track below another, whose own tracks stand in the order of their ranks."""
    parts = [number(UUID, uuid), number(PARENT, parent), text(NAME, name), number(RANK, rank)]
    parts.append(number(CHILD_ORDERING, EXPLICIT))
    if description:
        parts.append(text(DESCRIPTION, description))
    return packet(message(TRACK_DESCRIPTOR, *parts))


def event(
    kind: Type,
    uuid: int,
    time_ns: int,
    name: str = "",
    annotations: Annotations | None = None,
    category: str = "",
    flow: int | None = None,
    last_flow: int | None = None,
) -> bytes:
    """Something on a track; `flow` begins an arrow, `last_flow` is where it ends."""
    parts = [number(TYPE, kind), number(TRACK, uuid)]
    if name:
        parts.append(text(EVENT_NAME, name))
    if category:
        parts.append(text(CATEGORY, category))
    parts += [message(ANNOTATION, annotation(key, value)) for key, value in (annotations or {}).items()]
    if flow is not None:
        parts.append(fixed64(FLOW, flow))
    if last_flow is not None:
        parts.append(fixed64(LAST_FLOW, last_flow))
    return packet(number(TIMESTAMP, max(0, time_ns)), message(TRACK_EVENT, *parts))


def counter_track(uuid: int, parent: int, name: str, rank: int) -> bytes:
    """A track of numbers below another."""
    parts = [number(UUID, uuid), number(PARENT, parent), text(NAME, name), number(RANK, rank)]
    return packet(message(TRACK_DESCRIPTOR, *parts, message(COUNTER)))


def counter(uuid: int, time_ns: int, value: int) -> bytes:
    """A number, from now on."""
    parts = number(TYPE, Type.COUNTER), number(TRACK, uuid), number(COUNTER_VALUE, value)
    return packet(number(TIMESTAMP, max(0, time_ns)), message(TRACK_EVENT, *parts))


def packet(*parts: bytes) -> bytes:
    return message(PACKET, ONE_SEQUENCE, *parts)


def annotation(name: str, value: Any) -> bytes:
    return text(ANNOTATION_NAME, name) + b"".join(value_of(value))


def value_of(value: Any) -> Iterator[bytes]:
    if isinstance(value, bool):
        yield number(BOOL, value)
    elif isinstance(value, int) and -(1 << 63) <= value <= WORD:
        yield number(INT if value < 0 else UINT, value)
    elif isinstance(value, Mapping):
        yield from entries((ENTRY, annotation(str(name), item)) for name, item in value.items())
    elif isinstance(value, list | tuple):
        yield from entries((ITEM, b"".join(value_of(item))) for item in value)
    elif value is not None:
        yield text(STRING, str(value))


def entries(items: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    return (message(field, item) for field, item in items)
