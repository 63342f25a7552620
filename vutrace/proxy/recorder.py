"""What was forwarded, on its way into the capture: looked at, encoded and written when nobody waits.

The relay only appends to a queue. `work` empties it in small slices while nothing is to be forwarded; under
a load that never pauses, once the oldest record is 5 ms old, so that it is in the file before 10 ms.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator

from vutrace.framing import Message
from vutrace.proxy.encoder import Encoder
from vutrace.proxy.names import find_names
from vutrace.proxy.pending import Burst, Fresh, Item, Origin, Single, time_of, with_descriptors
from vutrace.records import Connection, Event
from vutrace.sockets.passed import FD_SIZE, Ancillary, Passed

LATEST_NS = 5_000_000  # a record older than this is written although the relay is busy
SLICE_NS = 200_000  # the longest that forwarding waits for the recorder
WIDE_SLICE_NS = 2_000_000  # the same when the queue is about to eat the memory
QUIET_NS = 1_000_000  # without a message: the relay is idle
FLUSH_NS = 2_000_000
MANY_BYTES = 16 << 20  # queued bytes of bursts from which on slices are wide
MANY_ITEMS = 2_000  # or as many items, of 64 KiB at most
MANY_HELD = 256  # descriptors kept open to be looked at later


class Recorder:
    """Queues what the relay forwarded for `encoder`.

    `remind` is called with it when there is something to do: `work` is to be called soon.
    """

    def __init__(self, encoder: Encoder, remind: Callable[["Recorder"], None]) -> None:
        self._encoder = encoder
        self._remind = remind
        self._reminded = False
        self._urgent = False
        self._pending: deque[Fresh | Item] = deque()
        self._batch: deque[Item] = deque()
        self._bytes = 0
        self._held: deque[Passed] = deque()
        self._fresh = 0
        self._rounds = self._work_in_rounds()
        self._flushed_ns = 0

    def whole(self, time_ns: int, origin: Origin, data: bytes, ancillary: Ancillary) -> None:
        """One message that was forwarded with all that came with it; its descriptors are ours from now on."""
        self._pending.append((time_ns, origin, data, ancillary))
        if not self._reminded:
            self._call_for_work()
        if ancillary:
            self._fresh += len(ancillary[0][2]) // FD_SIZE
            if self._fresh > MANY_HELD:
                self._inspect_all()

    def burst(self, time_ns: int, origin: Origin, data: bytes, ends: list[int]) -> None:
        """Whole messages, back to back, none with descriptors."""
        self._bytes += len(data)
        self._queue(Burst(time_ns, origin, data, ends))

    def single(self, time_ns: int, origin: Origin, message: Message[Passed]) -> None:
        """One message, perhaps not all of it."""
        self._queue(Single(time_ns, origin, message.data, message.fds, message.flags, message.wire_size))

    def event(self, event: Event) -> None:
        """Something that happened; in order with the messages."""
        self._queue(event)

    def _queue(self, item: Item) -> None:
        self._pending.append(item)
        if not self._reminded:
            self._call_for_work()

    def _call_for_work(self) -> None:
        self._reminded = True
        self._remind(self)

    def passed(self, fd: int) -> Passed:
        """A descriptor that was received and is not forwarded yet."""
        passed = Passed(fd)
        self._held.append(passed)
        if len(self._held) > MANY_HELD:
            self._inspect_held()
        return passed

    def connection(self, connection: Connection) -> None:
        """A connection, before its first record."""
        self._encoder.connection(connection)

    def work(self, disturbed: bool) -> bool:
        """One slice, if nobody comes or the oldest record is not young any more; whether to go on."""
        if not self._due:
            self._reminded = False
            return False
        now = time.time_ns()
        # Once urgent, until nothing is left: a slice for every message would slow down every one.
        self._urgent = self._urgent or self._is_late(now)
        if not self._urgent and (disturbed or self._is_busy(now)):
            self._remind(self)
            return False
        self._work_for(WIDE_SLICE_NS if self._is_much() else SLICE_NS)
        if self._due:
            return True
        self._urgent = self._reminded = False
        return False

    def _work_for(self, slice_ns: int) -> None:
        clock = time.perf_counter_ns
        now = clock()
        until = now + slice_ns
        while now < until and self._due:
            next(self._rounds)
            now = clock()
        if not self._due or now - self._flushed_ns > FLUSH_NS:
            self._flushed_ns = now
            self._encoder.flush()

    def close(self) -> None:
        """Record all that is queued; what comes later is not recorded."""
        while self._due:
            next(self._rounds)
        self._encoder.flush()

    @property
    def _due(self) -> bool:
        return bool(self._pending or self._batch)

    def _is_late(self, now: int) -> bool:
        oldest = self._batch[0] if self._batch else self._pending[0]
        return not 0 <= now - time_of(oldest) < LATEST_NS or self._is_much()

    def _is_busy(self, now: int) -> bool:
        return bool(self._pending) and now - time_of(self._pending[-1]) < QUIET_NS

    def _is_much(self) -> bool:
        return self._bytes > MANY_BYTES or len(self._pending) > MANY_ITEMS

    def _work_in_rounds(self) -> Iterator[None]:
        while True:
            self._batch.extend(map(with_descriptors, self._pending))
            self._pending.clear()
            self._fresh = 0
            yield from find_names(self._batch)
            while self._batch:
                yield from self._encode(self._batch[0])
                self._batch.popleft()
            yield

    def _encode(self, item: Item) -> Iterator[None]:
        if isinstance(item, Burst):
            self._bytes -= len(item.data)
        yield from self._encoder.encode(item)
        while self._held and self._held[0].info is not None:
            self._held.popleft()

    def _inspect_held(self) -> None:
        while len(self._held) > MANY_HELD // 2:
            self._held.popleft().inspect()

    def _inspect_all(self) -> None:
        self._fresh = 0
        for index, item in enumerate(self._pending):
            if isinstance(item, tuple):
                self._pending[index] = single = with_descriptors(item)
                for passed in single.fds:
                    passed.inspect()
