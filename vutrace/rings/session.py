"""One session as the sampler knows it: its state, descriptors of its own, and its started rings."""

import time
from collections.abc import Iterable, Iterator, Sequence

from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.records import DirtyLog, FdInfo, NoticeTimes, RingSample
from vutrace.rings.chain import MOST
from vutrace.rings.dirty_log import LogWatch
from vutrace.rings.held import Holdings
from vutrace.rings.inflight import InflightBuffer, InflightMarks
from vutrace.rings.memory import SampledMemory
from vutrace.rings.notices import RingNotices
from vutrace.rings.packed import PackedForm
from vutrace.rings.payload import Kept, PayloadReader
from vutrace.rings.payload_kinds import NO_PAYLOAD, Payload
from vutrace.rings.split import SplitForm
from vutrace.rings.tally import Tally
from vutrace.rings.translations import Translations
from vutrace.rings.watch import RingWatch
from vutrace.session.ring import Ring
from vutrace.session.row import Row
from vutrace.session.state import SessionState

RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
EVENT_IDX = bit("VIRTIO_F_EVENT_IDX", VIRTIO_FEATURES)
ORDERS = {True: ">", False: "<", None: "<"}  # of a ring's fields, by SET_VRING_ENDIAN
LATE_NS = 250_000_000  # between a ring's start and the first look at it
MOST_FAST = 32  # rings that are looked at more often than asked for


class SampledSession:
    """Follows the messages of a session, looks at its rings, and reads what `payload` wants of them.

    `since_start`: what moves is counted from the start of a ring, and not from the first look. `place` is
    connection and session, by which `tally` knows it.
    """

    def __init__(
        self,
        place: tuple[int, int] = (0, 0),
        payload: Payload = NO_PAYLOAD,
        since_start: bool = True,
        tally: Tally | None = None,
    ) -> None:
        self._place, self._payload, self._since_start, self._tally = place, payload, since_start, tally
        self._inflight, self._log = InflightBuffer(), LogWatch()
        self._notices: dict[int, RingNotices] = {}
        self.holdings = Holdings()
        self.iotlb = Translations()
        self._state: SessionState | None = None
        self._watches: dict[int, RingWatch] = {}
        self._stale = False
        self._told_ns = 0  # when the last message came

    def feed(self, row: Row) -> None:
        """Take a row whose descriptors are held already; those that it made useless are closed."""
        self._state = row.state
        self._stale, self._told_ns = True, row.record.time_ns
        assert isinstance(row.what, Message)  # events end it
        self._inflight.feed(row.what)
        self._log.feed(row.what)
        if not self.iotlb.feed(row.what):
            self.holdings.keep(row.state)

    def close(self) -> None:
        """Let go of everything."""
        self._watches.clear()
        self.holdings.close()

    def looks(self, now_ns: int) -> list[RingSample]:
        """What is worth a record of its rings."""
        self._refresh()
        self.holdings.look()
        found = (watch.look(now_ns) for watch in self._watches.values())
        return [sample for sample in found if sample]

    def notices(self, rings: Iterable[RingSample]) -> tuple[NoticeTimes, ...]:
        """When the rings of a sample were kicked, and their drivers called, since the last time."""
        return tuple(each for ring in rings for each in self._notices[ring.ring].times())

    def log(self, now_ns: int) -> DirtyLog | None:
        """What is worth a record of the log of dirty pages."""
        if self._state is None:
            return None
        moved = sum(watch.back for watch in self._watches.values())
        return self._log.look(self._state.context, moved, now_ns)

    def kept(self) -> Iterator[tuple[int, int, list[Kept], int]]:
        """What was read of each ring since the last time: index, link type, what, how many were missed."""
        for ring, watch in self._watches.items():
            if watch.payload:
                yield ring, watch.payload.kind.link, *watch.payload.drain()

    def samples(self, now_ns: int) -> list[RingSample]:
        """Every ring as it stands."""
        self._refresh()
        self.holdings.look()
        return [watch.sample(now_ns) for watch in self._watches.values()]

    def fast(self) -> Sequence[RingWatch]:
        """The rings that want to be looked at in between; none while it is not known where they are now."""
        if self._stale:
            return ()
        return [watch for watch in self._watches.values() if watch.fast or watch.payload][:MOST_FAST]

    def _refresh(self) -> None:
        if not self._stale or self._state is None:
            return
        self._stale = False
        state = self._state
        memory = SampledMemory(state.memory.regions, state.context, self.iotlb)
        if self._tally:
            self._tally.refresh()
        before, self._watches = self._watches, {}
        for ring in started(state):
            form = form_of(ring, state, memory)
            watch = before.get(ring.index) or self._watch(ring, form)
            watch.form = form
            if watch.payload:
                watch.payload.kind.learn(state.context)
            self._watches[ring.index] = watch

    def _watch(self, ring: Ring, form: SplitForm | PackedForm) -> RingWatch:
        def held(role: str) -> FdInfo | None:
            assert self._state
            holding = self._state.fds.of_ring(ring.index, role)
            return holding.fd if holding else None

        late = self._since_start and time.time_ns() - self._told_ns > LATE_NS
        notices = RingNotices(self.holdings, held, self._tally, (*self._place, ring.index))
        self._notices[ring.index] = notices

        def marks() -> InflightMarks | None:
            return self._inflight.marks(ring.index, watch.form.size, watch.form.packed)

        watch = RingWatch(ring, form, notices.counts, late, marks)
        if kind := self._payload.of_ring(ring.index):
            watch.payload = PayloadReader(kind)
        return watch


def started(state: SessionState) -> Iterator[Ring]:
    """The rings that can be looked at."""
    for ring in state.rings.values():
        if ring.state.started and ring.addresses and 0 < (ring.size or 0) <= MOST:
            yield ring


def form_of(ring: Ring, state: SessionState, memory: SampledMemory) -> SplitForm | PackedForm:
    """How a ring is to be read."""
    assert ring.size
    assert ring.addresses
    context = state.context
    if context.has_feature(RING_PACKED):
        return PackedForm(memory, ring.size, ring.addresses)
    order = ORDERS[ring.big_endian]
    return SplitForm(memory, ring.size, ring.addresses, order, context.has_feature(EVENT_IDX))
