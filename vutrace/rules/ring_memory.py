"""Rings in memory that cannot be as they are, by the samples of `proxy --rings`.

Sources: virtio, "Split Virtqueues" and "Packed Virtqueues"; vhost-user.rst, "Inflight I/O tracking",
"Migration".
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, Find, Once, answers
from vutrace.protocol.effects import RingEffect
from vutrace.records import Sample, SampleFlag
from vutrace.rules.look import number
from vutrace.rules.sampled import HALF, ROUND, is_beyond, is_packed, rule, running
from vutrace.rules.seen import History
from vutrace.session.row import Row

ERROR, WARNING = Severity.ERROR, Severity.WARNING
DIFFERS_MS, UNWRITTEN_MS = 1000, 2000
POSITION_OF = {True: 0x7FFF, False: 0xFFFF}  # of a packed ring's used word, and of a split ring's index
STOPPED = answers(effect=RingEffect.STOP)


def flagged(flag: SampleFlag, text: str) -> Find:
    """What a look has found wrong in memory."""

    def find(row: Row, _seen: History) -> Iterator[Breach]:
        for name, moved in running(row):
            sample = moved.sample
            if sample.has(flag):
                where = f"available {sample.available}, used {sample.used}, size {sample.size}"
                yield Breach(f"{name}: {text} ({where})", ring=sample.ring)

    return find


def begins_beyond(row: Row, _seen: History) -> Iterator[Breach]:
    """The device waits at an index that the driver has not reached."""
    for name, moved in running(row):
        if is_beyond(row, moved):
            base, sample = row.state.rings.by_index[moved.sample.ring].base, moved.sample
            text = f"{name}: it was told to begin at {base}, and the driver is at {sample.available}"
            yield Breach(text, ring=sample.ring)


def marks_differ(row: Row, _seen: History) -> Iterator[Breach]:
    """The buffer of requests in flight and the ring."""
    for name, moved in running(row):
        sample = moved.sample
        if sample.has(SampleFlag.MARKS_DIFFER) and sample.differs_ms >= DIFFERS_MS:
            buffer = f"{sample.marked} in flight and used index {sample.marked_used} in the in-flight buffer"
            text = f"{name}: {buffer}, {sample.in_flight} and {sample.used & POSITION_OF[is_packed(sample)]}"
            yield Breach(f"{text} in the ring, for {sample.differs_ms / 1000:.1f} s", ring=sample.ring)


def log_unwritten(row: Row, _seen: History) -> Iterator[Breach]:
    """Rings move, and no page becomes dirty."""
    log = row.what.log if isinstance(row.what, Sample) else None
    if log and log.unwritten_ms >= UNWRITTEN_MS:
        yield Breach(f"rings moved for {log.unwritten_ms / 1000:.1f} s, and no page was marked as dirty")


def stopped_behind(row: Row, _seen: History) -> Iterator[Breach]:
    """The base that a ring returned is behind what its device had given back."""
    moved = row.state.activity.by_ring.get(-1 if row.ring is None else row.ring)
    if moved is None or moved.sample.flags & (SampleFlag.PACKED | SampleFlag.INDEXES) != SampleFlag.INDEXES:
        return
    base, used = number(row, "num"), moved.sample.used
    if (base - used) % ROUND >= HALF:
        yield Breach(f"the base is {base}, and the used index in memory was at {used} already", ring=row.ring)


SAMPLES = (
    Check(
        rule(
            "inflight-differs",
            WARNING,
            "Inflight I/O tracking",
            "Should the back-end die now, the next one does requests again that were given back, or "
            "never those that were not.",
            "Look at when the back-end marks a request (before it begins), and takes the mark away "
            "(after the used index).",
        ),
        None,
        marks_differ,
        once=Once.RING,
    ),
    Check(
        Rule(
            "migration.log-not-written",
            ERROR,
            "Migration",
            "What the device writes while the guest migrates is not sent to the other side: the guest "
            "goes on with old memory there.",
            "With VHOST_F_LOG_ALL every write to guest memory has to set its page's bit in the log, "
            "used rings among them.",
        ),
        None,
        log_unwritten,
        once=Once.SESSION,
    ),
    Check(
        rule(
            "used-beyond-available",
            ERROR,
            "virtio, “The Virtqueue Used Ring”",
            "The back-end has given back what the driver never gave it. The driver stops the device, "
            "or corrupts its memory.",
            "Look at where the back-end began: SET_VRING_BASE, and the state that it kept over a reconnect.",
        ),
        None,
        flagged(SampleFlag.BEYOND, "the used index is beyond the available one"),
        once=Once.RING,
    ),
    Check(
        rule(
            "index-jumped",
            ERROR,
            "virtio, “The Virtqueue Available Ring”",
            "The indexes are further apart than the ring is long: somebody else writes there, or one "
            "side began elsewhere than the other.",
            "Compare SET_VRING_BASE with the index in memory; look whether the addresses are those of "
            "this ring.",
        ),
        None,
        flagged(SampleFlag.JUMPED, "the indexes are further apart than the ring is long"),
        once=Once.RING,
    ),
    Check(
        rule(
            "chain-without-end",
            ERROR,
            "virtio, “The Virtqueue Descriptor Table”",
            "The oldest chain in flight loops, or leaves the guest's memory: a device that follows it "
            "hangs or dies.",
            "Look at the driver that made it; a device should stop with an error.",
        ),
        None,
        flagged(SampleFlag.BROKEN_CHAIN, "the oldest chain in flight has no end"),
        once=Once.RING,
    ),
    Check(
        rule(
            "memory-gone",
            ERROR,
            "Memory access",
            "The file that backs the ring is shorter than its region, or cannot be read any more: who "
            "has it mapped dies of SIGBUS.",
            "Look at who truncates the file; seal it (F_SEAL_SHRINK).",
        ),
        None,
        flagged(SampleFlag.UNREADABLE, "its memory cannot be read"),
        once=Once.RING,
    ),
    Check(
        rule(
            "begins-beyond-driver",
            WARNING,
            "VHOST_USER_SET_VRING_BASE",
            "The back-end waits at an index that the driver has not reached: it takes nothing of what "
            "is there.",
            "Take the base from the ring in memory, or from GET_VRING_BASE of the stop before.",
        ),
        None,
        begins_beyond,
        once=Once.RING,
    ),
)
"""What is asked about each sample."""
CHECKS = (
    Check(
        rule(
            "base-behind-used",
            ERROR,
            "VHOST_USER_GET_VRING_BASE",
            "Who goes on from this base does requests again that were given back already.",
            "Look at what the back-end returns: the next index that it would take, not the last that "
            "it took.",
        ),
        STOPPED,
        stopped_behind,
    ),
)
