"""`vutrace show`: rows, everything about each message, its bytes, or JSON."""

import os
import sys
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import (
    Color,
    Device,
    DisplayFilter,
    Dissectors,
    Fold,
    Hex,
    Messages,
    OneChannel,
    OneRing,
    PlainFilter,
    ReadFile,
    Secrets,
    Sender,
    TimeStyle,
    Tree,
    Width,
)
from vutrace.cli.output import note, say
from vutrace.cli.tshark_words import (
    FieldNames,
    LineBuffered,
    NoNames,
    OutputType,
    Quiet,
    SomeDetails,
    Statistics,
    Writes,
    as_json,
    refuse_tshark,
)
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vutrace.dissection.registry import Registry
    from vutrace.matching.matcher import Chooser
    from vutrace.views.annotated import AnnotatedRow
    from vutrace.views.folding import AnswerFold
    from vutrace.views.printing import Printer
    from vutrace.views.same_sessions import SessionFold

EXAMPLES = """Examples:

\b
  vutrace show start.pcapng                             one row per message
  vutrace show start.pcapng -V --message SET_FEATURES   all fields of these messages
  vutrace show start.pcapng -x -c 5                     the bytes of the first five rows
  vutrace show start.pcapng --ring 0 -t d               one ring; time since the record before
  vutrace show start.pcapng --filter 'SET_VRING_ENABLE num=0 phase=running'
  vutrace show start.pcapng --fold                      a request and its ok on one row
  vutrace show start.pcapng --json | jq .name           one object per line
  vutrace show start.pcapng --follow                    while it is being written
  vutrace show start.pcapng --follow --board            the current state of every ring
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
  = ok, 0.3 ms                    acknowledged, 0.3 ms later (--fold, and rows as they come)
  -X                              the back-end offered feature X, the front-end did not take it
  +X (not offered)                the front-end took X, which was not offered
  as before, but +X -Y            compared with the last such message
  +15                             15 more, see -V
  ! ...                           what is wrong; see vutrace explain
  eventfd#9                       the descriptor that came along, by what it is
"""
INTERRUPTED = 130


def show(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Captures; - is stdin.", show_default=False)
    ] = None,
    read: ReadFile = None,
    tree: Tree = False,
    dump: Hex = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    samples: Annotated[
        bool, typer.Option("--samples", help="Also print a row for each sample of the rings (proxy --rings).")
    ] = False,
    output_type: OutputType = "",
    names: FieldNames = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Continue while the capture grows, until Ctrl-C.")
    ] = False,
    fold: Fold = None,
    board: Annotated[
        bool, typer.Option("--board", help="Show the live board of rings instead of rows.")
    ] = False,
    time: TimeStyle = "r",
    count: Annotated[
        int | None, typer.Option("-c", "--count", min=1, help="Stop after N rows.", show_default=False)
    ] = None,
    message: Messages = None,
    ring: OneRing = "",
    channel: OneChannel = None,
    sender: Sender = None,
    filter_: PlainFilter = "",
    display_filter: DisplayFilter = "",
    device: Device = "",
    dissector: Dissectors = None,
    secrets: Secrets = False,
    color: Color = When.AUTO,
    width: Width = None,
    buffered: LineBuffered = False,
    numeric: NoNames = False,
    quiet: Quiet = False,
    statistics: Statistics = None,
    details: SomeDetails = "",
    writes: Writes = "",
    done_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    ends: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Show captures: one row per message."""
    from vutrace.cli.board import board_of
    from vutrace.cli.filtering import row_filter, seekable
    from vutrace.cli.printers import field_printer, json_printer, text_printer, write
    from vutrace.cli.reading import choose_captures, is_live, load_dissectors, open_capture
    from vutrace.views.folding import AnswerFold
    from vutrace.views.same_sessions import SessionFold
    from vutrace.views.samples import is_worth_a_row

    refuse_tshark(quiet, statistics, details, writes)
    if fold and (tree or dump or json or output_type or names):
        raise UsageError("--fold is for rows alone: JSON, fields, -V and -x have every message")
    as_objects = as_json(output_type, names, json, tree or dump)
    paths = choose_captures(files, read)
    if len(paths) > 1 and (follow or board):
        raise UsageError(f"one capture at a time goes with {'--board' if board else '--follow'}")
    registry = load_dissectors(dissector)
    wanted = row_filter(registry, message, ring, channel, sender, filter_)
    if board and (
        tree or dump or as_objects or names or count or display_filter or fold is not None or not wanted.all
    ):
        raise UsageError("--board shows rings, not rows: nothing that chooses or formats rows goes with it")
    paint = painter(color, os.environ, sys.stdout.isatty())
    try:
        for name in paths:
            live = is_live(name, follow)
            if board:
                return board_of(
                    name, open_capture(name, follow, done_fd), registry, device, live, paint, ends
                )
            several = len(paths) > 1
            if as_objects:
                printer = json_printer(secrets, name if several else "")
            elif names:
                printer = field_printer(names, secrets)
            else:
                printer = text_printer(tree, dump, time, color, secrets, width)
            with seekable(name, bool(display_filter)) as path:
                rows = ChosenRows(name, path, registry, device, wanted, tree or as_objects)
                plain = follow and not (tree or dump or as_objects or names)
                same = SessionFold() if plain else None  # somebody watches
                answers = AnswerFold() if (plain if fold is None else fold) else None
                late = partial(say_late, answers, same, printer) if same else None
                shown = rows.read(follow, done_fd, display_filter, late)
                if not (samples or as_objects or names):
                    shown = filter(is_worth_a_row, shown)
                shown = answers.rows(shown) if answers else shown
                shown = same.rows(shown) if same else shown
                heading = printer.heading()
                if several and not (as_objects or names):
                    heading = chain([paint(f"== {name}", "heading")], heading)
                lines = chain.from_iterable(map(printer.lines, islice(shown, count)))
                write(heading, lines, live or buffered)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


show.__doc__ = f"{show.__doc__}\n\n{EXAMPLES}\n{LEGEND}"


def say_late(answers: "AnswerFold | None", same: "SessionFold", printer: "Printer") -> None:
    """What was held back in vain, as it is time to say it."""
    alone = chain.from_iterable(map(same.feed, answers.overdue())) if answers else ()
    say(chain.from_iterable(map(printer.lines, chain(alone, same.overdue()))))


class ChosenRows:
    """The annotated rows of capture `name`, read at `path`, that are wanted; `everything`: infos, too."""

    def __init__(
        self, name: str, path: str, registry: "Registry", device: str, wanted: "Chooser", everything: bool
    ) -> None:
        self.name, self.path, self.registry, self.device = name, path, registry, device
        self.wanted, self.everything = wanted, everything

    def read(
        self, follow: bool, done_fd: int | None, display_filter: str, idle: "Callable[[], None] | None" = None
    ) -> "Iterator[AnnotatedRow]":
        """Read them, to the end or for as long as the capture grows; `idle` is called when nothing comes."""
        from vutrace.cli.filtering import display_filter_of
        from vutrace.cli.reading import judged, noting, open_capture, rows_to_print, track
        from vutrace.session.tracker import Tracker
        from vutrace.views.annotated import Annotator

        wanted, reader = self.wanted, open_capture(self.path, follow, done_fd, idle)
        lets = display_filter_of(display_filter, self.path, reader, self.registry, self.device, follow)
        tracker = Tracker(self.registry, self.device)
        if wanted.matcher.needs_state:  # as it stands at each row
            rows = judged(noting(self.name, reader, track(reader, tracker)), self.everything)
        else:
            rows = rows_to_print(self.name, reader, tracker, self.everything)
        annotated = Annotator(tracker.connections).annotate_all(rows)
        if display_filter or not wanted.all:
            return self.chosen(annotated, lets)
        return iter(annotated)

    def chosen(self, rows: "Iterable[AnnotatedRow]", lets: "Callable[[], bool]") -> "Iterator[AnnotatedRow]":
        """Those that are wanted; a note where there is none."""
        none = True
        for row in rows:
            if lets() and self.wanted.wants(row.row):
                none = False
                yield row
        if none:
            note(f"{self.name}: no row is what was asked for")
