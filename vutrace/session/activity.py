"""What moves in the rings of a session, by the samples of it."""

from typing import NamedTuple

from vutrace.records import RingSample, Sample

KEPT = 1024  # rings
NS = 1_000_000_000


class Moved(NamedTuple):
    """A ring at a sample: `time_ns` since the first record, and what moved in a second until then.

    `made` is what the driver made available, `used` what the device gave back. `before` is the sample before
    it, None of one that was just started. `still_ns` is the time of the sample since which nothing came
    back although something was in flight, `began_ns` that of the first since the ring was started.
    """

    time_ns: int
    sample: RingSample
    made: float = 0.0
    used: float = 0.0
    before: RingSample | None = None
    still_ns: int = 0
    began_ns: int = 0


class Activity:
    """The latest of each ring."""

    def __init__(self) -> None:
        self.by_ring: dict[int, Moved] = {}

    def feed(self, time_ns: int, sample: Sample) -> tuple[Moved, ...]:
        """Take a sample; each of its rings, after what is known of it."""
        found = []
        for ring in sample.rings:
            found.append(moved(time_ns, ring, self.by_ring.get(ring.ring), sample.interval_ns))
            if ring.ring in self.by_ring or len(self.by_ring) < KEPT:
                self.by_ring[ring.ring] = found[-1]
        return tuple(found)


def moved(time_ns: int, now: RingSample, before: Moved | None, interval_ns: int) -> Moved:
    """A ring at a sample, after the one before; a ring that was told nothing of stood still meanwhile."""
    was = before.sample if before else None
    if before is None or was is None or now.used_total < was.used_total:  # it was started anew
        return Moved(time_ns, now, still_ns=time_ns, began_ns=time_ns)
    spent = max(1, min(time_ns - before.time_ns, interval_ns or time_ns))
    made, used = now.available_total - was.available_total, now.used_total - was.used_total
    still_ns = time_ns if used or not was.in_flight else before.still_ns
    return Moved(time_ns, now, max(0, made) * NS / spent, used * NS / spent, was, still_ns, before.began_ns)
