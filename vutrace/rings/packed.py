"""A packed ring in memory (virtio, "Packed Virtqueues").

Neither side's position is written down: both are found in the flags of the descriptors. The driver's is
where the AVAIL bits change; the device's is behind the last descriptor that it marked as used. Of a chain
it marks the first only, so that the rest of the last chain counts as in flight until the next one is marked.
"""

import struct
from typing import NamedTuple

from vutrace.rings.chain import INDIRECT, MOST, NEXT, SIZE, WRITE, Chain, Descriptor
from vutrace.rings.indexes import Indexes
from vutrace.rings.memory import SampledMemory
from vutrace.rings.unread import UnreadError
from vutrace.session.ring import Addresses

EVENT = struct.Struct("<HH")  # of either side's area: position and wrap counter, flags
DESCRIPTOR = struct.Struct("<QIHH")
FLAGS_AT = 14  # in a descriptor: two bytes, whose highest bits are
HIGH = 0x80  # AVAIL in the first, USED in the second
BOTH = 0x8080  # AVAIL and USED
WRAP = 0x8000  # of a position: its wrap counter
LOW = bytes(1 if byte & HIGH else 0 for byte in range(256))
TOP = bytes(2 if byte & HIGH else 0 for byte in range(256))


class RingPosition(NamedTuple):
    """A descriptor, and the wrap counter of the round in which it is met."""

    at: int
    wrap: bool

    @property
    def word(self) -> int:
        """As both sides' event areas and GET_VRING_BASE write it."""
        return self.at | (WRAP if self.wrap else 0)


class PackedForm:
    """Where a ring of `size` descriptors lies."""

    packed = True
    order = "little"

    def __init__(self, memory: SampledMemory, size: int, where: Addresses) -> None:
        self._memory, self._where, self.size = memory, where, size
        self.round = 2 * size

    def beginning(self, base: int) -> Indexes:
        """Where a ring is that was told to begin at `base`: both positions, one above the other.

        DPDK's virtio-user tells the driver's only, and 0 above it.
        """
        available = base & 0xFFFF
        used = base >> 16 & 0xFFFF or available
        return Indexes(available, used, self.steps(used, available), 0, 0)

    def place(self, used: int) -> int:
        """A position as an in-flight buffer has it."""
        return used & ~WRAP

    def steps(self, before: int, after: int) -> int:
        """From one position to another."""
        return (linear(after, self.size) - linear(before, self.size)) % self.round

    def indexes(self) -> Indexes:
        """Where both sides are. Raises UnreadError."""
        data = self._memory.ring(self._where.descriptor, SIZE * self.size)
        driver_event, driver_flags = EVENT.unpack(self._memory.ring(self._where.available, EVENT.size))
        device_event, device_flags = EVENT.unpack(self._memory.ring(self._where.used, EVENT.size))
        available, used = positions(data)
        ahead = available.at - used.at + (self.size if available.wrap is not used.wrap else 0)
        flags = driver_flags, device_flags
        return Indexes(available.word, used.word, ahead, *flags, True, driver_event, device_event)

    def oldest(self, found: Indexes) -> Chain:
        """The chain at the device's position. Raises UnreadError."""
        at = found.used & ~WRAP
        steps: list[Descriptor] = []
        whole = False
        while len(steps) < self.size and not whole:
            place = (at + len(steps)) % self.size
            data = self._memory.ring(self._where.descriptor + SIZE * place, SIZE)
            steps.append(descriptor(data))
            whole = not steps[-1].flags & NEXT
        buffers = [each for each in steps if not each.flags & INDIRECT]
        if steps[-1].flags & INDIRECT:
            buffers += self._table(steps[-1])
        return Chain(at, tuple(buffers), len(steps), whole)

    def returned(self, first: int, count: int, fresh: int) -> list[tuple[int | None, int]]:
        """Of the `count` descriptors since position `first` the latest: where one was marked, bytes written.

        None is a chain of several: of its first descriptor only the address is left. Raises UnreadError.
        """
        data = self._memory.ring(self._where.descriptor, SIZE * self.size)
        begin = linear(first, self.size) + count - fresh
        places = [each % self.round for each in range(begin, begin + fresh)]
        marked = [self._is_marked(data, each) for each in places]
        marked.append(True)  # the device's position begins another chain
        return [
            (at % self.size if marked[index + 1] else None, descriptor(slot(data, at % self.size)).length)
            for index, at in enumerate(places)
            if marked[index]
        ]

    def _is_marked(self, data: bytes, place: int) -> bool:
        flags = descriptor(slot(data, place % self.size)).flags
        return flags & BOTH == (BOTH if place < self.size else 0)

    def chain(self, at: int) -> Chain:
        """A descriptor that came back: where its buffer is, and what was written. Raises UnreadError."""
        found = descriptor(self._memory.ring(self._where.descriptor + SIZE * at, SIZE))
        written = found._replace(flags=WRITE if found.length else 0)
        return Chain(at, (written,), 1, True)

    def guest(self, address: int, size: int) -> bytes:
        """So many bytes of a buffer. Raises UnreadError."""
        return self._memory.guest(address, size)

    def _table(self, holder: Descriptor) -> list[Descriptor]:
        """The buffers of an indirect table: all of it, one after the other."""
        count = min(holder.length // SIZE, MOST)
        try:
            data = self._memory.guest(holder.address, count * SIZE)
        except UnreadError:
            return []
        return [descriptor(data[at : at + SIZE]) for at in range(0, len(data), SIZE)]


def linear(word: int, size: int) -> int:
    """A position as a number below twice the ring's size."""
    return (word & ~WRAP) + (0 if word & WRAP else size)


def descriptor(data: bytes) -> Descriptor:
    """A descriptor of a packed ring."""
    address, length, number, flags = DESCRIPTOR.unpack(data)
    return Descriptor(address, length, flags, id=number)


def slot(ring: bytes, at: int) -> bytes:
    """The bytes of a descriptor in a whole ring."""
    return ring[SIZE * at : SIZE * at + SIZE]


def positions(ring: bytes) -> tuple[RingPosition, RingPosition]:
    """The driver's and the device's position in a whole ring."""
    avail = ring[FLAGS_AT::SIZE].translate(LOW)
    both = bytes(map(int.__or__, avail, ring[FLAGS_AT + 1 :: SIZE].translate(TOP)))
    size, first = len(avail), avail[0]
    change = avail.find(bytes([1 - first]))
    # all alike: the driver went round, and is at the begin of the next
    available = RingPosition(0, not first) if change < 0 else RingPosition(change, bool(first))
    return available, device_position(both, available, size)


def device_position(both: bytes, available: RingPosition, size: int) -> RingPosition:
    """The device's position; `both` has AVAIL in bit 0 and USED in bit 1 of each descriptor's byte."""
    done = {True: b"\x03", False: b"\x00"}
    last = both.rfind(done[available.wrap], 0, available.at)
    if last >= 0:
        return RingPosition(last + 1, available.wrap)
    last = both.rfind(done[not available.wrap], available.at)
    if last == size - 1:
        return RingPosition(0, available.wrap)
    return RingPosition(last + 1 if last >= 0 else available.at, not available.wrap)
