"""A dissected message: a frame, the table's row for it, and its payload's fields."""

from typing import NamedTuple, TypeAlias

from vutrace.dissection.decoder import Fields
from vutrace.protocol.layers import Layer
from vutrace.protocol.spec import HEADER_SIZE, NEED_REPLY, REPLY, MessageSpec
from vutrace.records import Channel, Event, Frame, FrameFlag, Side

NOFD = 0x100
RING_MASK = 0xFF


def is_reply(frame: Frame, flags: int) -> bool:
    """Whether a frame with these header flags answers a request.

    On the GPU channel the sender tells, since QEMU's vhost-user-gpu leaves the flags of its updates as
    they were in memory (contrib/vhost-user-gpu, vg_resource_flush).
    """
    if frame.channel is not Channel.GPU:
        return bool(flags & REPLY)
    return frame.sender is Side.FRONTEND and has_header(frame)


def has_header(frame: Frame) -> bool:
    """Whether a frame begins with a whole header."""
    return len(frame.data) >= HEADER_SIZE and not frame.flags & FrameFlag.RAW


class Message(NamedTuple):
    """One message with meaning, whatever its bytes were.

    A tuple, since a frozen dataclass takes a third longer for the whole way from frame to message.

    `flags` is the header's flag word; `layer` the layout that was taken for the payload, `fields`
    its fields by name as far as they were whole, `rest` the bytes behind them. `problems` say what
    is wrong with the message by itself, in words.
    """

    frame: Frame
    spec: MessageSpec
    flags: int
    layer: type[Layer]
    fields: Fields
    rest: bytes
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """The message's name without VHOST_USER_."""
        return self.spec.name

    @property
    def request(self) -> int:
        """The message's number on its channel."""
        return self.spec.number

    @property
    def channel(self) -> Channel:
        """The socket it was sent on."""
        return self.frame.channel

    @property
    def reply(self) -> bool:
        """Whether it answers a request."""
        return is_reply(self.frame, self.flags)

    @property
    def need_reply(self) -> bool:
        """Whether the sender asks for an acknowledgement."""
        return bool(self.flags & NEED_REPLY) and self.channel is not Channel.GPU

    @property
    def payload(self) -> bytes:
        """The payload as far as it was recorded."""
        return self.frame.data[HEADER_SIZE:]

    @property
    def size(self) -> int:
        """The payload's size on the wire in bytes."""
        return max(0, self.frame.wire_size - HEADER_SIZE)

    @property
    def ring(self) -> int | None:
        """The vring that the message is about."""
        if not self.spec.ring:
            return None
        index = self.number_in("index")
        return self.number_in("u64", RING_MASK) if index is None else index

    @property
    def nofd(self) -> bool:
        """Whether the payload says that no descriptor comes along."""
        return bool(self.number_in("u64", NOFD))

    def number_in(self, field: str, mask: int = -1) -> int | None:
        """A numeric field, or None where the payload has no such field."""
        value = self.fields.get(field)
        return value & mask if isinstance(value, int) else None


Dissected: TypeAlias = "Message | Event"
