"""A packed ring in guest memory, driven as a guest's driver drives it.

Source: virtio, "Packed Virtqueues". Where SET_VRING_BASE and GET_VRING_BASE speak of a packed ring, bits 0 to
14 are the available index and bit 15 its wrap counter, 16 to 30 and 31 the same of the used index.
"""

import struct
from collections.abc import Sequence

from vutrace.conform.ring import INDIRECT, NEXT, PAGE, WRITE, Buffer, GuestRing, UsedBuffer

AVAILABLE, USED = 1 << 7, 1 << 15
WRAP_BIT = 1 << 15
PACKED = struct.Struct("<QIHH")  # address, length, id, flags
AREA = struct.Struct("<HH")
FLAGS_AT = 14
DISABLE = 1


class PackedRing(GuestRing):
    """The descriptor ring, the driver's event area and the device's, a page each."""

    def begin(self, base: int) -> None:
        """Driver and device stand at the beginning, both wrap counters set."""
        self.base = WRAP_BIT | WRAP_BIT << 16
        self.offered = self.taken = 0
        self.lap = self.used_lap = True
        self.lengths: dict[int, int] = {}
        self.next_id = 0
        self.region.write(self.start, bytes(3 * PAGE))

    def add(self, buffers: Sequence[Buffer], indirect: bool | None = None) -> int:
        """One chain of descriptors; the flags of its first are written last."""
        table = self.indirect if indirect is None else indirect
        parts = [self.indirect_table(buffers)] if table else list(buffers)
        chain = self.next_id
        self.next_id = (self.next_id + 1) % self.size
        self.lengths[chain] = len(parts)
        writes = []
        for number, part in enumerate(parts):
            flags = AVAILABLE if self.lap else USED
            flags |= INDIRECT if table else WRITE if part.writable else 0
            flags |= NEXT if number + 1 < len(parts) else 0
            writes.append((self.slot(self.offered), PACKED.pack(part.address, part.size, chain, flags)))
            self.offered, self.lap = self.following(self.offered, self.lap)
        for place, data in reversed(writes):
            self.region.write(place, data)
        return chain

    def put_descriptor(self, place: int, buffer: Buffer, flags: int, following: int) -> None:
        """Write a descriptor of an indirect table, where no NEXT is used and the order is the chain."""
        self.region.write(place, PACKED.pack(buffer.address, buffer.size, 0, flags & WRITE))

    def slot(self, number: int) -> int:
        """Where a descriptor stands."""
        return self.start + number * PACKED.size

    def following(self, number: int, lap: bool, steps: int = 1) -> tuple[int, bool]:
        """The place so many further, and the wrap counter there."""
        there = number + steps
        return (there - self.size, not lap) if there >= self.size else (there, lap)

    def collect(self) -> list[UsedBuffer]:
        """The descriptors that the device marked as used, in the ring's order."""
        used = []
        while self.is_used():
            _, written, chain, flags = PACKED.unpack(self.region.read(self.slot(self.taken), PACKED.size))
            used.append(UsedBuffer(chain, written if flags & WRITE else 0))
            steps = self.lengths.pop(chain, 1)
            self.taken, self.used_lap = self.following(self.taken, self.used_lap, steps)
        return used

    def is_used(self) -> bool:
        """Whether both bits of the next descriptor are as the device leaves them."""
        flags = int.from_bytes(self.region.read(self.slot(self.taken) + FLAGS_AT, 2), "little")
        return bool(flags & AVAILABLE) == bool(flags & USED) == self.used_lap

    def used_index(self) -> int:
        """How far the device's marks go, without taking them."""
        return int(self.is_used())

    def suppress(self, flags: int) -> None:
        """The driver's area: whether it wants to be called."""
        self.region.write(self.start + PAGE, AREA.pack(0, flags))

    def position(self) -> int:
        """What GET_VRING_BASE should say when the device has caught up."""
        place = self.offered | (WRAP_BIT if self.lap else 0)
        return place | place << 16
