"""Captures as they lie about: compressed ones, and classic pcap, as the bytes of a pcapng file."""

import lzma
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Protocol

from vutrace.capture.blocks import BYTE_ORDER_MAGIC as SECTION_MAGIC
from vutrace.capture.blocks import ENHANCED_PACKET, INTERFACE_DESCRIPTION, SECTION_HEADER, encode_block
from vutrace.capture.errors import CaptureError

GZIP, XZ, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
LONGEST_MAGIC = 6
READ = 256 * 1024
MAX_PACKET = 16 * 1024 * 1024
NO_ZSTD = "compressed with zstd: this needs Python 3.14, or the zstd program; or unzstd it first"

# A classic pcap file's first bytes: the order of its numbers, and the exponent of its times' unit.
PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 6),
    b"\xa1\xb2\xc3\xd4": (">", 6),
    b"\x4d\x3c\xb2\xa1": ("<", 9),
    b"\xa1\xb2\x3c\x4d": (">", 9),
}
PCAP_HEADER, PCAP_PACKET = 24, 16
LINK_TYPE_MASK = 0xFFFF  # above it are bits about checksums


class Unpacker(Protocol):
    """What zlib, lzma and compression.zstd have in common."""

    @property
    def eof(self) -> bool:
        """Whether the compressed stream is over."""

    @property
    def unused_data(self) -> bytes:
        """What stands behind it."""

    def decompress(self, data: bytes, /) -> bytes:
        """The bytes that `data` completes."""


def opened(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a pcapng file, whichever way they were packed; CaptureError where they are damaged."""
    head, rest = peeked(iter(chunks), LONGEST_MAGIC)
    unpack = next((way for magic, way in COMPRESSED.items() if head.startswith(magic)), None)
    if unpack is None:
        return pcapng(head, rest)
    return opened(unpack(chain([head], rest)))


def is_compressed(path: str) -> bool:
    """Whether a file begins as a compressed one does; False where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(LONGEST_MAGIC).startswith(tuple(COMPRESSED))
    except OSError:
        return False


def pcapng(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, but those of classic pcap as pcapng."""
    order = PCAP.get(head[:4])
    return chain([head], rest) if order is None else from_pcap(chain([head], rest), *order)


def peeked(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """At least the first `size` bytes, as far as there are so many, and what follows."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    return head, chunks


def unpacked(chunks: Iterable[bytes], make: Callable[[], Unpacker]) -> Iterator[bytes]:
    """Decompressed bytes; one stream may follow another, and the last may be cut."""
    unpacker = make()
    try:
        for chunk in chunks:
            while chunk:
                if unpacker.eof:
                    unpacker = make()
                plain, chunk = unpacker.decompress(chunk), b""
                if unpacker.eof:
                    chunk = unpacker.unused_data.lstrip(b"\0")
                if plain:
                    yield plain
    except (zlib.error, lzma.LZMAError, ValueError) as error:
        raise CaptureError(f"damaged: it cannot be decompressed further: {error}") from None


def from_gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`gunzip`."""
    return unpacked(chunks, lambda: zlib.decompressobj(wbits=31))


def from_xz(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`unxz`."""
    return unpacked(chunks, lzma.LZMADecompressor)


def from_zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """`unzstd`, which only Python 3.14 can do itself."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]

        made: Any = zstd.ZstdDecompressor
        return unpacked(chunks, made)
    program = shutil.which("zstd")
    if program is None:
        raise CaptureError(NO_ZSTD)
    return through([program, "-dcq"], chunks)


COMPRESSED: dict[bytes, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    GZIP: from_gzip,
    XZ: from_xz,
    ZSTD: from_zstd,
}


def through(command: list[str], chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a program makes of the bytes; CaptureError where it complains."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdin
        assert program.stdout
        assert program.stderr
        feeder = threading.Thread(target=feed, args=(program.stdin, chunks), daemon=True)
        feeder.start()
        while plain := program.stdout.read1(READ):  # type: ignore[attr-defined]
            yield plain
        told = program.stderr.read().decode(errors="replace").strip().splitlines()
    if program.returncode and not any("premature" in line.lower() for line in told):
        raise CaptureError(f"damaged: it cannot be decompressed further: {told[-1] if told else command[0]}")


def feed(pipe: Any, chunks: Iterable[bytes]) -> None:
    """Hand the bytes to a program, as long as it takes them."""
    try:
        with pipe:
            for chunk in chunks:
                pipe.write(chunk)
    except OSError:
        return


def from_pcap(chunks: Iterable[bytes], order: str, exponent: int) -> Iterator[bytes]:
    """A classic pcap file as pcapng: one interface without a name, the packets as they are."""
    pending, begun = bytearray(), False
    packet = struct.Struct(order + "IIII")
    for chunk in chunks:
        pending += chunk
        if not begun and len(pending) >= PCAP_HEADER:
            yield beginning(struct.unpack_from(order + "I", pending, 20)[0] & LINK_TYPE_MASK, exponent)
            del pending[:PCAP_HEADER]
            begun = True
        if begun:
            yield from packets(pending, packet, exponent)
    if pending:
        yield struct.pack("<II", ENHANCED_PACKET, 32)  # so that it ends in the middle of a block, as it does


def beginning(link_type: int, exponent: int) -> bytes:
    """A section and its one interface."""
    section = struct.pack("<IHHq", SECTION_MAGIC, 1, 0, -1)
    resolution = struct.pack("<HHB3xI", 9, 1, exponent, 0)
    interface = struct.pack("<HHI", link_type, 0, 0) + resolution
    return encode_block(SECTION_HEADER, section) + encode_block(INTERFACE_DESCRIPTION, interface)


def packets(pending: bytearray, packet: struct.Struct, exponent: int) -> Iterator[bytes]:
    """The whole packets in `pending`, which are taken out of it, as blocks."""
    while len(pending) >= PCAP_PACKET:
        seconds, fraction, captured, original = packet.unpack_from(pending)
        if captured > MAX_PACKET:
            raise CaptureError(f"damaged: a packet of {captured} bytes; what stands before it can be used")
        end = PCAP_PACKET + captured
        if len(pending) < end:
            return
        ticks = seconds * 10**exponent + fraction
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, captured, original)
        yield encode_block(ENHANCED_PACKET, head + pending[PCAP_PACKET:end] + bytes(-captured & 3))
        del pending[:end]
