"""The memory map of one session, with each change ("Memory region description")."""

from dataclasses import dataclass
from typing import Any

from vutrace.dissection.message import Message
from vutrace.records import Channel, FdInfo

CHANGES_KEPT = 256
REGIONS_KEPT = 4096
MAPPING = frozenset({"SET_MEM_TABLE", "ADD_MEM_REG", "REM_MEM_REG", "RESET_OWNER"})


@dataclass(frozen=True, slots=True)
class Region:
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


@dataclass(frozen=True, slots=True)
class MemoryChange:
    """What row `number` (at `time_ns` since the first record) did to the map."""

    number: int
    time_ns: int
    message: str
    added: tuple[Region, ...] = ()
    removed: tuple[Region, ...] = ()


class Memory:
    """The regions in force, and the latest `CHANGES_KEPT` changes; `omitted` counts those before."""

    def __init__(self) -> None:
        self.regions: list[Region] = []
        self.changes: list[MemoryChange] = []
        self.omitted = 0

    def feed(self, number: int, time_ns: int, message: Message) -> MemoryChange | None:
        """Take the message of row `number`; the change it made, if it made one."""
        if message.channel is not Channel.MAIN or message.reply:
            return None
        before = self.regions
        match message.name:
            case "SET_MEM_TABLE" if "regions" in message.fields and not empty_table(message):
                self.regions = table(message)
            case "ADD_MEM_REG" if "region" in message.fields:
                self.regions = [*before, single(message)][-REGIONS_KEPT:]
            case "REM_MEM_REG" if "region" in message.fields:
                self.regions = [region for region in before if region.place != single(message).place]
            case "RESET_OWNER" if before:
                self.regions = []
            case _:
                return None
        return self._note(number, time_ns, message.name, before)

    def _note(self, number: int, time_ns: int, name: str, before: list[Region]) -> MemoryChange:
        added = tuple(region for region in self.regions if region not in before)
        removed = tuple(region for region in before if region not in self.regions)
        change = MemoryChange(number, time_ns, name, added, removed)
        self.changes.append(change)
        if len(self.changes) > CHANGES_KEPT:
            del self.changes[0]
            self.omitted += 1
        return change


def empty_table(message: Message) -> bool:
    """Whether it is postcopy's last message, which tells no table."""
    return not message.fields["regions"] and not message.frame.fds


def table(message: Message) -> list[Region]:
    """The regions of SET_MEM_TABLE; descriptor i belongs to region i."""
    regions: Any = message.fields["regions"]
    fds = message.frame.fds
    return [region(item, fds[i] if i < len(fds) else None) for i, item in enumerate(regions)]


def single(message: Message) -> Region:
    """The region of ADD_MEM_REG or REM_MEM_REG."""
    fds = message.frame.fds
    return region(message.fields["region"], fds[0] if fds else None)


def region(fields: Any, fd: FdInfo | None) -> Region:
    """A region of its fields; those that are missing are 0."""
    guest, size, user, offset = (
        fields.get(name, 0) for name in ("guest_address", "size", "user_address", "mmap_offset")
    )
    return Region(guest, size, user, offset, fd)
