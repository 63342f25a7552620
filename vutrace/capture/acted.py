"""What a rule did to a message, as a TLV of the pseudo-header. Normative text: docs/capture-format.md."""

import struct

from vutrace.capture.errors import MalformedError
from vutrace.capture.fd_info import decode_fd, encode_fd
from vutrace.capture.tlv import decode_text, encode_text, encode_tlv, walk_tlvs
from vutrace.records import Acted, Deed

# what was done, when the message came, how long it was then
FIXED = struct.Struct("<IQI")
CODES: dict[Deed, int] = {Deed.HELD: 1, Deed.CHANGED: 2, Deed.MADE: 3}
DEEDS = {code: deed for deed, code in CODES.items()}
TLV_RULE, TLV_CAME, TLV_CAME_FD = 1, 2, 3
# Bytes of a rule's name, descriptors as they came: a packet that Wireshark reads has no room for more.
NAME_LIMIT, MOST_FDS = 1024, 32


def encode_acted(acted: Acted) -> bytes:
    """The value of the TLV."""
    parts = [encode_tlv(TLV_RULE, encode_text(acted.rule, NAME_LIMIT))]
    if acted.deed is Deed.CHANGED:
        parts.append(encode_tlv(TLV_CAME, acted.data))
        parts += [encode_tlv(TLV_CAME_FD, encode_fd(info)) for info in acted.fds[:MOST_FDS]]
    return FIXED.pack(CODES[acted.deed], acted.came_ns, acted.wire_size) + b"".join(parts)


def decode_acted(data: bytes, start: int, end: int) -> Acted:
    """What `encode_acted` was given; a deed of later versions reads as a change. Raises MalformedError."""
    if end - start < FIXED.size:
        raise MalformedError(f"{end - start} bytes about what a rule did, where {FIXED.size} are needed")
    code, came_ns, size = FIXED.unpack_from(data, start)
    rule, came, fds = "", b"", []
    for kind, first, last in walk_tlvs(data, start + FIXED.size, end):
        if kind == TLV_RULE:
            rule = decode_text(data[first:last])
        elif kind == TLV_CAME:
            came = data[first:last]
        elif kind == TLV_CAME_FD:
            fds.append(decode_fd(data, first, last))
    return Acted(DEEDS.get(code, Deed.CHANGED), rule, came_ns, came, tuple(fds), size)
