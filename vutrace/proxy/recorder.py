"""What was forwarded, on its way into the capture: looked at, encoded and written when nobody waits.

The relay only appends to a queue. `work` empties it in small slices while nothing is to be forwarded; under
a load that never pauses, once the oldest record is 5 ms old, so that it is in the file before 10 ms.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vutrace.capture import connection_block, record_block, section_block
from vutrace.proxy import names
from vutrace.proxy.passed import Passed
from vutrace.proxy.writer import Writer
from vutrace.records import Channel, Connection, Event, FdInfo, FdKind, Frame, FrameFlag, Record, Side

LATEST_NS = 5_000_000  # a record older than this is written although the relay is busy
SLICE_NS = 200_000  # the longest that forwarding waits for the recorder
WIDE_SLICE_NS = 2_000_000  # the same when the queue is about to eat the memory
FLUSH_NS = 2_000_000
MANY_BYTES = 16 << 20  # queued bytes from which on slices are wide
MANY_HELD = 256  # descriptors kept open to be looked at later
MANY_NAMES = 64  # descriptors at once from which on nobody looks for their numbers
BIG_ENDIAN = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where messages of one direction come from, and the two processes (0 where unknown)."""

    connection: int
    session: int
    channel: Channel
    sender: Side
    frontend_pid: int = 0
    backend_pid: int = 0


@dataclass(slots=True)
class _Burst:
    """Whole messages without descriptors; `ends` tells where each ends."""

    time_ns: int
    origin: Origin
    data: bytes
    ends: list[int]


@dataclass(slots=True)
class _Single:
    """One message, or a piece of what is not one."""

    time_ns: int
    origin: Origin
    data: bytes
    fds: Sequence[Passed]
    flags: FrameFlag
    wire_size: int


class Recorder:
    """Turns what the relay forwarded into blocks for `writer`; without one it only counts.

    `limit` is how many messages are recorded; `on_limit` is called when that is reached.
    """

    def __init__(
        self, writer: Writer | None, limit: int | None = None, on_limit: Callable[[], None] = lambda: None
    ) -> None:
        self._writer = writer
        self._limit = limit
        self._on_limit = on_limit
        self._pending: deque[_Burst | _Single | Event] = deque()
        self._bytes = 0
        self._held: deque[Passed] = deque()
        self._hurried = False
        self._rounds = self._work_in_rounds()
        self._blocks: list[bytes] = []
        self._flushed_ns = 0
        self._interfaces: dict[int, int] = {}
        self._started_ns = time.time_ns()
        self.messages = 0
        if writer:
            writer.put(section_block(), 0)

    # What the relay calls: all of it is cheap.

    def passed(self, fd: int) -> Passed:
        """A descriptor that was received."""
        if not self._writer:
            return Passed(fd, FdInfo(FdKind.OTHER))
        passed = Passed(fd)
        self._held.append(passed)
        if len(self._held) > MANY_HELD:
            self._inspect_oldest()
        return passed

    def burst(self, time_ns: int, origin: Origin, data: bytes, ends: list[int]) -> None:
        """Whole messages, back to back, none with descriptors."""
        self._bytes += len(data)
        self._pending.append(_Burst(time_ns, origin, data, ends))

    def single(
        self,
        time_ns: int,
        origin: Origin,
        data: bytes,
        fds: Sequence[Passed] = (),
        flags: FrameFlag = FrameFlag.NONE,
        wire_size: int = 0,
    ) -> None:
        """One message; `wire_size` where `data` is not all of it."""
        self._bytes += len(data)
        self._pending.append(_Single(time_ns, origin, data, fds, flags, wire_size or len(data)))

    def event(self, event: Event) -> None:
        """Something that happened; in order with the messages."""
        self._pending.append(event)

    def connection(self, connection: Connection) -> None:
        """A connection, before its first record."""
        self._interfaces[connection.number] = len(self._interfaces)
        self._flush()
        if self._writer:
            self._writer.put(connection_block(connection, self._started_ns), 0)

    # What the loop calls.

    @property
    def due(self) -> bool:
        """Whether anything is to be recorded."""
        return bool(self._pending)

    def work(self, idle: bool) -> None:
        """One slice; nothing while the relay is busy and the oldest record is young."""
        if not (idle or self._in_a_hurry()):
            return
        clock = time.perf_counter_ns
        now = clock()
        until = now + (WIDE_SLICE_NS if self._bytes > MANY_BYTES else SLICE_NS)
        while self._pending and now < until:
            next(self._rounds)
            now = clock()
        if not self._pending or now - self._flushed_ns > FLUSH_NS:
            self._flushed_ns = now
            self._flush()

    def close(self) -> None:
        """Record all that is queued; what comes later is not recorded."""
        while self._pending:
            next(self._rounds)
        self._flush()

    def _in_a_hurry(self) -> bool:
        # Once begun, until the queue is empty: a slice for each message would slow down every one.
        if not self._hurried:
            age = time.time_ns() - self._pending[0].time_ns
            self._hurried = not 0 <= age < LATEST_NS or self._bytes > MANY_BYTES
        return self._hurried

    def _work_in_rounds(self) -> Iterator[None]:
        while True:
            batch = len(self._pending)
            yield from self._find_names(batch)
            for _ in range(batch):
                yield from self._encode(self._pending[0])
                self._pending.popleft()
            self._hurried = self._hurried and bool(self._pending)
            yield

    # Descriptors.

    def _inspect_oldest(self) -> None:
        while len(self._held) > MANY_HELD // 2:
            self._held.popleft().inspect()

    def _find_names(self, batch: int) -> Iterator[None]:
        fresh = [self._pending[index] for index in range(batch)]
        singles = [item for item in fresh if isinstance(item, _Single) and item.fds]
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

    def _encode(self, item: _Burst | _Single | Event) -> Iterator[None]:
        if isinstance(item, _Burst):
            yield from self._encode_burst(item)
        elif isinstance(item, _Single):
            self._encode_single(item)
        else:
            self._put(item)
        yield

    def _encode_single(self, item: _Single) -> None:
        self._bytes -= len(item.data)
        fds = tuple([passed.inspect() for passed in item.fds])
        while self._held and self._held[0].info is not None:
            self._held.popleft()
        self._put_frame(item.time_ns, item.origin, item.data, fds, item.flags, item.wire_size)

    def _encode_burst(self, item: _Burst) -> Iterator[None]:
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
        if self._writer:
            self._blocks.append(record_block(record, self._interfaces[record.connection]))

    def _flush(self) -> None:
        if self._blocks and self._writer:
            self._writer.put(b"".join(self._blocks), len(self._blocks))
        self._blocks.clear()


def _name(item: _Single, found: dict[int, dict[names.Key, int]]) -> None:
    frontend, backend = found.get(item.origin.frontend_pid, {}), found.get(item.origin.backend_pid, {})
    for passed in item.fds:
        info = passed.inspect()
        key = names.key_of(info)
        if key:
            passed.info = replace(info, frontend_fd=frontend.get(key), backend_fd=backend.get(key))
