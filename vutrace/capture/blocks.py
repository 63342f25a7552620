"""pcapng's blocks: their numbers, their options, and how a stream of bytes is split into them.

Source: draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Callable, Iterable, Iterator

from vutrace.capture.errors import CaptureError, MalformedError

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6

BYTE_ORDER_MAGIC = 0x1A2B3C4D
OPT_END = 0

WIRESHARK_UPPER_PDU = 252
# EXP_PDU tags are big-endian: 12 (dissector name), 12 bytes, padded; then the end tag.
EXPORT_NAME_TAG = 12
EXPORT_NAME = b"vhost_user"
EXPORT_TAGS = struct.pack(">HH12sHH", EXPORT_NAME_TAG, 12, EXPORT_NAME, 0, 0)

# Ours are below Wireshark's 256 KiB a packet; others may put larger blocks of names or secrets in.
MAX_BLOCK = 16 * 1024 * 1024

SECTION_MAGIC = b"\n\r\r\n"
BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
SMALLEST = 12

Block = tuple[int, bytes, int, int]
Unpack = Callable[[bytes, int], tuple[int, int]]


def encode_block(kind: int, body: bytes) -> bytes:
    """A whole block, little-endian; `body` is a multiple of 4 bytes."""
    total = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + total + body + total


def encode_option(code: int, value: bytes) -> bytes:
    """One option, padded; `value` is at most 65,535 bytes."""
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) & 3)


def walk_options(data: bytes, start: int, end: int, order: str) -> Iterator[tuple[int, bytes]]:
    """(code, value) of every option in `data[start:end]`, or MalformedError; `order` is "<" or ">"."""
    while end - start >= 4:
        code, length = struct.unpack_from(order + "HH", data, start)
        start += 4
        if code == OPT_END:
            return
        if length > end - start:
            raise MalformedError(f"option {code} of {length} bytes where {end - start} are left")
        yield code, data[start : start + length]
        start += length + (-length & 3)


class BlockStream:
    """The whole blocks of each chunk of a stream, as (type, data, body start, body end).

    The blocks of one chunk are to be taken before those of the next. Memory is one chunk and one block.
    `order` is the byte order of the current section, "<" or ">"; `base` is the offset in the file of the
    first byte of `data`; `left` is how many bytes of a cut block there were at the end. Raises CaptureError
    where something else than a block stands.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.order = ""
        self.base = 0
        self.left = 0
        self._unpack_head: Unpack = struct.Struct("<II").unpack_from
        self._used, self._needed = 0, SMALLEST

    def __iter__(self) -> Iterator[Iterator[Block]]:
        pending = bytearray()
        for chunk in self._chunks:
            pending += chunk
            # A pipe may bring a large block byte by byte: copy once per block, not once per byte.
            if len(pending) < self._needed:
                continue
            data = bytes(pending)
            yield self._split(data)
            self.base += self._used
            pending = bytearray(data[self._used :])
        self._finish(bytes(pending))

    def _split(self, data: bytes) -> Iterator[Block]:
        """The whole blocks in `data`; notes where they end, and how many bytes the next one needs."""
        start, available, unpack = 0, len(data), self._unpack_head
        self._needed = SMALLEST
        while available - start >= SMALLEST:
            kind, size = unpack(data, start)
            if kind == SECTION_HEADER or not self.order:
                unpack = self._begin_section(data, start)
                kind, size = unpack(data, start)
            if size & 3 or not SMALLEST <= size <= MAX_BLOCK:
                raise damaged(self.base + start, f"a block length of {size}")
            end = start + size
            if end > available:
                self._needed = size
                break
            if data[start + 4 : start + 8] != data[end - 4 : end]:
                raise damaged(self.base + start, "a block whose two lengths differ")
            yield kind, data, start + 8, end - 4
            start = end
        self._used = start

    def _begin_section(self, data: bytes, start: int) -> Unpack:
        if data[start : start + 4] != SECTION_MAGIC:
            raise not_pcapng()
        if data[start + 8 : start + 12] not in BYTE_ORDERS:
            raise damaged(self.base + start, "a section without byte order")
        self.order = BYTE_ORDERS[data[start + 8 : start + 12]]
        self._unpack_head = struct.Struct(self.order + "II").unpack_from
        return self._unpack_head

    def _finish(self, rest: bytes) -> None:
        self.left = len(rest)
        if not self.order and not SECTION_MAGIC.startswith(rest[:4]):
            raise not_pcapng()


def damaged(position: int, what: str) -> CaptureError:
    """The error for a block at byte `position` of a file."""
    return CaptureError(f"damaged at byte {position}: {what}; what stands before it can be used")


def not_pcapng() -> CaptureError:
    return CaptureError("not a vutrace capture: it does not begin as a pcapng file does (at byte 0)")
