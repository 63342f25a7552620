"""The words payload layers are written in: scapy layers, and fields by short names.

`u32` follows the traced host's byte order, as everything does that vhost-user itself defines; `le32` is
little-endian on every host, as virtio configuration space is.
"""

from functools import cache

from vutrace.protocol.fields import (
    Array,
    Fixed,
    Listed,
    Nested,
    Number,
    Tail,
    Value,
    counted_fields,
    host_is_big_endian,
    minimum,
    size_of,
)
from vutrace.protocol.layer import Empty, Layer, in_order, title
from vutrace.protocol.shows import DEC, MAC, PAD, Kind, Show

__all__ = [
    "Array",
    "Empty",
    "Fixed",
    "Layer",
    "Listed",
    "Nested",
    "Number",
    "Tail",
    "Value",
    "counted_fields",
    "has_secrets",
    "host_is_big_endian",
    "i32",
    "i64",
    "in_order",
    "le16",
    "le32",
    "le64",
    "mac",
    "minimum",
    "pad",
    "size_of",
    "sle32",
    "title",
    "u8",
    "u16",
    "u32",
    "u64",
    "variant",
]


@cache
def has_secrets(layer: type[Layer]) -> bool:
    """Whether keys or host pointers are among a layer's fields, or in the structures that it holds."""
    return any(
        getattr(getattr(field, "show", DEC), "kind", None) is Kind.SECRET
        or has_secrets(getattr(field, "layer", Empty))
        for field in layer.fields_desc
    )


def variant(layer: type[Layer], data: bytes) -> type[Layer]:
    """The layer that `data` is to be read with: `layer`, or the one of its variants that is meant.

    A variant is meant when the number that its marks name is there and has one of their values, and
    one without marks by its size. Such numbers are single bytes or have a byte order of their own.
    """
    return next((each for each in layer.variants if is_meant(each, data)), layer)


def is_meant(layer: type[Layer], data: bytes) -> bool:
    """Whether the bytes ask for this variant."""
    if layer.marks is None:
        return len(data) == size_of(layer)
    start, field = number_at(layer, layer.marks[0])
    return len(data) >= start + field.sz and field.little.unpack_from(data, start)[0] in layer.marks[1]


@cache
def number_at(layer: type[Layer], name: str) -> tuple[int, Number]:
    """Where in a layer a number stands, and its field."""
    place = [field.name for field in layer.fields_desc].index(name)
    field = layer.fields_desc[place]
    assert isinstance(field, Number)
    return sum(minimum(each) for each in layer.fields_desc[:place]), field


def u8(name: str, show: Show = DEC) -> Number:
    """One byte."""
    return Number(name, "B", "", show)


def u16(name: str, show: Show = DEC) -> Number:
    """16 bits in the host's byte order."""
    return Number(name, "H", "", show)


def u32(name: str, show: Show = DEC) -> Number:
    """32 bits in the host's byte order."""
    return Number(name, "I", "", show)


def u64(name: str, show: Show = DEC) -> Number:
    """64 bits in the host's byte order."""
    return Number(name, "Q", "", show)


def i32(name: str, show: Show = DEC) -> Number:
    """32 bits with sign in the host's byte order."""
    return Number(name, "i", "", show)


def i64(name: str, show: Show = DEC) -> Number:
    """64 bits with sign in the host's byte order."""
    return Number(name, "q", "", show)


def le16(name: str, show: Show = DEC) -> Number:
    """16 bits, little-endian on every host."""
    return Number(name, "H", "<", show)


def le32(name: str, show: Show = DEC) -> Number:
    """32 bits, little-endian on every host."""
    return Number(name, "I", "<", show)


def sle32(name: str, show: Show = DEC) -> Number:
    """32 bits with sign, little-endian on every host."""
    return Number(name, "i", "<", show)


def le64(name: str, show: Show = DEC) -> Number:
    """64 bits, little-endian on every host."""
    return Number(name, "Q", "<", show)


def mac(name: str = "mac") -> Fixed:
    """An Ethernet address."""
    return Fixed(name, 6, MAC)


def pad(length: int, name: str = "padding") -> Fixed:
    """Bytes without meaning."""
    return Fixed(name, length, PAD)
