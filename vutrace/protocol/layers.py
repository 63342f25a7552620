"""The words payload layers are written in: scapy layers, and fields by short names.

`u32` follows the traced host's byte order, as everything does that vhost-user itself defines; `le32` is
little-endian on every host, as virtio configuration space is. A layer never raises on short bytes: it
holds the fields that were whole, and the rest is its payload.
"""

from functools import cache
from typing import Any, ClassVar

from scapy.fields import ConditionalField
from scapy.packet import Packet

from vutrace.protocol.fields import (
    OURS,
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
    "title",
    "u8",
    "u16",
    "u32",
    "u64",
    "variant",
]


class Layer(Packet):
    """A structure of the protocol. `big_endian` is the traced host's byte order, see `in_order`.

    `marks` tells a layout from others of the same size: the field of that name has one of these values.
    A configuration space that is a union lists what else its bytes may be in `variants`; `glance` names
    the fields of one that are worth knowing first, for which a row has room.
    """

    name = "payload"
    big_endian: ClassVar[bool] = False
    marks: ClassVar[tuple[str, frozenset[int]] | None] = None
    variants: ClassVar[tuple[type["Layer"], ...]] = ()
    glance: ClassVar[tuple[str, ...]] = ()

    def do_dissect(self, s: bytes) -> bytes:
        """Take the fields that are whole; what follows the last of them is left over."""
        whole = s
        self.raw_packet_cache_fields: dict[str, Any] = {}
        for field in self.fields_desc:
            try:
                s = self.take(field, s)
            except Exception:  # a stock scapy field may raise anything on hostile bytes
                break
        left = s[0] if isinstance(s, tuple) else s  # scapy's bit fields may stop inside a byte
        self.raw_packet_cache = whole[: len(whole) - len(left)]
        self.explicit = 1
        return left

    def take(self, field: Any, s: bytes) -> bytes:
        """Put one field's value into the layer; EOFError when it is not whole."""
        if isinstance(field, OURS) and len(s) < minimum(field):
            raise EOFError
        s, value = field.getfield(self, s)
        if isinstance(field, ConditionalField) and value is None:
            return s
        if field.islist or field.holds_packets:
            kept = self._raw_packet_cache_field_value(field, value, copy=True)
            self.raw_packet_cache_fields |= {field.name: kept}
        self.fields[field.name] = value
        return s

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Bytes behind the last field belong to whoever holds this layer."""
        return b"", s


class Empty(Layer):
    """A message without payload."""

    name = "no payload"


def title(layer: type[Layer]) -> str:
    """The structure's name in words."""
    return str(layer._name)


@cache
def has_secrets(layer: type[Layer]) -> bool:
    """Whether keys or host pointers are among a layer's fields, or in the structures that it holds."""
    return any(
        getattr(getattr(field, "show", DEC), "kind", None) is Kind.SECRET
        or has_secrets(getattr(field, "layer", Empty))
        for field in layer.fields_desc
    )


@cache
def in_order(layer: type[Layer], big_endian: bool) -> type[Layer]:
    """The layer as a host of that byte order lays it out."""
    if big_endian == layer.big_endian:
        return layer
    return type(layer.__name__, (layer,), {"big_endian": big_endian})


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


def le64(name: str, show: Show = DEC) -> Number:
    """64 bits, little-endian on every host."""
    return Number(name, "Q", "<", show)


def mac(name: str = "mac") -> Fixed:
    """An Ethernet address."""
    return Fixed(name, 6, MAC)


def pad(length: int, name: str = "padding") -> Fixed:
    """Bytes without meaning."""
    return Fixed(name, length, PAD)
