"""What was forwarded, on its way into the capture: looked at, encoded and written when nobody waits.

The relay only appends to a queue. `work` empties it in small slices while nothing is to be forwarded; under
a load that never pauses, once the oldest record is 5 ms old, so that it is in the file before 10 ms.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from vutrace.capture import connection_block, record_block, section_block
from vutrace.framing import Message
from vutrace.proxy import names
from vutrace.proxy.passed import FD_SIZE, Ancillary, Passed
from vutrace.proxy.pending import Burst, Fresh, Item, Origin, Single, time_of, with_descriptors
from vutrace.proxy.writer import Writer
from vutrace.records import Connection, Event, FdInfo, Frame, FrameFlag, Record

LATEST_NS = 5_000_000  # a record older than this is written although the relay is busy
SLICE_NS = 200_000  # the longest that forwarding waits for the recorder
WIDE_SLICE_NS = 2_000_000  # the same when the queue is about to eat the memory
QUIET_NS = 1_000_000  # without a message: the relay is idle
FLUSH_NS = 2_000_000
MANY_BYTES = 16 << 20  # queued bytes of bursts from which on slices are wide
MANY_ITEMS = 2_000  # or as many items, of 64 KiB at most
MANY_HELD = 256  # descriptors kept open to be looked at later
MANY_NAMES = 64  # descriptors at once from which on nobody looks for their numbers
BIG_ENDIAN = sys.byteorder == "big"


class Recorder:
    """Turns what the relay forwarded into blocks for `writer`; without one it only counts.

    `remind` is called with it when there is something to do: `work` is to be called soon. `limit` is how many
    messages are recorded; `on_limit` is called when that is reached. `lost` counts what could not be encoded.
    """

    def __init__(
        self,
        writer: Writer | None,
        remind: Callable[["Recorder"], None],
        limit: int | None = None,
        on_limit: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._writer = writer
        self._remind = remind
        self._reminded = False
        self._urgent = False
        self._limit = limit
        self._on_limit = on_limit
        self._tell = tell
        self._pending: deque[Fresh | Item] = deque()
        self._batch: deque[Item] = deque()
        self._bytes = 0
        self._held: deque[Passed] = deque()
        self._fresh = 0
        self._rounds = self._work_in_rounds()
        self._blocks: list[bytes] = []
        self._flushed_ns = 0
        self._interfaces: dict[int, int] = {}
        self._started_ns = time.time_ns()
        self.messages = 0
        self.lost = 0
        if writer:
            writer.put(section_block(), 0)

    # What the relay calls: all of it is cheap.

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
        self._interfaces[connection.number] = len(self._interfaces)
        self._flush()
        if self._writer:
            self._writer.put(connection_block(connection, self._started_ns), 0)

    # What the loop calls.

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
            self._flush()

    def close(self) -> None:
        """Record all that is queued; what comes later is not recorded."""
        while self._due:
            next(self._rounds)
        self._flush()

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
            yield from self._find_names()
            while self._batch:
                yield from self._encode(self._batch[0])
                self._batch.popleft()
            yield

    # Descriptors.

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

    def _find_names(self) -> Iterator[None]:
        singles = [item for item in self._batch if isinstance(item, Single) and item.fds]
        if not 0 < sum(len(item.fds) for item in singles) <= MANY_NAMES:
            return
        wanted: dict[int, set[names.Key]] = {}
        for item in singles:
            for key in filter(None, (names.key_of(passed.inspect()) for passed in item.fds)):
                wanted.setdefault(item.origin.frontend_pid, set()).add(key)
                wanted.setdefault(item.origin.backend_pid, set()).add(key)
            yield
        found: dict[int, dict[names.Key, int]] = {}
        for pid in filter(None, wanted):
            yield from names.search(pid, wanted[pid], found.setdefault(pid, {}))
        for item in singles:
            _name(item, found)

    # Blocks.

    def _encode(self, item: Item) -> Iterator[None]:
        if isinstance(item, Burst):
            yield from self._encode_burst(item)
        elif isinstance(item, Single):
            self._encode_single(item)
        else:
            self._put(item)
        yield

    def _encode_single(self, item: Single) -> None:
        fds = tuple([passed.inspect() for passed in item.fds])
        while self._held and self._held[0].info is not None:
            self._held.popleft()
        self._put_frame(item.time_ns, item.origin, item.data, fds, item.flags, item.wire_size)

    def _encode_burst(self, item: Burst) -> Iterator[None]:
        self._bytes -= len(item.data)
        begin = 0
        for end in item.ends:
            self._put_frame(item.time_ns, item.origin, item.data[begin:end], (), FrameFlag.NONE, end - begin)
            begin = end
            yield

    def _put_frame(
        self, time_ns: int, origin: Origin, data: bytes, fds: tuple[FdInfo, ...], flags: FrameFlag, size: int
    ) -> None:
        if self.messages == self._limit:
            return
        self.messages += 1
        self._put(
            Frame(
                time_ns,
                origin.connection,
                origin.session,
                origin.channel,
                origin.sender,
                data,
                fds,
                flags,
                size,
                BIG_ENDIAN,
            )
        )
        if self.messages == self._limit:
            self._on_limit()

    def _put(self, record: Record) -> None:
        if not self._writer:
            return
        try:
            self._blocks.append(record_block(record, self._interfaces[record.connection]))
        except Exception as error:  # whatever is wrong with one record, the others and the relay go on
            self.lost += 1
            if self.lost == 1:
                self._tell(f"a record cannot be written: {error!r}")

    def _flush(self) -> None:
        if self._blocks and self._writer:
            self._writer.put(b"".join(self._blocks), len(self._blocks))
        self._blocks.clear()


def _name(item: Single, found: dict[int, dict[names.Key, int]]) -> None:
    frontend, backend = found.get(item.origin.frontend_pid, {}), found.get(item.origin.backend_pid, {})
    for passed in item.fds:
        info = passed.inspect()
        key = names.key_of(info)
        if key:
            passed.info = replace(info, frontend_fd=frontend.get(key), backend_fd=backend.get(key))
