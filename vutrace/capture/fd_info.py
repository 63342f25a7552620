"""An `FdInfo` as the value of a TLV: a fixed part of 56 bytes, then TLVs of its own.

Normative text: docs/capture-format.md, "File descriptors".
"""

import struct
from operator import attrgetter

from vutrace.capture.errors import MalformedError
from vutrace.capture.tlv import decode_text, encode_text, encode_tlv, walk_tlvs
from vutrace.quick import quick
from vutrace.records import FdInfo, FdKind

# kind, access, presence bits, seals, device, inode, size, eventfd id, eventfd count, the two fd numbers
FIXED = struct.Struct("<BBHIQQQqQii")

# Paths are at most 4096 bytes; with 253 of this size a record stays below Wireshark's packet limit.
NAME_LIMIT = 512
NAME, MAPPED = 1, 2
MAPPED_LIMIT = 16

KIND_CODES: dict[FdKind, int] = {
    FdKind.OTHER: 0,
    FdKind.EVENTFD: 1,
    FdKind.MEMFD: 2,
    FdKind.FILE: 3,
    FdKind.HUGETLBFS: 4,
    FdKind.SOCKET: 5,
    FdKind.PIPE: 6,
    FdKind.USERFAULTFD: 7,
    FdKind.DMABUF: 8,
    FdKind.UNKNOWN: 9,
}
ACCESS_CODES = {"": 0, "r": 1, "w": 2, "rw": 3}

# One bit per number that may be unknown, in the order of the fixed part.
OPTIONAL = ("seals", "size", "eventfd_id", "eventfd_count", "frontend_fd", "backend_fd")

optional_fields = attrgetter(*OPTIONAL)
BITS = tuple(1 << bit for bit in range(len(OPTIONAL)))
new_fd_info = quick(FdInfo)
KINDS = {code: kind for kind, code in KIND_CODES.items()}
ACCESSES = {code: access for access, code in ACCESS_CODES.items()}


def encode_fd(info: FdInfo) -> bytes:
    """The value of an fd TLV."""
    optional = optional_fields(info)
    present = 0
    for bit, value in zip(BITS, optional, strict=True):
        if value is not None:
            present |= bit
    seals, size, eventfd_id, eventfd_count, frontend_fd, backend_fd = optional
    fixed = FIXED.pack(
        KIND_CODES[info.kind],
        ACCESS_CODES.get(info.access, 0),
        present,
        seals or 0,
        info.device,
        info.inode,
        size or 0,
        eventfd_id or 0,
        eventfd_count or 0,
        frontend_fd or 0,
        backend_fd or 0,
    )
    if info.name:
        fixed += encode_tlv(NAME, encode_text(info.name, NAME_LIMIT))
    if info.mapped:
        fixed += encode_tlv(MAPPED, encode_text(info.mapped, MAPPED_LIMIT))
    return fixed


def decode_fd(data: bytes, start: int, end: int) -> FdInfo:
    """The FdInfo in `data[start:end]`; unknown kinds are OTHER. Raises MalformedError when it is short."""
    if end - start < 56:
        raise MalformedError(f"a file descriptor of {end - start} bytes, at least {FIXED.size} are needed")
    fixed = FIXED.unpack_from(data, start)
    kind, access, present, seals, device, inode, size, eventfd_id, eventfd_count, frontend_fd, backend_fd = (
        fixed
    )
    name, mapped = texts(data, start + 56, end) if end > start + 56 else ("", "")
    return new_fd_info(
        KINDS.get(kind, FdKind.OTHER),
        device,
        inode,
        size if present & 2 else None,
        seals if present & 1 else None,
        name,
        eventfd_id if present & 4 else None,
        eventfd_count if present & 8 else None,
        ACCESSES.get(access, ""),
        frontend_fd if present & 16 else None,
        backend_fd if present & 32 else None,
        mapped,
    )


def texts(data: bytes, start: int, end: int) -> tuple[str, str]:
    """The name, and how it is mapped."""
    found = {NAME: "", MAPPED: ""}
    for kind, first, last in walk_tlvs(data, start, end):
        if kind in found and not found[kind]:
            found[kind] = decode_text(data[first:last])
    return found[NAME], found[MAPPED]
