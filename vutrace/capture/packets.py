"""Packets that went through a ring, on an interface of its own that Wireshark reads."""

import struct

from vutrace.capture.blocks import (
    ENHANCED_PACKET,
    INTERFACE_DESCRIPTION,
    OPT_END,
    encode_block,
    encode_option,
)

IF_NAME, IF_TSRESOL, EPB_DROPCOUNT = 2, 9, 4
NANOSECONDS = bytes([9])
END = struct.pack("<HH", OPT_END, 0)
HEAD = struct.Struct("<IIIII")  # interface, time high, time low, captured length, original length


def link_interface(name: str, link: int) -> bytes:
    """The Interface Description Block of a ring's packets; `link` is a LINKTYPE_ number."""
    options = encode_option(IF_NAME, name.encode()) + encode_option(IF_TSRESOL, NANOSECONDS)
    return encode_block(INTERFACE_DESCRIPTION, struct.pack("<HHI", link, 0, 0) + options + END)


def link_packet(time_ns: int, data: bytes, size: int, interface: int, missed: int) -> bytes:
    """The block of a packet of `size` bytes; so many others were missed since the one before."""
    head = HEAD.pack(interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(data), max(size, len(data)))
    dropped = encode_option(EPB_DROPCOUNT, struct.pack("<Q", missed)) + END if missed else b""
    return encode_block(ENHANCED_PACKET, head + data + bytes(-len(data) & 3) + dropped)
