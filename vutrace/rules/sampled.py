"""What the rules about samples of rings have in common."""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.records import RingSample, SampleFlag
from vutrace.session.activity import Moved
from vutrace.session.ring_states import RingState
from vutrace.session.row import Row

STUCK_NS = 1_000_000_000
ROUND, HALF = 1 << 16, 1 << 15


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


def is_beyond(row: Row, moved: Moved) -> bool:
    """Whether nothing came back since the start, and the device began behind all that is in flight."""
    sample, base = moved.sample, row.state.rings.by_index[moved.sample.ring].base
    if base is None or sample.has(SampleFlag.PACKED) or moved.still_ns != moved.began_ns:
        return False
    return waits(moved) and sample.in_flight < (base - sample.used) % ROUND < HALF


def is_packed(sample: RingSample) -> bool:
    """Whether it is a packed ring."""
    return sample.has(SampleFlag.PACKED)


def rule(name: str, severity: Severity, heading: str, means: str, advice: str) -> Rule:
    """A rule about rings."""
    return Rule(f"ring.{name}", severity, heading, means, advice)
