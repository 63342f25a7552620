"""The loops of a closed phase as values: what is sent once is marked, what differs is told apart."""

from collections import Counter
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Items
from dataclasses import replace

from vutrace.session.model import Anomaly, Iteration, Loop, Oddity, Part, Sequence, Step
from vutrace.session.runs import At, Pass, Run, Turn

Shape = tuple[tuple[str, int | None, int], ...]


def parts_of(parts: Items[Run | Pass], paired: bool, once: Collection[str]) -> tuple[Part, ...]:
    """Every part of a phase; `paired` names the loops, `once` are the names to mark."""
    return tuple(
        loop_of(part, once, paired)
        if isinstance(part, Pass)
        else Sequence(part.first.row, part.last.row, steps_of(part, once), tuple(part.troubles))
        for part in parts
    )


def once_per_device(parts: Items[Run | Pass]) -> dict[str, At]:
    """What the table says is sent once per device, and was: in one turn (or between the loops)."""
    runs: list[Run] = []
    for part in parts:
        runs += part.turns if isinstance(part, Pass) else [part]
    counts = Counter(name for run in runs for name in run.once)
    return {name: at for run in runs for name, at in run.once.items() if counts[name] == 1}


def steps_of(run: Run, once: Collection[str]) -> tuple[Step, ...]:
    """The steps, with those sent once marked."""
    return tuple(replace(step, once=True) if step.name in once else step for step in run.steps)


def loop_of(part: Pass, once: Collection[str], paired: bool) -> Loop:
    """A loop with its iterations."""
    shapes = [shape_of(turn, once) for turn in part.turns]
    usual = usual_shape(shapes)
    iterations = tuple(
        Iteration(
            pair=turn.unit if paired else None,
            ring=None if paired else turn.unit,
            rings=tuple(sorted(turn.rings)),
            first=turn.first.row,
            last=turn.last.row,
            steps=steps_of(turn, once),
            anomalies=(*differences(shape, usual), *turn.troubles),
        )
        for turn, shape in zip(part.turns, shapes, strict=True)
    )
    return Loop("queue pair" if paired else "ring", iterations, part.last.row, part.repeats)


def shape_of(turn: Turn, once: Collection[str]) -> Shape:
    """What makes turns siblings: names and rings, without what is sent once and without values."""
    return tuple((step.name, step.ring, step.count) for step in turn.steps if step.name not in once)


def usual_shape(shapes: Items[Shape]) -> Shape:
    """The shape of most turns; the shortest of equally many."""
    counts = Counter(shapes)
    return min(counts, key=lambda shape: (-counts[shape], len(shape)))


def differences(shape: Shape, usual: Shape) -> Iterator[Anomaly]:
    """What sets a turn apart, in words."""
    if shape == usual:
        return
    mine, theirs = named(shape), named(usual)
    more, less = mine - theirs, theirs - mine
    for oddity, names in ((Oddity.MORE, more), (Oddity.LESS, less)):
        for name, count in names.items():
            yield Anomaly(f"{oddity.value} {times(name, count)}", oddity=oddity)
    if not more and not less:
        yield Anomaly(Oddity.ORDER.value, oddity=Oddity.ORDER)


def named(shape: Shape) -> Counter[str]:
    """How often each message was sent."""
    counts: Counter[str] = Counter()
    for name, _, count in shape:
        counts[name] += count
    return counts


def times(name: str, count: int) -> str:
    """A name, with its count if it is above 1."""
    return name if count == 1 else f"{name} × {count}"
