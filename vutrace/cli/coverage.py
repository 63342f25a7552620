"""`vutrace coverage`: what of the specification captures exercised. Only wiring."""

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.options import Color, Device, Dissectors, Output, Width
from vutrace.cli.output import columns, put, say
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.views.coverage.counting import Coverage

EXAMPLES = """Examples:

\b
  vutrace coverage start.pcapng                         what a session exercised, and what not
  vutrace coverage tests/*.pcapng                       what a test suite did
  vutrace coverage start.pcapng --all                   with how often each came
  vutrace coverage *.pcapng --format html -o coverage.html
  vutrace coverage *.pcapng --format json | jq '.sections[] | {name, seen, of}'
"""


class CoverageFormat(StrEnum):
    """How coverage is told."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


def coverage(
    files: Annotated[list[str], typer.Argument(metavar="CAPTURE...", help="Captures; - is stdin.")],
    format_: Annotated[CoverageFormat, typer.Option("--format", help="Output format.")] = CoverageFormat.TEXT,
    output: Output = "-",
    everything: Annotated[bool, typer.Option("--all", help="List everything, with counts.")] = False,
    width: Width = None,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Say which messages, values, bits, transitions and rules of the specification captures exercise."""
    from vutrace.cli.reading import load_dissectors, refuse_overwrite, refuse_stdin_twice
    from vutrace.outgoing import json_text
    from vutrace.views.coverage.counting import Coverage
    from vutrace.views.coverage.html import page
    from vutrace.views.coverage.json import coverage_json
    from vutrace.views.coverage.text import lines

    refuse_stdin_twice(files)
    registry, found = load_dissectors(dissector), Coverage()
    for file in files:
        refuse_overwrite(file, output)
        take(file, registry, device, found)
    sections = found.sections()
    if format_ is CoverageFormat.JSON:
        put(output, [json_text(coverage_json(files, found.sessions, sections)) + "\n"])
    elif format_ is CoverageFormat.HTML:
        put(output, page(files, found.sessions, sections))
    elif output == "-":
        say(lines(sections, everything, width or columns(), painter(color, os.environ, sys.stdout.isatty())))
    else:
        put(output, (f"{line}\n" for line in lines(sections, everything, width)))


coverage.__doc__ = f"{coverage.__doc__}\n\n{EXAMPLES}"


def take(file: str, registry: "Registry", device: str, found: "Coverage") -> None:
    """Count what a capture exercises."""
    from vutrace.cli.reading import judged, open_capture, rows_of

    for row in judged(rows_of(file, open_capture(file, False, None), registry, device), everything=True):
        found.feed(row)
