"""What waits to be recorded: as it was read, in the order in which it was forwarded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from vutrace.records import Channel, Event, FrameFlag, Side
from vutrace.sockets.passed import Ancillary, Passed, descriptors


@dataclass(frozen=True, slots=True)
class Origin:
    """Where messages of one direction come from, and the two processes (0 where unknown)."""

    connection: int
    session: int
    channel: Channel
    sender: Side
    frontend_pid: int = 0
    backend_pid: int = 0


Fresh = tuple[int, Origin, bytes, Ancillary]
"""A whole message as it was read, with descriptors that went on already: the cheapest thing to keep."""


@dataclass(slots=True)
class Burst:
    """Whole messages without descriptors; `ends` tells where each ends."""

    time_ns: int
    origin: Origin
    data: bytes
    ends: list[int]


@dataclass(slots=True)
class Single:
    """One message, or a piece of what is not one."""

    time_ns: int
    origin: Origin
    data: bytes
    fds: Sequence[Passed]
    flags: FrameFlag
    wire_size: int


Item = Burst | Single | Event


def time_of(item: Fresh | Item) -> int:
    """When it was forwarded."""
    return item[0] if isinstance(item, tuple) else item.time_ns


@overload
def with_descriptors(item: Fresh) -> Single: ...


@overload
def with_descriptors(item: Fresh | Item) -> Item: ...


def with_descriptors(item: Fresh | Item) -> Item:
    """The item with its descriptors as `Passed`."""
    if not isinstance(item, tuple):
        return item
    time_ns, origin, data, ancillary = item
    fds = [Passed(fd, forwarded=True) for fd in descriptors(ancillary)] if ancillary else ()
    return Single(time_ns, origin, data, fds, FrameFlag.NONE, len(data))
