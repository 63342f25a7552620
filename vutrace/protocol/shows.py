"""How a field's number or bytes are meant to be read, as data.

The text rows, the detail tree, scapy's `show()` and the generated Wireshark plug-in all follow the
same `Show`, so that a field has one meaning everywhere.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vutrace.protocol.bits import VIRTIO_FEATURES, bit_names


class Kind(Enum):
    """What a field's value is; the comment says how it is drawn."""

    DEC = "dec"  # 12
    HEX = "hex"  # 0x1f
    SIZE = "size"  # 256 MiB (bytes)
    FLAGS = "flags"  # names of the bits in `table`
    FEATURES = "features"  # virtio feature bits: generic names plus the device's own
    ENUM = "enum"  # the name in `table`
    PARTS = "parts"  # named bit ranges of one word, see `parts`
    RING = "ring"  # a vring index
    VRING_BASE = "vring base"  # split or packed by VIRTIO_F_RING_PACKED
    ACK = "ack"  # 0 is ok, anything else an error
    MAC = "mac"
    TEXT = "text"  # NUL-padded UTF-8
    UUID = "uuid"  # 16 bytes in RFC 4122 order
    BYTES = "bytes"
    CONFIG = "config"  # device configuration space, dissected by the device
    SECRET = "secret"  # keys and host pointers: redacted unless asked for
    PAD = "pad"


@dataclass(frozen=True, slots=True)
class Part:
    """A named bit range of a word: `mask` as it stands in the word."""

    name: str
    mask: int

    def of(self, word: int) -> int:
        """The part's value, shifted down to bit 0."""
        return (word & self.mask) // (self.mask & -self.mask)


@dataclass(frozen=True, slots=True)
class Show:
    """How one field is shown: its kind, with the names (`table`), parts or unit that it needs.

    `unit` is one word behind the number; `factor` makes bytes of it (512 for sectors).
    """

    kind: Kind = Kind.DEC
    table: Mapping[int, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    unit: str = ""
    factor: int = 0


DEC = Show()
HEX = Show(Kind.HEX)
SIZE = Show(Kind.SIZE)
FEATURES = Show(Kind.FEATURES)
RING = Show(Kind.RING)
VRING_BASE = Show(Kind.VRING_BASE)
ACK = Show(Kind.ACK)
MAC = Show(Kind.MAC)
TEXT = Show(Kind.TEXT)
UUID = Show(Kind.UUID)
BYTES = Show(Kind.BYTES)
CONFIG = Show(Kind.CONFIG)
SECRET = Show(Kind.SECRET)
PAD = Show(Kind.PAD)
SECTORS = Show(unit="sectors", factor=512)


def flags(table: Mapping[int, str]) -> Show:
    """A mask whose bits have names: `{bit number: name}`."""
    return Show(Kind.FLAGS, table)


def enum(table: Mapping[int, str]) -> Show:
    """A number that stands for a name: `{value: name}`."""
    return Show(Kind.ENUM, table)


def parts(**masks: int) -> Show:
    """A word made of named bit ranges: `parts(index=0xff, nofd=0x100)`."""
    return Show(Kind.PARTS, parts=tuple(Part(name, mask) for name, mask in masks.items()))


def unit(word: str, factor: int = 0) -> Show:
    """A count of something: `unit("sectors", 512)`; `factor` bytes each, 0 for not bytes."""
    return Show(unit=word, factor=factor)


def shown(show: Show, value: Any) -> str:
    """`value` in the words of `show` alone, as scapy's own `show()` prints it; never raises."""
    words = SHOWN.get(show.kind)
    try:
        return words(show, value) if words else repr(value)
    except (TypeError, ValueError, AttributeError):  # scapy puts random objects in, users anything
        return repr(value)


def decimal(show: Show, value: int) -> str:
    """A number, with what it counts."""
    return f"{value} {show.unit}" if show.unit else repr(value)


SHOWN: Mapping[Kind, Callable[[Show, Any], str]] = {
    Kind.DEC: decimal,
    Kind.HEX: lambda show, value: f"{value:#x}",
    Kind.SIZE: lambda show, value: f"{value:#x}",
    Kind.FLAGS: lambda show, value: f"{value:#x} {'+'.join(bit_names(value, show.table))}".rstrip(),
    Kind.FEATURES: lambda show, value: f"{value:#x} {'+'.join(bit_names(value, VIRTIO_FEATURES))}".rstrip(),
    Kind.ENUM: lambda show, value: show.table.get(value, repr(value)),
    Kind.PARTS: lambda show, value: ", ".join(f"{part.name} {part.of(value)}" for part in show.parts),
    Kind.ACK: lambda show, value: "ok" if value == 0 else f"error {value}",
    Kind.MAC: lambda show, value: value.hex(":"),
    Kind.UUID: lambda show, value: str(uuid.UUID(bytes=value)),
    Kind.SECRET: lambda show, value: "redacted",
}
