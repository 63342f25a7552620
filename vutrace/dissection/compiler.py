"""Turns scapy layers into fast decoders.

scapy dissects some ten thousand messages a second; a compiled decoder is one `struct` call for each
run of fixed-size fields. Both must give the same: `scapy_decoder` is the meaning, `compile_layer`
the speed, and a property test holds them equal. A field the compiler does not know (a plug-in may
use any of scapy's) makes it leave the whole layer to scapy.
"""

import struct
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Any

from scapy.packet import Packet

from vutrace.protocol.layers import (
    Array,
    Fixed,
    Layer,
    Listed,
    Nested,
    Number,
    Tail,
    Value,
    in_order,
    size_of,
)

Fields = dict[str, Value]
Decoder = Callable[[bytes], tuple[Fields, int]]
Step = Callable[[bytes, int, Fields], int]


@cache
def compile_layer(layer: type[Layer], big_endian: bool = False) -> Decoder:
    """A function from payload bytes to (fields that are whole, bytes they took); it never raises."""
    if not all(isinstance(field, KNOWN) for field in layer.fields_desc):
        return scapy_decoder(layer, big_endian)
    steps = list(plan(layer, big_endian))
    if len(steps) == 1:
        return alone(steps[0])

    def decode(data: bytes) -> tuple[Fields, int]:
        fields: Fields = {}
        at = 0
        for step in steps if data else ():
            at = step(data, at, fields)
            if at < 0:
                return fields, ~at
        return fields, at

    return decode


def scapy_decoder(layer: type[Layer], big_endian: bool = False) -> Decoder:
    """The same by scapy itself: slow, and right by definition."""
    ordered = in_order(layer, big_endian)

    def decode(data: bytes) -> tuple[Fields, int]:
        if not data:  # scapy would answer with default values
            return {}, 0
        try:
            packet = ordered(data)
        except Exception:  # a stock scapy field may raise anything on hostile bytes
            return {}, 0
        return plain(packet), len(data) - len(packet.payload.original if packet.payload else b"")

    return decode


def plain(packet: Packet) -> Fields:
    """A scapy packet's fields as numbers, bytes, lists and dicts."""
    return {name: plain_value(value) for name, value in packet.fields.items()}


def plain_value(value: Any) -> Any:
    """One scapy value without scapy."""
    if isinstance(value, Packet):
        return plain(value)
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    return value


def alone(step: Step) -> Decoder:
    """A layer of one step."""

    def decode(data: bytes) -> tuple[Fields, int]:
        fields: Fields = {}
        at = step(data, 0, fields) if data else 0
        return fields, at if at >= 0 else ~at

    return decode


# A step puts its fields into a dict and answers where it stopped; `~at` says that bytes ran out at `at`.


def plan(layer: type[Layer], big_endian: bool) -> Iterator[Step]:
    """The steps of a layer: plain fields of one byte order together, the others one by one."""
    for sign, group in groupby(layer.fields_desc, key=lambda field: sign_of(field, big_endian)):
        fields = list(group)
        if sign:
            yield run(sign, [(field.name, code_of(field)) for field in fields])
        else:
            yield from (single(field, big_endian) for field in fields)


def sign_of(field: Any, big_endian: bool) -> str:
    """struct's byte-order sign of a plain field; "" for one that needs a step of its own."""
    if isinstance(field, Number | Fixed):
        return getattr(field, "order", "") or (">" if big_endian else "<")
    return ""


def code_of(field: Any) -> str:
    """struct's code of a plain field."""
    return f"{field.sz}s" if isinstance(field, Fixed) else field.code


def run(sign: str, fields: list[tuple[str, str]]) -> Step:
    """Consecutive plain fields: all at once, or one by one when bytes are short."""
    names = [name for name, _ in fields]
    whole = struct.Struct(sign + "".join(code for _, code in fields))
    singles = [(name, struct.Struct(sign + code)) for name, code in fields]
    size, unpack = whole.size, whole.unpack_from

    def step(data: bytes, at: int, into: Fields) -> int:
        if len(data) - at >= size:
            into.update(zip(names, unpack(data, at), strict=True))
            return at + size
        for name, codec in singles:
            if len(data) - at < codec.size:
                break
            into[name] = codec.unpack_from(data, at)[0]
            at += codec.size
        return ~at

    return step


def single(field: Any, big_endian: bool) -> Step:
    """A field with a step of its own."""
    return KNOWN_STEPS[type(field)](field, big_endian)


def tail(field: Tail, _big_endian: bool) -> Step:
    """All that is left."""

    def step(data: bytes, at: int, into: Fields) -> int:
        into[field.name] = data[at:]
        return len(data)

    return step


def array(field: Array, big_endian: bool) -> Step:
    """Equal integers."""
    codec = struct.Struct(f"{'>' if big_endian else '<'}{field.count}{field.code}")

    def step(data: bytes, at: int, into: Fields) -> int:
        if len(data) - at < codec.size:
            return ~at
        into[field.name] = list(codec.unpack_from(data, at))
        return at + codec.size

    return step


def nested(field: Nested, big_endian: bool) -> Step:
    """A structure inside the structure."""
    decode, size = compile_layer(field.layer, big_endian), size_of(field.layer)

    def step(data: bytes, at: int, into: Fields) -> int:
        if len(data) - at < size:
            return ~at
        into[field.name] = decode(data[at : at + size])[0]
        return at + size

    return step


def listed(field: Listed, big_endian: bool) -> Step:
    """Counted structures, as many as are whole."""
    decode, size = compile_layer(field.layer, big_endian), size_of(field.layer)

    def step(data: bytes, at: int, into: Fields) -> int:
        count = into[field.count]
        assert isinstance(count, int)
        ends = range(at + size, min(len(data), at + count * size) + 1, size)
        into[field.name] = [decode(data[end - size : end])[0] for end in ends]
        return at + size * len(ends)

    return step


KNOWN_STEPS: dict[type, Callable[[Any, bool], Step]] = {
    Tail: tail,
    Array: array,
    Nested: nested,
    Listed: listed,
}
KNOWN = (Number, Fixed, *KNOWN_STEPS)
