"""Phases in words: loops folded to one line each, what is sent once per device set apart."""

from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import replace
from itertools import groupby

from vutrace.session.model import Iteration, Loop, Part, Sequence, Step
from vutrace.views.colour import Paint, bare

ONCE = "problem"  # the style of messages sent once per device: red, as in the source material


def part_lines(part: Part, paint: Paint = bare) -> Iterator[list[str]]:
    """The lines of a part, each a list of words that may be wrapped between."""
    if isinstance(part, Sequence):
        yield fold_steps(part.steps, paint)
        return
    for iterations in group_alike(part):
        times = f"{len(iterations)} × [" if len(iterations) > 1 else "["
        words = fold_steps(longest(iterations).steps, paint)
        line = [times + words[0], *words[1:]]
        line[-1] += "]"
        line.append(f" {paint(units(iterations), '=')}")
        if part.repeats > 1:
            line.append(f" {part.repeats} times over")
        yield line


def group_alike(loop: Loop) -> Iterator[list[Iteration]]:
    """Neighbouring iterations that are the same but for what is sent once."""
    for _, group in groupby(loop.iterations, key=lambda each: (shape(each), each.anomalies)):
        yield list(group)


def shape(iteration: Iteration) -> tuple[Step, ...]:
    """An iteration's steps without what is sent once."""
    return tuple(step for step in iteration.steps if not step.once)


def longest(iterations: Items[Iteration]) -> Iteration:
    """The one that also has what is sent once."""
    return max(iterations, key=lambda each: len(each.steps))


def units(iterations: Items[Iteration]) -> str:
    """The queue pairs or rings of neighbouring iterations."""
    rings = [ring for each in iterations for ring in each.rings]
    pairs = [each.pair for each in iterations if each.pair is not None]
    # virtio-user sets up all receive rings and then all transmit rings.
    if len(pairs) < len(iterations) or len(rings) == len(pairs):
        return f"ring{'s' * (len(rings) > 1)} {ranges(rings)}"
    return f"pair{'s' * (len(pairs) > 1)} {ranges(pairs)}"


def ranges(numbers: Items[int]) -> str:
    """Numbers in their order, runs as first–last: 0–3, 7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def fold_steps(steps: Items[Step], paint: Paint = bare) -> list[str]:
    """Steps in words; what is the same for ring after ring is said once: (CALL ERR) × 2."""
    return [word for times, group in chunks(steps) for word in with_factor(times, group, paint)]


def chunks(steps: Items[Step]) -> Iterator[tuple[int, list[Step]]]:
    """Steps about the device, and those about a ring with the number of rings they are the same for."""
    for about_ring, group in groupby(steps, key=lambda step: step.ring is not None):
        if not about_ring:
            yield 1, list(group)
            continue
        by_one = groupby(group, key=lambda step: step.ring)
        rings = [[replace(step, ring=None) for step in ring] for _, ring in by_one]
        for same, equal in groupby(rings):
            yield len(list(equal)), same


def with_factor(times: int, steps: Items[Step], paint: Paint) -> list[str]:
    """A group in words, with its factor."""
    words = [word_of(step, paint) for step in steps]
    if times == 1:
        return words
    if len(words) > 1:
        words[0], words[-1] = f"({words[0]}", f"{words[-1]})"
    words[-1] = f"{words[-1]} × {times}"
    return words


def word_of(step: Step, paint: Paint) -> str:
    """A step in one word; braces tell what is sent once per device where there is no colour."""
    word = step.name if step.value is None else f"{step.name}={step.value}"
    word = word if step.count == 1 else f"{word} × {step.count}"
    return paint(f"{{{word}}}", ONCE) if step.once else word
