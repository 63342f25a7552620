"""A capture that a Wireshark without the plug-in shows readably: one packet per record, in the same order.

Each packet has, besides what the capture holds, Wireshark's own tags for the columns (protocol, and
from 4.2 info), and as packet comments the row as `vutrace show` writes it, its descriptors and problems.
Wireshark before 4.6 shows those tags only of a PDU that it has a dissector table for, so each names a
place in one that every Wireshark has: nothing is there until the plug-in comes.
The direction and, as interface queue, the ring can be filtered: `frame.interface_queue == 3`.
It reads back in vutrace like any capture. Keys and host pointers are zeros, unless asked for.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vutrace.capture import MAX_PACKET, connection_block, section_block
from vutrace.capture.blocks import (
    ENHANCED_PACKET,
    EXPORT_NAME,
    EXPORT_NAME_TAG,
    OPT_END,
    encode_block,
    encode_option,
)
from vutrace.capture.encode import DIRECTIONS
from vutrace.capture.findings import encode_findings
from vutrace.capture.pseudo_header import encode, extended
from vutrace.dissection.message import Message
from vutrace.outgoing import printable
from vutrace.records import Connection, Event, Frame, FrameFlag, Record, connection_letter, direction_of
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.changes import words_of
from vutrace.views.descriptors import facts, identity, short
from vutrace.views.hexdump import hidden_bytes
from vutrace.views.notes import notes_of
from vutrace.wireshark.findings import NOTHING, Found

# epan/exported_pdu.h
TABLE_NAME, TABLE_PLACE, COLUMN_PROTOCOL, COLUMN_INFO = 14, 32, 33, 36
TABLE, PLACE = "wtap_encap", int.from_bytes(b"VUTR", "big")
END_OF_TAGS = bytes(4)
COMMENT, FLAGS, QUEUE = 1, 2, 6
END = struct.pack("<HH", OPT_END, 0)
TEXT_LIMIT = 1000
COMMENTS = 40
PROTOCOL = b"vhost-user"


def export_blocks(
    rows: Iterable[AnnotatedRow | Connection], found: Found, secrets: bool = False
) -> Iterator[bytes]:
    """The blocks of a file with these connections and rows; each connection right before its first row.

    `found` is what is found of each row, by its number, for the plug-in.
    """
    yield section_block()
    connections: dict[int, Connection] = {}
    interfaces: dict[int, int] = {}
    for each in rows:
        if isinstance(each, Connection):
            connections[each.number] = each
            continue
        number = record_of(each).connection
        if number not in interfaces:
            interfaces[number] = len(interfaces)
            yield connection_block(printable_ends(connections[number]), record_of(each).time_ns)
        told = encode_findings(found.get(each.row.number, NOTHING))
        yield packet_block(each, interfaces[number], secrets, told)


def printable_ends(connection: Connection) -> Connection:
    """Its endpoints as the name of an interface, which Wireshark shows as it is."""
    ends = map(printable, (connection.frontend, connection.backend))
    return Connection(connection.number, *ends)


def record_of(shown: AnnotatedRow) -> Record:
    """The record that a row is about."""
    what = shown.row.what
    return what if isinstance(what, Event) else what.frame


def redacted(shown: AnnotatedRow, secrets: bool) -> Record:
    """The record of a row, the secrets in a message zeros unless they are asked for."""
    what = shown.row.what
    if secrets or isinstance(what, Event) or not (hidden := hidden_bytes(what)):
        return record_of(shown)
    data = bytes(0 if at in hidden else byte for at, byte in enumerate(what.frame.data))
    return replace(what.frame, data=data)


def packet_block(shown: AnnotatedRow, interface: int, secrets: bool, told: bytes) -> bytes:
    """One Enhanced Packet Block; `told` are TLVs for its pseudo-header."""
    before = tags(info(shown))
    record = fitted(redacted(shown, secrets), MAX_PACKET - len(before) - len(told))
    packet = before + extended(encode(record), told) + (record.data if isinstance(record, Frame) else b"")
    high, low = record.time_ns >> 32, record.time_ns & 0xFFFFFFFF
    head = struct.pack("<IIIII", interface, high, low, len(packet), len(packet))
    return encode_block(ENHANCED_PACKET, head + padded(packet) + b"".join(options(shown, record)) + END)


def fitted(record: Record, room: int) -> Record:
    """The record; a message that takes more than `room` bytes is cut, and marked CUT."""
    if isinstance(record, Event) or len(encode(record)) + len(record.data) <= room:
        return record
    data = record.data[: max(0, room - len(encode(record)))]
    return replace(record, data=data, flags=record.flags | FrameFlag.CUT)


def tags(text: str) -> bytes:
    """What stands before a PDU: its dissector, and the columns for a Wireshark that has none of that name."""
    made = [
        string_tag(EXPORT_NAME_TAG, EXPORT_NAME),
        string_tag(TABLE_NAME, TABLE.encode()),
        tag(TABLE_PLACE, struct.pack(">I", PLACE)),
        string_tag(COLUMN_PROTOCOL, PROTOCOL),
        string_tag(COLUMN_INFO, limit(text)),
    ]
    return b"".join(made) + END_OF_TAGS


def string_tag(number: int, value: bytes) -> bytes:
    """A tag whose value is filled up to a multiple of 4 with zeros, of which one ends the string."""
    return tag(number, value + bytes(4 - len(value) % 4))


def tag(number: int, value: bytes) -> bytes:
    """One tag, big-endian; `value` is a multiple of 4 bytes."""
    return struct.pack(">HH", number, len(value)) + value


def options(shown: AnnotatedRow, record: Record) -> Iterator[bytes]:
    """Direction, ring and comments."""
    yield encode_option(FLAGS, struct.pack("<I", DIRECTIONS[record.sender]))
    what = shown.row.what
    if isinstance(what, Message) and what.ring is not None:
        yield encode_option(QUEUE, struct.pack("<I", what.ring))
    for comment in [*comments(shown)][:COMMENTS]:
        yield encode_option(COMMENT, limit(comment))


def info(shown: AnnotatedRow) -> str:
    """The info column, a row of `vutrace show`: who, which way, what, descriptors, problems."""
    record = record_of(shown)
    return f"{connection_letter(record.connection)} {direction_of(record).value} {words(shown)}"


def words(shown: AnnotatedRow) -> str:
    """What a row says: the message or event, and what is wrong."""
    what = shown.row.what
    said = [f"{what.kind}: {what.text}"] if isinstance(what, Event) else list(message_words(shown, what))
    problems = [f"! {'; '.join(map(str, shown.problems))}"] if shown.problems else []
    return "  ".join(filter(None, [*said, *problems]))


def message_words(shown: AnnotatedRow, message: Message) -> Iterator[str]:
    """Name, ring, role, what matters, how long the reply took, descriptors."""
    yield from (message.name, shown.row.ring_name)
    yield "reply" if message.reply else "need-reply" if message.need_reply else ""
    yield words_of(shown, message)
    if shown.row.latency_ns is not None:
        yield f"{shown.row.latency_ns / 1e6:+.3f} ms"
    if message.frame.fds:
        yield f"{{{short(message.frame.fds)}}}"


def comments(shown: AnnotatedRow) -> Iterator[str]:
    """What goes with a packet, for a Wireshark that cannot show its columns."""
    yield info(shown)
    yield from notes_of(shown)
    what = shown.row.what
    if isinstance(what, Message):
        for fd in what.frame.fds:
            yield f"fd {identity(fd)}: {', '.join(facts(fd, shown.names))}"
    yield from (f"problem: {problem.text}" for problem in shown.problems)


def limit(text: str) -> bytes:
    """One line of text as an option may hold it."""
    return printable(text).encode()[:TEXT_LIMIT].decode(errors="ignore").encode()


def padded(data: bytes) -> bytes:
    """Filled up to a multiple of 4."""
    return data + bytes(-len(data) & 3)
