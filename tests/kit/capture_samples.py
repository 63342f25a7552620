"""A small capture with one of everything, for the tests of `vutrace.capture`."""

import io
import struct

from vutrace.capture import Item, Writer, read
from vutrace.capture.blocks import EXPORT_TAGS
from vutrace.capture.encode import DIRECTIONS
from vutrace.capture.pseudo_header import encode
from vutrace.records import Channel, Connection, Event, EventKind, FdInfo, FdKind, Frame, FrameFlag, Side

# Not a multiple of 1000: losing the nanoseconds would show.
START = 1_717_236_245_123_456_789
MEMORY = FdInfo(
    FdKind.MEMFD, 1, 1040, size=256 << 20, seals=7, name="/memfd:ram", access="rw", frontend_fd=14
)
KICK = FdInfo(FdKind.EVENTFD, 15, 1061, name="anon_inode:[eventfd]", eventfd_id=77, eventfd_count=1)
PEERS = {"frontend_pid": "4711", "frontend_command": "qemu-system-x86_64 -m 256M"}


def message(request: int, payload: bytes = b"", flags: int = 1) -> bytes:
    """A vhost-user message of a little-endian host."""
    return struct.pack("<III", request, flags, len(payload)) + payload


def _frame(tick: int, connection: int, sender: Side, data: bytes, *fds: FdInfo, **more: object) -> Frame:
    values = {"channel": Channel.MAIN, "session": 1, "wire_size": len(data)} | more
    return Frame(START + tick, connection, sender=sender, data=data, fds=fds, **values)  # type: ignore[arg-type]


SAMPLE: list[Item] = [
    Connection(0, "listen:/run/vhost ⇄ 100%.sock", "connect:/run/dpdk.sock"),
    Connection(1, "/tmp/f", "fd:7"),
    Event(START, 0, 1, EventKind.OPEN, "connected", attributes=PEERS),
    _frame(1, 0, Side.FRONTEND, message(1)),
    _frame(1000, 0, Side.BACKEND, message(1, bytes(8), 5)),
    _frame(1001, 1, Side.FRONTEND, message(5, bytes(40)), MEMORY, MEMORY),
    _frame(1002, 0, Side.FRONTEND, message(12, bytes(8)), KICK),
    _frame(1003, 0, Side.BACKEND, message(1, b"abc"), channel=Channel.BACKEND, big_endian=True),
    _frame(1004, 0, Side.FRONTEND, b"\1\2\3", channel=Channel.GPU, flags=FrameFlag.RAW | FrameFlag.PARTIAL),
    _frame(2_000_000_000, 1, Side.FRONTEND, message(2), session=2, flags=FrameFlag.CUT, wire_size=2**32 + 5),
    Event(START + 2_000_000_001, 0, 1, EventKind.CLOSE, "the back-end closed", sender=Side.BACKEND),
]


def encoded(items: list[Item]) -> bytes:
    """A capture file of `items`."""
    file = io.BytesIO()
    writer = Writer(file)
    for item in items:
        writer.write(item)
    return file.getvalue()


def decoded(data: bytes) -> list[Item]:
    """What a capture file holds."""
    return list(read(io.BytesIO(data)))


def block(order: str, kind: int, body: bytes) -> bytes:
    """A pcapng block of either byte order, as other programs write them."""
    size = len(body) + 12
    return struct.pack(order + "II", kind, size) + body + struct.pack(order + "I", size)


def option(order: str, code: int, value: bytes) -> bytes:
    """A pcapng option."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str, major: int = 1) -> bytes:
    """A Section Header Block."""
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def interface(order: str, *options: tuple[int, bytes], link_type: int = 252) -> bytes:
    """An Interface Description Block."""
    head = struct.pack(order + "HHI", link_type, 0, 0)
    return block(order, 1, head + b"".join(option(order, *each) for each in options))


def packet(order: str, number: int, ticks: int, data: bytes, original: int | None = None) -> bytes:
    """An Enhanced Packet Block."""
    size = len(data) if original is None else original
    head = struct.pack(order + "5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), size)
    return block(order, 6, head + data + bytes(-len(data) % 4))


def pdu(record: Frame | Event) -> bytes:
    """The packet of a record: tags, pseudo-header, message."""
    return EXPORT_TAGS + encode(record) + (record.data if isinstance(record, Frame) else b"")


def direction(record: Frame | Event) -> int:
    """Bits 0 and 1 of `epb_flags`."""
    return DIRECTIONS[record.sender]
