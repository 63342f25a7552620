"""A message's bytes: offset, hex, ASCII. Secrets are starred out unless asked for."""

from collections.abc import Collection, Iterator
from itertools import chain

from vutrace.dissection.message import Message
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.views.fields import secret_spans

WIDTH = 16
HIDDEN = "**"


def hexdump(message: Message, secrets: bool = False) -> Iterator[str]:
    """The lines of header and payload as far as they were recorded."""
    data, hidden = message.frame.data, () if secrets else hidden_bytes(message)
    for start in range(0, len(data), WIDTH):
        yield line(data, start, hidden)


def hidden_bytes(message: Message) -> Collection[int]:
    """The offsets of secret bytes in a frame; of a payload that breaks off, all that is not understood."""
    secret, end = secret_spans(message.layer), len(message.frame.data)
    if not secret:
        return ()
    known = (range(end)[HEADER_SIZE:][start:stop] for start, stop in secret)
    return {*chain(*known), *range(end - len(message.rest), end)}


def line(data: bytes, start: int, hidden: Collection[int]) -> str:
    """Sixteen bytes."""
    places = range(start, min(start + WIDTH, len(data)))
    pairs = [HIDDEN if at in hidden else f"{data[at]:02x}" for at in places]
    letters = "".join("*" if at in hidden else ascii_of(data[at]) for at in places)
    return f"{start:04x}  {' '.join(pairs[:8]):<23}  {' '.join(pairs[8:]):<23}  {letters}"


def ascii_of(byte: int) -> str:
    """A printable character, or a dot."""
    return chr(byte) if 0x20 <= byte < 0x7F else "."
