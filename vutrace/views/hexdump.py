"""A message's bytes: offset, hex, ASCII. Secrets are starred out unless asked for."""

from collections.abc import Collection, Iterator
from itertools import chain

from vutrace.dissection.message import Message
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import Frame, FrameFlag
from vutrace.views.fields import secret_spans

WIDTH = 16
HIDDEN, UNKNOWN = "**", "??"
FLAGS_BYTES, SIZE_BYTES = range(4, 8), range(8, HEADER_SIZE)


def hexdump(message: Message, secrets: bool = False) -> Iterator[str]:
    """The lines of header and payload as far as they were recorded."""
    data, hidden = message.frame.data, () if secrets else hidden_bytes(message)
    unknown = unknown_bytes(message.frame)
    for start in range(0, len(data), WIDTH):
        yield line(data, start, hidden, unknown)


def hidden_bytes(message: Message) -> Collection[int]:
    """The offsets of secret bytes in a frame; of a payload that breaks off, all that is not understood."""
    secret, end = secret_spans(message.layer), len(message.frame.data)
    if not secret:
        return ()
    known = (range(end)[HEADER_SIZE:][start:stop] for start, stop in secret)
    return {*chain(*known), *range(end - len(message.rest), end)}


def unknown_bytes(frame: Frame) -> Collection[int]:
    """The offsets of what the source of an import did not tell."""
    unknown = set[int]()
    if frame.flags & FrameFlag.FLAGS_UNKNOWN:
        unknown |= set(FLAGS_BYTES)
    if frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
        known = (range(HEADER_SIZE + start, HEADER_SIZE + start + size) for start, size in frame.known)
        unknown |= {*range(HEADER_SIZE, len(frame.data))} - set(chain(*known))
        unknown |= set() if frame.wire_size else set(SIZE_BYTES)
    return unknown


def line(data: bytes, start: int, hidden: Collection[int], unknown: Collection[int] = ()) -> str:
    """Sixteen bytes."""
    places = range(start, min(start + WIDTH, len(data)))
    pairs = [UNKNOWN if at in unknown else HIDDEN if at in hidden else f"{data[at]:02x}" for at in places]
    letters = "".join("?" if at in unknown else "*" if at in hidden else ascii_of(data[at]) for at in places)
    return f"{start:04x}  {' '.join(pairs[:8]):<23}  {' '.join(pairs[8:]):<23}  {letters}"


def ascii_of(byte: int) -> str:
    """A printable character, or a dot."""
    return chr(byte) if 0x20 <= byte < 0x7F else "."
