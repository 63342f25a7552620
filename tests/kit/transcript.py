"""Conversations written down as they happen, as records: the input of every test above the wire.

    script(
        opened(frontend="qemu", backend="testpmd"),
        front("GET_FEATURES"),
        back("GET_FEATURES", features=0x140000000),
        front("SET_VRING_KICK", u64=0, fds=[eventfd(11)], need_reply=True),
        back("SET_VRING_KICK", status=0),
        closed(),
    )

Who speaks and on which channel tells what is a request and what a reply. The payload is built by the
first of the message's layers that has all the named fields, or given as bytes or a layer.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scapy.packet import Packet

from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.payloads import MemoryRegion, MemoryTable
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import NEED_REPLY, REPLY, REQUESTER, VERSION
from vutrace.records import (
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Record,
    Side,
)

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000
MEMFD_DEVICE = 1


@dataclass(frozen=True)
class Line:
    """One record without its time and place; `after_ns` is nanoseconds since the one before."""

    record: Record
    after_ns: int = STEP_NS


def script(
    *lines: Line, connection: int = 0, session: int = 1, start_ns: int = START_NS, big_endian: bool = False
) -> list[Record]:
    """The records of one session."""
    records: list[Record] = []
    time_ns = start_ns
    for line in lines:
        time_ns += line.after_ns if records else 0
        records.append(replace(line.record, time_ns=time_ns, connection=connection, session=session))
    return records


def connection(number: int = 0, frontend: str = "front.sock", backend: str = "back.sock") -> Connection:
    """The endpoints that a script runs between."""
    return Connection(number, frontend, backend)


def front(name: str | int, *payload: Packet | bytes, **how: object) -> Line:
    """The front-end sends: a request, or the reply to one of the back-end's. See `message`."""
    return message(Side.FRONTEND, name, *payload, **how)  # type: ignore[arg-type]


def back(name: str | int, *payload: Packet | bytes, **how: object) -> Line:
    """The back-end sends: a reply, or a request of its own. See `message`."""
    return message(Side.BACKEND, name, *payload, **how)  # type: ignore[arg-type]


def message(
    sender: Side,
    name: str | int,
    payload: Packet | bytes | None = None,
    *,
    need_reply: bool = False,
    fds: Sequence[FdInfo] = (),
    channel: Channel | None = None,
    after_ms: float | None = None,
    marks: FrameFlag = FrameFlag.NONE,
    announced: int | None = None,
    **fields: object,
) -> Line:
    """One message; `fields` are the payload's, `announced` the size that the header tells."""
    place, spec = lookup(name, channel)
    reply = sender is not REQUESTER[place]
    body = bytes(payload) if payload is not None else build(spec, reply, fields)
    word = (0 if place is Channel.GPU else VERSION) | REPLY * reply | NEED_REPLY * need_reply
    data = struct.pack("<III", spec.number, word, len(body) if announced is None else announced) + body
    frame = Frame(0, 0, 1, place, sender, data, tuple(fds), marks, len(data))
    return Line(frame) if after_ms is None else Line(frame, int(after_ms * 1e6))


def raw(sender: Side, number: int, flags: int, payload: bytes = b"") -> Line:
    """A message with a word of flags that no end should send."""
    data = struct.pack("<III", number, flags, len(payload)) + payload
    return Line(Frame(0, 0, 1, Channel.MAIN, sender, data, (), FrameFlag.NONE, len(data)))


def ask(name: str, reply: dict[str, object] | None = None, **request: object) -> list[Line]:
    """A request and its reply; an acknowledgement where no other reply is given."""
    return [front(name, **request), back(name, **(reply or {}))]


def lookup(name: str | int, channel: Channel | None) -> tuple[Channel, MessageSpec]:
    """The channel and the table's row of a name; a number is a message that no table needs to have."""
    if isinstance(name, int):
        return channel or Channel.MAIN, MessageSpec(name, str(name))
    for place, table in TABLES.items():
        for spec in table.values():
            if spec.name == name and channel in (None, place):
                return place, spec
    raise KeyError(name)


def build(spec: MessageSpec, reply: bool, fields: dict[str, object]) -> bytes:
    """The payload with these fields."""
    for layer in layers_of(spec, reply):
        if set(fields) <= {field.name for field in layer.fields_desc}:
            return bytes(layer(**fields))  # type: ignore[arg-type]
    raise KeyError(f"{spec.name} has no layer with {', '.join(fields)}")


def virtio(*names: str) -> int:
    """A mask of virtio features."""
    return sum(bit(name, VIRTIO_FEATURES) for name in names)


def protocol(*names: str) -> int:
    """A mask of protocol features."""
    return sum(bit(name, PROTOCOL_FEATURES) for name in names)


def table(*regions: tuple[int, int, int], offset: int = 0) -> Packet:
    """A memory table of (guest address, size, user address)."""
    made = [
        MemoryRegion(guest_address=gpa, size=size, user_address=uva, mmap_offset=offset)
        for gpa, size, uva in regions
    ]
    return MemoryTable(nregions=len(made), regions=made)


def opened(frontend: str = "", backend: str = "", **attributes: str) -> Line:
    """Both sides are connected; the names are those of the two processes."""
    names = {"frontend_name": frontend, "backend_name": backend}
    known = {key: text for key, text in names.items() if text} | attributes
    return Line(Event(0, 0, 1, EventKind.OPEN, "connected", attributes=known))


def closed(by: Side = Side.FRONTEND, after_ms: float | None = None, **attributes: str) -> Line:
    """The session ends; `attributes` may tell what became of a process (`backend_process="killed 9"`)."""
    text = f"the {by} closed"
    event = Event(0, 0, 1, EventKind.CLOSE, text, sender=by, attributes=attributes)
    return Line(event) if after_ms is None else Line(event, int(after_ms * 1e6))


def noted(text: str, kind: EventKind = EventKind.NOTE) -> Line:
    """Something worth a line."""
    return Line(Event(0, 0, 1, kind, text))


def eventfd(
    number: int, count: int = 0, frontend_fd: int | None = None, backend_fd: int | None = None
) -> FdInfo:
    """An eventfd by its eventfd-id."""
    return FdInfo(
        FdKind.EVENTFD,
        device=14,
        inode=1057,
        eventfd_id=number,
        eventfd_count=count,
        access="rw",
        frontend_fd=frontend_fd,
        backend_fd=backend_fd,
    )


def memfd(size: int, inode: int = 2001, name: str = "guest-ram") -> FdInfo:
    """A memfd of `size` bytes."""
    return FdInfo(FdKind.MEMFD, device=MEMFD_DEVICE, inode=inode, size=size, seals=0, name=name, access="rw")


def socket(inode: int) -> FdInfo:
    """One end of a socketpair."""
    return FdInfo(FdKind.SOCKET, device=8, inode=inode, access="rw")
