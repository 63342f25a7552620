"""What the recording process and the sampler tell each other: one record at a time."""

import array
import marshal
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from vutrace.capture.pseudo_header import decode, encode
from vutrace.framing import MAX_FDS
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import HEADER
from vutrace.records import Channel, Event, EventKind, Frame, Record

TIME = struct.Struct("=Q")
PACKETS = b"packets:"  # before what `pack_packets` makes; no time looks like it
ALIVE = b"."  # what the sampler says when there is nothing to tell
MOST_BYTES = 128 << 10
RIGHTS_ROOM = socket.CMSG_SPACE(MAX_FDS * 4)
# Messages of the main channel that change which rings there are, or where.
NEEDED = {
    row.number
    for row in FRONTEND_MESSAGES.values()
    if row.effect or row.memory or row.learns or row.reply_learns or row.role or "Iotlb" in row.request
}


class SameNumbers(dict[int, int]):
    """Connections keep their numbers."""

    def __missing__(self, number: int) -> int:
        return number


SAME = SameNumbers()


def is_needed(record: Record) -> bool:
    """Whether the sampler has to know of a record."""
    if record.channel is not Channel.MAIN:
        return False
    if isinstance(record, Event):
        return record.kind is EventKind.CLOSE
    return len(record.data) >= HEADER.size and HEADER.unpack_from(record.data)[0] in NEEDED


def pack(record: Record) -> bytes:
    """A record as it is sent."""
    return TIME.pack(record.time_ns) + encode(record) + (record.data if isinstance(record, Frame) else b"")


def unpack(data: bytes) -> Record | None:
    """What `pack` made; None of what says nothing. Raises MalformedError."""
    if len(data) < TIME.size:
        return None
    return decode(data, TIME.size, len(data), TIME.unpack_from(data)[0], SAME)


class RingPackets(NamedTuple):
    """What was read of one ring: (bytes, whole size) of packets of a link type, or (text, facts) of requests.

    `link` is 0 for requests. So many more (`missed`) came back and were not read.
    """

    time_ns: int
    connection: int
    session: int
    ring: int
    link: int
    missed: int
    kept: Sequence[tuple[Any, ...]]


def pack_packets(found: RingPackets) -> bytes:
    """Packets as they are sent."""
    return PACKETS + marshal.dumps((*found[:-1], [tuple(each) for each in found.kept]))


def unpack_packets(data: bytes) -> RingPackets | None:
    """What `pack_packets` made; None of anything else."""
    return RingPackets._make(marshal.loads(data[len(PACKETS) :])) if data.startswith(PACKETS) else None


def rights(fds: Sequence[int]) -> list[tuple[int, int, "array.array[int]"]]:
    """The control message that passes descriptors."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
