"""A split ring in memory (virtio, "Split Virtqueues")."""

import struct
from collections.abc import Callable

from vutrace.rings.chain import INDIRECT, MOST, NEXT, SIZE, Chain, Descriptor
from vutrace.rings.indexes import Indexes
from vutrace.rings.memory import SampledMemory
from vutrace.rings.unread import UnreadError
from vutrace.session.ring import Addresses

HEAD, AVAILABLE_ITEM, USED_ITEM, EVENT = 4, 2, 8, 2
TRIES = 3  # to read both indexes while the device moves nothing
ROUND = 1 << 16  # the indexes' numbers

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
        self._used_event = where.available + HEAD + AVAILABLE_ITEM * size if event_idx else None
        self._available_event = where.used + HEAD + USED_ITEM * size

    def beginning(self, base: int) -> Indexes:
        """Where a ring is that was told to begin at `base`."""
        return Indexes(base % ROUND, base % ROUND, 0, 0, 0)

    def steps(self, before: int, after: int) -> int:
        """From one index to another."""
        return (after - before) % ROUND

    def indexes(self) -> Indexes:
        """Where both sides are. Raises UnreadError."""
        read, where = self._memory.ring, self._where
        for _ in range(TRIES):
            _, before = self._head(read(where.used, HEAD))
            driver_flags, available = self._head(read(where.available, HEAD))
            device_flags, used = self._head(read(where.used, HEAD))
            if before == used:
                break
        # what the device did meanwhile must not look as if it were ahead of the driver
        found = Indexes(
            available, before, (available - before) % ROUND, driver_flags, device_flags, steady=before == used
        )
        if self._used_event is None:
            return found
        (used_event,) = self._word(read(self._used_event, EVENT))
        (available_event,) = self._word(read(self._available_event, EVENT))
        return found._replace(events=True, driver_event=used_event, device_event=available_event)

    def heads(self, first: int, count: int) -> list[int]:
        """The chains that were made available from index `first` on. Raises UnreadError."""
        data = self._memory.ring(self._where.available + HEAD, AVAILABLE_ITEM * self.size)
        items = struct.unpack(f"{self._order}{self.size}H", data)
        return [items[(first + i) % self.size] for i in range(min(count, self.size))]

    def used_heads(self, first: int, count: int) -> list[int]:
        """The chains that came back from index `first` on. Raises UnreadError."""
        data = self._memory.ring(self._where.used + HEAD, USED_ITEM * self.size)
        items = struct.unpack(f"{self._order}{2 * self.size}I", data)
        return [items[2 * ((first + i) % self.size)] for i in range(min(count, self.size))]

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
