"""A chain of descriptors: what a driver hands to a device in one piece."""

from typing import NamedTuple

SIZE = 16  # bytes of a descriptor, of either kind of ring
NEXT, WRITE, INDIRECT = 1, 2, 4
MOST = 32768  # descriptors of a ring, and so of a chain


class Descriptor(NamedTuple):
    """A buffer, or (INDIRECT) a table of them; `next` is that of a split ring, `id` that of a packed one."""

    address: int
    length: int
    flags: int
    next: int = 0
    id: int = 0


class Chain(NamedTuple):
    """The buffers of a chain as far as they could be followed, and whether its end was found.

    `head` is its first descriptor, `taken` how many it takes of the ring.
    """

    head: int
    buffers: tuple[Descriptor, ...]
    taken: int
    whole: bool

    @property
    def asks(self) -> bool:
        """Whether the device has something to read: it is a request, and no room for one."""
        return any(not each.flags & WRITE for each in self.buffers)

    @property
    def readable(self) -> int:
        """Bytes for the device to read."""
        return sum(each.length for each in self.buffers if not each.flags & WRITE)

    @property
    def writable(self) -> int:
        """Bytes for the device to write."""
        return sum(each.length for each in self.buffers if each.flags & WRITE)
