"""Memory of a guest that runs nowhere, in memfds that are mapped here and passed there; and its eventfds."""

import mmap
import os
from dataclasses import dataclass, field

from vutrace.protocol.payloads import MemoryRegion

USER_ADDRESS = 0x7F00_0000_0000
MIB = 1 << 20
GRAIN = 2 * MIB  # what a back-end that insists on huge pages can map, too


@dataclass(slots=True)
class GuestRegion:
    """A memfd as a region: what is at `offset` of the file is at `guest_address` and at `user_address`.

    Behind an IOMMU, a device knows it at `bus_address` only.
    """

    guest_address: int
    user_address: int
    size: int = 8 * MIB
    offset: int = 0
    fd: int = -1
    taken: int = 0
    bus_address: int | None = None
    mapped: mmap.mmap = field(init=False)

    def __post_init__(self) -> None:
        self.fd = os.memfd_create("conform", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, self.offset + self.size)
        self.mapped = mmap.mmap(self.fd, self.offset + self.size)

    @property
    def device_address(self) -> int:
        """Where a descriptor says that it begins."""
        return self.guest_address if self.bus_address is None else self.bus_address

    @property
    def ring_address(self) -> int:
        """Where the address of a ring says that it begins."""
        return self.user_address if self.bus_address is None else self.bus_address

    def described(self) -> MemoryRegion:
        """As a memory table describes it."""
        return MemoryRegion(
            guest_address=self.guest_address,
            size=self.size,
            user_address=self.user_address,
            mmap_offset=self.offset,
        )

    def take(self, size: int, align: int = 16) -> int:
        """So many bytes of it, that nobody else gets; where they are in the region."""
        start = -(-self.taken // align) * align
        self.taken = start + size
        return start

    def read(self, place: int, size: int) -> bytes:
        """What stands there."""
        return self.mapped[self.offset + place : self.offset + place + size]

    def write(self, place: int, data: bytes) -> None:
        """Put it there."""
        self.mapped[self.offset + place : self.offset + place + len(data)] = data

    def fill(self) -> None:
        """Have every page, so that whoever waits for missing ones has none to wait for."""
        self.mapped[:] = bytes(len(self.mapped))

    def close(self) -> None:
        """Let go of it; whoever mapped it still has it."""
        self.mapped.close()
        os.close(self.fd)


class Guest:
    """The guest's memory and eventfds; `regions[0]` is there from the beginning."""

    def __init__(self) -> None:
        self.regions: list[GuestRegion] = []
        self._fds: list[int] = []
        self.add(0)

    def add(self, guest_address: int, offset: int = 0, size: int = 8 * MIB) -> GuestRegion:
        """Another region, which the back-end does not know yet."""
        region = GuestRegion(guest_address, USER_ADDRESS + guest_address, size, offset)
        self.regions.append(region)
        return region

    def renew(self) -> None:
        """Another region takes the first one's place, as after a reboot of the guest."""
        self.add(0)
        self.regions.insert(0, self.regions.pop())

    def eventfd(self) -> int:
        """A new eventfd."""
        return self.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def keep(self, fd: int) -> int:
        """A descriptor, to be closed with the guest."""
        self._fds.append(fd)
        return fd

    def let_go(self, fd: int) -> None:
        """Close a descriptor before the guest ends."""
        self._fds.remove(fd)
        os.close(fd)

    def close(self) -> None:
        """Everything ends."""
        for region in self.regions:
            region.close()
        for fd in self._fds:
            os.close(fd)
        self.regions.clear()
        self._fds.clear()
