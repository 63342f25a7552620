"""One started ring, look after look: how far it moved, what is in flight, what is worth a record."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from vutrace.records import RingSample, SampleFlag
from vutrace.rings.calls import CallWatch
from vutrace.rings.chain import Chain
from vutrace.rings.indexes import Indexes
from vutrace.rings.inflight import InflightMarks
from vutrace.rings.notices import NoticeCounts
from vutrace.rings.outstanding import Outstanding
from vutrace.rings.packed import PackedForm
from vutrace.rings.split import SplitForm
from vutrace.rings.unread import UnreadError
from vutrace.session.ring import Ring

if TYPE_CHECKING:
    from vutrace.rings.payload import PayloadReader

SECOND_NS = 1_000_000_000
MOST = 0xFFFFFFFF  # of a number in a sample
LONGEST_NS = 60 * SECOND_NS  # between records of a ring that stands still with something in it
# Bits of flags as plain numbers: an IntFlag's operators cost as much as a read.
PACKED, INDEXES, EVENTS, KICKS, CALLS, CHAIN, REQUEST, BROKEN = (flag.value for flag in list(SampleFlag)[:8])
AT_LEAST, BEYOND, JUMPED = (
    flag.value for flag in (SampleFlag.AT_LEAST, SampleFlag.BEYOND, SampleFlag.JUMPED)
)
COUNTED, UNCALLED, MARKED, DIFFER = (
    flag.value
    for flag in (SampleFlag.COUNTED, SampleFlag.UNCALLED, SampleFlag.MARKED, SampleFlag.MARKS_DIFFER)
)
UNREAD = SampleFlag.OUTSIDE.value | SampleFlag.UNREADABLE.value
WORTH_REPEATING = REQUEST | BROKEN | BEYOND | JUMPED | UNREAD | UNCALLED | DIFFER


class OldChain(NamedTuple):
    """The fields of a `RingSample` that are about the oldest chain in flight."""

    flags: int = 0
    head: int = 0
    length: int = 0
    age_ms: int = 0
    readable: int = 0
    writable: int = 0


NO_MARKS = InflightMarks(0, 0)
BY_POSITION = 1 << 16  # of a key that is no head
NO_CHAIN = OldChain()


class RingWatch:
    """Looks at a ring; `counts` tells of its kicks and calls, `marks` what the in-flight buffer has of it.

    `form` may be replaced when memory or the negotiation changes; what was counted stays. `late`: it was
    started so long ago that it may have gone round already.
    """

    def __init__(
        self,
        ring: Ring,
        form: SplitForm | PackedForm,
        counts: Callable[[], NoticeCounts],
        late: bool = False,
        marks: Callable[[], InflightMarks | None] = lambda: None,
    ) -> None:
        self.ring, self.form, self._counts, self._marks = ring.index, form, counts, marks
        self._call = CallWatch()
        self._differs_ns = 0  # since when the in-flight buffer is not as the ring
        self._at_least = AT_LEAST if late else 0
        self.fast = False  # so much moves that an index may go round between two looks
        # What moved before the first look counts from where the ring was told to begin.
        self.payload: PayloadReader | None = None
        self._last = None if ring.base is None else form.beginning(ring.base)
        self._made = self._back = 0
        self._outstanding = Outstanding()
        self._still_ns = 0  # since when the device moved nothing
        self._chain: tuple[int, Chain] | None = None
        self._told: RingSample | None = None
        self._told_ns = 0
        self._wait_ns = 0
        self._rest: tuple[object, ...] | None = None  # how it stood when it came to rest

    @property
    def back(self) -> int:
        """How much the device gave back."""
        return self._back

    def glance(self, now_ns: int) -> None:
        """Read the indexes and count what moved. Raises UnreadError."""
        total = self._counts().call_total
        self._take(self.form.indexes(), now_ns, total)

    def _take(self, now: Indexes, now_ns: int, calls: int | None) -> None:
        last, self._last = self._last, now
        if calls is not None:
            self._call.feed(self.form, last, now, calls, now_ns)
        self._still_ns = self._still_ns or now_ns
        if last is not None:
            back = self._back
            self._count(last, now, now_ns)
            if self.payload and self._back > back:
                self.payload.take(self.form, last.used, self._back - back)
        if isinstance(self.form, SplitForm):
            self._outstanding.feed(self.form, now, now_ns)

    def _count(self, last: Indexes, now: Indexes, now_ns: int) -> None:
        back = self.form.steps(last.used, now.used)
        made = back + now.in_flight - last.in_flight
        if made < 0:  # the device went round at least once
            made, back = made + self.form.round, back + self.form.round
        self._made, self._back = self._made + made, self._back + back
        if (self.form.packed and made) or max(made, back) > self.form.round // 2:
            self._at_least = AT_LEAST
        self.fast = max(made, back) > self.form.round // 8
        if back or not last.in_flight:
            self._still_ns = now_ns

    def look(self, now_ns: int) -> RingSample | None:
        """A sample, where there is something to tell."""
        state = self._counts(), self._indexes()
        if state == self._rest:
            return None
        sample = self._sample(now_ns, *state)
        news = self._is_news(sample, now_ns)
        self._rest = None if news or sample.flags & WORTH_REPEATING else state
        return sample if news else None

    def sample(self, now_ns: int) -> RingSample:
        """The ring as it stands."""
        return self._sample(now_ns, self._counts(), self._indexes())

    def _indexes(self) -> Indexes | SampleFlag:
        """How the ring stands, or why that cannot be read."""
        try:
            return self.form.indexes()
        except UnreadError as error:
            return error.flag

    def _sample(self, now_ns: int, counts: NoticeCounts, now: Indexes | SampleFlag) -> RingSample:
        kicks, calls, *totals = counts
        flags = PACKED if self.form.packed else 0
        flags |= (KICKS if kicks is not None else 0) | (CALLS if calls is not None else 0)
        flags |= COUNTED if None not in totals else 0
        notices = kicks or 0, calls or 0, totals[0] or 0, totals[1] or 0
        if isinstance(now, SampleFlag):
            flags |= now.value
            told = {"available_total": self._made, "used_total": self._back}
            names = zip(("kicks", "calls", "kick_total", "call_total"), notices, strict=True)
            return RingSample(self.ring, flags, self.form.size, **told, **dict(names))
        rests = self._last is not None and self._last.used == now.used
        with contextlib.suppress(UnreadError):  # memory that goes away at this moment is told next time
            self._take(now, now_ns, counts.call_total)
        uncalled_ms = self._call.missing_ms(now_ns)
        marked, marks, differs_ms = self._marked(now, now_ns, rests)
        flags |= marked | (UNCALLED if self._call.misses else 0)
        flags |= INDEXES | (EVENTS if now.events else 0) | wrong(now, self.form)
        flags |= self._at_least
        chain = self._oldest(now, now_ns) if 0 < now.in_flight <= self.form.size else NO_CHAIN
        return RingSample(
            self.ring,
            flags | chain.flags,
            self.form.size,
            now.available,
            now.used,
            now.in_flight,
            now.driver_flags,
            now.device_flags,
            now.driver_event,
            now.device_event,
            chain.head,
            chain.length,
            chain.age_ms,
            chain.readable,
            chain.writable,
            self._made,
            self._back,
            *notices,
            uncalled_ms,
            differs_ms,
            *marks,
        )

    def _marked(self, now: Indexes, now_ns: int, rests: bool) -> tuple[int, InflightMarks, int]:
        """Flags, what the in-flight buffer has, and for how long (ms) it has not been as the ring."""
        marks = self._marks()
        if marks is None:
            return 0, NO_MARKS, 0
        differs = marks.marked > now.in_flight or (rests and marks.used != self.form.place(now.used))
        if not differs:
            self._differs_ns = 0
            return MARKED, marks, 0
        self._differs_ns = self._differs_ns or now_ns
        return MARKED | DIFFER, marks, min((now_ns - self._differs_ns) // 1_000_000, MOST)

    def _oldest(self, now: Indexes, now_ns: int) -> OldChain:
        """The oldest chain in flight, once it stays a while."""
        known = self._outstanding.oldest()
        since = known[1] if known else self._still_ns
        if since >= now_ns:
            return NO_CHAIN
        key = known[0] if known else now.used + BY_POSITION
        if self._chain is None or self._chain[0] != key:
            try:
                self._chain = key, self._read(known, now)
            except UnreadError:
                return NO_CHAIN
        chain = self._chain[1]
        flags = CHAIN | (REQUEST if chain.asks else 0) | (0 if chain.whole else BROKEN)
        age_ms = min((now_ns - since) // 1_000_000, MOST)
        sizes = min(chain.readable, MOST), min(chain.writable, MOST)
        return OldChain(flags, chain.head, min(len(chain.buffers), 0xFFFF), age_ms, *sizes)

    def _read(self, known: tuple[int, int] | None, now: Indexes) -> Chain:
        if known and isinstance(self.form, SplitForm):
            return self.form.chain(known[0])
        return self.form.oldest(now)

    def _is_news(self, sample: RingSample, now_ns: int) -> bool:
        told = self._told
        if told is None or differ(told, sample):
            self._wait_ns = 0
        elif self._wait_ns == 0:
            self._wait_ns = SECOND_NS  # once more, so that it is known when it came to rest
        elif sample.flags & WORTH_REPEATING:
            if now_ns - self._told_ns < self._wait_ns:
                return False
            self._wait_ns = min(2 * self._wait_ns, LONGEST_NS)
        else:
            return False
        self._told, self._told_ns = sample, now_ns
        return True


def differ(one: RingSample, other: RingSample) -> bool:
    """Whether more than a chain's age is not the same; what most often is, is asked first."""
    if one.used_total != other.used_total or one.available_total != other.available_total:
        return True
    ages = {"age_ms": other.age_ms, "uncalled_ms": other.uncalled_ms, "differs_ms": other.differs_ms}
    return one._replace(**ages) != other


def wrong(now: Indexes, form: SplitForm | PackedForm) -> int:
    """What is wrong with the indexes of a ring, as flags."""
    if now.in_flight <= form.size or not now.steady:
        return 0
    return BEYOND if form.round - now.in_flight <= form.size else JUMPED
