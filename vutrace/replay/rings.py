"""The rings in the re-created memory: empty, and as far as they were when the recording took them up.

The new memory holds zeroes. A back-end that is told to go on at index 7 and finds the available index at
0 would take 65,529 descriptors for available; so both indexes are put to where the ring was.
"""

import os
import struct
from dataclasses import dataclass, field
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.effects import MemoryEffect, RingEffect
from vutrace.session.context import RING_PACKED, Context

INDEX = struct.Struct("=H")
INDEX_AT = 2  # in the available ring and in the used ring: behind u16 flags


@dataclass(frozen=True, slots=True)
class MadeRegion:
    """A region of the re-created memory: user addresses from `start` on are at `offset` of `fd`."""

    start: int
    size: int
    offset: int
    fd: int


@dataclass(slots=True)
class RingMemory:
    """Follows the front-end's messages, each before it is sent, and puts rings' indexes in place."""

    regions: list[MadeRegion] = field(default_factory=list)
    bases: dict[int, int] = field(default_factory=dict)
    places: dict[int, Message] = field(default_factory=dict)

    def follow(self, message: Message, fds: list[int], context: Context) -> None:
        """Take a request that is about to be sent with `fds`."""
        ring = message.ring
        match message.spec.memory or message.spec.effect:
            case MemoryEffect.TABLE if fds:
                self.regions = mapped(message.fields.get("regions"), fds)
            case MemoryEffect.ADD if fds:
                self.regions += mapped([message.fields.get("region")], fds)
            case RingEffect.BASE if ring is not None:
                self.bases[ring] = message.number_in("num") or 0
            case RingEffect.ADDRESSES if ring is not None:
                self.places[ring] = message
            case _:
                return
        if not context.has_feature(RING_PACKED):  # a packed ring of zeroes is empty at any index
            for index, place in self.places.items():
                self._put(place, self.bases.get(index, 0))

    def _put(self, place: Message, base: int) -> None:
        for part in ("available", "used"):
            address = place.number_in(part)
            region = self._holding(address) if address else None
            if region and address is not None:
                at = address - region.start + region.offset + INDEX_AT
                if at + INDEX.size <= os.fstat(region.fd).st_size:  # the memory is not to grow by this
                    os.pwrite(region.fd, INDEX.pack(base & 0xFFFF), at)

    def _holding(self, address: int) -> MadeRegion | None:
        return next((each for each in self.regions if each.start <= address < each.start + each.size), None)


def mapped(regions: Any, fds: list[int]) -> list[MadeRegion]:
    """The regions that a message describes, with their descriptors."""
    return [
        MadeRegion(
            start=region.get("user_address", 0),
            size=region.get("size", 0),
            offset=region.get("mmap_offset", 0),
            fd=fd,
        )
        for region, fd in zip(regions or (), fds, strict=False)
        if isinstance(region, dict)
    ]
