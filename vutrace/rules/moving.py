"""Rings in memory: what the samples of `proxy --rings` show of them.

Sources: virtio, "Split Virtqueues" and "Packed Virtqueues"; vhost-user.rst, "Starting and stopping rings". A
device may take as long as it likes, and may poll: what only looks as if it stood still is a warning.
"""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.check import Breach, Check, Find, Once, answers
from vutrace.protocol.effects import RingEffect
from vutrace.records import RingSample, SampleFlag
from vutrace.rules.look import number
from vutrace.rules.seen import History
from vutrace.session.activity import Moved
from vutrace.session.ring_states import RingState
from vutrace.session.row import Row

ERROR, WARNING = Severity.ERROR, Severity.WARNING
STUCK_NS = 1_000_000_000
LOST_MS = 10_000
ROUND, HALF = 1 << 16, 1 << 15
SUPPRESSION, NO_NOTIFY = 0x3, 1  # of a split ring's flags; of a packed ring's event structure as well
STOPPED = answers(effect=RingEffect.STOP)


def running(row: Row) -> Iterator[tuple[str, Moved]]:
    """Each ring of a sample that runs, with its name."""
    for moved in row.changes.moved:
        ring = row.state.rings.by_index.get(moved.sample.ring)
        if ring and ring.state is RingState.RUNNING:
            yield ring.name or f"ring {ring.index}", moved


def waits(moved: Moved) -> bool:
    """Whether a request waits, and nothing has come back for a while."""
    sample = moved.sample
    old = sample.age_ms * 1_000_000 >= STUCK_NS and moved.time_ns - moved.still_ns >= STUCK_NS
    return old and sample.has(SampleFlag.REQUEST)


def unread_kicks(sample: RingSample) -> bool:
    """Whether the device was kicked, has not looked, and did not say that it need not be."""
    wants = sample.device_flags & SUPPRESSION != NO_NOTIFY
    return sample.has(SampleFlag.KICKS) and sample.kicks > 0 and wants


def kick_not_taken(row: Row, _seen: History) -> Iterator[Breach]:
    """Requests wait, kicks too."""
    for name, moved in running(row):
        sample = moved.sample
        if waits(moved) and unread_kicks(sample) and not is_beyond(row, moved):
            text = f"{name}: {waiting(sample)}; kicked {sample.kicks} times since the back-end last looked"
            yield Breach(text, ring=sample.ring)


def stuck(row: Row, _seen: History) -> Iterator[Breach]:
    """Requests wait, and the device was not kicked, or polls, or has taken its kicks."""
    for name, moved in running(row):
        sample = moved.sample
        if waits(moved) and not unread_kicks(sample) and not is_beyond(row, moved):
            yield Breach(f"{name}: {waiting(sample)}; {kicks_words(sample)}", ring=sample.ring)


def kicks_words(sample: RingSample) -> str:
    """What is known of the kicks where none counts."""
    if sample.device_flags & SUPPRESSION == NO_NOTIFY:
        return "it wants no kicks, so it polls"
    return "no kick waits" if sample.has(SampleFlag.KICKS) else "its kicks are not known"


def waiting(sample: RingSample) -> str:
    """What waits, and for how long."""
    unit = "descriptor" if sample.has(SampleFlag.PACKED) else "chain"
    flying = f"{sample.in_flight} {unit}{'' if sample.in_flight == 1 else 's'} in flight"
    return f"{flying}, none came back for {sample.age_ms / 1000:.1f} s"


def chain_lost(row: Row, _seen: History) -> Iterator[Breach]:
    """One request stays while others come and go."""
    for name, moved in running(row):
        sample = moved.sample
        others = moved.time_ns - moved.still_ns < sample.age_ms * 1_000_000 // 2
        if sample.has(SampleFlag.REQUEST) and sample.age_ms >= LOST_MS and others:
            chain = f"chain {sample.head} ({sample.length} descriptors, {sample.readable} bytes to read)"
            text = f"{name}: {chain} is in flight for {sample.age_ms / 1000:.1f} s, and others came back"
            yield Breach(text, ring=sample.ring)


def flagged(flag: SampleFlag, text: str) -> Find:
    """What a look has found wrong in memory."""

    def find(row: Row, _seen: History) -> Iterator[Breach]:
        for name, moved in running(row):
            sample = moved.sample
            if sample.has(flag):
                where = f"available {sample.available}, used {sample.used}, size {sample.size}"
                yield Breach(f"{name}: {text} ({where})", ring=sample.ring)

    return find


def is_beyond(row: Row, moved: Moved) -> bool:
    """Whether nothing came back since the start, and the device began behind all that is in flight."""
    sample, base = moved.sample, row.state.rings.by_index[moved.sample.ring].base
    if base is None or sample.has(SampleFlag.PACKED) or moved.still_ns != moved.began_ns:
        return False
    return waits(moved) and sample.in_flight < (base - sample.used) % ROUND < HALF


def begins_beyond(row: Row, _seen: History) -> Iterator[Breach]:
    """The device waits at an index that the driver has not reached."""
    for name, moved in running(row):
        if is_beyond(row, moved):
            base, sample = row.state.rings.by_index[moved.sample.ring].base, moved.sample
            text = f"{name}: it was told to begin at {base}, and the driver is at {sample.available}"
            yield Breach(text, ring=sample.ring)


def stopped_behind(row: Row, _seen: History) -> Iterator[Breach]:
    """The base that a ring returned is behind what its device had given back."""
    moved = row.state.activity.by_ring.get(-1 if row.ring is None else row.ring)
    if moved is None or moved.sample.flags & (SampleFlag.PACKED | SampleFlag.INDEXES) != SampleFlag.INDEXES:
        return
    base, used = number(row, "num"), moved.sample.used
    if (base - used) % ROUND >= HALF:
        yield Breach(f"the base is {base}, and the used index in memory was at {used} already", ring=row.ring)


def rule(name: str, severity: Severity, heading: str, means: str, advice: str) -> Rule:
    """A rule about rings."""
    return Rule(f"ring.{name}", severity, heading, means, advice)


SAMPLES = (
    Check(
        rule(
            "kick-not-taken",
            WARNING,
            "Starting and stopping rings",
            "The driver has kicked, and the back-end does not read its eventfd: its event loop stands "
            "still, or watches another descriptor. A back-end that polls says so in the ring, and is not "
            "meant.",
            "Look at what the back-end's threads do; compare the descriptor of SET_VRING_KICK with what "
            "it polls.",
        ),
        None,
        kick_not_taken,
        once=Once.RING,
    ),
    Check(
        rule(
            "stuck",
            WARNING,
            "Starting and stopping rings",
            "Requests are in the ring, and the back-end gives none back: it is stopped, busy elsewhere, "
            "waits for something itself, or was never kicked.",
            "Look at what the back-end's process does (is it stopped, are its polling threads alive?), "
            "and at the device behind it.",
        ),
        None,
        stuck,
        once=Once.RING,
    ),
    Check(
        rule(
            "chain-lost",
            WARNING,
            "virtio, “Virtqueues”",
            "One request was never answered while others were: a buffer has leaked, or its completion was "
            "lost. The ring has one place less for ever.",
            "Look for an error path of the back-end that drops a request without putting it into the used "
            "ring.",
        ),
        None,
        chain_lost,
        once=Once.RING,
    ),
    Check(
        rule(
            "used-beyond-available",
            ERROR,
            "virtio, “The Virtqueue Used Ring”",
            "The back-end has given back what the driver never gave it. The driver stops the device, or "
            "corrupts its memory.",
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
            "The indexes are further apart than the ring is long: somebody else writes there, or one side "
            "began elsewhere than the other.",
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
            "The file that backs the ring is shorter than its region, or cannot be read any more: who has "
            "it mapped dies of SIGBUS.",
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
            "The back-end waits at an index that the driver has not reached: it takes nothing of what is "
            "there.",
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
            "Look at what the back-end returns: the next index that it would take, not the last that it "
            "took.",
        ),
        STOPPED,
        stopped_behind,
    ),
)
