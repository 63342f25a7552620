"""A split ring in memory (virtio, "Split Virtqueues")."""

import os
import struct
from collections.abc import Callable

from vutrace.records import SampleFlag
from vutrace.rings.chain import INDIRECT, MOST, NEXT, SIZE, Chain, Descriptor
from vutrace.rings.indexes import Indexes
from vutrace.rings.memory import Place, SampledMemory
from vutrace.rings.unread import UnreadError
from vutrace.session.ring import Addresses

HEAD, AVAILABLE_ITEM, USED_ITEM, EVENT = 4, 2, 8, 2
TRIES = 3  # to read both indexes while the device moves nothing
ROUND = 1 << 16  # the indexes' numbers

Places = tuple[Place, Place, tuple[Place, Place] | None]
"""Of the available and the used index, and of both event fields."""
Fetch = Callable[[int], bytes]
"""The bytes of a table's descriptor by its number. Raises UnreadError."""


class SplitForm:
    """Where a ring of `size` chains lies; `order` is the byte order of its fields, as `struct` has it."""

    packed = False
    round = ROUND  # of moves, after which an index is the same again

    def __init__(
        self, memory: SampledMemory, size: int, where: Addresses, order: str, event_idx: bool
    ) -> None:
        self._memory, self._where, self.size, self._order = memory, where, size, order
        self._head = struct.Struct(order + "HH").unpack
        self._word = struct.Struct(order + "H").unpack
        self._descriptor = struct.Struct(order + "QIHH").unpack
        self.order = "little" if order == "<" else "big"
        self._event_idx = event_idx
        self._places: Places | None = None

    def beginning(self, base: int) -> Indexes:
        """Where a ring is that was told to begin at `base`."""
        return Indexes(base % ROUND, base % ROUND, 0, 0, 0)

    def place(self, used: int) -> int:
        """An index as an in-flight buffer has it."""
        return used

    def steps(self, before: int, after: int) -> int:
        """From one index to another."""
        return (after - before) % ROUND

    def indexes(self) -> Indexes:
        """Where both sides are. Raises UnreadError."""
        places = self._places or self._find_places()
        try:
            return self._read(*places)
        except (OSError, OverflowError, struct.error):  # a short read, or an offset beyond any file
            raise UnreadError(SampleFlag.UNREADABLE) from None

    def _read(self, avail: Place, used_at: Place, events: tuple[Place, Place] | None) -> Indexes:
        # Written out: with 256 rings ten times a second a call of Python's for each read would show.
        head = self._head
        for _ in range(TRIES):
            _, before = head(os.pread(used_at[0], HEAD, used_at[1]))
            driver_flags, available = head(os.pread(avail[0], HEAD, avail[1]))
            device_flags, used = head(os.pread(used_at[0], HEAD, used_at[1]))
            if before == used:
                break
        # what the device did meanwhile must not look as if it were ahead of the driver
        known = available, before, (available - before) % ROUND, driver_flags, device_flags
        if events is None:
            return Indexes(*known, False, 0, 0, before == used)
        (driver_event,), (device_event,) = (self._word(os.pread(fd, EVENT, at)) for fd, at in events)
        return Indexes(*known, True, driver_event, device_event, before == used)

    def _find_places(self) -> Places:
        where, find = self._where, self._memory.place
        avail, used = find(where.available, HEAD), find(where.used, HEAD)
        events = None
        if self._event_idx:
            used_event = where.available + HEAD + AVAILABLE_ITEM * self.size
            events = find(used_event, EVENT), find(where.used + HEAD + USED_ITEM * self.size, EVENT)
        self._places = avail, used, events
        return self._places

    def heads(self, first: int, count: int) -> list[int]:
        """The chains that were made available from index `first` on. Raises UnreadError."""
        return self._items(self._where.available + HEAD, first, count, "H")

    def used_heads(self, first: int, count: int) -> list[int]:
        """The chains that came back from index `first` on. Raises UnreadError."""
        return [head for head, _ in self.used_items(first, count)]

    def used_items(self, first: int, count: int) -> list[tuple[int, int]]:
        """The same, each with the bytes that the device has written."""
        items = self._items(self._where.used + HEAD, first, count, "II")
        return list(zip(items[::2], items[1::2], strict=True))

    def returned(self, first: int, count: int, fresh: int) -> list[tuple[int | None, int]]:
        """Of the `count` chains that came back from index `first` on the latest: heads, and bytes written.

        None is a chain whose head was used anew since: another stands there now. Raises UnreadError.
        """
        items = self.used_items(first + count - fresh, fresh)
        last = {head: at for at, (head, _) in enumerate(items)}
        return [(head if last[head] == at else None, written) for at, (head, written) in enumerate(items)]

    def guest(self, address: int, size: int) -> bytes:
        """So many bytes of a buffer. Raises UnreadError."""
        return self._memory.guest(address, size)

    def _items(self, start: int, first: int, count: int, form: str) -> list[int]:
        """The items of one of the two rings, from an index on; they may go round its end."""
        size, at = struct.calcsize(self._order + form), first % self.size
        until = min(count, self.size - at)
        pieces = (at, until), (0, min(count, self.size) - until)
        found: list[int] = []
        for begin, length in pieces:
            if length:
                data = self._memory.ring(start + size * begin, size * length)
                found += struct.unpack(self._order + form * length, data)
        return found

    def oldest(self, found: Indexes) -> Chain:
        """The chain that the device would take next if it takes them in order. Raises UnreadError."""
        return self.chain(self.heads(found.used, 1)[0])

    def chain(self, head: int) -> Chain:
        """A chain of the descriptor table."""
        start, read = self._where.descriptor, self._memory.ring
        steps, whole = self._walk(head, self.size, lambda at: read(start + SIZE * at, SIZE))
        buffers = [each for each in steps if not each.flags & INDIRECT]
        if steps and steps[-1].flags & INDIRECT:  # it is the last one, or the driver is mistaken
            inside, whole = self._table(steps[-1])
            buffers += inside
        return Chain(head, tuple(buffers), len(steps), whole)

    def _table(self, holder: Descriptor) -> tuple[list[Descriptor], bool]:
        count = min(holder.length // SIZE, MOST)
        try:
            data = self._memory.guest(holder.address, count * SIZE)
        except UnreadError:
            return [], False
        return self._walk(0, count, lambda at: data[SIZE * at : SIZE * at + SIZE])

    def _walk(self, at: int, count: int, fetch: Fetch) -> tuple[list[Descriptor], bool]:
        """The descriptors from `at` on in a table of `count`, and whether their end was found."""
        found: list[Descriptor] = []
        while at < count and len(found) < count:
            try:
                address, length, flags, following = self._descriptor(fetch(at))
            except UnreadError:
                break
            found.append(Descriptor(address, length, flags, following))
            if not flags & NEXT:
                return found, True
            at = following
        return found, False
