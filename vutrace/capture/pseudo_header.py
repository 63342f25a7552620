"""What stands before a message's bytes in a capture: who sent it, where, with which descriptors.

36 fixed bytes, then TLVs, all little-endian. Normative text: docs/capture-format.md.
"""

import struct
from collections.abc import Iterator, Mapping

from vutrace.capture.acted import decode_acted, encode_acted
from vutrace.capture.errors import MalformedError
from vutrace.capture.fd_info import decode_fd, encode_fd
from vutrace.capture.ring_sample import (
    decode_log,
    decode_notices,
    decode_ring,
    encode_log,
    encode_notices,
    encode_ring,
)
from vutrace.capture.tlv import decode_text, encode_text, encode_tlv, walk_tlvs
from vutrace.quick import quick
from vutrace.records import (
    Acted,
    Channel,
    DirtyLog,
    Event,
    EventKind,
    FdInfo,
    Frame,
    FrameFlag,
    NoticeTimes,
    Record,
    RingSample,
    Sample,
    Side,
)

MAGIC = b"VUTR"
VERSION = 1
# magic and version, kind, channel, sender, header length, connection, session,
# nfds, byte order, event kind, wire size, flags
FIXED = struct.Struct("<5sBBBIIIHBBQI")

MESSAGE, EVENT, SAMPLE = 1, 2, 4
CHANNEL_CODES: dict[Channel, int] = {Channel.MAIN: 1, Channel.BACKEND: 2, Channel.GPU: 3}
SIDE_CODES: dict[Side | None, int] = {None: 0, Side.FRONTEND: 1, Side.BACKEND: 2}
EVENT_CODES: dict[EventKind, int] = {
    EventKind.OPEN: 1,
    EventKind.CLOSE: 2,
    EventKind.ERROR: 3,
    EventKind.NOTE: 4,
    EventKind.GAP: 5,
    EventKind.DROPPED: 6,
    EventKind.SAMPLE: 7,
    EventKind.PAYLOAD: 8,
}

TLV_FD, TLV_TEXT, TLV_ATTRIBUTE, TLV_ACTED, TLV_KNOWN = 1, 2, 3, 4, 5
TLV_RING, TLV_INTERVAL, TLV_NOTICES, TLV_LOG = 16, 17, 18, 19

# Bytes: of one text or attribute, and of all of an event's TLVs. Wireshark refuses packets over 256 KiB.
TEXT_LIMIT = 16 * 1024
EVENT_LIMIT = 192 * 1024

START = MAGIC + bytes([VERSION])
LENGTH, LENGTH_AT = struct.Struct("<I"), 8
KEY_LENGTH = struct.Struct("<H")
PART = struct.Struct("<II")
INTERVAL = struct.Struct("<Q")
CHANNELS = {code: channel for channel, code in CHANNEL_CODES.items()}
SENDERS = {code: side for side, code in SIDE_CODES.items() if side is not None}
EVENTS = {code: kind for kind, code in EVENT_CODES.items()}


class Flags(dict[int, FrameFlag]):
    """The known combinations at once (making a FrameFlag is slow), any other when it comes."""

    def __missing__(self, bits: int) -> FrameFlag:
        return FrameFlag(bits)


PAYLOAD_UNKNOWN = int(FrameFlag.PAYLOAD_UNKNOWN)  # a number: `&` of flags is slow
new_frame = quick(Frame)
FLAGS = Flags((bits, FrameFlag(bits)) for bits in range(512))


def encode(record: Record) -> bytes:
    """The pseudo-header of `record`: a multiple of 4 bytes, to be followed by a frame's `data`."""
    if isinstance(record, Sample):
        return encode_sample(record)
    return encode_event(record) if isinstance(record, Event) else encode_frame(record)


def extended(header: bytes, tlvs: bytes) -> bytes:
    """A pseudo-header with more TLVs."""
    length = LENGTH.pack(len(header) + len(tlvs))
    return header[:LENGTH_AT] + length + header[LENGTH_AT + LENGTH.size :] + tlvs


def encode_frame(frame: Frame) -> bytes:
    """As `encode`, for a message: about 0.6 µs without descriptors."""
    fds = frame.fds
    tlvs = b"".join([encode_tlv(TLV_FD, encode_fd(info)) for info in fds]) if fds else b""
    if frame.acted:
        tlvs += encode_tlv(TLV_ACTED, encode_acted(frame.acted))
    if frame.known:
        tlvs += encode_tlv(TLV_KNOWN, b"".join(PART.pack(*part) for part in frame.known))
    fixed = FIXED.pack(
        START,
        MESSAGE,
        CHANNEL_CODES[frame.channel],
        SIDE_CODES[frame.sender],
        36 + len(tlvs),
        frame.connection,
        frame.session,
        len(fds),
        frame.big_endian,
        0,
        frame.wire_size,
        frame.flags,
    )
    return fixed + tlvs


def encode_event(event: Event) -> bytes:
    tlvs = b"".join(within(EVENT_LIMIT, event_tlvs(event)))
    channel, sender = CHANNEL_CODES[event.channel], SIDE_CODES[event.sender]
    length, kind = FIXED.size + len(tlvs), EVENT_CODES[event.kind]
    fixed = FIXED.pack(
        START, EVENT, channel, sender, length, event.connection, event.session, 0, 0, kind, 0, 0
    )
    return fixed + tlvs


def encode_sample(sample: Sample) -> bytes:
    tlvs = encode_tlv(TLV_INTERVAL, INTERVAL.pack(sample.interval_ns))
    tlvs += b"".join(within(EVENT_LIMIT, sample_tlvs(sample)))
    place = sample.connection, sample.session
    fixed = FIXED.pack(
        START, SAMPLE, CHANNEL_CODES[Channel.MAIN], 0, FIXED.size + len(tlvs), *place, *[0] * 5
    )
    return fixed + tlvs


def sample_tlvs(sample: Sample) -> Iterator[bytes]:
    if sample.log:
        yield encode_tlv(TLV_LOG, encode_log(sample.log))
    for ring in sample.rings:
        yield encode_tlv(TLV_RING, encode_ring(ring))
    for notices in sample.notices:
        yield encode_tlv(TLV_NOTICES, encode_notices(notices))


def event_tlvs(event: Event) -> Iterator[bytes]:
    yield encode_tlv(TLV_TEXT, encode_text(event.text, TEXT_LIMIT))
    for name, text in event.attributes.items():
        key = encode_text(name, TEXT_LIMIT)
        yield encode_tlv(TLV_ATTRIBUTE, KEY_LENGTH.pack(len(key)) + key + encode_text(text, TEXT_LIMIT))


def within(limit: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        limit -= len(part)
        if limit < 0:
            return
        yield part


def decode(data: bytes, start: int, end: int, time_ns: int, numbers: Mapping[int, int]) -> Record | None:
    """The record in `data[start:end]`, a pseudo-header and a message; None for a kind of later versions.

    `numbers` gives each connection number of the file the one to use. Raises MalformedError.
    """
    if end - start < 36:
        raise MalformedError(f"a record of {end - start} bytes, its pseudo-header alone has {FIXED.size}")
    fixed = FIXED.unpack_from(data, start)
    magic, kind, channel, sender, length, connection, session, nfds, order, event, wire_size, flags = fixed
    if magic != START:
        raise MalformedError(not_ours(magic))
    if length < 36 or length > end - start:
        raise MalformedError(f"a pseudo-header of {length} bytes in a record of {end - start}")
    if channel not in CHANNELS:
        raise MalformedError(f"unknown channel {channel}")
    body = start + length
    if kind == MESSAGE:
        if sender not in SENDERS:
            raise MalformedError(f"unknown sender {sender}")
        return new_frame(
            time_ns,
            numbers[connection],
            session,
            CHANNELS[channel],
            SENDERS[sender],
            data[body:end],
            decode_fds(data, start + 36, body, nfds) if nfds else (),
            FLAGS[flags],
            wire_size,
            order == 1,
            acted_on(data, start + 36, body) if length > 36 else None,
            decode_known(data, start + 36, body) if flags & PAYLOAD_UNKNOWN else (),
        )
    if kind == EVENT:
        text, attributes = decode_event(data, start + 36, body)
        return Event(
            time_ns,
            numbers[connection],
            session,
            EVENTS.get(event, EventKind.NOTE),
            text,
            CHANNELS[channel],
            SENDERS.get(sender),
            attributes,
        )
    if kind == SAMPLE:
        return sample_of(time_ns, numbers[connection], session, *decode_sample(data, start + 36, body))
    return None


def sample_of(
    time_ns: int,
    connection: int,
    session: int,
    rings: tuple[RingSample, ...],
    interval_ns: int,
    notices: tuple[NoticeTimes, ...] = (),
    log: DirtyLog | None = None,
) -> Sample:
    """A sample of rings."""
    text = f"{len(rings)} ring{'' if len(rings) == 1 else 's'} in memory"
    place = time_ns, connection, session
    return Sample(
        *place, EventKind.SAMPLE, text, rings=rings, interval_ns=interval_ns, notices=notices, log=log
    )


Sampled = tuple[tuple[RingSample, ...], int, tuple[NoticeTimes, ...], DirtyLog | None]


def decode_sample(data: bytes, start: int, end: int) -> Sampled:
    rings, interval_ns, notices, log = [], 0, [], None
    for kind, first, last in walk_tlvs(data, start, end):
        if kind == TLV_RING:
            rings.append(decode_ring(data, first, last))
        elif kind == TLV_INTERVAL and last - first >= INTERVAL.size:
            (interval_ns,) = INTERVAL.unpack_from(data, first)
        elif kind == TLV_NOTICES:
            notices.append(decode_notices(data, first, last))
        elif kind == TLV_LOG:
            log = decode_log(data, first, last)
    return tuple(rings), interval_ns, tuple(notices), log


def decode_fds(data: bytes, start: int, end: int, nfds: int) -> tuple[FdInfo, ...]:
    tlvs = walk_tlvs(data, start, end)
    fds = tuple(decode_fd(data, first, last) for kind, first, last in tlvs if kind == TLV_FD)
    if len(fds) != nfds:
        raise MalformedError(f"{len(fds)} file descriptors are described where {nfds} were passed")
    return fds


def acted_on(data: bytes, start: int, end: int) -> Acted | None:
    """What a rule did, if one did something."""
    for kind, first, last in walk_tlvs(data, start, end):
        if kind == TLV_ACTED:
            return decode_acted(data, first, last)
    return None


def decode_known(data: bytes, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The parts of a payload that are known."""
    for kind, first, last in walk_tlvs(data, start, end):
        if kind == TLV_KNOWN:
            whole = data[first : last - (last - first) % PART.size]
            return tuple((offset, length) for offset, length in PART.iter_unpack(whole))
    return ()


def decode_event(data: bytes, start: int, end: int) -> tuple[str, dict[str, str]]:
    text, attributes = "", {}
    for kind, first, last in walk_tlvs(data, start, end):
        if kind == TLV_TEXT:
            text = decode_text(data[first:last])
        elif kind == TLV_ATTRIBUTE:
            name, value = decode_attribute(data[first:last])
            attributes[name] = value
    return text, attributes


def decode_attribute(value: bytes) -> tuple[str, str]:
    split = KEY_LENGTH.size + KEY_LENGTH.unpack_from(value)[0] if len(value) >= KEY_LENGTH.size else 0
    if not 0 < split <= len(value):
        raise MalformedError("an attribute is shorter than its name")
    return decode_text(value[KEY_LENGTH.size : split]), decode_text(value[split:])


def not_ours(start: bytes) -> str:
    if start[:4] == MAGIC:
        known = f"a pseudo-header of version {start[4]}, this vutrace reads {VERSION}"
        return f"{known}: a newer one wrote it, or it is damaged"
    return "no vutrace pseudo-header where one belongs"
