"""Coverage as lines: a section each, with what is missing."""

import textwrap
from collections.abc import Iterator, Sequence

from vutrace.views.colour import Paint, bare
from vutrace.views.coverage.counting import BROKEN, CoveredSection

WIDTH = 100


def lines(
    sections: Sequence[CoveredSection], all_of_it: bool = False, width: int | None = None, paint: Paint = bare
) -> Iterator[str]:
    """A line for each section; below it what is missing, or with `all_of_it` everything with its count."""
    for section in sections:
        seen, there = len(section.seen), len(section.counts)
        share = f"{100 * seen // there:>3} %" if there else "    "
        yield paint(f"{section.name:<32} {seen:>4} of {there:>4}  {share}", "heading")
        if all_of_it:
            yield from (f"  {count:>7}  {name}" for name, count in section.counts.items())
        elif section.name == BROKEN:  # none of them has to be
            yield from wrapped("broken: ", section.seen, width)
        else:
            yield from wrapped("missing: ", section.missing, width)


def wrapped(before: str, names: Sequence[str], width: int | None) -> Iterator[str]:
    """Names with commas between, over several lines."""
    if names:
        indent = "  "
        yield from textwrap.wrap(
            before + ", ".join(names),
            width or WIDTH,
            initial_indent=indent,
            subsequent_indent=indent + " " * len(before),
            break_on_hyphens=False,
        )
