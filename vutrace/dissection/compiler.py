"""Turns scapy layers into fast decoders.

scapy dissects some ten thousand messages a second; a compiled decoder is one `struct` call for each
run of fixed-size fields. Both must give the same: `scapy_decoder` is the meaning, `compile_layer`
the speed, and a property test holds them equal.
"""

import struct
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Any

from vutrace.dissection.decoder import Decoder, Fields, scapy_decoder
from vutrace.dissection.shapes import code_of, compilable, sign_of
from vutrace.protocol.layers import Array, Layer, Listed, Nested, Tail, size_of

Step = Callable[[bytes, int, Fields], int]


@cache
def compile_layer(layer: type[Layer], big_endian: bool = False) -> Decoder:
    """A function from payload bytes to (fields that are whole, bytes they took); it never raises."""
    if not compilable(layer):
        return scapy_decoder(layer, big_endian)
    if decoder := flat(layer, big_endian):
        return decoder
    steps = list(plan(layer, big_endian))

    def decode(data: bytes) -> tuple[Fields, int]:
        fields: Fields = {}
        at = 0
        for step in steps if data else ():
            at = step(data, at, fields)
            if at < 0:
                return fields, ~at
        return fields, at

    return decode


def alone(step: Step) -> Decoder:
    """A layer of one step."""

    def decode(data: bytes) -> tuple[Fields, int]:
        fields: Fields = {}
        at = step(data, 0, fields) if data else 0
        return fields, at if at >= 0 else ~at

    return decode


def flat(layer: type[Layer], big_endian: bool) -> Decoder | None:
    """A decoder for plain fields of one byte order, as most layers are: one `struct` call."""
    signs = {sign_of(field, big_endian) for field in layer.fields_desc}
    if len(signs) != 1 or "" in signs:
        return None
    names = [field.name for field in layer.fields_desc]
    whole = struct.Struct(signs.pop() + "".join(map(code_of, layer.fields_desc)))
    size, unpack = whole.size, whole.unpack_from
    short = alone(next(plan(layer, big_endian)))

    def decode(data: bytes) -> tuple[Fields, int]:
        if len(data) < size:
            return short(data)
        return dict(zip(names, unpack(data))), size  # noqa: B905  # a strict zip costs a fifth more

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


def run(sign: str, fields: list[tuple[str, str]]) -> Step:
    """Consecutive plain fields: all at once, or one by one when bytes are short."""
    names = [name for name, _ in fields]
    whole = struct.Struct(sign + "".join(code for _, code in fields))
    singles = [(name, struct.Struct(sign + code)) for name, code in fields]
    size, unpack = whole.size, whole.unpack_from

    def step(data: bytes, at: int, into: Fields) -> int:
        if len(data) - at >= size:
            into.update(zip(names, unpack(data, at)))  # noqa: B905  # a strict zip costs a fifth more
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
        count: Any = into[field.count]
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
