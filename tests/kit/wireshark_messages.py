"""Frames of every message in every layout, whole, short and long, for the tests that ask tshark."""

import struct
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from vutrace.dissection.registry import Registry
from vutrace.protocol.layers import Array, Fixed, Layer, Listed, Nested, Number, counted_fields
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.spec import FdRule, MessageSpec
from vutrace.protocol.wire import NEED_REPLY, REPLY, REQUESTER, VERSION
from vutrace.records import Channel, FdInfo, FdKind, Frame, FrameFlag

START_NS = 1_700_000_000_123_456_789

FDS = [
    FdInfo(FdKind.EVENTFD, 14, 1063, eventfd_id=11, eventfd_count=2**64 - 1, access="rw", frontend_fd=31),
    FdInfo(FdKind.MEMFD, 1, 2**63 + 5, size=256 << 20, seals=0x0F, name="/memfd:pc.ram", backend_fd=7),
    FdInfo(FdKind.SOCKET, 8, 4711),
    FdInfo(FdKind.OTHER),
]


def rows(registry: Registry) -> Iterator[tuple[Channel, MessageSpec, bool, type[Layer] | None]]:
    """Every message, as request and as reply, in every layout; without layout: any bytes."""
    for channel in Channel:
        for spec in {**TABLES[channel], **registry.messages[channel]}.values():
            for layer in layers_of(spec, False):
                yield channel, spec, False, layer
            for layer in layers_of(spec, True):
                yield channel, spec, True, layer
        yield channel, MessageSpec(9999, "unknown"), False, None


def long_bytes(size: int) -> st.SearchStrategy[bytes]:
    """`size` bytes that repeat a few."""
    return st.binary(min_size=1, max_size=16).map(lambda few: (few * (size // len(few) + 1))[:size])


def number(code: str) -> st.SearchStrategy[int]:
    """An integer of a struct code, the telling ones often."""
    size = struct.calcsize("<" + code)
    least, most = (
        (0, 2 ** (8 * size) - 1) if code.isupper() else (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1)
    )
    telling = [value for value in (0, 1, 2, 0x100, 4096, 1 << 30, 1 << 32, least, most) if value <= most]
    return st.sampled_from(telling) | st.integers(0, min(300, most)) | st.integers(least, most)


@st.composite
def payloads(draw: st.DrawFn, layer: type[Layer], order: str) -> bytes:
    """The bytes of a layer as a host of that byte order lays it out."""
    data = b""
    counts: dict[str, int] = {}
    most = {field.count: 5 if isinstance(field, Listed) else 48 for field in counted_fields(layer)}
    for field in layer.fields_desc:
        if field.name in most:
            counts[field.name] = draw(st.integers(0, most[field.name]))
            data += struct.pack(order + field.code, counts[field.name])
        else:
            data += draw(values(field, order, counts))
    return data


def values(field: Any, order: str, counts: dict[str, int]) -> st.SearchStrategy[bytes]:
    """The bytes of one field."""
    if isinstance(field, Number):
        return number(field.code).map(lambda value: struct.pack((field.order or order) + field.code, value))
    if isinstance(field, Array):
        return st.lists(number(field.code), min_size=4, max_size=4).map(
            lambda few: struct.pack(f"{order}{field.count}{field.code}", *(few * field.count)[: field.count])
        )
    if isinstance(field, Fixed):
        return long_bytes(field.sz)
    if isinstance(field, Nested):
        return payloads(field.layer, order)
    if isinstance(field, Listed):
        return st.tuples(*[payloads(field.layer, order) for _ in range(counts[field.count])]).map(b"".join)
    length = counts.get(field.count)
    return st.binary(max_size=48) if length is None else st.binary(min_size=length, max_size=length)


def mangled(data: bytes) -> st.SearchStrategy[bytes]:
    """Mostly the bytes themselves, sometimes fewer or more."""
    shorter = st.integers(0, max(0, len(data) - 1)).map(lambda length: data[:length])
    longer = st.binary(min_size=1, max_size=20).map(lambda rest: data + rest)
    return st.one_of(st.just(data), st.just(data), st.just(data), shorter, longer)


@st.composite
def frames(draw: st.DrawFn, registry: Registry) -> Frame:
    """One frame; its time is 0."""
    channel, spec, reply, layer = draw(st.sampled_from(list(rows(registry))))
    big = draw(st.sampled_from([False, False, True]))
    order = ">" if big else "<"
    whole = draw(payloads(layer, order) if layer else st.binary(max_size=40))
    data = draw(mangled(whole))
    version = draw(st.sampled_from([VERSION] * 8 + [0, 3, 0x21])) if channel is not Channel.GPU else 0
    flags = version | (REPLY if reply else draw(st.sampled_from([0, 0, NEED_REPLY])))
    size = len(data) if draw(st.integers(0, 20)) else len(data) + 8
    rule = spec.reply_fds if reply else spec.fds
    fds = draw(st.lists(st.sampled_from(FDS), max_size=3)) if rule is not FdRule.NONE else []
    body = struct.pack(order + "III", spec.number, flags, size) + data
    cut = draw(st.integers(0, 40)) == 0
    requester = REQUESTER[channel]
    sender = requester.peer if reply else requester
    return Frame(
        0,
        draw(st.integers(0, 2)),
        draw(st.integers(1, 2)),
        channel,
        sender if draw(st.integers(0, 15)) else sender.peer,
        body[: draw(st.integers(0, len(body)))] if cut else body,
        tuple(fds),
        FrameFlag(draw(st.sampled_from([1, 2, 4, 8]))) if cut else FrameFlag.NONE,
        len(body),
        big,
    )
