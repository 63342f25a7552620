"""`vutrace show`: rows, everything about each message, its bytes, or JSON."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import TextIOWrapper
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import (
    CaptureFile,
    Color,
    Device,
    DisplayFilter,
    Dissectors,
    Messages,
    OneChannel,
    OneRing,
    PlainFilter,
    ReadFile,
    Secrets,
    Sender,
    Width,
)
from vutrace.outgoing import page
from vutrace.records import Channel, Side
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.matching.matcher import Chooser
    from vutrace.session.row import Row
    from vutrace.views.printing import Printer

EXAMPLES = """Examples:

\b
  vutrace show start.pcapng                             one row per message
  vutrace show start.pcapng -V --message SET_FEATURES   everything in some messages
  vutrace show start.pcapng -x -c 5                     the bytes of the first five rows
  vutrace show start.pcapng --ring 0 -t d               one ring; time since the record before
  vutrace show start.pcapng --filter 'SET_VRING_ENABLE num=0 phase=running'
  vutrace show start.pcapng --fold                      a request and its ok on one row
  vutrace show start.pcapng --json | jq .name           one object per line
  vutrace show start.pcapng --follow                    while it is being written
  vutrace show start.pcapng --follow --board            every ring as it stands now
  vutrace show start.pcapng.gz                          .zst and .xz, too
  ssh host cat start.pcapng | vutrace show -            from a pipe
"""
LEGEND = """How to read a row:

\b
  >  from the front-end           <  from the back-end
  @> @<  the same, on the back-end channel or the GPU channel
  =  no message: opened, closed, an error, a note
  reply, need-reply               an answer; a request that asks for an acknowledgement
  [31, +0.302 ms]                 answers row 31, 0.302 ms later
  [miss 90, +0.1 ms]              the IOTLB update that the miss in row 90 asked for
  = ok, 0.3 ms                    (--fold) acknowledged, 0.3 ms later
  -X                              the back-end offered feature X, the front-end did not take it
  +X (not offered)                the front-end took X, which was not offered
  as before, but +X -Y            compared with the last such message
  +15                             15 more, see -V
  ! ...                           what is wrong; see vutrace explain
  eventfd#9                       the descriptor that came along, by what it is
"""
TIME = (
    "The time column: r, seconds since the first record; d, since the record before; dd, since the row "
    "before; a, the time of day; ad, date and time; u and ud, the same in UTC; e, seconds since 1970."
)
INTERRUPTED = 130


def show(
    file: CaptureFile = None,
    read: ReadFile = None,
    tree: Annotated[bool, typer.Option("-V", "--tree", help="Everything about each message.")] = False,
    dump: Annotated[bool, typer.Option("-x", "--hex", help="The bytes of each message.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="A row for every sample of rings, too (proxy --rings).")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on while the capture grows, until Ctrl-C.")
    ] = False,
    fold: Annotated[
        bool, typer.Option("--fold", help="A request and the ok that answers it on one row.")
    ] = False,
    board: Annotated[bool, typer.Option("--board", help="The live board of rings, instead of rows.")] = False,
    time: Annotated[str, typer.Option("-t", "--time", metavar="STYLE", help=TIME)] = "r",
    count: Annotated[
        int | None, typer.Option("-c", "--count", min=1, help="Stop after so many rows.", show_default=False)
    ] = None,
    message: Messages = None,
    ring: OneRing = None,
    channel: OneChannel = None,
    sender: Sender = None,
    filter_: PlainFilter = "",
    display_filter: DisplayFilter = "",
    device: Device = "",
    dissector: Dissectors = None,
    secrets: Secrets = False,
    color: Color = When.AUTO,
    width: Width = None,
    done_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Show a capture: one row per message."""
    from vutrace.cli.board import board_of
    from vutrace.cli.filtering import display_filter_of, seekable
    from vutrace.cli.reading import (
        choose_capture,
        is_live,
        judged,
        load_dissectors,
        noting,
        open_capture,
        rows_to_print,
        track,
    )
    from vutrace.session.tracker import Tracker
    from vutrace.views.annotated import Annotator
    from vutrace.views.folding import folded
    from vutrace.views.samples import is_worth_a_row

    name = choose_capture(file, read)
    registry = load_dissectors(dissector)
    wanted = row_filter(registry, message, ring, channel, sender, filter_)
    printer = json_printer(secrets) if json else text_printer(tree, dump, time, color, secrets, width)
    if board and (tree or dump or json or count or display_filter or not wanted.all):
        raise UsageError("--board shows rings, not rows: nothing that chooses or formats rows goes with it")
    try:
        if board:
            live, paint = is_live(name, follow), painter(color, os.environ, sys.stdout.isatty())
            return board_of(name, open_capture(name, follow, done_fd), registry, device, live, paint)
        with seekable(name, bool(display_filter)) as path:
            reader = open_capture(path, follow, done_fd)
            lets = display_filter_of(display_filter, path, reader, registry, device, follow)
            everything, tracker = tree or json, Tracker(registry, device)
            if wanted.matcher.needs_state:  # as it stands at each row
                rows = judged(noting(name, reader, track(reader, tracker)), everything)
            else:
                rows = rows_to_print(name, reader, tracker, everything)
            annotated = Annotator(tracker.connections).annotate_all(rows)
            if display_filter or not wanted.all:
                annotated = (row for row in annotated if lets() and wanted.wants(row.row))
            if not (samples or json):
                annotated = filter(is_worth_a_row, annotated)
            annotated = folded(annotated) if fold else annotated
            lines = chain.from_iterable(map(printer.lines, islice(annotated, count)))
            write(printer.heading(), lines, is_live(path, follow))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


show.__doc__ = f"{show.__doc__}\n\n{EXAMPLES}\n{LEGEND}"


def row_filter(
    registry: "Registry",
    names: list[str] | None,
    ring: int | None,
    channel: Channel | None,
    sender: Side | None,
    text: str = "",
) -> "Chooser":
    """The plain filters."""
    from vutrace.matching.grammar import parse_match
    from vutrace.matching.matcher import Chooser
    from vutrace.matching.names import messages_called

    matcher = parse_match(text, registry)
    if names:
        called = messages_called(names, registry)
        matcher = replace(matcher, messages=matcher.messages & called if matcher.messages else called)
    if ring is not None:
        matcher = replace(matcher, rings=frozenset({ring}))
    return Chooser(replace(matcher, channel=channel or matcher.channel, sender=sender or matcher.sender))


def json_printer(secrets: bool) -> "Printer":
    """One object per line."""
    from vutrace.views.json_lines import JsonLines

    return JsonLines(secrets)


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
    rows = Rows(STYLES[style].make(), STYLES[style].width, paint, width or columns())
    return Text(rows, Tree(secrets) if tree else None, dump, secrets)


def shower(quiet: bool, color: When) -> "Callable[[Row], None]":
    """Prints rows one by one as they come; none of them when `quiet`."""
    from vutrace.problems import Severity
    from vutrace.rules.judge import Judge
    from vutrace.views.annotated import Annotator

    if quiet:
        return lambda row: None
    printer, annotator = text_printer(False, False, "r", color, False), Annotator()
    heading, judge = iter(printer.heading()), Judge(least=Severity.WARNING)

    def show(row: "Row") -> None:
        write(heading, iter(printer.lines(annotator.annotate(judge.judge(row)))), live=True)

    return show


def write(heading: Iterable[str], lines: Iterator[str], live: bool) -> None:
    """Lines to stdout, each at once where somebody waits for it; the heading when there is a first one."""
    assert isinstance(sys.stdout, TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=live)
    first = list(islice(lines, 1))
    for line in chain(heading, first, lines):
        sys.stdout.write(page(line, painted=True) + "\n")
    sys.stdout.flush()
