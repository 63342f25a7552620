"""Finds the loops of a phase while its messages pass by.

A turn is what is sent for one queue pair (or one ring); a loop is turns for one pair after another. A
pair that comes again, or a message that comes again for the same ring, begins a new loop; so does a pair
before the last one, unless its turn begins with the same message. Messages about the device belong to
the turn that they precede where each turn has such a head, as in QEMU's loops; otherwise they stand
between the loops.
"""

from vutrace.session.ends import Ends
from vutrace.session.labels import pair_of
from vutrace.session.model import Anomaly
from vutrace.session.runs import At, Pass, Run, Turn, restates, single

PARTS_KEPT = 64
LOOSE_KEPT = 256
TROUBLES_KEPT = 8


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
        unit = pair_of(ring) if self.paired else ring
        turn = self._turn
        if turn and turn.unit == unit and not self._again(turn, name, ring):
            if self._loose:
                turn.join(self._loose)
                turn.only_switches = False
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
        if value is None:
            turn.only_switches = False
        else:
            turn.switches.add(ring)
        turn.news |= news

    def touch(self, at: At) -> None:
        """Something that is no request of its own, such as a reply, belongs to what is open."""
        run = self._loose or self._turn
        if run:
            run.last = at

    def trouble(self, anomaly: Anomaly) -> None:
        """Something went wrong with what is open."""
        run = self._loose or self._turn
        if run and len(run.troubles) < TROUBLES_KEPT:
            run.troubles.append(anomaly)

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
            turn.headed, turn.only_switches = True, False
        self._turn = self._turns[unit] = turn
        return turn

    def _close_loop(self) -> None:
        turns, before = list(self._turns.values()), self._before
        self._turns, self._turn, self._before = {}, None, None
        if before and turns:
            looping = any(turn.headed for turn in turns[1:])
            if looping or (self.heads and self.paired and len(turns) == 1):
                turns[0].precede(before)
                turns[0].only_switches = False
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
        passes = (part for part in self.parts if isinstance(part, Pass))
        return {ring for part in passes for turn in part.turns for ring in turn.switches}

    def take_switches(self) -> "list[Run | Pass]":
        """Take away the last loops, if all they do is to enable and disable rings, with what is behind."""
        taken: list[Run | Pass] = []
        for part in reversed(list(self.parts)):
            if isinstance(part, Pass) and not all(turn.only_switches for turn in part.turns):
                break
            taken.insert(0, part)
        while taken and not isinstance(taken[0], Pass):
            del taken[0]
        for _ in taken:
            self.parts.pop()
        return taken

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
                own[turn.unit].switches |= turn.switches
        else:
            parts.insert(0, enables)
        self.parts = Ends(PARTS_KEPT)
        for part in parts:
            self.parts.append(part)
