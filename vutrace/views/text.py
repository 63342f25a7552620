"""What a field's value means, in words: the one place where a `Show` becomes text.

Rows, the detail tree, JSON's `names`, `vutrace list` and the exports all ask here. Nothing raises:
a value that is not what its `Show` expects (a plug-in's layer may hold anything) is shown as it is.
"""

import errno
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.outgoing import printable as printable
from vutrace.protocol.bits import VIRTIO_FEATURES, bit_names
from vutrace.protocol.shows import Kind, Show
from vutrace.protocol.wire import FLAG_NAMES, VHOST_USER
from vutrace.records import Event, EventKind
from vutrace.session.context import NOTHING_KNOWN, RING_PACKED, Context

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
BYTES_SHOWN = 16
SECOND = 1_000_000_000  # ns
LONG = 100_000  # a size of so many units is easier read with larger ones before them
PARTS_SHOWN = 2  # of a size that no unit makes a whole number of
REDACTED = "redacted"
WORD, SIGN = 1 << 64, 1 << 63

Words = Callable[[Any, Show, Context], str]


def text_of(value: object, show: Show, context: Context = NOTHING_KNOWN) -> str:
    """One value in words; `context` is the negotiation that some values are read by."""
    kind, words = WORDS.get(show.kind, ANY)
    return words(value, show, context) if isinstance(value, kind) else plain(value)


def plain(value: object) -> str:
    """A value without a known meaning."""
    if isinstance(value, bytes):
        return hex_of(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return printable(str(value))


def address(value: int) -> str:
    """An address; zero is just 0."""
    return f"{value:#x}" if value else "0"


def size(value: int) -> str:
    """Bytes, exactly, in the largest unit that makes a whole number of them; of a long one in several.

    256 MiB, 8448 bytes, 255 MiB + 4 KiB.
    """
    whole, power = value, 0
    while whole and whole % 1024 == 0 and power < len(UNITS) - 1:
        whole //= 1024
        power += 1
    if whole >= LONG:
        parts = list(parts_of_size(value))
        return " + ".join(parts) if len(parts) <= PARTS_SHOWN else count(value, "byte")
    return unit_words(whole, power)


def parts_of_size(value: int) -> Iterator[str]:
    """A size as a sum, the largest unit first."""
    for power in reversed(range(len(UNITS))):
        whole, value = divmod(value, 1024**power)
        if whole:
            yield unit_words(whole, power)


def unit_words(number: int, power: int) -> str:
    """So many of a unit."""
    return f"{number} {UNITS[power]}" if power else count(number, "byte")


def count(number: int, word: str) -> str:
    """1 region, 2 regions."""
    return f"{number} {word}{'s' * (number != 1)}"


def happened(event: Event) -> str:
    """What an event says; a close tells of which socket."""
    where = f"{event.channel.words}: " if event.kind is EventKind.CLOSE else ""
    return f"{event.kind}: {where}{printable(event.text)}"


def duration(nanoseconds: int) -> str:
    """A length of time in the unit that suits it."""
    for unit, size in (("s", SECOND), ("ms", 1_000_000), ("µs", 1000)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds} ns"


def hex_of(data: bytes, limit: int = BYTES_SHOWN) -> str:
    """Bytes as hex digits, of long ones the beginning and how many there are."""
    return data.hex() if len(data) <= limit else f"{data[:limit].hex()}… ({len(data)} bytes)"


def fourcc(code: int) -> str:
    """A DRM format: XR24."""
    letters = (code & 0xFFFFFFFF).to_bytes(4, "little")
    printable = all(0x20 <= byte < 0x7F for byte in letters)
    return letters.decode("ascii") if printable else f"{code & 0xFFFFFFFF:#x}"


def feature_names(mask: int, device: Device = UNKNOWN_DEVICE) -> list[str]:
    """The names of virtio feature bits, the device's own among them."""
    return bit_names(mask, VIRTIO_FEATURES, device.features)


def status(value: int) -> str:
    """An acknowledgement: ok, error 1, or crosvm's negative errno by name."""
    if value == 0:
        return "ok"
    number = value - WORD if value & SIGN else value
    name = errno.errorcode.get(-number)
    return f"error {name} ({number})" if name else f"error {number}"


def flag_words(flags: int, versioned: bool = True) -> str:
    """The flags of a header; the GPU channel's have no version."""
    version = [f"version {flags & VHOST_USER.version_mask}"] if versioned else []
    return ", ".join([*version, *(name for bit, name in FLAG_NAMES.items() if flags >> bit & 1)])


def vring_base(value: int, packed: bool) -> str:
    """A ring's next index; a packed ring has a wrap counter for each of two indexes."""
    if not packed:
        return f"avail {value}"
    return ", ".join(f"{name} {half & 0x7FFF} wrap {half >> 15}" for name, half in halves(value).items())


def halves(value: int) -> Mapping[str, int]:
    """The two 16-bit halves of a packed ring's base."""
    return {"avail": value & 0xFFFF, "used": value >> 16 & 0xFFFF}


def joined(names: Iterable[str]) -> str:
    """Names of bits, or none."""
    return " ".join(names) or "none"


def decimal(value: int, show: Show, _context: Context) -> str:
    """A number, with its unit and what that makes in bytes."""
    text = f"{value} {show.unit}" if show.unit else str(value)
    return f"{text} ({size(value * show.factor)})" if show.factor else text


def enumerated(value: int, show: Show, _context: Context) -> str:
    """A number's name."""
    return show.table.get(value, f"UNKNOWN({value})")


def mac(value: bytes, _show: Show, _context: Context) -> str:
    """An Ethernet address."""
    return value.hex(":")


def text(value: bytes, _show: Show, _context: Context) -> str:
    """NUL-padded UTF-8."""
    return printable(value.rstrip(b"\0").decode(errors="replace"))


def uuid_of(value: bytes, _show: Show, _context: Context) -> str:
    """Sixteen bytes as a UUID."""
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else hex_of(value)


def parted(value: int, show: Show, _context: Context) -> str:
    """A word's named parts."""
    return ", ".join(f"{part.name} {part.of(value)}" for part in show.parts)


ANY: tuple[type, Words] = (object, lambda value, show, context: plain(value))
WORDS: Mapping[Kind, tuple[type, Words]] = {
    Kind.DEC: (int, decimal),
    Kind.HEX: (int, lambda value, show, context: address(value)),
    Kind.SIZE: (int, lambda value, show, context: size(value)),
    Kind.FLAGS: (int, lambda value, show, context: joined(bit_names(value, show.table))),
    Kind.FEATURES: (int, lambda value, show, context: joined(feature_names(value, context.device))),
    Kind.ENUM: (int, enumerated),
    Kind.PARTS: (int, parted),
    Kind.VRING_BASE: (int, lambda value, show, context: vring_base(value, context.has_feature(RING_PACKED))),
    Kind.ACK: (int, lambda value, show, context: status(value)),
    Kind.MAC: (bytes, mac),
    Kind.TEXT: (bytes, text),
    Kind.UUID: (bytes, uuid_of),
    Kind.SECRET: (object, lambda value, show, context: REDACTED),
}
