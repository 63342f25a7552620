"""A ring and the guest's memory, as a back-end holds them."""

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from vutrace.dissection.checks import number
from vutrace.dissection.decoder import Fields


@dataclass(slots=True)
class BackEndRing:
    """What a back-end was told of one ring; descriptors are its own, -1 where NOFD was said."""

    index: int
    size: int = 0
    base: int = 0
    address: Fields | None = None
    kick: int | None = None
    call: int | None = None
    enabled: bool = False

    @property
    def ready(self) -> bool:
        """Whether it can work: DPDK's rule (lib/vhost, vq_is_ready)."""
        return None not in (self.address, self.kick, self.call) and self.enabled

    def set_kick(self, fd: int | None) -> None:
        """Take over a kick eventfd in place of the earlier; None forgets it."""
        self.kick = replace(self.kick, fd)

    def set_call(self, fd: int | None) -> None:
        """Take over a call eventfd in place of the earlier; None forgets it."""
        self.call = replace(self.call, fd)

    def stop(self) -> None:
        """Forget what has to be told again before the ring can start: all but size and state."""
        self.set_kick(None)
        self.set_call(None)
        self.address = None


def replace(old: int | None, new: int | None) -> int | None:
    if old is not None and old >= 0:
        os.close(old)
    return new


@dataclass(frozen=True, slots=True)
class MappedRegion:
    """A region of guest memory, mapped."""

    fields: Fields
    mapping: mmap.mmap

    def holds(self, address: int) -> bool:
        """Whether a user address lies in it."""
        start = number(self.fields, "user_address")
        return start <= address < start + number(self.fields, "size")


def map_region(fields: Fields, fd: int) -> MappedRegion:
    """Map a described region; OSError or ValueError where the descriptor does not hold it."""
    # from the file's beginning, as DPDK does: an offset need not be a multiple of the page size
    length = number(fields, "size") + number(fields, "mmap_offset")
    return MappedRegion(fields, mmap.mmap(fd, length, mmap.MAP_SHARED))


@dataclass(slots=True)
class MappedRegions:
    """The regions that a back-end has mapped."""

    regions: list[MappedRegion] = field(default_factory=list)

    def described(self) -> list[Fields]:
        """The regions as they were described."""
        return [region.fields for region in self.regions]

    def holds(self, address: Mapping[str, object]) -> bool:
        """Whether all parts of a ring lie in it."""
        parts = (address[part] for part in ("descriptor", "available", "used"))
        return all(
            isinstance(part, int) and any(region.holds(part) for region in self.regions) for part in parts
        )

    def clear(self) -> None:
        """Unmap all."""
        while self.regions:
            self.regions.pop().mapping.close()
