"""Records to the bytes of a capture file: one pcapng block each. Pure; `writer` puts them in a file.

A file is `section_block()`, then `connection_block()` of every connection in the order in which the
records' `interface` numbers count them (from 0), each before its first record, and `record_block()`s.
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from vutrace import __version__
from vutrace.capture.blocks import (
    BYTE_ORDER_MAGIC,
    ENHANCED_PACKET,
    EXPORT_TAGS,
    INTERFACE_DESCRIPTION,
    OPT_END,
    SECTION_HEADER,
    WIRESHARK_UPPER_PDU,
    encode_block,
    encode_option,
)
from vutrace.capture.interface import encode_name
from vutrace.capture.pseudo_header import encode, extended
from vutrace.records import Connection, Frame, FrameFlag, Record, Side

# Wireshark's WTAP_MAX_PACKET_SIZE_STANDARD: it gives up on a file at the first packet above it.
MAX_PACKET = 256 * 1024
# SCM_MAX_FD: what the kernel passes at once; descriptions of as many always fit.
MAX_FDS = 253

SHB_HARDWARE, SHB_OS, SHB_USERAPPL = 2, 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
EPB_FLAGS = 2
NANOSECONDS = bytes([9])
END = struct.pack("<HH", OPT_END, 0)

# As a host speaks of its devices: the front-end's messages go out, the back-end's come in.
DIRECTIONS: dict[Side | None, int] = {None: 0b00, Side.BACKEND: 0b01, Side.FRONTEND: 0b10}

# type, total length, interface, time high, time low, captured length, original length
PACKET = struct.Struct("<IIIIIII")
TAILS = {
    (side, padding): bytes(padding) + struct.pack("<HHI", EPB_FLAGS, 4, bits) + END
    for side, bits in DIRECTIONS.items()
    for padding in range(4)
}
LENGTH = struct.Struct("<I")
OVERHEAD = PACKET.size + len(TAILS[None, 0]) + LENGTH.size
TAGS_SIZE = len(EXPORT_TAGS)


def section_block(hardware: str = "", system: str = "") -> bytes:
    """The Section Header Block that opens a file; `system` is this machine's where it is empty."""
    uname = os.uname()
    options = encode_option(SHB_HARDWARE, hardware.encode()) if hardware else b""
    options += encode_option(SHB_OS, (system or f"{uname.sysname} {uname.release}").encode())
    options += encode_option(SHB_USERAPPL, f"vutrace {__version__}".encode())
    version_and_length = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1)
    return encode_block(SECTION_HEADER, version_and_length + options + END)


def connection_block(connection: Connection, started_ns: int) -> bytes:
    """The Interface Description Block of a connection, its name "A FRONTEND ⇄ BACKEND".

    `started_ns` (epoch) is when the capture began: it keeps mergecap from taking the interfaces of
    two captures for one when their endpoints are the same.
    """
    started = datetime.fromtimestamp(started_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    description = f"vhost-user, capture of {started}.{started_ns % 1_000_000_000:09d}Z"
    options = (
        encode_option(IF_NAME, encode_name(connection))
        + encode_option(IF_DESCRIPTION, description.encode())
        + encode_option(IF_TSRESOL, NANOSECONDS)
    )
    body = struct.pack("<HHI", WIRESHARK_UPPER_PDU, 0, 0) + options + END
    return encode_block(INTERFACE_DESCRIPTION, body)


def record_block(record: Record, interface: int, more: bytes = b"") -> bytes:
    """The Enhanced Packet Block of a record; what is above `MAX_PACKET` is cut off and marked CUT.

    `more` are TLVs for the pseudo-header.
    """
    header = extended(encode(record), more) if more else encode(record)
    data = record.data if isinstance(record, Frame) else b""
    size = TAGS_SIZE + len(header) + len(data)
    if size > MAX_PACKET:
        return record_block(cut(record, MAX_PACKET - TAGS_SIZE - len(header)), interface, more)
    padding = -size & 3
    total = OVERHEAD + size + padding
    time = record.time_ns
    head = PACKET.pack(ENHANCED_PACKET, total, interface, time >> 32, time & 0xFFFFFFFF, size, size)
    return head + EXPORT_TAGS + header + data + TAILS[record.sender, padding] + LENGTH.pack(total)


def message_blocks(frame: Frame, data: bytes, ends: Iterable[int], interface: int) -> list[bytes]:
    """What `record_block` makes of messages without descriptors that stand back to back in `data`, in parts.

    `ends` is where each ends, the first beginning at 0; each at most a few KiB below `MAX_PACKET`. In all
    else they are as `frame`. Much quicker than as many calls of `record_block`.
    """
    parts: list[bytes] = []
    heads: dict[int, tuple[bytes, bytes]] = {}
    begin = 0
    for end in ends:
        size = end - begin
        around = heads.get(size) or heads.setdefault(size, around_record(frame, data[begin:end], interface))
        parts += (around[0], data[begin:end], around[1])
        begin = end
    return parts


def around_record(frame: Frame, data: bytes, interface: int) -> tuple[bytes, bytes]:
    """What stands before and after any message of this size."""
    block = record_block(replace(frame, data=data, wire_size=len(data)), interface)
    after = len(TAILS[frame.sender, -len(data) & 3]) + LENGTH.size
    return block[: -after - len(data)], block[-after:]


def cut(record: Record, room: int) -> Record:
    """A frame with the first `room` bytes only. (An event is bounded by its pseudo-header.)"""
    assert isinstance(record, Frame)
    if room < 0:
        return replace(record, fds=record.fds[:MAX_FDS], flags=record.flags | FrameFlag.FDS_LOST)
    return replace(record, data=record.data[:room], flags=record.flags | FrameFlag.CUT)
