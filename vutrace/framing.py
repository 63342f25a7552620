"""Sans-IO framing: bytes and descriptors of one direction in, parts to forward and whole messages out.

A message is a 12-byte header (request, flags, size) and `size` bytes of payload. Nothing here reads or
writes; a descriptor is whatever the caller uses to stand for one (the relay's `Passed`, an int in tests).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vutrace.protocol.wire import HEADER, HEADER_SIZE, WIRES, Wire
from vutrace.records import Channel, FrameFlag

RECORD_BOUND = 64 * 1024
"""Bytes of one message that are kept, and the most that is held back to be forwarded in one piece."""
CHUNK = 256 * 1024
"""Bytes of a longer message that are asked for at once."""
MAX_FDS = 253
"""Descriptors that one sendmsg can carry (the kernel's SCM_MAX_FD)."""

Fd = TypeVar("Fd")


@dataclass(frozen=True, slots=True)
class FramedMessage(Generic[Fd]):
    """One message as it came; `data` is its head up to the bound, `wire_size` its bytes in full."""

    data: bytes
    fds: tuple[Fd, ...]
    flags: FrameFlag
    wire_size: int


@dataclass(frozen=True, slots=True)
class ForwardPart(Generic[Fd]):
    """What to forward now in one piece, its descriptors with it, and the message that it completes."""

    data: bytes
    fds: tuple[Fd, ...]
    message: FramedMessage[Fd] | None


class Framer(Generic[Fd]):
    """The framing of one direction of one channel.

    `ends` tells whole messages in bytes that were only looked at; `feed` takes bytes that were read, at
    most `wants()` of them. `between`: the next byte begins a message. `lost` is why framing was given up
    ("" while it holds): from then on the bytes pass as they come.
    """

    def __init__(self, channel: Channel = Channel.MAIN, bound: int = RECORD_BOUND) -> None:
        self._wire = WIRES[channel]
        self._bound = bound
        self.lost = ""
        self._begin()

    def _begin(self) -> None:
        self._head = b""
        self._fds: list[Fd] = []
        self._flags = FrameFlag.NONE
        self._size = -1  # bytes of the whole message; unknown until its header is here
        self._seen = 0
        self._streams = False
        self.between = not self.lost

    @property
    def holds(self) -> bool:
        """Whether bytes were read that are not forwarded yet."""
        return self._seen > 0 and not self._streams

    def ends(self, ahead: memoryview | bytes, size: int, most: int) -> list[int]:
        """Where the whole messages at the start of `ahead[:size]` end, up to so many of them; those above the
        bound do not count.
        """
        ends: list[int] = []
        end = 0
        unpack, bound = HEADER.unpack_from, self._bound - HEADER_SIZE
        for _ in range(most):
            if size - end < HEADER_SIZE:
                break
            length = unpack(ahead, end)[2]
            end += HEADER_SIZE + length
            if end > size or length > bound:
                break
            ends.append(end)
        return ends

    def wants(self) -> int:
        """How many bytes to read: never past the end of the message at hand."""
        if self.lost:
            return self._bound
        if self._size < 0:
            return HEADER_SIZE - self._seen
        return min(self._size - self._seen, CHUNK)

    def feed(self, data: bytes, fds: Iterable[Fd] = (), fds_lost: bool = False) -> list[ForwardPart[Fd]]:
        """Take what was read; the parts to forward, in order."""
        came = tuple(fds)
        parts: list[ForwardPart[Fd]] = []
        if len(self._fds) + len(came) > MAX_FDS:  # more than one sendmsg can carry
            parts += self.release()
        if fds_lost:
            self._flags |= FrameFlag.FDS_LOST
        self.between = False
        self._seen += len(data)
        self._fds += came
        self._head += data[: self._bound - len(self._head)]
        parts += self._advance(data, came)
        return parts

    def _advance(self, data: bytes, came: tuple[Fd, ...]) -> list[ForwardPart[Fd]]:
        held = self._head, tuple(self._fds)
        streamed = self._streams
        if self._size < 0 and self._seen >= HEADER_SIZE and not self.lost:
            self._read_header()
        if self.lost:
            message = self._message(FrameFlag.RAW)
        elif self._seen == self._size:
            message = self._message(FrameFlag.NONE)
        elif self._streams:
            message = None
        else:
            return []
        if message:
            self._begin()
        return [ForwardPart(data, came, message) if streamed else ForwardPart(*held, message)]

    def _read_header(self) -> None:
        _, flags, size = HEADER.unpack_from(self._head)
        self.lost = doubts(self._wire, flags, size, self._bound)
        self._size = HEADER_SIZE + size
        self._streams = self._streams or self._size > self._bound

    def _message(self, flags: FrameFlag) -> FramedMessage[Fd]:
        cut = FrameFlag.CUT if self._seen > len(self._head) else FrameFlag.NONE
        return FramedMessage(self._head, tuple(self._fds), self._flags | flags | cut, self._seen)

    def release(self) -> list[ForwardPart[Fd]]:
        """Hold nothing back any longer: the incomplete message is forwarded as far as it is here."""
        if not self.holds:
            return []
        self._streams = True
        return [ForwardPart(self._head, tuple(self._fds), None)]

    def finish(self) -> list[ForwardPart[Fd]]:
        """The sender closed: the rest to forward, with the message that it broke off."""
        if not self._seen:
            return []
        held = (b"", ()) if self._streams else (self._head, tuple(self._fds))
        message = self._message(FrameFlag.PARTIAL)
        self._begin()
        return [ForwardPart(*held, message)]


def doubts(wire: Wire, flags: int, size: int, bound: int) -> str:
    """Why a header cannot be one, or "". A wrong flag word alone still frames, with a long size not."""
    if size > wire.limit:
        return f"a message of {size} bytes"
    if HEADER_SIZE + size > bound and not wire.is_sound(flags):
        return f"a message of {size} bytes with flags {flags:#x}"
    return ""
