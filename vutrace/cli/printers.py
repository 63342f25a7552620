"""What verbs print rows with: as text with what is wanted below each, as JSON, as chosen values."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import TextIOWrapper
from itertools import chain, islice
from typing import TYPE_CHECKING

from vutrace.cli.errors import UsageError
from vutrace.cli.output import say
from vutrace.views.colour import When

if TYPE_CHECKING:
    from vutrace.records import Connection
    from vutrace.session.row import Row
    from vutrace.views.printing import Printer


def json_printer(secrets: bool, file: str = "") -> "Printer":
    """One object per line; with a `file` where there are several."""
    from vutrace.views.json_lines import JsonLines

    return JsonLines(secrets, file)


def field_printer(names: list[str], secrets: bool) -> "Printer":
    """Chosen values of each row."""
    from vutrace.views.field_lines import FieldLines

    return FieldLines(names, secrets)


def text_printer(
    tree: bool, dump: bool, style: str, color: When, secrets: bool, width: int | None = None
) -> "Printer":
    """Rows, with what is wanted below each."""
    from vutrace.cli.output import columns
    from vutrace.views.colour import painter
    from vutrace.views.printing import Text
    from vutrace.views.rows import Rows
    from vutrace.views.times import STYLES
    from vutrace.views.tree import Tree

    if style not in STYLES:
        raise UsageError(f"-t {style}: one of {', '.join(STYLES)} is needed")
    paint = painter(color, os.environ, sys.stdout.isatty())
    clock = STYLES[style]
    rows = Rows(clock.make(), clock.width, paint, width or columns(), zone=clock.zone())
    return Text(rows, Tree(secrets) if tree else None, dump, secrets)


def shower(
    quiet: bool, color: When, connections: "Mapping[int, Connection] | None" = None
) -> "Callable[[Row], None]":
    """Prints rows one by one as they come; none of them when `quiet`. `connections` fills meanwhile."""
    from vutrace.problems import Severity
    from vutrace.rules.judge import Judge
    from vutrace.views.annotated import Annotator

    if quiet:
        return lambda row: None
    printer, annotator = (
        text_printer(False, False, "r", color, False),
        Annotator(connections if connections is not None else {}),
    )
    heading, judge = iter(printer.heading()), Judge(least=Severity.WARNING)

    def show(row: "Row") -> None:
        write(heading, iter(printer.lines(annotator.annotate(judge.judge(row)))), live=True)

    return show


def write(heading: Iterable[str], lines: Iterator[str], live: bool) -> None:
    """Lines to stdout, each at once where somebody waits for it; the heading when there is a first one."""
    assert isinstance(sys.stdout, TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=live)
    first = list(islice(lines, 1))
    say(chain(heading, first, lines))
    sys.stdout.flush()
