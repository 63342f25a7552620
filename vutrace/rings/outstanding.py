"""Which chains of a split ring the device has, by what both sides wrote since the last look."""

from vutrace.rings.indexes import Indexes
from vutrace.rings.split import ROUND, SplitForm


class Outstanding:
    """The chains in flight with the time (ns) at which each was first seen, the oldest first.

    They are known as long as no more moves between two looks than a ring holds, and anew when none is in
    flight. `known` tells whether they are.
    """

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        self._last: Indexes | None = None
        self.known = False

    def feed(self, ring: SplitForm, now: Indexes, now_ns: int) -> None:
        """A look. Raises UnreadError."""
        last, self._last = self._last, now
        if not now.in_flight:
            self._since, self.known = {}, True
        elif now.in_flight > ring.size:
            self._since, self.known = {}, False
        elif last is None:  # those that are there already are taken to be in order
            self._since, self.known = dict.fromkeys(ring.heads(now.used, now.in_flight), now_ns), True
        elif self.known:
            self._move(ring, last, now, now_ns)

    def _move(self, ring: SplitForm, last: Indexes, now: Indexes, now_ns: int) -> None:
        made, back = (now.available - last.available) % ROUND, (now.used - last.used) % ROUND
        if max(made, back) > ring.size:
            self._since, self.known = {}, False
            return
        new = ring.heads(last.available, made) if made else []
        for head in ring.used_heads(last.used, back) if back else []:
            if self._since.pop(head, None) is None and head in new:
                new.remove(head)
        self._since |= {head: now_ns for head in new if head not in self._since}

    def oldest(self) -> tuple[int, int] | None:
        """The head of the oldest chain, and since when it is in flight; None where it is not known."""
        return next(iter(self._since.items()), None) if self.known else None
