"""What was forwarded, on its way to the recording process. The relay only appends to a list here.

A few milliseconds later the list is sent, in one piece: a record is in the file before 10 ms. When the other
process cannot follow, messages are counted instead of queued (`Gaps`), or, if the user prefers that, nothing
is read any more until it has caught up.
"""

import marshal
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from vutrace.framing import MAX_FDS, FramedMessage
from vutrace.proxy.child import Child, PipeEnds
from vutrace.proxy.counters import Count
from vutrace.proxy.gaps import FULL, Gaps
from vutrace.proxy.loop import READ, WRITE, EventLoop
from vutrace.proxy.pending import Fresh, Item, What, ends_of, event_item
from vutrace.proxy.share import ROOM
from vutrace.records import Connection, Event
from vutrace.sockets.passed import FD_SIZE, Ancillary, Passed

SEND_SECONDS = 0.006  # from the first message to the batch that it goes in
SEND_MESSAGES = 64  # in one batch: who sends the next one waits while it is made
SEND_BYTES = 256 << 10  # of bursts in one batch
ROOM_SECONDS = 0.001  # between looks whether there is room again
FORMAT = 2  # of marshal: the last one that does not look for what occurs twice
END_SECONDS, GRACE_SECONDS = 1.0, 0.6  # for the rest to be written, and for the one call that is under way
CROWDED, FULL_UP = 1, 2
"""Few more descriptors are to be read of anybody, so that who passes many holds up nobody; or nothing is."""
SPARE = 64  # descriptors that are kept for sockets, pipes and files of ours
LEAST_FEW, FEW_OF_ROOM = 16, 16  # descriptors that each flow may bring in a shortage: so many, or such a part


@dataclass(frozen=True, slots=True)
class Bounds:
    """`queue`: bytes that may wait for the recording process. `waits`: beyond it the senders wait; else what
    comes is not recorded. `messages`: record no more than so many, and then call `on_limit`.
    """

    queue: int = 32 << 20
    waits: bool = False
    messages: int | None = None
    on_limit: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Came:
    """A message as it came, where a rule changed it; else only when it came."""

    time_ns: int
    data: bytes = b""
    fds: tuple[Passed, ...] = ()


class Recorder:
    """Sends what the relay forwarded to a process that calls `record` (whether to keep it: the second
    argument). Nothing here waits, but `close`.

    `keeps`: there is a capture; without one only descriptors are sent, to be closed. `blocked`: how much is
    not to be read now (`CROWDED` or `FULL_UP`), until the calls given to `when_room` are made; `shortages`
    counts how often that began, and `few` is how many descriptors each may still bring then. `tell` gets
    lines for the user.
    """

    def __init__(
        self,
        record: Callable[[PipeEnds, bool], None],
        loop: EventLoop,
        tell: Callable[[str], None],
        keeps: bool,
        bounds: Bounds,
    ) -> None:
        self._record = record
        self._loop = loop
        self._tell = tell
        self._bounds = bounds
        self._left = bounds.messages
        self._pending: list[Fresh | Item] = []
        self._bytes = 0
        self._reminded = False
        self._full = False
        self._gaps = Gaps()
        self._unrecorded = 0  # since the recording stopped
        self._told_lost = self._told_full = False
        self.blocked = self.shortages = 0
        self.few = LEAST_FEW
        self._waiting: dict[int, list[Callable[[], object]]] = {CROWDED: [], FULL_UP: []}
        self._received = 0  # descriptors that went to the other process, to be closed there
        self._in_use = len(os.listdir("/proc/self/fd"))
        self._enough = 0  # descriptors received at which it is time to count those that were closed
        self._keeps = keeps
        self._start()
        if not keeps and bounds.messages is None:
            # Bound once by every flow: what is not kept costs nothing.
            self.whole, self.burst = self._drop_whole, self._drop_burst  # type: ignore[method-assign]

    def _start(self) -> None:
        self._child = child = Child(lambda ends: self._record(ends, self._keeps))
        self._values = child.counters.values
        watch = self._loop.watch
        watch(child.said, READ, self._listen, lambda _: self._listen())
        # The other process gets on best while the relay sleeps.
        self._loop.may_look = lambda: not self._values[Count.BUSY]
        watch(child.ended, READ, self._ended, lambda _: self._ended())

    # What was forwarded.

    def whole(self, time_ns: int, origin: bytes, data: bytes, ancillary: Ancillary) -> None:
        """One message that was forwarded with all that came with it; its descriptors are ours from now on."""
        self._pending.append((time_ns, origin, data, ancillary))
        if len(self._pending) >= SEND_MESSAGES:
            self._send()
        elif not self._reminded:
            self._remind()
        if ancillary:
            self._hand_over(len(ancillary[0][2]) // FD_SIZE)

    def _hand_over(self, count: int) -> None:
        """So many descriptors more are to be closed by the other process."""
        self._received += count
        if self._received > self._enough:
            self._count_descriptors()

    def burst(self, time_ns: int, origin: bytes, data: bytes, count: int) -> None:
        """So many whole messages, back to back, none with descriptors."""
        if self._full:
            self._gaps.burst(time_ns, origin, data)
            return
        self._bytes += len(data)
        self._queue((What.BURST.value, time_ns, origin, data, count))

    def single(self, time_ns: int, origin: bytes, message: FramedMessage[Passed]) -> None:
        """One message, perhaps not all of it."""
        fds, gone = self._recorded(message.fds)
        flags = int(message.flags)
        self._queue((What.SINGLE.value, time_ns, origin, message.data, fds, gone, flags, message.wire_size))

    def acted(self, origin: bytes, message: FramedMessage[Passed], deed: str, rule: str, came: Came) -> None:
        """A message that a rule acted on, as it went just now and as it came."""
        fds, gone = self._recorded([*message.fds, *came.fds])
        went = message.data, fds, gone, int(message.flags), message.wire_size, len(message.fds)
        told = deed, rule, came.time_ns, came.data, len(came.data)
        self._queue((What.ACTED.value, time.time_ns(), origin, *went, *told))

    def _recorded(self, passed: Sequence[Passed]) -> tuple[list[int], list[bool]]:
        """Their numbers, and whether each is to be closed by the other process."""
        gone = [each.gone for each in passed]
        for each in passed:
            each.recorded = True
        self._hand_over(sum(gone))
        return [each.fd for each in passed], gone

    def _drop_whole(self, time_ns: int, origin: bytes, data: bytes, ancillary: Ancillary) -> None:
        if ancillary:
            Recorder.whole(self, time_ns, origin, b"", ancillary)

    def _drop_burst(self, time_ns: int, origin: bytes, data: bytes, count: int) -> None:
        pass

    def event(self, event: Event) -> None:
        """Something that happened; in order with the messages."""
        self._queue(event_item(event))

    def opening(self, event: Event, peers: Sequence[tuple[int, int]]) -> None:
        """An OPEN of a session; what its two processes (pid, user) are is found out later."""
        place = event.connection, event.session
        self._queue((What.OPEN.value, event.time_ns, *place, event.text, [tuple(peer) for peer in peers]))

    def connection(self, connection: Connection) -> None:
        """A connection, before its first record."""
        self._queue((What.CONNECTION.value, connection.number, connection.frontend, connection.backend))

    def passed(self, fd: int) -> Passed:
        """A descriptor that was received and is not forwarded yet."""
        return Passed(fd, self._release)

    def made(self, fd: int, kind: type[Passed]) -> Passed:
        """A descriptor that a rule made, to be closed as one that was received."""
        return kind(fd, self._release)

    def _release(self, fd: int) -> None:
        self._queue((What.CLOSE.value, [fd]))
        self._hand_over(1)

    def _queue(self, item: Item) -> None:
        self._pending.append(item)
        if self._bytes > SEND_BYTES:
            self._send()
        elif not self._reminded:
            self._remind()

    def _remind(self) -> None:
        self._reminded = True
        self._loop.later(SEND_SECONDS, self._sent_late)

    def _sent_late(self) -> None:
        self._reminded = False
        self._send()

    # To the other process.

    def _send(self) -> None:
        pending, self._pending, self._bytes = self._pending, [], 0
        if self._left is not None:
            pending = self._limited(pending)
        try:
            batch = marshal.dumps(self._fit(pending), FORMAT)
        except MemoryError:
            batch = marshal.dumps(list(self._gaps.count(pending, FULL, True)), FORMAT)
        self._put(batch)

    def _fit(self, pending: list[Fresh | Item]) -> list[Fresh | Item]:
        """What is to be sent of it: all, or only what cannot be left out."""
        if not self._keeps or self._values[Count.STOPPED]:
            self._unrecorded += sum(map(records, pending)) if self._keeps else 0
            return needed(pending)
        bound, queued = self._bounds.queue, self._child.queued
        self._full = not self._bounds.waits and queued > (bound // 2 if self._full else bound)
        if self._full:
            self._tell_full()
            return list(self._gaps.count(pending, FULL, queued < bound + bound // 2))
        return [*self._gaps.take(FULL), *pending] if self._gaps else pending

    def _put(self, batch: bytes) -> None:
        idle = not self._child.queued
        self._child.put(batch)
        if self._child.queued and idle:
            self._loop.watch(self._child.fd, WRITE, self._drain, lambda _: self._drain())
        if self._bounds.waits and self._child.queued > self._bounds.queue:
            self._block(FULL_UP)

    def _drain(self) -> None:
        self._child.drain()
        if not self._child.queued:
            self._loop.forget(self._child.fd)

    def _limited(self, pending: list[Fresh | Item]) -> list[Fresh | Item]:
        """What of it is recorded until there are as many messages as are wanted."""
        kept: list[Fresh | Item] = []
        for item in pending:
            count = records(item) if item[0] not in (What.EVENT, What.OPEN) else 0
            taken = min(count, self._left or 0)
            self._left = (self._left or 0) - taken
            if taken == count:
                kept.append(item)
            elif taken:
                end = list(islice(ends_of(cast("bytes", item[3])), taken))[-1]
                kept.append((*item[:3], item[3][:end], taken))
            else:
                kept += needed([item])
        if self._left == 0:
            self._bounds.on_limit()
        return kept

    # Room.

    def when_room(self, call: Callable[[], object], level: int) -> None:
        """Call once when `blocked` is below the level."""
        self._waiting[level].append(call)

    def sockets(self, more: int) -> None:
        """So many descriptors more are in use (or fewer) that are not on their way to be closed."""
        self._in_use += more

    @property
    def _room(self) -> int:
        """How many descriptors may wait to be closed, so that there is room for any message."""
        return max(0, min(limit() - self._in_use, ROOM) - MAX_FDS - SPARE)

    def _count_descriptors(self) -> None:
        freed, room = self._values[Count.FREED], self._room
        crowded, full_up = freed + room // 2, freed + room
        self._enough = crowded if self._received <= crowded else full_up
        if self._received > crowded:
            self._block(FULL_UP if self._received > full_up else CROWDED)
            self._send()

    def _block(self, level: int) -> None:
        if not self.blocked:
            self.shortages += 1
            self.few = max(LEAST_FEW, self._room // FEW_OF_ROOM)
            self._loop.later(ROOM_SECONDS, self._look_for_room)
        self.blocked = max(self.blocked, level)

    def _look_for_room(self) -> None:
        if self._pending:
            self._send()
        held, room = self._received - self._values[Count.FREED], self._room
        full_up = held > room or self._child.queued > self._bounds.queue // 2
        self.blocked = FULL_UP if full_up else CROWDED if held > room // 2 else 0
        if self.blocked:
            self._loop.later(ROOM_SECONDS, self._look_for_room)
        else:
            self._enough = self._values[Count.FREED] + room // 2
        for level in range(self.blocked + 1, FULL_UP + 1):
            waiting, self._waiting[level] = self._waiting[level], []
            for call in waiting:
                call()

    # What goes wrong.

    def descriptors_lost(self) -> None:
        """The system had no room for the descriptors of a message."""
        if not self._told_lost:
            self._told_lost = True
            self._tell(
                f"DESCRIPTORS WERE LOST: no more than {limit()} may be open here, and the receiver gets"
                " a message without all of its own; raise the limit (ulimit -n). Told once"
            )

    def _tell_full(self) -> None:
        if not self._told_full:
            self._told_full = True
            self._tell(
                f"messages come faster than they can be recorded: {self._bounds.queue >> 20} MiB wait, and"
                " what does not fit is counted in the capture (--buffer, --when-full wait). Told once"
            )

    def _listen(self) -> None:
        for line in self._child.lines():
            self._tell(line)

    def _ended(self) -> None:
        """It should not have; descriptors still have to be closed."""
        self._listen()
        self._forget_child()
        self._child.close()
        self._in_use += self._received - self._values[Count.FREED]
        if self._keeps:
            self._keeps = False
            self._tell(
                "RECORDING STOPPED: the recording process ended."
                " The capture is whole up to its last block; the session goes on unrecorded"
            )
        self._received = self._enough = 0
        self._start()

    def _forget_child(self) -> None:
        for fd in (self._child.said, self._child.ended, self._child.fd):
            self._loop.forget(fd)

    # The end.

    def close(self, hurry: Callable[[], bool]) -> bool:
        """Record all that is queued, or say in the capture what is not; False if a call hangs in the system.

        Within 2 s, at once when `hurry` says so. What comes later is not recorded.
        """
        self._send()
        self._child.put(marshal.dumps([*self._gaps.take(FULL), (What.END.value,)], FORMAT))
        self._forget_child()
        until = time.monotonic_ns() + int(END_SECONDS * 1e9)
        done = self._child.finish(until, GRACE_SECONDS, hurry)
        self._listen()
        if not done and self._keeps:
            self._tell("the capture's disk does not answer: the end of the capture is missing")
        elif lost := self._values[Count.LOST] + self._unrecorded:
            self._tell(f"{lost} records are not in the capture")
        return self._child.close()


def records(item: Fresh | Item) -> int:
    """How many records it would be in the capture."""
    if item[0] == What.BURST:
        return cast("int", item[4])
    return int(item[0] >= 0 or item[0] in (What.SINGLE, What.ACTED, What.EVENT, What.OPEN))


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def needed(items: list[Fresh | Item]) -> list[Item]:
    """What has to be sent of what is not recorded."""
    return [item for item in Gaps().count(items, FULL, False) if item[0] != What.GAP]
