"""The guest's memory and eventfds, as far as a model front-end needs them: real, and shared by descriptor."""

import os

from vutrace.protocol.payloads import MemoryRegion, VringAddr

RING_SIZE = 256
"""Descriptors of a ring, as QEMU and DPDK have them unless told otherwise."""
PAGE = 0x1000
RING_BYTES = 3 * PAGE  # a page for the descriptors, one for `available`, one for `used`
GRAIN = 2 << 20  # what a back-end that insists on huge pages can map, too


class GuestMemory:
    """One region of zeroes in a memfd, with the empty rings of a device one after the other in it.

    `guest_address` is where the guest sees it, `user_address` where the front-end would have mapped it:
    ring addresses are of that kind ("A vring address description").
    """

    def __init__(self, rings: int, guest_address: int, user_address: int) -> None:
        self.size = -(-rings * RING_BYTES // GRAIN) * GRAIN
        self.fd = os.memfd_create("guest-memory", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, self.size)
        self._guest_address = guest_address
        self._user_address = user_address

    def region(self) -> MemoryRegion:
        """The region as a memory table describes it."""
        return MemoryRegion(
            guest_address=self._guest_address, size=self.size, user_address=self._user_address, mmap_offset=0
        )

    def ring_address(self, ring: int) -> VringAddr:
        """Where ring number `ring` lies; `log` is where dirty logging would find its used ring."""
        offset = ring * RING_BYTES
        start = self._user_address + offset
        return VringAddr(
            index=ring,
            descriptor=start,
            available=start + PAGE,
            used=start + 2 * PAGE,
            log=self._guest_address + offset + 2 * PAGE,
        )

    def close(self) -> None:
        """Let go of the memory; whoever mapped it still has it."""
        os.close(self.fd)


class Notifiers:
    """The eventfds of the rings, made when they are first asked for and kept."""

    def __init__(self) -> None:
        self._fds: dict[tuple[str, int], int] = {}

    def fd(self, purpose: str, ring: int) -> int:
        """The eventfd that serves `purpose` ("kick", "call", …) for a ring."""
        key = purpose, ring
        if key not in self._fds:
            self._fds[key] = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return self._fds[key]

    def close(self) -> None:
        """Close them all."""
        while self._fds:
            os.close(self._fds.popitem()[1])
