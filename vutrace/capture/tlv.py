"""Type-length-value: how the pseudo-header grows without a new version.

A TLV is u32 type, u32 length, value, zero padding to a multiple of 4 (not counted in the length);
little-endian. A reader skips the types that it does not know.
"""

import struct
from collections.abc import Iterator

from vutrace.capture.errors import MalformedError

HEAD = struct.Struct("<II")


def encode_tlv(kind: int, value: bytes) -> bytes:
    """One TLV, padded."""
    return HEAD.pack(kind, len(value)) + value + bytes(-len(value) & 3)


def walk_tlvs(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(type, value start, value end) of every TLV in `data[start:end]`; MalformedError if one overruns."""
    while start < end:
        if end - start < HEAD.size:
            raise MalformedError("the pseudo-header ends inside a TLV")
        kind, length = HEAD.unpack_from(data, start)
        start += HEAD.size
        if length > end - start:
            raise MalformedError(f"a TLV of {length} bytes where {end - start} are left")
        yield kind, start, start + length
        start += length + (-length & 3)


def encode_text(text: str, limit: int) -> bytes:
    """UTF-8, cut to `limit` bytes. Names from the kernel that are not UTF-8 survive (surrogateescape)."""
    try:
        return text.encode("utf-8", "surrogateescape")[:limit]
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")[:limit]


def decode_text(data: bytes) -> str:
    """The text of `encode_text`; never fails, whatever the bytes are."""
    return data.decode("utf-8", "surrogateescape")
