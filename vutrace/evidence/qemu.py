"""QEMU's own trace of its vhost-user messages: `-trace 'vhost_user_*'`, as text or in simpletrace's format.

A line is written when a header was read or a message written; it has request and flags, and nothing else.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.stamps import stamp
from vutrace.evidence.told import Item, LogSession, ToldMessage
from vutrace.protocol.wire import REPLY
from vutrace.records import Connection, Lack

LINE = re.compile(r"vhost_user_(read|write) +req:(\d+)(?: \([^)]*\))? flags:(?:0x)?([0-9a-f]+)")
LACKING = (Lack.BACKEND, Lack.GPU, Lack.END)
SOURCE, SIMPLETRACE = "QEMU's trace", "QEMU's simpletrace"
NO_LINE = (
    "no line of it is of vhost_user_read or vhost_user_write; "
    "qemu -trace 'vhost_user_*' -msg timestamp=on writes them"
)

HEADER, MAPPING, RECORD = struct.Struct("=QQQ"), struct.Struct("=QI"), struct.Struct("=QQII")
HEADER_ID, HEADER_MAGIC, DROPPED = 0xFFFFFFFFFFFFFFFF, 0xF2B177CB0AA429B4, 0xFFFFFFFFFFFFFFFE
IS_MAPPING, IS_RECORD = 0, 1
LONGEST = 1 << 20

Seen = tuple[int | None, bool, int, int]
"""When, whether QEMU wrote it, the request, and the flags."""


def read_qemu(lines: Iterable[str]) -> Iterator[Item]:
    """The messages in a log of QEMU; EvidenceError where there is none."""
    found = (
        (stamp(line), told[1] == "write", int(told[2]), int(told[3], 16))
        for line in lines
        if (told := LINE.search(line))
    )
    return session_of(found, SOURCE, NO_LINE)


def session_of(seen: Iterable[Seen], source: str, otherwise: str) -> Iterator[Item]:
    """All messages as one session: QEMU's trace does not tell one device from another."""
    session = None
    for time_ns, _, request, flags in seen:
        if session is None:
            session = LogSession(0, 1, source, LACKING)
            yield Connection(0, "QEMU", "unknown")
            yield session.opened(time_ns, "; devices and reconnects are not told apart")
        told = ToldMessage(request, reply=bool(flags & REPLY), flags=flags, replies=True)
        yield session.frame(time_ns, told)
    if session is None:
        raise EvidenceError(otherwise)


def read_simpletrace(stream: BinaryIO) -> Iterator[Item]:
    """The messages in a file that QEMU's simple trace backend wrote; times count from the host's boot."""
    return session_of(records(stream), SIMPLETRACE, "no vhost_user_read or vhost_user_write in it")


def records(stream: BinaryIO) -> Iterator[Seen]:
    """The vhost-user events of a simpletrace file."""
    start = stream.read(HEADER.size)
    if len(start) < HEADER.size or HEADER.unpack(start)[:2] != (HEADER_ID, HEADER_MAGIC):
        raise EvidenceError("not a file of QEMU's simple trace backend")
    version = HEADER.unpack(start)[2]
    if version != 4:
        raise EvidenceError(f"simpletrace of version {version}, only 4 has the events' names in it")
    names = dict[int, bytes]()
    while len(kind := stream.read(8)) == 8:
        if struct.unpack("=Q", kind)[0] == IS_MAPPING:
            head = stream.read(MAPPING.size)
            if len(head) < MAPPING.size:
                return
            event, length = MAPPING.unpack(head)
            names[event] = stream.read(min(length, LONGEST))
            continue
        head = stream.read(RECORD.size)
        if len(head) < RECORD.size:
            return
        event, time_ns, length, _ = RECORD.unpack(head)
        if not RECORD.size <= length <= LONGEST:
            raise EvidenceError(f"damaged: an event of {length} bytes")
        arguments = stream.read(length - RECORD.size)
        name = names.get(event, b"").decode(errors="replace")
        if name in ("vhost_user_read", "vhost_user_write") and len(arguments) >= 16:
            request, flags = arguments[:8], arguments[-8:]  # between them QEMU 11.1 has the name
            yield (
                time_ns,
                name == "vhost_user_write",
                *(struct.unpack("=Q", each)[0] & 0xFFFFFFFF for each in (request, flags)),
            )
