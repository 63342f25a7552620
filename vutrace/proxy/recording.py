"""The recording process: takes what the relay sends, looks at descriptors, encodes, writes.

It shares the relay's table of descriptors and closes what the relay passed on. It may hang or be killed: no
session notices.
"""

import contextlib
import marshal
import os
import select
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from vutrace.capture.target import Target, is_regular
from vutrace.capture.temporary import ELSEWHERE
from vutrace.protocol.effects import MemoryEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import HEADER, HEADER_SIZE
from vutrace.proxy.aside import Aside, Job
from vutrace.proxy.child import LENGTH, PipeEnds
from vutrace.proxy.counters import NOT_WHOLE, WHOLE, Count
from vutrace.proxy.encoder import Encoder
from vutrace.proxy.gaps import FULL, LATE, Gaps
from vutrace.proxy.looks import Close, Look, LookAtMappings, Mounts, Peers, Seen
from vutrace.proxy.names import FdNumbers, LookedAt
from vutrace.proxy.peer_watch import PeerWatch
from vutrace.proxy.pending import Item, What, event_item, event_of, unpack_origin
from vutrace.proxy.sampling import Sampling
from vutrace.proxy.spool import Spool
from vutrace.proxy.writer import BlockWriter
from vutrace.records import Channel, Sample, Side
from vutrace.rings.wire import RingPackets
from vutrace.sockets.passed import descriptors

CHUNKS = 1 << 16, 1 << 20  # bytes that are read at once: mostly, and while there is more
NICE = 5  # peers and the relay first; but it has to get on where all processors are taken
ROOM_SECONDS = 0.01  # between looks whether the disk has caught up
END_SECONDS = 2.0  # for what is queued, where the relay is gone and nobody waits
LAST_SECONDS = 0.1  # for the last block
SHARES = {
    row.number for row in FRONTEND_MESSAGES.values() if row.memory in (MemoryEffect.TABLE, MemoryEffect.ADD)
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The capture to fill, at `path` or nameless.

    `queue`: bytes that may wait for its disk, `spool` those that may wait for the readers of a nameless one;
    beyond it the relay waits (`waits`) or messages are counted only. `stall`: seconds that a reply may take
    until there is a note of it. `rings_ns`: nanoseconds between looks at the rings, 0 for none; `payload`:
    what is kept of what goes through them, and bytes of each packet; `tally`: where kicks and calls
    are counted.
    """

    fd: int
    path: str
    device: str
    queue: int
    spool: int
    waits: bool
    stall: float
    rings_ns: int = 0
    payload: tuple[str, int] = ("", 0)
    tally: int = -1


class Recording:
    """One run of the process; without a `plan` it only closes descriptors.

    `orphaned` are called should the relay be killed, and may raise an OSError.
    """

    def __init__(
        self, ends: PipeEnds, plan: Plan | None, orphaned: Sequence[Callable[[], None]] = ()
    ) -> None:
        self._ends = ends
        self._orphaned = orphaned
        self._values = ends.counters.values
        self._lock = threading.Lock()
        self._mounts = Mounts(self._freed)
        self._aside = Aside()
        self._jobs = self._all()
        self._job: Job[Any, Any] | None = None
        self._looked_at: dict[int, LookedAt] = {}
        self._plan = plan
        self._gaps = Gaps()
        self._full = False
        self._lost = 0
        self._writer: BlockWriter | None = None
        self._encoder: Encoder | None = None
        self._spool: Spool | None = None
        self._told_spool = False
        self._watch = PeerWatch(plan.stall if plan else 0)
        if plan:
            if not plan.path:
                self._spool = Spool(plan.fd, plan.spool, ends.parent)
            grown = self._spool.grown if self._spool else lambda size: None
            self._writer = BlockWriter(plan.fd, self._failed, self._target(plan), self._late, grown)
            self._encoder = Encoder(self._writer, self._say, plan.device)
        self._sampling = self._start_sampling(plan) if plan and plan.rings_ns else None

    def _start_sampling(self, plan: Plan) -> Sampling | None:
        try:
            return Sampling(plan.rings_ns, plan.payload, plan.tally)
        except OSError as error:
            self._say(f"rings are not sampled: {error.strerror or error}")
            return None

    def run(self) -> NoReturn:
        """Until the relay has sent everything, or is gone; then the process ends."""
        os.nice(NICE)
        self._aside.serve(self._work)

    def _work(self) -> None:
        try:
            self._go_on()
        except Exception as error:
            self._say(f"an error that should not happen, in the recording process: {error!r}")
            raise

    def _go_on(self) -> None:
        while job := self._job or next(self._jobs, None):
            self._job = job
            if not self._aside.run(job):
                return
            self._job = None

    def _all(self) -> Iterator[Job[Any, Any]]:
        """All that there is to do. What may hang is left to who runs this, as a job."""
        for items in self._batches():
            seen = [seen_of(item) for item in items]
            stuck: set[int] = set()
            try:
                stuck = yield from self._keep(items, seen)
            except Exception as error:  # as MemoryError
                self._lost += len(items)
                self._say(f"records are lost: {error!r}")
            yield from self._close(items, [each for each in seen if each], stuck)
            # Last: the writer's thread, once it is woken up, would fight for the interpreter with this one.
            if self._encoder:
                self._encoder.flush(needed=self._late())
            if items and items[-1][0] == What.END:
                break
        if self._sampling:
            self._close_sampling(self._sampling)
        whole = self._finish() and self._close_capture()
        self._values[Count.DONE] = WHOLE if whole else NOT_WHOLE

    def _close_capture(self) -> bool:
        """Here, because this may hang as well, or tell of writes that failed."""
        try:
            if self._plan:
                os.close(self._plan.fd)
        except OSError as error:
            self._say(f"the capture may not be whole: {error.strerror or error}")
        return True

    def _target(self, plan: Plan) -> Target | None:
        return Target(plan.fd, plan.path, self._say) if plan.path and is_regular(plan.path) else None

    # What comes in.

    def _batches(self) -> Iterator[list[Item]]:
        data = bytearray()
        for chunk in self._chunks():
            data += chunk
            begin = 0
            while len(data) - begin >= LENGTH.size:
                end = begin + LENGTH.size + LENGTH.unpack_from(data, begin)[0]
                if end > len(data):
                    break
                yield marshal.loads(memoryview(data)[begin + LENGTH.size : end])
                begin = end
            del data[:begin]

    def _chunks(self) -> Iterator[bytes]:
        relay = self._ends.parent_ended
        poll = select.poll()
        poll.register(self._ends.batches, select.POLLIN)
        poll.register(relay, select.POLLIN)
        chunk = b""
        while True:
            if self._sampling:
                self._sampling.register(poll)
            self._values[Count.BUSY] = 0
            ready = [fd for fd, _ in poll.poll(self._wait_ms())]
            self._values[Count.BUSY] = 1
            if self._sampling:
                self._take_samples(self._sampling)
            if not ready:
                self._tell_stalls()
                continue
            if relay in ready:
                break
            if self._ends.batches not in ready:
                continue
            chunk = os.read(self._ends.batches, CHUNKS[len(chunk) >= CHUNKS[0]])
            yield chunk
        # It was killed. Its peers have to see that, and our table of descriptors keeps its sockets open.
        for call in self._orphaned:
            with contextlib.suppress(OSError):
                call()
        close_sockets()
        os.set_blocking(self._ends.batches, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                yield os.read(self._ends.batches, CHUNKS[0])

    def _close_sampling(self, sampling: Sampling) -> None:
        self._take_samples(sampling)
        sampling.close()
        if self._encoder:
            self._encoder.rest_missed()
        if told := sampling.words():
            self._say(told)

    def _wait_ms(self) -> int | None:
        waits = self._watch.wait_ms(), self._sampling.wait_ms if self._sampling else None
        return min((wait for wait in waits if wait is not None), default=None)

    def _take_samples(self, sampling: Sampling) -> None:
        for told in sampling.attend():
            if isinstance(told, RingPackets):
                if self._encoder and not self._is_full():
                    self._encoder.ring_packets(told)
                continue
            if not isinstance(told, Sample):
                self._say(told.text)
            if self._encoder and not self._is_full():
                self._encoder.record(told)
        if self._encoder:
            self._encoder.flush()

    def _keep(
        self, items: list[Item], seen: Sequence[Seen | None]
    ) -> Generator[Job[Any, Any], None, set[int]]:
        """Look at descriptors and record; those descriptors that another thread will have to close."""
        if not self._encoder:
            return set()
        stuck = yield from self._look([each for each in seen if each])
        if self._sampling:
            self._sampling.feed(items, seen)
        yield from self._record(self._encoder, items, seen)
        return stuck

    def _close(self, items: list[Item], seen: Sequence[Seen], stuck: set[int]) -> Iterator[Job[Any, Any]]:
        closing = [fd for each in seen for fd in each.closed() if fd not in stuck]
        for item in items:
            if item[0] == What.CLOSE:
                closing += item[1]
        if closing:
            yield Close(closing, self._mounts, {fd for each in seen for fd in each.safe()})

    def _look(self, seen: list[Seen]) -> Generator[Job[Any, Any], None, set[int]]:
        if not seen:
            return set()
        look = Look(seen, self._mounts)
        yield look
        names = FdNumbers(seen, self._looked_at)
        yield names
        names.put()
        if sharing := [each for each in seen if each.shares]:
            yield LookAtMappings(sharing)
        return set(look.stuck)

    def _record(
        self, encoder: Encoder, items: list[Item], seen: Sequence[Seen | None]
    ) -> Iterator[Job[Any, Any]]:
        self._wait_for_room()
        late = self._late()
        if late or self._is_full():
            items = list(self._gaps.count(items, LATE if late else FULL, events=True, quick=late))
            seen = [None] * len(items)
        elif self._gaps:
            self._tell_gaps(encoder, FULL)
        for item, each in zip(items, seen, strict=True):
            if item[0] == What.OPEN:
                peers = Peers(item[5], encoder.paths(item[2]))
                yield peers
                encoder.opening(item, peers.facts)
                self._watch.opened(item, peers.facts)
            elif item[0] == What.EVENT:
                encoder.encode(event_item(self._watch.closing(event_of(item))), ())
            else:
                encoder.encode(item, each.infos if each else ())
                for note in self._watch.messages(item):
                    encoder.encode(event_item(note), ())

    def _tell_stalls(self) -> None:
        for note in self._watch.due():
            if self._encoder:
                self._encoder.encode(event_item(note), ())
        if self._encoder:
            self._encoder.flush()

    def _tell_gaps(self, encoder: Encoder, why: str) -> None:
        for gap in self._gaps.take(why):
            encoder.encode(gap, ())
        encoder.flush(needed=True)

    # Bounds.

    def _is_full(self) -> bool:
        assert self._writer
        assert self._plan
        bound = self._plan.queue
        self._full = self._writer.queued > (bound // 2 if self._full else bound)
        return self._full or self._is_spool_full()

    def _is_spool_full(self) -> bool:
        if not self._spool or not self._spool.full:
            return False
        if not self._told_spool:
            self._told_spool = True
            self._say(
                "what is shown is read more slowly than messages come: what does not fit is counted in the"
                " capture (--spool, --when-full wait). Told once"
            )
        self._writer.put(b"", 0) if self._writer else None  # it looks again
        return True

    def _wait_for_room(self) -> None:
        while self._plan and self._plan.waits and self._is_full() and not self._late():
            time.sleep(ROOM_SECONDS)

    def _late(self) -> bool:
        until = self._values[Count.UNTIL]
        return until > 0 and time.monotonic_ns() > until

    def _freed(self, count: int) -> None:
        with self._lock:
            self._values[Count.FREED] += count

    # What is said, and the end.

    def _failed(self, error: OSError) -> None:
        assert self._plan
        why = error.strerror or str(error)
        place = "" if self._plan.path else f" ({ELSEWHERE})"
        self._values[Count.STOPPED] = 1
        self._say(
            f"RECORDING STOPPED: {why}{place}. The capture is whole up to here;"
            " the session goes on unrecorded"
        )

    def _say(self, text: str) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._ends.lines, text.encode(errors="replace") + b"\n")

    def _finish(self) -> bool:
        """Write what is left, or say what is not; False if the disk does not answer."""
        if not self._encoder or not self._writer:
            return True
        self._tell_gaps(self._encoder, LATE if self._late() else FULL)
        until = self._values[Count.UNTIL] / 1e9 or time.monotonic() + END_SECONDS
        self._writer.drain(max(until, time.monotonic()) + LAST_SECONDS)
        for blocks in self._writer.skipped:
            self._gaps.blocks(blocks)
        self._tell_gaps(self._encoder, LATE)
        whole = self._writer.close(max(until, time.monotonic()) + LAST_SECONDS)
        self._values[Count.LOST] = self._lost + self._encoder.lost + self._writer.lost
        return whole


def seen_of(item: Item) -> Seen | None:
    if item[0] >= 0:
        if not item[3]:
            return None
        fds = descriptors(item[3])
        return Seen(unpack_origin(item[1]), fds, [True] * len(fds), shares_memory(item[1], item[2]))
    if item[0] in (What.SINGLE, What.ACTED) and item[4]:
        return Seen(unpack_origin(item[2]), item[4], item[5], shares_memory(item[2], item[3]))
    return None


def shares_memory(origin: bytes, data: bytes) -> bool:
    """Whether a message hands over guest memory."""
    place = unpack_origin(origin)
    ours = place.channel is Channel.MAIN and place.sender is Side.FRONTEND and len(data) >= HEADER_SIZE
    return ours and HEADER.unpack_from(data)[0] in SHARES


def close_sockets() -> None:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                os.close(int(name))
