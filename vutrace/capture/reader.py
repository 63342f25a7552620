"""A capture back into connections and records: streaming, in constant memory, from any source of bytes."""

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from vutrace.capture.blocks import (
    ENHANCED_PACKET,
    EXPORT_NAME,
    EXPORT_NAME_TAG,
    EXPORT_TAGS,
    INTERFACE_DESCRIPTION,
    OBSOLETE_PACKET,
    SECTION_HEADER,
    SIMPLE_PACKET,
    Block,
    BlockStream,
    damaged,
)
from vutrace.capture.errors import CaptureError, MalformedError
from vutrace.capture.interface import Interface, decode_interface
from vutrace.capture.pseudo_header import decode
from vutrace.capture.unpack import opened
from vutrace.records import Connection, Frame, FrameFlag, Record

CHUNK = 256 * 1024
# Far above any real capture; bounds the memory that a hostile one can ask for.
MAX_INTERFACES = 65536
# A processor runs the same code on some records in a row a third faster than all code on each of them.
AHEAD = 64

TAG = struct.Struct(">HH")
TAGS_SIZE = len(EXPORT_TAGS)

Item = Connection | Record
Source = str | os.PathLike[str] | BinaryIO


def read(source: Source) -> "Reader":
    """The capture at a path, "-" for stdin, or in an open binary stream (which is not closed).

    It may be compressed (gzip, xz, zstd), and classic pcap, as tools make it of a capture.
    """
    return Reader(opened(file_chunks(source)))


class Numbers(dict[int, int]):
    """The connection numbers of one interface's pseudo-headers -> the reader's; new ones are allotted."""

    def __init__(self, allot: Callable[[int], int]) -> None:
        self._allot = allot

    def __missing__(self, number: int) -> int:
        self[number] = self._allot(number)
        return self[number]


class Reader:
    """Iterates once over a capture's connections and records, each connection before its records.

    Connections keep their numbers where they can; of two that share one (merged or concatenated
    captures) the later gets the next free. What was seen so far: `connections`, `records` (their count),
    `skipped` (packets that are not vutrace's) and, at the end, `cut` (the file ends inside a block,
    all before it was read). Iteration raises CaptureError, and nothing else. `ahead` bounds the lists of
    `batches`; with 1, what was seen is up to the record at hand.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._stream = BlockStream(chunks)
        self._interfaces: list[tuple[Interface, Numbers]] = []
        self._packet = struct.Struct("<IIIII")
        self._taken: set[int] = set()
        self._next_free = 0
        self._announced = 0
        self.connections: list[Connection] = []
        self.records = 0
        self.skipped = 0
        self.ahead = AHEAD

    @property
    def cut(self) -> bool:
        """Whether the file ended inside a block."""
        return self._stream.left > 0 or not self._stream.order

    @property
    def empty(self) -> bool:
        """Whether there was not a single byte."""
        return self._stream.left == 0 and not self._stream.order

    def __iter__(self) -> Iterator[Item]:
        for blocks in self._stream:
            yield from self._items(blocks)

    def batches(self) -> Iterator[list[Item]]:
        """The same in lists of at most `ahead`; one that is shorter does not wait for bytes to come."""
        batch: list[Item] = []
        try:
            for blocks in self._stream:
                for item in self._items(blocks):
                    batch.append(item)
                    if len(batch) >= self.ahead:
                        yield batch
                        batch = []
                if batch:
                    yield batch
                    batch = []
        except CaptureError:  # what stands before the damage can be used
            yield batch
            raise

    def _items(self, blocks: Iterator[Block]) -> Iterator[Item]:
        for kind, data, start, end in blocks:
            record = None
            try:
                if kind == ENHANCED_PACKET:
                    record = self._take_packet(data, start, end)
                else:
                    self._take(kind, data, start, end)
            except MalformedError as error:
                raise damaged(self._stream.base + start - 8, str(error)) from None
            if self._announced < len(self.connections):
                yield from self.connections[self._announced :]
                self._announced = len(self.connections)
            if record is not None:
                self.records += 1
                yield record

    def _take(self, kind: int, data: bytes, start: int, end: int) -> None:
        if kind == INTERFACE_DESCRIPTION:
            self._take_interface(decode_interface(data, start, end, self._stream.order))
        elif kind == SECTION_HEADER:
            self._take_section(data, start, end)
        elif kind in (OBSOLETE_PACKET, SIMPLE_PACKET):
            self.skipped += 1

    def _take_section(self, data: bytes, start: int, end: int) -> None:
        if end - start < 16:
            raise MalformedError("a section header of less than 28 bytes")
        major = struct.unpack_from(self._stream.order + "H", data, start + 4)[0]
        if major != 1:
            raise MalformedError(f"a section of pcapng version {major}, only 1 is known")
        self._interfaces = []
        self._packet = struct.Struct(self._stream.order + "IIIII")

    def _take_interface(self, interface: Interface) -> None:
        if len(self._interfaces) >= MAX_INTERFACES:
            raise MalformedError(f"more than {MAX_INTERFACES} interfaces")
        numbers = Numbers(self._allot)
        self._interfaces.append((interface, numbers))
        if interface.ours and interface.connection is not None:
            told = interface.connection
            numbers[told.number] = self._allot(told.number, told.frontend, told.backend)

    def _take_packet(self, data: bytes, start: int, end: int) -> Record | None:
        if end - start < 20:
            raise MalformedError("a packet block of less than 32 bytes")
        number, high, low, captured, original = self._packet.unpack_from(data, start)
        start += 20
        if captured > end - start:
            raise MalformedError(f"a packet of {captured} bytes in a block with {end - start}")
        if number >= len(self._interfaces):
            raise MalformedError(f"a packet of interface {number}, of {len(self._interfaces)}")
        interface, numbers = self._interfaces[number]
        body = after_tags(data, start, start + captured) if interface.ours else None
        if body is None:
            self.skipped += 1
            return None
        ticks = high << 32 | low
        time = ticks if interface.plain else interface.time_ns(ticks)
        record = decode(data, body, start + captured, time, numbers)
        if captured < original and isinstance(record, Frame):
            return replace(record, flags=record.flags | FrameFlag.CUT)
        return record

    def _allot(self, wanted: int, frontend: str = "", backend: str = "") -> int:
        if len(self.connections) >= MAX_INTERFACES:
            raise MalformedError(f"more than {MAX_INTERFACES} connections")
        number = self._next_free if wanted in self._taken else wanted
        self._taken.add(number)
        while self._next_free in self._taken:
            self._next_free += 1
        self.connections.append(Connection(number, frontend, backend))
        return number


def after_tags(data: bytes, start: int, end: int) -> int | None:
    """Where the PDU of an exported packet starts; None when it is not for the dissector `vhost_user`."""
    if data[start : start + TAGS_SIZE] == EXPORT_TAGS:
        return start + TAGS_SIZE
    ours = False
    while end - start >= TAG.size:
        tag, length = TAG.unpack_from(data, start)
        start += TAG.size
        if tag == 0:
            return start if ours and start <= end else None
        value = data[start : min(start + length, end)]
        ours |= tag == EXPORT_NAME_TAG and value.rstrip(b"\0") == EXPORT_NAME
        start += length + (-length & 3)
    return None


def file_chunks(source: Source) -> Iterator[bytes]:
    try:
        if not isinstance(source, str | os.PathLike):
            yield from stream_chunks(source)
        else:
            is_stdin = os.fspath(source) == "-"
            with open(0 if is_stdin else source, "rb", closefd=not is_stdin) as stream:
                yield from stream_chunks(stream)
    except OSError as error:
        raise CaptureError(f"{source}: {error.strerror or error}") from None


def stream_chunks(stream: BinaryIO) -> Iterator[bytes]:
    # read1: what a pipe holds now, not first a whole chunk of it.
    read_some = getattr(stream, "read1", stream.read)
    while chunk := read_some(CHUNK):
        yield chunk
