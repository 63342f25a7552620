"""What a phase is made of while its messages pass by: runs of messages, turns, passes."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from vutrace.session.model import Anomaly, Step


class At(NamedTuple):
    """Where something stands: a row, and its time in ns since the first record."""

    row: int
    time_ns: int


@lru_cache(4096)
def single(name: str, ring: int | None = None, value: int | None = None) -> Step:
    """A message by itself; there are few different ones, and very many of each."""
    return Step(name, ring, value)


@dataclass(slots=True)
class Run:
    """Messages in a row: equal neighbours are one step."""

    first: At
    last: At
    steps: list[Step] = field(default_factory=list)
    once: dict[str, At] = field(default_factory=dict)  # what the table says is sent once, and where it was
    troubles: list[Anomaly] = field(default_factory=list)

    def add(self, at: At, step: Step, once: bool = False) -> None:
        """Put a message at the end."""
        self.last = at
        before = self.steps[-1] if self.steps else None
        if before and (before.name, before.ring, before.value) == (step.name, step.ring, step.value):
            self.steps[-1] = Step(step.name, step.ring, step.value, before.count + step.count)
        else:
            self.steps.append(step)
        if once:
            self.once.setdefault(step.name, at)

    def join(self, other: "Run") -> None:
        """Put all of `other` at the end."""
        for step in other.steps:
            self.add(other.last, step)
        self.once = other.once | self.once
        self.troubles += other.troubles

    def precede(self, head: "Run") -> None:
        """Put all of `head` in front."""
        self.first = head.first
        self.steps[:0] = head.steps
        self.once |= head.once
        self.troubles[:0] = head.troubles


@dataclass(slots=True)
class Turn(Run):
    """What was sent for one unit: a queue pair, or a ring.

    `headed`: it began with a message about the device. `news`: it told a ring's enable state for the
    first time or changed it. `switches` are the rings that it enabled or disabled; `only_switches`: there is
    nothing else in it, but the barriers of front-ends without acknowledgements.
    """

    unit: int = 0
    rings: set[int] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)
    headed: bool = False
    news: bool = False
    switches: set[int] = field(default_factory=set)
    only_switches: bool = True


@dataclass(slots=True)
class Pass:
    """Turns for different units: a loop, `repeats` times over."""

    turns: list[Turn]
    repeats: int = 1
    last: At = field(default_factory=lambda: At(0, 0))

    def equals(self, other: "Pass") -> bool:
        """Whether both passes sent the same for the same units, with nothing amiss."""
        return len(self.turns) == len(other.turns) and all(
            mine.unit == theirs.unit and mine.steps == theirs.steps and mine.troubles == theirs.troubles
            for mine, theirs in zip(self.turns, other.turns, strict=True)
        )


def restates(turn: Turn) -> bool:
    """Whether a turn only enables rings that were enabled before."""
    return not turn.news and turn.only_switches and all(step.value in (None, 1) for step in turn.steps)
