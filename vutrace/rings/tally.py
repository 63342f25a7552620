"""Kicks and calls that were counted: memory that the counting process writes and the sampler reads.

A slot for each ring's kicks and for its calls: how often its eventfd was written to, and when the last times
were.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

SLOTS = 4096
KEPT = 64  # of the latest times
SLOT = struct.Struct("=iIHHiiQQ")  # a SlotOwner, then a SlotCount
TIME = struct.Struct("=QQ")  # a Notice
SLOT_SIZE = SLOT.size + KEPT * TIME.size
FILE_SIZE = SLOTS * SLOT_SIZE
ROLES = "kick", "call"


class SlotOwner(NamedTuple):
    """Whose slot it is: a ring's role (a number of `ROLES`).

    What its receiver reads is descriptor `number` of `process`, which is 0 for nobody's.
    """

    connection: int
    session: int
    ring: int
    role: int
    process: int
    number: int


class SlotCount(NamedTuple):
    """How often an eventfd was written to, and how often it was looked at and had been."""

    total: int = 0
    turns: int = 0


class Notice(NamedTuple):
    """An eventfd was written to at `time_ns` (of the epoch), and had been `total` times by then."""

    time_ns: int
    total: int


class Tally:
    """Reads the slots in a file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._slots: dict[tuple[int, ...], int] = {}

    def refresh(self) -> None:
        """Find out which slot is whose."""
        data = os.pread(self._fd, FILE_SIZE, 0)
        heads = (SLOT.unpack_from(data, at) for at in range(0, len(data), SLOT_SIZE))
        self._slots = {head[:4]: slot for slot, head in enumerate(heads) if head[4]}

    def head(self, *place: int) -> tuple[SlotOwner, SlotCount] | None:
        """The slot of a connection, session, ring and role; None where nothing is counted."""
        slot = self._slots.get(place)
        if slot is None:
            return None
        head = SLOT.unpack(os.pread(self._fd, SLOT.size, slot * SLOT_SIZE))
        owner = SlotOwner._make(head[: len(SlotOwner._fields)])
        return (owner, SlotCount._make(head[len(owner) :])) if owner[:4] == place else None

    def since(self, total: int, *place: int) -> Iterator[Notice]:
        """The latest times, after which it had been written to more than `total` times."""
        slot = self._slots.get(place)
        if slot is not None:
            data = os.pread(self._fd, KEPT * TIME.size, slot * SLOT_SIZE + SLOT.size)
            found = map(Notice._make, TIME.iter_unpack(data))
            yield from sorted(each for each in found if each.total > total)
