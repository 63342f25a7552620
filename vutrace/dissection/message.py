"""A dissected message: a frame, the table's row for it, and its payload's fields."""

from typing import NamedTuple, TypeAlias

from vutrace.dissection.decoder import Fields
from vutrace.problems import Problem
from vutrace.protocol.layers import Layer
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import HEADER_SIZE, NOFD, RING_MASK, WIRES, is_reply
from vutrace.records import Channel, Event, Frame, FrameFlag


def has_header(frame: Frame) -> bool:
    """Whether a frame begins with a whole header."""
    return len(frame.data) >= HEADER_SIZE and not frame.flags & FrameFlag.RAW


class Message(NamedTuple):
    """One message with meaning, whatever its bytes were.

    A tuple, since a frozen dataclass takes a third longer for the whole way from frame to message.

    `flags` is the header's flag word; `layer` the layout that was taken for the payload, `fields`
    its fields by name as far as they were whole, `rest` the bytes behind them. `problems` say what
    is wrong with the message by itself.
    """

    frame: Frame
    spec: MessageSpec
    flags: int
    layer: type[Layer]
    fields: Fields
    rest: bytes
    problems: tuple[Problem, ...]

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
        return is_reply(self.channel, self.frame.sender, self.flags) and has_header(self.frame)

    @property
    def need_reply(self) -> bool:
        """Whether the sender asks for an acknowledgement."""
        return bool(self.flags & WIRES[self.channel].need_reply)

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
