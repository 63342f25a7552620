"""Writes protobuf's wire format: what the Perfetto view needs of it, and no more.

Source: protobuf.dev, "Encoding". A message is the concatenation of its fields; there is no order to keep.
"""

from vutrace.outgoing import page

VARINT, FIXED64, LENGTH = 0, 1, 2
WORD = (1 << 64) - 1


def varint(value: int) -> bytes:
    """An integer in groups of seven bits, lowest first; a negative one as its two's complement."""
    value &= WORD
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """An int, uint, bool or enum field."""
    return varint(field << 3 | VARINT) + varint(value)


def fixed64(field: int, value: int) -> bytes:
    """A fixed64 field."""
    return varint(field << 3 | FIXED64) + (value & WORD).to_bytes(8, "little")


def message(field: int, *parts: bytes) -> bytes:
    """A field that is a message made of `parts`."""
    body = b"".join(parts)
    return varint(field << 3 | LENGTH) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A string field, as it may be shown."""
    return message(field, page(value).encode())
