"""When a flow comes after the others: it floods, or brings many descriptors while there is little room."""

from time import perf_counter

from vutrace.proxy.recorder import CROWDED, FULL_UP, Recorder

# Who has had more waiting than a turn takes for so many turns rests after each, times as long as it took: the
# thread would else use up what the system gives it, and then nobody is served for milliseconds.
FULL_TURNS, REST, LONGEST_REST = 8, 20, 0.005


class FlowTurns:
    """Those of one flow. `rest`: seconds that it should rest now, `rests`: it does."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._full = 0
        self._shortage = self._brought = 0  # of room for descriptors; how many it brought in that
        self.rest = 0.0
        self.rests = False

    def over(self, full: bool, began: float) -> bool:
        """A turn that `began` then (`perf_counter`) is over, `full` if more waits; whether to rest."""
        self._full = self._full + 1 if full else 0
        if self._full > FULL_TURNS:
            self.rest = min(REST * (perf_counter() - began), LONGEST_REST)
        return self.rest > 0

    def brings(self, descriptors: int) -> None:
        """So many descriptors came, while room was short."""
        if self._shortage != self._recorder.shortages:
            self._shortage, self._brought = self._recorder.shortages, 0
        self._brought += descriptors

    @property
    def level(self) -> int:
        """From which shortage on it waits: many descriptors wait before few do."""
        many = self._shortage == self._recorder.shortages and self._brought > self._recorder.few
        return CROWDED if many else FULL_UP

    @property
    def waits(self) -> bool:
        """Whether it rests, or there is no room for what it may bring."""
        return self.rests or self.short

    @property
    def short(self) -> bool:
        """Whether there is no room for what it may bring."""
        blocked = self._recorder.blocked
        return blocked >= CROWDED and blocked >= self.level
