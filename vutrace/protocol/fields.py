"""The scapy fields that layers are made of: each knows its byte order and its meaning.

An integer either follows the traced host's byte order or has one of its own. A field that is ours is read
whole or not at all.
"""

import struct
from random import randbytes
from typing import Any, TypeAlias

from scapy.fields import Field, PacketField, PacketListField, StrField, StrFixedLenField
from scapy.packet import Packet

from vutrace.protocol.layer import Layer
from vutrace.protocol.shows import BYTES, DEC, Show, shown

Value: TypeAlias = "int | bytes | list[int] | dict[str, Value] | list[dict[str, Value]]"


def minimum(field: Any) -> int:
    """The bytes without which `field` cannot be read at all."""
    return int(getattr(field, "needs", field.sz))


def host_is_big_endian(packet: Packet | None) -> bool:
    """The byte order that a field of `packet` follows: its own layer's or that of the outermost."""
    while packet is not None and packet.parent is not None:
        packet = packet.parent
    return bool(getattr(packet, "big_endian", False))


class Shown:
    """A field of ours that scapy prints by its `Show`; without `needs` bytes it is not read."""

    __slots__ = ()
    show: Show
    sz: int

    @property
    def needs(self) -> int:
        """All of it."""
        return self.sz

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
    """All bytes that are left; complete at any length, right at that of the field `count`, if it has one."""

    __slots__ = ["count", "show"]
    needs = 0

    def __init__(self, name: str, show: Show = BYTES, count: str = "") -> None:
        super().__init__(name, b"")
        self.show, self.count = show, count


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


def counted_fields(layer: type[Layer]) -> list[Listed | Tail]:
    """The fields whose length another field, `count`, tells."""
    return [field for field in layer.fields_desc if isinstance(field, Listed | Tail) and field.count]


def size_of(layer: type[Layer]) -> int:
    """The fixed part of a layer in bytes."""
    return sum(minimum(field) for field in layer.fields_desc)
