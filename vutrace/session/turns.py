"""Finds the loops of a phase while its messages pass by.

A turn is what is sent for one queue pair (or one ring); a loop is turns for one pair after another. A
pair that comes again, or a message that comes again for the same ring, begins a new loop; so does a pair
before the last one, unless its turn begins with the same message. Messages about the device belong to
the turn that they precede where each turn has such a head, as in QEMU's loops; otherwise they stand
between the loops.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from vutrace.session.ends import Ends
from vutrace.session.model import Step

PARTS_KEPT = 64
LOOSE_KEPT = 256
TROUBLES_KEPT = 8
ENABLING = {"SET_VRING_ENABLE", "GET_FEATURES"}  # with the barrier of old back-ends


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
    troubles: list[str] = field(default_factory=list)

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
    first time or changed it.
    """

    unit: int = 0
    rings: set[int] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)
    headed: bool = False
    news: bool = False


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


class Turns:
    """The loops of one phase. `heads`: a lone pair has a head, too.

    `paired`: rings are queue pairs; it may be set until the first message about a ring comes.
    """

    def __init__(self, heads: bool) -> None:
        self.heads, self.paired = heads, False
        self.parts: Ends[Run | Pass] = Ends(PARTS_KEPT)
        self._turns: dict[int, Turn] = {}
        self._turn: Turn | None = None
        self._before: Run | None = None  # what preceded the loop
        self._loose: Run | None = None  # what came since the last message about a ring

    @property
    def rings_seen(self) -> bool:
        """Whether a message about a ring came."""
        return self._turn is not None or any(isinstance(part, Pass) for part in self.parts)

    def device(self, at: At, name: str, once: bool, barrier: bool) -> None:
        """A message about the device; a barrier belongs to what it waits for."""
        if barrier and self._turn and not self._loose:
            self._turn.add(at, single(name))
            return
        if self._loose is None:
            self._loose = Run(at, at)
        self._loose.add(at, single(name), once)
        if len(self._loose.steps) > LOOSE_KEPT:
            self.flush()

    def ring(self, at: At, name: str, ring: int, value: int | None, news: bool) -> None:
        """A message about a ring."""
        unit = ring // 2 if self.paired else ring
        turn = self._turn
        if turn and turn.unit == unit and not self._again(turn, name, ring):
            if self._loose:
                turn.join(self._loose)
        elif turn and unit not in self._turns and (unit > turn.unit or self._begins_as(turn, name)):
            turn = self._open(at, unit)
        else:
            self._close_loop()
            self._before, self._loose = self._loose, None
            turn = self._open(at, unit)
        self._loose = None
        turn.add(at, single(name, self._offset(ring), value))
        turn.rings.add(ring)
        turn.seen.add((name, ring))
        turn.news |= news

    def touch(self, at: At) -> None:
        """Something that is no request of its own, such as a reply, belongs to what is open."""
        run = self._loose or self._turn
        if run:
            run.last = at

    def trouble(self, text: str) -> None:
        """Something went wrong with what is open."""
        run = self._loose or self._turn
        if run and len(run.troubles) < TROUBLES_KEPT:
            run.troubles.append(text)

    def flush(self) -> None:
        """Close everything: the phase is over."""
        self._close_loop()
        if self._loose:
            self.parts.append(self._loose)
        self._loose = None

    def _again(self, turn: Turn, name: str, ring: int) -> bool:
        """Whether the message came before in this turn, other than just now (QEMU sends CALL twice)."""
        last = turn.steps[-1]
        just_now = not self._loose and (last.name, last.ring) == (name, self._offset(ring))
        return (name, ring) in turn.seen and not just_now

    def _begins_as(self, turn: Turn, name: str) -> bool:
        """Whether a turn that opens with `name`, and what precedes it, is like `turn` so far."""
        return turn.steps[0].name == (self._loose.steps[0].name if self._loose else name)

    def _offset(self, ring: int) -> int:
        return ring % 2 if self.paired else 0

    def _open(self, at: At, unit: int) -> Turn:
        turn = Turn(at, at, unit=unit)
        if self._loose:
            turn.precede(self._loose)
            turn.headed = True
        self._turn = self._turns[unit] = turn
        return turn

    def _close_loop(self) -> None:
        turns, before = list(self._turns.values()), self._before
        self._turns, self._turn, self._before = {}, None, None
        if before and turns:
            looping = any(turn.headed for turn in turns[1:])
            if looping or (self.heads and self.paired and len(turns) == 1):
                turns[0].precede(before)
            else:
                self.parts.append(before)
        if turns:
            self._fold()
            self.parts.append(Pass(turns, last=turns[-1].last))

    def _fold(self) -> None:
        """The last two parts become one if they are equal loops (never the open end: see `take_enables`)."""
        if len(self.parts) < 2:
            return
        later = self.parts.pop()
        earlier = self.parts.last
        if isinstance(later, Pass) and isinstance(earlier, Pass) and later.equals(earlier):
            earlier.repeats += later.repeats
            earlier.last = later.last
        else:
            self.parts.append(later)

    def finish(self) -> list[Run | Pass]:
        """All parts in order."""
        self.flush()
        self._fold()
        return list(self.parts)

    def enabled_rings(self) -> set[int]:
        """The rings that a closed phase enabled."""
        return {
            ring
            for part in self.parts
            if isinstance(part, Pass)
            for turn in part.turns
            for name, ring in turn.seen
            if name == "SET_VRING_ENABLE"
        }

    def take_enables(self, start: "Turns") -> Pass | None:
        """Move the last loop to `start` (both flushed) if it is how that start enables its rings.

        QEMU since 7.2 enables a pair's rings again just before it starts the pair. Only what follows tells
        that from the guest writing its features once more: a start that enables nothing by itself.
        """
        last = self.parts.last
        if not isinstance(last, Pass) or not all(restates(turn) for turn in last.turns):
            return None
        if start.enabled_rings() & {ring for turn in last.turns for ring in turn.rings}:
            return None
        self.parts.pop()
        start.begin_with(last)
        return last

    def begin_with(self, enables: Pass) -> None:
        """Put the turns of a loop in front of this phase's own."""
        parts = list(self.parts)
        loop = parts[0] if parts else None
        own = {turn.unit: turn for turn in loop.turns} if isinstance(loop, Pass) else {}
        if all(turn.unit in own for turn in enables.turns):
            for turn in enables.turns:
                own[turn.unit].precede(turn)
        else:
            parts.insert(0, enables)
        self.parts = Ends(PARTS_KEPT)
        for part in parts:
            self.parts.append(part)


def restates(turn: Turn) -> bool:
    """Whether a turn only enables rings that were enabled before."""
    return not turn.news and all(step.name in ENABLING and step.value in (None, 1) for step in turn.steps)
