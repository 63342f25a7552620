"""What all payload layers are: scapy packets that never raise on short bytes.

A layer holds the fields that were whole, and the rest is its payload.
"""

from functools import cache
from typing import Any, ClassVar

from scapy.fields import ConditionalField
from scapy.packet import Packet


class Layer(Packet):
    """A structure of the protocol. `big_endian` is the traced host's byte order, see `in_order`.

    `marks` tells a layout from others of the same size: the field of that name has one of these values.
    A configuration space that is a union lists what else its bytes may be in `variants`; `glance` names
    the fields of one that are worth knowing first, for which a row has room. `words` is the template of what
    matters in the layer (see templates.py); without it a row has field by field.
    """

    name = "payload"
    big_endian: ClassVar[bool] = False
    marks: ClassVar[tuple[str, frozenset[int]] | None] = None
    variants: ClassVar[tuple[type["Layer"], ...]] = ()
    glance: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[str] = ""

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
        if len(s) < getattr(field, "needs", 0):
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
def in_order(layer: type[Layer], big_endian: bool) -> type[Layer]:
    """The layer as a host of that byte order lays it out."""
    if big_endian == layer.big_endian:
        return layer
    return type(layer.__name__, (layer,), {"big_endian": big_endian})
