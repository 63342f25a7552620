"""What a sample tells of rings, in TLVs. Normative text: docs/capture-format.md."""

import struct

from vutrace.capture.errors import MalformedError
from vutrace.records import DirtyLog, NoticeTimes, RingSample

# The fields of RingSample in their order: those that every version has, and those that came later.
RING, LATER = struct.Struct("<HIHHHIHHHHHHIIIQQQQ"), struct.Struct("<QQIIII")
NOTHING = bytes(LATER.size)
NOTICES, TIME = struct.Struct("<HB5x"), struct.Struct("<QQ")  # ring and role, then times
LOG = struct.Struct("<QQI")
ROLES = "kick", "call"
FIRST = len(RING.unpack(bytes(RING.size)))


def encode_ring(sample: RingSample) -> bytes:
    """The value of a TLV; struct.error where a number does not fit, which the sampler's never do."""
    return RING.pack(*sample[:FIRST]) + LATER.pack(*sample[FIRST:])


def decode_ring(data: bytes, start: int, end: int) -> RingSample:
    """The ring in `data[start:end]`; what later versions append is skipped. Raises MalformedError."""
    if end - start < RING.size:
        raise MalformedError(f"a sample of a ring of {end - start} bytes, it has {RING.size}")
    later = data[start + RING.size : end][: LATER.size]
    return RingSample._make(RING.unpack_from(data, start) + LATER.unpack(later + NOTHING[len(later) :]))


def encode_notices(notices: NoticeTimes) -> bytes:
    """The value of a TLV."""
    head = NOTICES.pack(notices.ring, ROLES.index(notices.role))
    return head + b"".join(TIME.pack(*each) for each in notices.times)


def decode_notices(data: bytes, start: int, end: int) -> NoticeTimes:
    """The kicks or calls in `data[start:end]`. Raises MalformedError."""
    if end - start < NOTICES.size:
        raise MalformedError(f"notices of {end - start} bytes")
    ring, role = NOTICES.unpack_from(data, start)
    whole = end - (end - start - NOTICES.size) % TIME.size
    times = tuple(TIME.iter_unpack(data[start + NOTICES.size : whole]))
    return NoticeTimes(ring, ROLES[role & 1], times)


def encode_log(log: DirtyLog) -> bytes:
    """The value of a TLV."""
    return LOG.pack(*log)


def decode_log(data: bytes, start: int, end: int) -> DirtyLog:
    """The log in `data[start:end]`. Raises MalformedError."""
    if end - start < LOG.size:
        raise MalformedError(f"a log of {end - start} bytes, it has {LOG.size}")
    return DirtyLog._make(LOG.unpack_from(data, start))
