"""The samples of a session's rings over time, for drawing; thinned when they are too many."""

from collections.abc import Iterable, Sequence

from vutrace.session.activity import Moved

KEPT = 32_768  # of all rings together


class Series:
    """What moved in each ring, sample by sample."""

    def __init__(self, keep: int = KEPT) -> None:
        self._by_ring: dict[int, list[Moved]] = {}
        self._keep, self._count = keep, 0

    def feed(self, rings: Iterable[Moved]) -> None:
        """Take a sample's rings."""
        for moved in rings:
            self._by_ring.setdefault(moved.sample.ring, []).append(moved._replace(before=None))
            self._count += 1
        if self._count > self._keep:
            self._by_ring = {ring: thinned(series) for ring, series in self._by_ring.items()}
            self._count = sum(map(len, self._by_ring.values()))

    def of(self, ring: int) -> Sequence[Moved]:
        """The samples of a ring."""
        return self._by_ring.get(ring, ())


def thinned(series: Sequence[Moved]) -> list[Moved]:
    """Of each two the one in which more moved, and the last."""
    pairs = (series[at : at + 2] for at in range(0, len(series) - 1, 2))
    return [*(max(pair, key=lambda moved: moved.used) for pair in pairs), series[-1]]
