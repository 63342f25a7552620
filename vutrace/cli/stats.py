"""`vutrace stats`: counts, sizes and latencies."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.options import Color, Device, Dissectors, PlainFilter, Width
from vutrace.cli.output import columns, put, say
from vutrace.views.colour import When, painter
from vutrace.views.stats.grouping import Grouping

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.views.stats.figures import Stats

EXAMPLES = """Examples:

\b
  vutrace stats start.pcapng                       by message, by ring, by session
  vutrace stats start.pcapng --by message          the slowest replies first
  vutrace stats start.pcapng --filter 'phase=start'
  vutrace stats *.pcapng --json | jq '.by_message[] | select(.latency.p99 > 0.1)'
"""


def stats(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Captures; - is stdin.")],
    by: Annotated[
        list[Grouping] | None, typer.Option(help="Only this table; may be repeated.", show_default=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each capture.")] = False,
    filter_: PlainFilter = "",
    width: Width = None,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Count messages, replies and bytes, and measure reply times: p50, p90, p99 and maximum."""
    from vutrace.cli.reading import load_dissectors, refuse_stdin_twice
    from vutrace.outgoing import json_text
    from vutrace.views.stats.json import stats_json
    from vutrace.views.stats.text import lines

    refuse_stdin_twice(files)
    registry, groupings = load_dissectors(dissector), list(dict.fromkeys(by or Grouping))
    paint = painter(color, os.environ, sys.stdout.isatty())
    for number, file in enumerate(files):
        found = read_stats(file, registry, device, filter_)
        if json:
            put("-", [json_text(stats_json(file, found, groupings)) + "\n"])
            continue
        if len(files) > 1:
            say([*([""] if number else []), paint(file, "heading")])
        say(lines(found, groupings, width or columns(), paint))


stats.__doc__ = f"{stats.__doc__}\n\n{EXAMPLES}"


def read_stats(file: str, registry: "Registry", device: str, filter_: str) -> "Stats":
    """The figures of a capture, of the rows that are chosen."""
    from vutrace.cli.filtering import row_filter
    from vutrace.cli.reading import open_capture, rows_of
    from vutrace.views.stats.figures import stats_of

    wanted = row_filter(registry, text=filter_)
    rows = rows_of(file, open_capture(file, False, None), registry, device)
    return stats_of(rows if wanted.all else (row for row in rows if wanted.wants(row)))
