"""The words payload layers are written in: scapy layers and fields with a byte order and a meaning.

An integer either follows the traced host's byte order (`u32`: everything vhost-user itself defines)
or has one of its own (`le32`: virtio configuration space). A layer never raises on short bytes: it
holds the fields that were whole, and the rest is its payload.
"""

import struct
from functools import cache
from random import randbytes
from typing import Any, ClassVar, TypeAlias

from scapy.fields import ConditionalField, Field, PacketField, PacketListField, StrField, StrFixedLenField
from scapy.packet import Packet

from vutrace.protocol.shows import BYTES, DEC, MAC, PAD, Show, shown

Value: TypeAlias = "int | bytes | list[int] | dict[str, Value] | list[dict[str, Value]]"


class Layer(Packet):
    """A structure of the protocol. `big_endian` is the traced host's byte order, see `in_order`.

    `marks` tells a layout from others of the same size: the field of that name has one of these values.
    A configuration space that is a union lists what else its bytes may be in `variants`.
    """

    name = "payload"
    big_endian: ClassVar[bool] = False
    marks: ClassVar[tuple[str, frozenset[int]] | None] = None
    variants: ClassVar[tuple[type["Layer"], ...]] = ()

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


def minimum(field: Any) -> int:
    """The bytes without which `field` cannot be read at all."""
    return int(getattr(field, "needs", field.sz))


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
def number_at(layer: type[Layer], name: str) -> tuple[int, "Number"]:
    """Where in a layer a number stands, and its field."""
    place = [field.name for field in layer.fields_desc].index(name)
    field = layer.fields_desc[place]
    assert isinstance(field, Number)
    return sum(minimum(each) for each in layer.fields_desc[:place]), field


def host_is_big_endian(packet: Packet | None) -> bool:
    """The byte order that a field of `packet` follows: its own layer's or that of the outermost."""
    while packet is not None and packet.parent is not None:
        packet = packet.parent
    return bool(getattr(packet, "big_endian", False))


class Shown:
    """A field of ours that scapy prints by its `Show`."""

    __slots__ = ()
    show: Show

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        """The value in words."""
        return shown(self.show, x)


class Number(Shown, Field[int, int]):
    """An integer: `code` is struct's letter, `order` struct's sign or "" for the host's."""

    __slots__ = ["big", "code", "little", "order", "show"]

    def __init__(self, name: str, code: str, order: str, show: Show, default: int = 0) -> None:
        super().__init__(name, default, "<" + code)
        self.code, self.order, self.show = code, order, show
        self.little = struct.Struct((order or "<") + code)
        self.big = struct.Struct((order or ">") + code)

    def codec(self, packet: Packet | None) -> struct.Struct:
        """The struct that reads this field in `packet`."""
        return self.big if not self.order and host_is_big_endian(packet) else self.little

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, int]:
        """The value at the start of `s`, and what follows it."""
        return s[self.sz :], self.codec(pkt).unpack_from(s)[0]

    def addfield(self, pkt: Packet, s: bytes, val: int | None) -> bytes:
        """`s` with the value behind it."""
        return s + self.codec(pkt).pack(self.default if val is None else val)


class Array(Shown, Field[list[int], list[int]]):
    """A fixed number of equal integers in the host's byte order."""

    __slots__ = ["code", "count", "order", "show"]
    islist = 1

    def __init__(self, name: str, code: str, count: int, show: Show = DEC) -> None:
        super().__init__(name, [0] * count, f"<{count}{code}")
        self.code, self.count, self.order, self.show = code, count, "", show

    def codec(self, packet: Packet | None) -> struct.Struct:
        """The struct that reads this field in `packet`."""
        sign = ">" if host_is_big_endian(packet) else "<"
        return struct.Struct(f"{sign}{self.count}{self.code}")

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[int]]:
        """The values at the start of `s`, and what follows them."""
        return s[self.sz :], list(self.codec(pkt).unpack_from(s))

    def addfield(self, pkt: Packet, s: bytes, val: list[int] | None) -> bytes:
        """`s` with the values behind it."""
        return s + self.codec(pkt).pack(*(val or [0] * self.count))

    def randval(self) -> Any:
        """Random bytes as values, for scapy's `fuzz()`."""
        return list(self.codec(None).unpack(randbytes(self.sz)))


class Fixed(Shown, StrFixedLenField):
    """A fixed number of bytes."""

    __slots__ = ["show"]

    def __init__(self, name: str, length: int, show: Show = BYTES) -> None:
        super().__init__(name, b"", length=length)
        self.show = show


class Tail(Shown, StrField):
    """All bytes that are left; it is complete at any length."""

    __slots__ = ["show"]
    needs = 0

    def __init__(self, name: str, show: Show = BYTES) -> None:
        super().__init__(name, b"")
        self.show = show


class Nested(PacketField):
    """One structure inside another; it is complete only as a whole."""

    __slots__ = ["layer", "needs"]

    def __init__(self, name: str, layer: type[Layer]) -> None:
        super().__init__(name, layer(), layer)
        self.layer = layer
        self.needs = size_of(layer)

    def m2i(self, pkt: Packet | None, m: bytes) -> Packet:
        """The structure at the start of `m`."""
        return self.layer(m, _parent=pkt)


class Listed(PacketListField):
    """Equal structures of fixed size, as many as the field `count` says and the bytes hold."""

    __slots__ = ["count", "layer"]
    needs = 0

    def __init__(self, name: str, layer: type[Layer], count: str) -> None:
        if not size_of(layer):
            raise ValueError(f"{name}: items without a size cannot be counted")
        super().__init__(name, [], layer, count_from=lambda packet: packet.fields[count])
        self.layer, self.count = layer, count

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[Any]]:
        """The whole items at the start of `s`, and what follows them."""
        item = size_of(self.layer)
        whole = max(0, min(pkt.fields[self.count], len(s) // item))
        items = [self.layer(s[i * item : (i + 1) * item], _parent=pkt) for i in range(whole)]
        return s[whole * item :], items


OURS = (Shown, Nested, Listed)


def size_of(layer: type[Layer]) -> int:
    """The fixed part of a layer in bytes."""
    return sum(minimum(field) for field in layer.fields_desc)


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
