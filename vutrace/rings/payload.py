"""Ethernet frames of chains that came back since the last look: a sample, taken while their buffers last.

Nothing keeps a driver from using a buffer anew as soon as it has it back: what is read may be newer than the
chain, and is then a frame all the same, or nonsense. What could not be read is counted.
"""

from typing import NamedTuple

from vutrace.rings.chain import WRITE, Descriptor
from vutrace.rings.split import SplitForm
from vutrace.rings.unread import UnreadError

MOST = 64  # frames of one ring in one look
HEADER, LEGACY_HEADER = 12, 10  # of virtio-net, before each frame


class EthernetFrame(NamedTuple):
    """A frame: its first bytes, and how many it had."""

    data: bytes
    size: int


class PayloadReader:
    """Reads the frames of one ring; `receives` tells that the device writes them. `snaplen` bytes of each."""

    def __init__(self, receives: bool, snaplen: int) -> None:
        self._receives, self._snaplen = receives, snaplen
        self.header = HEADER
        self._frames: list[EthernetFrame] = []
        self._missed = 0

    def take(self, form: SplitForm, first: int, count: int) -> None:
        """Read the latest of what came back from used index `first` on: its buffers are the freshest."""
        fresh = min(count, form.size, MOST - len(self._frames))
        self._missed += count - fresh
        try:
            items = form.used_items(first + count - fresh, fresh)
        except UnreadError:
            self._missed += fresh
            return
        for head, written in items:
            frame = self._frame(form, head, written)
            if frame:
                self._frames.append(frame)
            else:
                self._missed += 1

    def _frame(self, form: SplitForm, head: int, written: int) -> EthernetFrame | None:
        try:
            chain = form.chain(head)
            buffers = [each for each in chain.buffers if bool(each.flags & WRITE) is self._receives]
            total = sum(each.length for each in buffers)
            size = (min(total, written) if self._receives else total) - self.header
            data = gather(form, buffers, min(size, self._snaplen) + self.header)[self.header :]
        except UnreadError:
            return None
        return EthernetFrame(data, size) if chain.whole and size > 0 and data else None

    def drain(self) -> tuple[list[EthernetFrame], int]:
        """The frames since the last time, and how many were missed."""
        found, self._frames = (self._frames, self._missed), []
        self._missed = 0
        return found


def gather(form: SplitForm, buffers: list[Descriptor], size: int) -> bytes:
    """The first `size` bytes of some buffers. Raises UnreadError."""
    parts: list[bytes] = []
    for each in buffers:
        if size <= 0:
            break
        parts.append(form.guest(each.address, min(each.length, size)))
        size -= len(parts[-1])
    return b"".join(parts)
