"""What goes from the relay to the recording process: tuples that `marshal` knows.

A `Fresh` begins with its time, everything else with a code below 0 (`What`).
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

from vutrace.capture.pseudo_header import CHANNEL_CODES, SIDE_CODES
from vutrace.protocol.wire import HEADER
from vutrace.records import Channel, Event, EventKind, Side
from vutrace.sockets.passed import Ancillary

ORIGIN = struct.Struct("<IIBBII")
CHANNELS = {code: channel for channel, code in CHANNEL_CODES.items()}
SENDERS = {code: side for side, code in SIDE_CODES.items() if side}

Fresh = tuple[int, bytes, bytes, Ancillary]
"""(time, origin, data, ancillary): a whole message as it was read, with descriptors that went on already:
the cheapest thing to make. Descriptors are closed after a look."""
Item = tuple[Any, ...]


class What(IntEnum):
    """How an item begins that is no `Fresh`, and what follows."""

    BURST = -1  # time, origin, data, count: whole messages, none with descriptors
    SINGLE = -2  # time, origin, data, [descriptors], [whether each is to be closed], flags, wire size
    EVENT = -3  # time, connection, session, kind, text, channel, sender or "", {attributes}
    OPEN = -4  # time, connection, session, text, [(pid, user) of both sides]: an OPEN with what they are
    CLOSE = -5  # [descriptors]: forwarded by now, or never will be
    CONNECTION = -6  # number, front-end, back-end: an interface of the capture
    GAP = -7  # connection, session, why, first time, last time, messages, {(channel, sender, request): count}
    END = -8  # nothing more comes
    ACTED = -9  # as SINGLE; then how many of the descriptors went, deed, rule, time, data and size as it came


class Origin(NamedTuple):
    """Where messages of one direction come from, and the two processes (0 where unknown)."""

    connection: int
    session: int
    channel: Channel
    sender: Side
    frontend_pid: int = 0
    backend_pid: int = 0

    def pack(self) -> bytes:
        """As it is sent with every message."""
        codes = CHANNEL_CODES[self.channel], SIDE_CODES[self.sender]
        return ORIGIN.pack(self.connection, self.session, *codes, self.frontend_pid, self.backend_pid)


@lru_cache(1024)
def unpack_origin(packed: bytes) -> Origin:
    """What `Origin.pack` made."""
    connection, session, channel, sender, *pids = ORIGIN.unpack(packed)
    return Origin(connection, session, CHANNELS[channel], SENDERS[sender], *pids)


def event_item(event: Event) -> Item:
    """An event to be sent."""
    return (
        What.EVENT.value,
        event.time_ns,
        event.connection,
        event.session,
        str(event.kind),
        event.text,
        str(event.channel),
        str(event.sender or ""),
        dict(event.attributes),
    )


def event_of(item: Item) -> Event:
    """What `event_item` was given."""
    _, time_ns, connection, session, kind, text, channel, sender, attributes = item
    side = Side(sender) if sender else None
    return Event(time_ns, connection, session, EventKind(kind), text, Channel(channel), side, attributes)


def ends_of(data: bytes) -> Iterable[int]:
    """Where each of the whole messages in `data` ends."""
    end, unpack = 0, HEADER.unpack_from
    while end < len(data):
        end += HEADER.size + unpack(data, end)[2]
        yield end
