"""Hypothesis strategies for the shared records: everything a capture can hold."""

import struct
import sys
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from vutrace.dissection.registry import load
from vutrace.protocol.layers import Array, Fixed, Layer, Listed, Nested, Number, counted_fields
from vutrace.protocol.messages import TABLES, resolve
from vutrace.protocol.payloads import Ack
from vutrace.protocol.spec import FdRule, ReplyRule
from vutrace.records import (
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Record,
    Side,
)

U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Any text, and names from the kernel that are not UTF-8."""
    foreign = st.binary(max_size=max_size).map(lambda name: name.decode("utf-8", "surrogateescape"))
    return st.text(max_size=max_size) | foreign


def fd_infos() -> st.SearchStrategy[FdInfo]:
    """Descriptors of every kind, each property known or not."""
    number = st.none() | st.integers(0, 2**31 - 1)
    return st.builds(
        FdInfo,
        kind=st.sampled_from(FdKind),
        device=U64,
        inode=U64,
        size=st.none() | U64,
        seals=st.none() | U32,
        name=texts(),
        eventfd_id=number,
        eventfd_count=st.none() | U64,
        access=st.sampled_from(["", "r", "w", "rw"]),
        frontend_fd=number,
        backend_fd=number,
        mapped=st.sampled_from(["", "shared", "private"]),
    )


def frames(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Frame]:
    """Messages of arbitrary bytes; `wire_size` is that of `data`, or more where the frame is CUT."""
    frame = st.builds(
        Frame,
        time_ns=U64,
        connection=connections,
        session=U32,
        channel=st.sampled_from(Channel),
        sender=st.sampled_from(Side),
        data=st.binary(max_size=64),
        fds=st.lists(fd_infos(), max_size=4).map(tuple),
        flags=st.integers(0, 15).map(FrameFlag),
        big_endian=st.booleans(),
    )
    return st.builds(_with_wire_size, frame, st.integers(0, 2**32))


def _with_wire_size(frame: Frame, missing: int) -> Frame:
    return replace(frame, wire_size=len(frame.data) + (missing if FrameFlag.CUT in frame.flags else 0))


def events(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Event]:
    """Events of every kind."""
    return st.builds(
        Event,
        time_ns=U64,
        connection=connections,
        session=U32,
        kind=st.sampled_from(EventKind),
        text=texts(),
        channel=st.sampled_from(Channel),
        sender=st.none() | st.sampled_from(Side),
        attributes=st.dictionaries(texts(12), texts(), max_size=4),
    )


def records(connections: st.SearchStrategy[int] = U32) -> st.SearchStrategy[Record]:
    """Messages and events."""
    return frames(connections) | events(connections)


def connections(numbers: st.SearchStrategy[int] = U16) -> st.SearchStrategy[Connection]:
    """Connections whose endpoints are called anything."""
    return st.builds(Connection, numbers, texts(), texts())


@st.composite
def captures(draw: st.DrawFn, max_records: int = 8) -> list[Connection | Record]:
    """What a capture holds, in order: some connections, then records of them."""
    known = draw(st.lists(connections(), min_size=1, max_size=3, unique_by=lambda each: each.number))
    numbers = st.sampled_from([each.number for each in known])
    return [*known, *draw(st.lists(records(numbers), max_size=max_records))]


# The protocol: layers with their contents, valid messages, hostile ones.

OURS = ("vutrace", "vutrace_dissectors")
LETTERS = {"B": (0, 8), "H": (0, 16), "I": (0, 32), "Q": (0, 64), "i": (31, 32), "q": (63, 64)}
Contents = dict[str, Any]


def all_layers() -> list[type[Layer]]:
    """Every layer there is: found by class, so that none can be forgotten.

    The header of `vutrace.scapy` is no payload: it computes its size, and has tests of its own.
    """
    load()
    found, left = [], [Layer]
    while left:
        left += (subclasses := left.pop().__subclasses__())
        ours = [each for each in subclasses if each.__module__.split(".")[0] in OURS]
        found += [each for each in ours if (each.__module__, each.__name__) != ("vutrace.scapy", "Header")]
    return sorted(filter(is_written, found), key=lambda layer: (layer.__module__, layer.__name__))


def is_written(layer: type[Layer]) -> bool:
    """Whether a layer stands in a module, and is not another's big-endian sister."""
    return vars(sys.modules[layer.__module__]).get(layer.__name__) is layer


def layers() -> st.SearchStrategy[type[Layer]]:
    """Layers of payloads, of structures inside them, and of every installed device's configuration."""
    return st.sampled_from(all_layers())


def numbers(code: str) -> st.SearchStrategy[int]:
    """What fits into an integer with struct's `code`."""
    sign, bits = LETTERS[code]
    return st.integers(-(1 << sign), (1 << sign) - 1) if sign else st.integers(0, (1 << bits) - 1)


@st.composite
def contents(draw: st.DrawFn, layer: type[Layer]) -> Contents:
    """Values for every field of a layer; lists and bytes are as long as is said."""
    values: Contents = {}
    for field in layer.fields_desc:
        values[field.name] = draw(_content(field))
    for field in counted_fields(layer):
        values[field.count] = len(values[field.name])
    if layer.marks:
        values[layer.marks[0]] = draw(st.sampled_from(sorted(layer.marks[1])))
    return values


def _content(field: Any) -> st.SearchStrategy[Any]:
    if isinstance(field, Nested):
        return contents(field.layer)
    if isinstance(field, Listed):
        return st.lists(contents(field.layer), max_size=8)
    if isinstance(field, Array):
        return numbers(field.code).map(lambda first: [first] * field.count)
    if isinstance(field, Number):
        return numbers(field.code)
    if isinstance(field, Fixed):
        return st.binary(max_size=16).map(lambda head: head.ljust(field.sz, b"\0")[: field.sz])
    return st.binary(max_size=40)


def packed(layer: type[Layer], values: Contents, big_endian: bool = False) -> bytes:
    """The bytes of a layer with these values, without scapy and without the compiler."""
    return b"".join(_packed(field, values[field.name], big_endian) for field in layer.fields_desc)


def _packed(field: Any, value: Any, big_endian: bool) -> bytes:
    if isinstance(field, Nested):
        return packed(field.layer, value, big_endian)
    if isinstance(field, Listed):
        return b"".join(packed(field.layer, item, big_endian) for item in value)
    if isinstance(value, bytes):
        return value
    items = value if isinstance(value, list) else [value]
    sign = field.order or (">" if big_endian else "<")
    return struct.pack(f"{sign}{len(items)}{field.code}", *items)


@st.composite
def messages(draw: st.DrawFn) -> Frame:
    """Frames with nothing wrong: every message as request or reply, with the descriptors it carries."""
    channel = draw(st.sampled_from(Channel))
    spec = draw(st.sampled_from(sorted(TABLES[channel].values(), key=lambda each: each.number)))
    reply = draw(st.booleans()) and spec.rule is not ReplyRule.NEVER
    layer = draw(st.sampled_from((resolve(spec.reply) or (Ack,)) if reply else resolve(spec.request)))
    values, big_endian = draw(contents(layer)), draw(st.booleans())
    payload = packed(layer, values, big_endian)
    version = 0 if channel is Channel.GPU else draw(st.sampled_from([1, 9]))
    header = struct.pack(
        ">III" if big_endian else "<III", spec.number, version | (4 if reply else 0), len(payload)
    )
    count = draw(fd_counts(spec.reply_fds if reply else spec.fds, values))
    return Frame(
        time_ns=draw(U64),
        connection=0,
        session=1,
        channel=channel,
        sender=Side.FRONTEND if reply != (channel is Channel.MAIN) else Side.BACKEND,
        data=header + payload,
        fds=tuple(draw(st.lists(fd_infos(), min_size=count, max_size=count))),
        wire_size=len(header + payload),
        big_endian=big_endian,
    )


def fd_counts(rule: FdRule, values: Contents) -> st.SearchStrategy[int]:
    """How many descriptors a message with these fields carries."""
    sure = {
        FdRule.NONE: 0,
        FdRule.ONE: 1,
        FdRule.PER_REGION: values.get("nregions", int("region" in values)),
        FdRule.UNLESS_NOFD: 0 if values.get("u64", 0) & 0x100 else 1,
        FdRule.IF_MAPPED: 1 if values.get("mmap_size") else 0,
        FdRule.IF_OK: 0 if values.get("status") else 1,
        FdRule.IF_SHOWN: 1 if values.get("width") or values.get("height") else 0,
    }
    return st.just(sure[rule]) if rule in sure else st.integers(0, 1)


def hostile_frames() -> st.SearchStrategy[Frame]:
    """Frames as a broken or malicious peer sends them: any header, any payload, any descriptors."""
    return st.builds(_hostile, messages() | frames(), st.binary(max_size=24), st.integers(-40, 40), frames())


def _hostile(frame: Frame, patch: bytes, at: int, other: Frame) -> Frame:
    start = at % (len(frame.data) + 1)
    data = frame.data[:start] + patch + frame.data[start + len(patch) :] if at >= 0 else frame.data[:at]
    return replace(
        other, data=data, channel=frame.channel, wire_size=len(data), fds=other.fds * (1 + len(patch))
    )
