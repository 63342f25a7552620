"""One session as the sampler knows it: its state, descriptors of its own, and its started rings."""

import time
from collections.abc import Iterator, Sequence

from vutrace.protocol.bits import VIRTIO_FEATURES, bit
from vutrace.records import RingSample
from vutrace.rings.chain import MOST
from vutrace.rings.held import Holdings
from vutrace.rings.memory import SampledMemory
from vutrace.rings.packed import PackedForm
from vutrace.rings.payload import HEADER, LEGACY_HEADER, EthernetFrame, PayloadReader
from vutrace.rings.split import SplitForm
from vutrace.rings.translations import Translations
from vutrace.rings.watch import RingWatch
from vutrace.session.context import Context
from vutrace.session.ring import Ring
from vutrace.session.row import Row
from vutrace.session.state import SessionState

RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
EVENT_IDX = bit("VIRTIO_F_EVENT_IDX", VIRTIO_FEATURES)
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)
MRG_RXBUF = 1 << 15  # VIRTIO_NET_F_MRG_RXBUF
ORDERS = {True: ">", False: "<", None: "<"}  # of a ring's fields, by SET_VRING_ENDIAN
LATE_NS = 250_000_000  # between a ring's start and the first look at it
MOST_FAST = 32  # rings that are looked at more often than asked for


class SampledSession:
    """Follows the messages of a session, looks at its rings, and reads `snaplen` bytes of frames in them.

    `since_start`: what moves is counted from the start of a ring, and not from the first look.
    """

    def __init__(self, snaplen: int = 0, since_start: bool = True) -> None:
        self._snaplen, self._since_start = snaplen, since_start
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
        if not self.iotlb.feed(row.what):  # type: ignore[arg-type]  # a message: events end it
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

    def frames(self) -> Iterator[tuple[int, list[EthernetFrame], int]]:
        """What was read of each ring since the last time: its index, the frames, and how many were missed."""
        for ring, watch in self._watches.items():
            if watch.payload:
                yield ring, *watch.payload.drain()

    def samples(self, now_ns: int) -> list[RingSample]:
        """Every ring as it stands."""
        self._refresh()
        self.holdings.look()
        return [watch.sample(now_ns) for watch in self._watches.values()]

    def fast(self) -> Sequence[RingWatch]:
        """The rings that want to be looked at in between; none while it is not known where they are now."""
        if self._stale:
            return ()
        return [watch for watch in self._watches.values() if watch.fast][:MOST_FAST]

    def _refresh(self) -> None:
        if not self._stale or self._state is None:
            return
        self._stale = False
        state = self._state
        memory = SampledMemory(state.memory.regions, state.context, self.iotlb)
        before, self._watches = self._watches, {}
        for ring in started(state):
            form = form_of(ring, state, memory)
            watch = before.get(ring.index) or self._watch(ring, form)
            watch.form = form
            if watch.payload:
                watch.payload.header = header_size(state.context)
            self._watches[ring.index] = watch

    def _watch(self, ring: Ring, form: SplitForm | PackedForm) -> RingWatch:
        def count(role: str) -> int | None:
            assert self._state
            holding = self._state.fds.of_ring(ring.index, role)
            return self.holdings.count(holding.fd) if holding else None

        late = self._since_start and time.time_ns() - self._told_ns > LATE_NS
        watch = RingWatch(ring, form, lambda: count("kick"), lambda: count("call"), late)
        if self._snaplen:
            watch.payload = PayloadReader(receives=ring.index % 2 == 0, snaplen=self._snaplen)
        return watch


def header_size(context: Context) -> int:
    """What stands before each frame of virtio-net."""
    return HEADER if context.has_feature(VERSION_1) or context.has_feature(MRG_RXBUF) else LEGACY_HEADER


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
