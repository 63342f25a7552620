"""Guest memory, read a few bytes at a time.

It is read with pread and never mapped: nothing of it is kept once its descriptor is closed, a file that was
made shorter is a short read and no SIGBUS, and a page that the guest never touched is not made by our look.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.records import SampleFlag
from vutrace.rings.held import HeldFd
from vutrace.rings.translations import Translations
from vutrace.rings.unread import UnreadError
from vutrace.session.context import Context
from vutrace.session.memory import Region

GPA_ADDRESSES = bit("GPA_ADDRESSES", PROTOCOL_FEATURES)
ACCESS_PLATFORM = bit("VIRTIO_F_ACCESS_PLATFORM", VIRTIO_FEATURES)
Place = tuple[int, int]
"""A descriptor of ours, and the offset in its file."""
MOST_BYTES = 1 << 20  # of one read: more than any ring has


@dataclass(frozen=True, slots=True)
class Extent:
    """A region of memory: its begin and end as rings are addressed, and its begin in the file."""

    start: int
    end: int
    offset: int
    number: int


class SampledMemory:
    """The regions of a session, by the kind of address that its rings have.

    Those are the front-end's own, with GPA_ADDRESSES guest physical ones, and with ACCESS_PLATFORM I/O
    addresses, which `iotlb` translates to either.
    """

    def __init__(self, regions: Iterable[Region], context: Context, iotlb: Translations) -> None:
        guest = context.has_protocol(GPA_ADDRESSES)
        known = [(region, region.fd) for region in regions if isinstance(region.fd, HeldFd)]
        self._physical = [extent(region, region.guest_address, fd) for region, fd in known]
        self._extents = self._physical
        if not guest:
            self._extents = [extent(region, region.user_address, fd) for region, fd in known]
        self._iotlb = iotlb if context.has_feature(ACCESS_PLATFORM) else None

    def place(self, address: int, size: int) -> Place:
        """Where so many bytes of a ring are. Raises UnreadError."""
        if self._iotlb is not None:
            address = self._iotlb.translate(address, size)
        return place(self._extents, address, size)

    def ring(self, address: int, size: int) -> bytes:
        """So many bytes of a ring. Raises UnreadError."""
        return read(self.place(address, size), size)

    def guest(self, address: int, size: int) -> bytes:
        """So many bytes where a descriptor of a ring says. Raises as `ring`."""
        if self._iotlb is not None:
            return self.ring(address, size)
        return read(place(self._physical, address, size), size)


def extent(region: Region, start: int, fd: HeldFd) -> Extent:
    """A region whose addresses begin at `start`."""
    return Extent(start, start + region.size, region.mmap_offset, fd.number)


def place(extents: Iterable[Extent], address: int, size: int) -> Place:
    """Where so many bytes are that one of the extents has."""
    for each in extents:
        if each.start <= address and address + size <= each.end and size <= MOST_BYTES:
            return each.number, each.offset + address - each.start
    raise UnreadError(SampleFlag.OUTSIDE)


def read(where: Place, size: int) -> bytes:
    """So many bytes of a file. Raises UnreadError."""
    try:
        data = os.pread(where[0], size, where[1])
    except (OSError, OverflowError):  # a hostile offset is beyond any file
        raise UnreadError(SampleFlag.UNREADABLE) from None
    if len(data) < size:
        raise UnreadError(SampleFlag.UNREADABLE)
    return data
