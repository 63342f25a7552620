"""Rings in a memfd with a driver and a device that write them, after virtio's text and not vutrace's code."""

import os
import struct
from collections.abc import Sequence

from vutrace.records import FdInfo, FdKind
from vutrace.rings.held import held
from vutrace.rings.memory import SampledMemory
from vutrace.rings.translations import Translations
from vutrace.session.context import Context
from vutrace.session.memory import Region
from vutrace.session.ring import Addresses, Ring

GUEST, USER, SIZE = 0x10_0000, 0x7F00_0000_0000, 1 << 20
DESCRIPTORS, AVAILABLE, USED, TABLE, BUFFERS = 0, 0x1000, 0x2000, 0x8000, 0x1_0000
NEXT, WRITE, INDIRECT = 1, 2, 4


class Memory:
    """A region of guest memory, as both sides of vhost-user know it."""

    def __init__(self, fd: int = -1, start: int = 0, user: int = USER) -> None:
        self.fd = fd if fd >= 0 else os.memfd_create("guest", os.MFD_CLOEXEC)
        if fd < 0:
            os.ftruncate(self.fd, SIZE)
        self.start, self.user = start, user
        self.addresses = Addresses(*(user + start + part for part in (DESCRIPTORS, USED, AVAILABLE)), 0, 0)

    def write(self, at: int, form: str, *values: int) -> None:
        """Put numbers somewhere."""
        os.pwrite(self.fd, struct.pack(form, *values), self.start + at)

    def seen(self, context: Context | None = None, iotlb: Translations | None = None) -> SampledMemory:
        """As the sampler reads it."""
        info = held(FdInfo(FdKind.MEMFD, size=SIZE), self.fd)
        region = Region(GUEST, SIZE, self.user, 0, info)
        return SampledMemory([region], context or Context(), iotlb or Translations())

    def ring(self, size: int, base: int | None = 0) -> Ring:
        """What the session knows of the ring."""
        return Ring(0, size=size, base=base, addresses=self.addresses)


class Split:
    """Both sides of a split ring."""

    def __init__(self, memory: Memory, size: int = 8) -> None:
        self.memory, self.size = memory, size
        self.made = self.back = 0

    def describe(
        self, at: int, length: int = 64, flags: int = 0, following: int = 0, address: int = 0
    ) -> None:
        """A descriptor of the table."""
        place = address or GUEST + self.memory.start + BUFFERS
        self.memory.write(DESCRIPTORS + 16 * at, "<QIHH", place, length, flags, following)

    def make(self, heads: Sequence[int], flags: int = 0) -> None:
        """The driver makes chains available."""
        for head in heads:
            self.memory.write(AVAILABLE + 4 + 2 * (self.made % self.size), "<H", head)
            self.made += 1
        self.memory.write(AVAILABLE, "<HH", flags, self.made & 0xFFFF)

    def use(self, heads: Sequence[int], flags: int = 0) -> None:
        """The device gives chains back."""
        for head in heads:
            self.memory.write(USED + 4 + 8 * (self.back % self.size), "<II", head, 0)
            self.back += 1
        self.memory.write(USED, "<HH", flags, self.back & 0xFFFF)


class Packed:
    """Both sides of a packed ring."""

    def __init__(self, memory: Memory, size: int = 8) -> None:
        self.memory, self.size = memory, size
        self.next = self.done = 0
        self.next_wrap = self.done_wrap = 1

    def make(self, length: int = 1, flags: int = 0) -> None:
        """The driver makes a chain of so many descriptors available."""
        for part in range(length):
            bits = self.next_wrap << 7 | (1 - self.next_wrap) << 15 | flags
            bits |= NEXT if part < length - 1 else 0
            address = GUEST + self.memory.start + BUFFERS
            self.memory.write(DESCRIPTORS + 16 * self.next, "<QIHH", address, 64, 0, bits)
            self.next, self.next_wrap = self._after(self.next, self.next_wrap, 1)

    def use(self, length: int = 1) -> None:
        """The device gives a chain of so many descriptors back, in its first."""
        bits = self.done_wrap << 7 | self.done_wrap << 15
        self.memory.write(DESCRIPTORS + 16 * self.done + 14, "<H", bits)
        self.done, self.done_wrap = self._after(self.done, self.done_wrap, length)

    def _after(self, at: int, wrap: int, count: int) -> tuple[int, int]:
        return ((at + count) % self.size, wrap ^ 1 if at + count >= self.size else wrap)
