"""A dissected message: a frame, the table's row for it, and its payload's fields."""

from typing import NamedTuple

from vutrace.dissection.decoder import Fields
from vutrace.problems import Problem
from vutrace.protocol.layers import Layer
from vutrace.protocol.spec import MessageSpec
from vutrace.protocol.wire import HEADER_SIZE, NOFD, RING_MASK, WIRES, is_reply, sender_of
from vutrace.quick import quick_tuple
from vutrace.records import Channel, Frame, FrameFlag


def has_header(frame: Frame) -> bool:
    """Whether a frame begins with a whole header."""
    return len(frame.data) >= HEADER_SIZE and not frame.flags & FrameFlag.RAW


def number_in(fields: Fields, name: str, mask: int = -1) -> int | None:
    """A numeric field, or None where there is no such field."""
    value = fields.get(name)
    return value & mask if isinstance(value, int) else None


def ring_in(fields: Fields) -> int | None:
    """The vring that a payload about one names."""
    index = number_in(fields, "index")
    return number_in(fields, "u64", RING_MASK) if index is None else index


class Message(NamedTuple):
    """One message with meaning, whatever its bytes were.

    A tuple, since a frozen dataclass takes a third longer for the whole way from frame to message. What is
    asked of a message many times is found out once, by `of`.

    `flags` is the header's flag word; `layer` the layout that was taken for the payload, `fields` its fields
    by name as far as they were whole (never changed: equal messages share them), `rest` the bytes behind
    them. `problems` say what is wrong with the message by itself. `name` is without VHOST_USER_. `reply`
    tells that it answers a request, `need_reply` that the sender asks for an acknowledgement; `ring` is the
    vring that it is about; `lawful`: it came from the side that sends such on its channel. `content` is one
    object for all messages that differ in nothing but their frame's place and descriptors, under which what
    follows from a message can be kept; None where it is not worth it.
    """

    frame: Frame
    spec: MessageSpec
    flags: int
    layer: type[Layer]
    fields: Fields
    rest: bytes
    problems: tuple[Problem, ...]
    name: str
    channel: Channel
    reply: bool
    need_reply: bool
    ring: int | None
    lawful: bool
    content: object = None

    @classmethod
    def of(
        cls,
        frame: Frame,
        spec: MessageSpec,
        flags: int,
        layer: type[Layer],
        fields: Fields,
        rest: bytes = b"",
        problems: tuple[Problem, ...] = (),
    ) -> "Message":
        """The message that `frame` holds."""
        channel = frame.channel
        reply = is_reply(channel, frame.sender, flags) and has_header(frame)
        need_reply = bool(flags & WIRES[channel].need_reply)
        ring = ring_in(fields) if spec.ring else None
        return cls(
            *(frame, spec, flags, layer, fields, rest, problems),
            *(spec.name, channel, reply, need_reply, ring, frame.sender is sender_of(channel, reply)),
        )

    def again(self, frame: Frame) -> "Message":
        """The same message, as it came in another frame."""
        return quick_message((frame, *self[1:]))

    @property
    def request(self) -> int:
        """The message's number on its channel."""
        return self.spec.number

    @property
    def payload(self) -> bytes:
        """The payload as far as it was recorded."""
        return self.frame.data[HEADER_SIZE:]

    @property
    def size(self) -> int:
        """The payload's size on the wire in bytes."""
        return max(0, self.frame.wire_size - HEADER_SIZE)

    @property
    def size_unknown(self) -> bool:
        """Whether the source of an import did not tell how long the payload is."""
        return bool(self.frame.flags & FrameFlag.PAYLOAD_UNKNOWN) and not self.frame.wire_size

    @property
    def nofd(self) -> bool:
        """Whether the payload says that no descriptor comes along."""
        return bool(self.number_in("u64", NOFD))

    def number_in(self, field: str, mask: int = -1) -> int | None:
        """A numeric field, or None where the payload has no such field."""
        value = self.fields.get(field)
        return value & mask if isinstance(value, int) else None


quick_message = quick_tuple(Message)
