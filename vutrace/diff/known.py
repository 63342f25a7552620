"""What both of two captures can know: an import has only parts of its messages, the rest is left out of both.

What is left out is decided for each kind of message (its channel, its number, request or reply): one of which
a capture does not know a field has that field in neither.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from vutrace.protocol.wire import HEADER_SIZE, LITTLE, REPLY, VERSION, is_reply
from vutrace.records import (
    LACKS,
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Lack,
    Record,
    lacking,
)

Item = Connection | Record
Kind = tuple[Channel, int, bool]
Parts = frozenset[tuple[int, int]]
CHANNELS = {Channel.BACKEND: Lack.BACKEND, Channel.GPU: Lack.GPU}
SOME_DESCRIPTOR = FdInfo(FdKind.UNKNOWN)


@dataclass(slots=True)
class Limits:
    """What is not known of one kind of message: `flags`, the parts of its payload that are (None for all).

    `kinds`: of descriptors only the number is known.
    """

    flags: FrameFlag = FrameFlag.NONE
    parts: Parts | None = None
    sized: bool = True
    kinds: bool = False

    def take(self, frame: Frame) -> None:
        """Learn what is not known of a frame."""
        self.flags |= frame.flags.unknown
        self.kinds |= any(info.kind is FdKind.UNKNOWN for info in frame.fds)
        if frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
            parts = frozenset(frame.known)
            self.parts = parts if self.parts is None else self.parts & parts
            self.sized &= frame.wire_size > 0


@dataclass(slots=True)
class Knowledge:
    """What a capture does not know; nothing, where vutrace itself recorded it."""

    lacks: set[str] = field(default_factory=set)
    limits: dict[Kind, Limits] = field(default_factory=dict)
    replies: set[Kind] = field(default_factory=set)

    @property
    def partial(self) -> bool:
        """Whether it was made from something that did not know all."""
        return bool(self.lacks) or any(limit.flags or limit.kinds for limit in self.limits.values())


def knowledge_of(items: Iterable[Item]) -> Knowledge:
    """What the source of a capture did not know."""
    found = Knowledge()
    for item in items:
        if isinstance(item, Event):
            found.lacks |= lacking(item)
        elif isinstance(item, Frame) and len(item.data) >= HEADER_SIZE:
            kind = kind_of(item)
            found.limits.setdefault(kind, Limits()).take(item)
            if kind[2]:
                found.replies.add(kind)
    return found


def kind_of(frame: Frame) -> Kind:
    """Which messages a frame is of."""
    request, flags = LITTLE.unpack_from(frame.data)[:2]
    return frame.channel, request, is_reply(frame.channel, frame.sender, flags)


def as_known_to(items: Iterable[Item], other: Knowledge) -> Iterator[Item]:
    """A capture as one with the other's knowledge would have it."""
    for item in items:
        if isinstance(item, Connection):
            yield item
        elif isinstance(item, Event):
            if not event_is_left_out(item, other):
                yield replace(item, attributes={LACKS: ", ".join(sorted(other.lacks))})
        elif CHANNELS.get(item.channel, "") not in other.lacks:
            if len(item.data) < HEADER_SIZE:
                yield item
            elif reduced := frame_as_known(item, other):
                yield reduced


def event_is_left_out(event: Event, other: Knowledge) -> bool:
    """Whether the other capture could not have an event."""
    if event.kind is EventKind.CLOSE and Lack.END in other.lacks:
        return True
    return CHANNELS.get(event.channel, "") in other.lacks


def frame_as_known(frame: Frame, other: Knowledge) -> Frame | None:
    """A message as the other capture would have it; None where it would not."""
    kind = kind_of(frame)
    channel, request, reply = kind
    lost = Lack.REPLIES in other.lacks and channel is Channel.MAIN
    if reply and lost and kind not in other.replies:
        return None
    limit = other.limits.get(kind, Limits())
    flags = frame.flags | limit.flags
    if not reply and lost and (channel, request, True) not in other.replies:
        flags |= FrameFlag.REPLY_UNKNOWN
    fds, known, size = frame.fds, frame.known, frame.wire_size
    if flags & FrameFlag.FDS_UNKNOWN:
        fds = ()
    elif limit.kinds:
        fds = (SOME_DESCRIPTOR,) * len(fds)
    if limit.parts is not None:
        mine = limit.parts & set(known) if frame.flags & FrameFlag.PAYLOAD_UNKNOWN else limit.parts
        known, size = tuple(sorted(mine)), size if limit.sized else 0
    data = with_flags(frame.data, reply) if flags & FrameFlag.FLAGS_UNKNOWN else frame.data
    return replace(frame, data=data, fds=fds, flags=flags, known=known, wire_size=size)


def with_flags(data: bytes, reply: bool) -> bytes:
    """A message with the flags that are known in any case."""
    request, _, size = LITTLE.unpack_from(data)
    return LITTLE.pack(request, VERSION | REPLY * reply, size) + data[HEADER_SIZE:]
