"""`vutrace timeline`: phases with their loops, and a lane for each ring."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import CaptureFile, Color, Device, DisplayFilter, Dissectors, Output, ReadFile
from vutrace.cli.output import note, pour, put
from vutrace.views.colour import When, bare, painter
from vutrace.views.timeline.formats import FORMATS, DrawingOptions, Format, Scale, format_of_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vutrace.cli.filtering import Frames
    from vutrace.dissection.registry import Registry
    from vutrace.session.model import RingLane, Timeline
    from vutrace.session.row import Row

EXAMPLES = """Examples:

\b
  vutrace timeline start.pcapng                         phases, loops, a lane for each ring
  vutrace timeline start.pcapng --pair 0 --scale time   one queue pair on a time scale
  vutrace timeline start.pcapng --format json | jq .
  vutrace timeline start.pcapng -o start.svg            the suffix selects the format
  vutrace timeline start.pcapng -o start.html
"""
NAMES = f"{', '.join([*FORMATS][:-1])} or {[*FORMATS][-1]}"


def timeline(
    file: CaptureFile = None,
    read: ReadFile = None,
    output: Output = "-",
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=f"{NAMES}; else by the suffix of -o.")
    ] = "",
    ring: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|NAME",
            help="Only the lane of this ring (0, or rx0); may be repeated.",
            show_default=False,
        ),
    ] = None,
    pair: Annotated[
        list[int] | None,
        typer.Option(
            min=0, metavar="N", help="Only the lanes of this queue pair; may be repeated.", show_default=False
        ),
    ] = None,
    scale: Annotated[str, typer.Option(metavar="order|time", help="The horizontal axis.")] = "order",
    width: Annotated[
        int | None,
        typer.Option(min=20, metavar="N", help="Columns; default: the terminal's.", show_default=False),
    ] = None,
    display_filter: DisplayFilter = "",
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Draw what happened: the phases with their loops, and each ring's states and messages."""
    from vutrace.cli.filtering import frames_of_filter, seekable
    from vutrace.cli.reading import choose_capture, load_dissectors, refuse_overwrite
    from vutrace.views.timeline.part import with_rings

    source = choose_capture(file, read)
    refuse_overwrite(source, output)
    if format_ and format_ not in FORMATS:
        raise UsageError(f"--format {format_}: one of {', '.join(FORMATS)} is needed")
    drawing = FORMATS[format_] if format_ else format_of(output)
    if scale not in list(Scale):
        raise UsageError(f"--scale {scale}: order or time is needed")
    if drawing.binary and output == "-" and sys.stdout.isatty():
        raise UsageError(
            f"--format {drawing.name}: stdout is a terminal; -o FILE{drawing.suffixes[0]} takes it"
        )
    registry = load_dissectors(dissector)
    columns = width or shutil.get_terminal_size().columns
    on_terminal = drawing.terminal and output == "-"
    paint = painter(color, os.environ, sys.stdout.isatty()) if on_terminal else bare
    with seekable(source, again=drawing.rereads or bool(display_filter)) as path:
        frames = frames_of_filter(path, display_filter, registry, device)
        drawn = with_rings(whole := read_timeline(path, registry, device, frames), lane_filter(ring, pair))
        if lanes(whole) and not lanes(drawn):
            note("no ring is among those that --ring and --pair name")
        options = DrawingOptions(lambda: rows(path, registry, device, frames), Scale(scale), columns, paint)
        pieces = drawing.render(drawn, options)
        if on_terminal:
            pour(cast("Iterator[str]", pieces))
        else:
            put(output, pieces)


timeline.__doc__ = f"{timeline.__doc__}\n\n{EXAMPLES}"


def format_of(output: str) -> Format:
    """The format that the name of a file tells; UsageError where it tells none."""
    found = format_of_suffix(Path(output).suffix.lower())
    if output == "-":
        return FORMATS["text"]
    if found is None:
        suffixes = ", ".join(suffix for each in FORMATS.values() for suffix in each.suffixes)
        raise UsageError(f"-o {output}: the suffix tells the format: {suffixes}; or --format FORMAT")
    return found


def lanes(timeline: "Timeline") -> int:
    """How many there are."""
    return sum(len(session.rings) for connection in timeline.connections for session in connection.sessions)


def lane_filter(rings: list[str] | None, pairs: list[int] | None) -> "Callable[[RingLane], bool]":
    """Which lanes were asked for; all where none was."""
    if rings is None and pairs is None:
        return lambda lane: True
    names = set(rings or ())
    return lambda lane: bool(names & {str(lane.ring.index), lane.ring.name}) or lane.pair in (pairs or [])


def rows(path: str, registry: "Registry", device: str, frames: "Frames") -> "Iterator[Row]":
    """The capture's rows, those that a filter lets through."""
    from vutrace.capture import read
    from vutrace.cli.filtering import filter_rows
    from vutrace.cli.reading import judged, track
    from vutrace.session.tracker import Tracker

    reader = read(path)
    return filter_rows(reader, frames, judged(track(reader, Tracker(registry, device))))


def read_timeline(
    path: str,
    registry: "Registry",
    device: str,
    frames: "Frames" = None,
    drawn: bool = True,
    until_ns: int | None = None,
) -> "Timeline":
    """The capture's timeline, of the frames that are wanted; a note on stderr when the capture is cut.

    Without `drawn` it is how each session stood at its end, and nobody looks for what is wrong. It ends at
    `until_ns` since the first record.
    """
    from vutrace.capture import read
    from vutrace.cli.filtering import filter_of
    from vutrace.cli.reading import judged, noting, track
    from vutrace.session.timeline import timeline as build
    from vutrace.session.tracker import Tracker
    from vutrace.views.timeline.part import with_rows

    reader, tracker = read(path), Tracker(registry, device)
    rows = noting(path, reader, track(reader, tracker, until_ns))
    rows = judged(rows) if drawn else rows
    if frames is None:
        return told(build(rows, tracker.connections, drawn))
    through, numbers = filter_of(reader, frames), list[int]()

    def watched() -> "Iterator[Row]":
        for row in rows:
            if through():
                numbers.append(row.number)
            yield row

    return with_rows(told(build(watched(), tracker.connections)), numbers)


def told(timeline: "Timeline") -> "Timeline":
    """The timeline; a note on stderr of what it leaves out, which not every format has a place for."""
    if timeline.connections_omitted:
        kept, more = len(timeline.connections), timeline.connections_omitted
        note(
            f"the first {kept} connections are shown, {more} more are not; vutrace show and check tell of all"
        )
    return timeline
