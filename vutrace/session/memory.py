"""The memory map of one session, and what each message does to it ("Memory region description")."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from vutrace.dissection.message import Message
from vutrace.protocol.effects import MemoryEffect
from vutrace.records import FdInfo

REGIONS_KEPT = 4096


class Region(NamedTuple):
    """One region: addresses and sizes in bytes; `fd` is what backs it, None where none came along."""

    guest_address: int
    size: int
    user_address: int
    mmap_offset: int
    fd: FdInfo | None = None

    @property
    def place(self) -> tuple[int, int, int]:
        """What names the region ("VHOST_USER_REM_MEM_REG")."""
        return self.guest_address, self.user_address, self.size

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes it the same as another: its place and the bytes, whatever the descriptor's number."""
        backing = (self.fd.kind, self.fd.device, self.fd.inode) if self.fd else None
        return *self.place, self.mmap_offset, backing


Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """What row `number` (at `time_ns` since the first record) did to the map."""

    number: int
    time_ns: int
    message: str
    added: tuple[Region, ...] = ()
    removed: tuple[Region, ...] = ()


class Memory:
    """The regions in force; `omitted` counts those that were given up when there were too many."""

    def __init__(self) -> None:
        self._regions: dict[Place, Region] = {}
        self.omitted = 0

    @property
    def regions(self) -> list[Region]:
        """The regions in force, in the order in which they came."""
        return list(self._regions.values())

    def feed(self, number: int, time_ns: int, message: Message) -> MemoryChange | None:
        """Take the request of row `number`; the change it made, if it is one that can make any."""
        match message.spec.memory:
            case MemoryEffect.TABLE if "regions" in message.fields and not is_empty_table(message):
                added, removed = self._replace(table(message))
            case MemoryEffect.ADD if "region" in message.fields:
                added, removed = self._add(single(message))
            case MemoryEffect.REMOVE if "region" in message.fields:
                gone = self._regions.pop(single(message).place, None)
                added, removed = (), (gone,) if gone else ()
            case _:
                return None
        return MemoryChange(number, time_ns, message.name, added, removed)

    def undo(self, change: MemoryChange) -> None:
        """Take back what a message did that was refused."""
        for region in change.added:
            self._regions.pop(region.place, None)
        self._regions |= {region.place: region for region in change.removed}

    def _replace(self, regions: Iterable[Region]) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
        before, self._regions = self._regions, {region.place: region for region in regions}
        old = {region.identity for region in before.values()}
        new = {region.identity for region in self._regions.values()}
        added = tuple(region for region in self._regions.values() if region.identity not in old)
        return added, tuple(region for region in before.values() if region.identity not in new)

    def _add(self, region: Region) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
        self._regions[region.place] = region
        if len(self._regions) <= REGIONS_KEPT:
            return (region,), ()
        self.omitted += 1
        return (region,), (self._regions.pop(next(iter(self._regions))),)


def is_empty_table(message: Message) -> bool:
    """Whether it is postcopy's last message, which tells no table."""
    return not message.fields["regions"] and not message.frame.fds


def table(message: Message) -> list[Region]:
    """The regions of a table; descriptor i belongs to region i."""
    regions: Any = message.fields["regions"]
    fds = message.frame.fds
    return [region(item, fds[i] if i < len(fds) else None) for i, item in enumerate(regions)]


def single(message: Message) -> Region:
    """The one region that comes or goes."""
    fds = message.frame.fds
    return region(message.fields["region"], fds[0] if fds else None)


def region(fields: Any, fd: FdInfo | None) -> Region:
    """A region of its fields; those that are missing are 0."""
    guest, size, user, offset = (
        fields.get(name, 0) for name in ("guest_address", "size", "user_address", "mmap_offset")
    )
    return Region(guest, size, user, offset, fd)
