"""A split ring in guest memory, driven as a guest's driver drives it.

Source: virtio, "Split Virtqueues".
"""

import os
import select
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vutrace.conform.guest import Guest, GuestRegion

RING_SIZE = 64
PAGE = 0x1000
RING_BYTES = 3 * PAGE  # a page each for descriptors, `available` and `used`
NEXT, WRITE, INDIRECT = 1, 2, 4
NO_INTERRUPT = 1
WRAP = 1 << 16
DESCRIPTOR = struct.Struct("<QIHH")
INDEX = struct.Struct("<H")
ELEMENT = struct.Struct("<II")
POLL = 0.001


@dataclass(frozen=True, slots=True)
class Buffer:
    """A part of a request: `size` bytes at guest address `address`; `writable` by the device."""

    address: int
    size: int
    writable: bool = False


@dataclass(frozen=True, slots=True)
class UsedBuffer:
    """What the device gave back: the number of the request's head, and how many bytes it wrote."""

    head: int
    written: int


@dataclass(slots=True)
class GuestRing:
    """What both layouts of ring share: its place, its eventfds, how far driver and device are.

    `index` is the ring's number; `base` is what SET_VRING_BASE says.
    """

    guest: Guest
    region: GuestRegion
    index: int = 0
    size: int = RING_SIZE
    base: int = 0
    indirect: bool = False
    start: int = -1
    kick_fd: int = -1
    call_fd: int = -1
    taken: int = 0
    offered: int = 0
    heads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.region.take(RING_BYTES, PAGE)
        self.kick_fd, self.call_fd = self.guest.eventfd(), self.guest.eventfd()
        self.begin(self.base)

    def begin(self, base: int) -> None:
        """The driver stands at `base`, with nothing in flight."""
        raise NotImplementedError

    def add(self, buffers: Sequence[Buffer], indirect: bool | None = None) -> int:
        """Make a request available, without a kick; the number of its head."""
        raise NotImplementedError

    def collect(self) -> list[UsedBuffer]:
        """What the device gave back since the last time."""
        raise NotImplementedError

    def kick(self) -> None:
        """Tell the device that there is something."""
        os.eventfd_write(self.kick_fd, 1)

    def await_used(
        self, count: int, timeout: float, meanwhile: Callable[[], None] = lambda: None
    ) -> list[UsedBuffer]:
        """What the device gave back, at least `count` of them, or what there is after `timeout` seconds."""
        deadline, used = time.monotonic() + timeout, self.collect()
        while len(used) < count and time.monotonic() < deadline:
            meanwhile()
            time.sleep(POLL)
            used += self.collect()
        return used

    def called(self, timeout: float) -> bool:
        """Whether the device signalled, and takes note of it."""
        poll = select.poll()
        poll.register(self.call_fd, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        os.eventfd_read(self.call_fd)
        return True

    def place(self, page: int) -> int:
        """The address of one of the ring's three pages, as SET_VRING_ADDR tells it."""
        return self.region.ring_address + self.start + page * PAGE

    def put_descriptor(self, place: int, buffer: Buffer, flags: int, following: int) -> None:
        """Write a descriptor, in the table or in an indirect one."""
        self.region.write(place, DESCRIPTOR.pack(buffer.address, buffer.size, flags, following))

    def indirect_table(self, buffers: Sequence[Buffer]) -> Buffer:
        """A table of descriptors of its own, for a request of several parts."""
        place = self.region.take(DESCRIPTOR.size * len(buffers))
        for number, buffer in enumerate(buffers):
            more = NEXT if number + 1 < len(buffers) else 0
            flags = more | (WRITE if buffer.writable else 0)
            self.put_descriptor(place + number * DESCRIPTOR.size, buffer, flags, number + 1 if more else 0)
        return Buffer(self.region.device_address + place, DESCRIPTOR.size * len(buffers))


class SplitRing(GuestRing):
    """Descriptor table, available ring and used ring, a page each."""

    def begin(self, base: int) -> None:
        """Both indexes stand at `base`."""
        self.base = self.taken = self.offered = base
        for page in (1, 2):
            self.region.write(self.start + page * PAGE, bytes(PAGE))
            self.region.write(self.start + page * PAGE + 2, INDEX.pack(base))
        self.next_free = 0

    def add(self, buffers: Sequence[Buffer], indirect: bool | None = None) -> int:
        """One chain of descriptors."""
        head = self.next_free
        if self.indirect if indirect is None else indirect:
            self.put_descriptor(self.slot(head), self.indirect_table(buffers), INDIRECT, 0)
            self.next_free += 1
        else:
            for number, buffer in enumerate(buffers):
                more = NEXT if number + 1 < len(buffers) else 0
                following = (head + number + 1) % self.size
                flags = more | (WRITE if buffer.writable else 0)
                self.put_descriptor(self.slot(head + number), buffer, flags, following)
            self.next_free += len(buffers)
        self.next_free %= self.size
        self.offer(head)
        return head

    def offer(self, head: int) -> None:
        """Put a head into the available ring."""
        place = self.start + PAGE + 4 + 2 * (self.offered % self.size)
        self.region.write(place, INDEX.pack(head))
        self.offered = (self.offered + 1) % WRAP
        self.region.write(self.start + PAGE + 2, INDEX.pack(self.offered))

    def slot(self, number: int) -> int:
        """Where a descriptor of the table stands."""
        return self.start + (number % self.size) * DESCRIPTOR.size

    def collect(self) -> list[UsedBuffer]:
        """The elements of the used ring up to its index."""
        used = []
        while self.taken != self.used_index():
            place = self.start + 2 * PAGE + 4 + ELEMENT.size * (self.taken % self.size)
            used.append(UsedBuffer(*ELEMENT.unpack(self.region.read(place, ELEMENT.size))))
            self.taken = (self.taken + 1) % WRAP
        return used

    def used_index(self) -> int:
        """The device's index."""
        return int(INDEX.unpack(self.region.read(self.start + 2 * PAGE + 2, 2))[0])

    def suppress(self, flags: int) -> None:
        """The driver's flags: whether it wants to be called."""
        self.region.write(self.start + PAGE, INDEX.pack(flags))

    def want_call_at(self, index: int) -> None:
        """used_event: be called when the device goes past this index."""
        self.region.write(self.start + PAGE + 4 + 2 * self.size, INDEX.pack(index % WRAP))
