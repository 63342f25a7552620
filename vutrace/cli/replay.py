"""`vutrace replay`: a capture at its own pace, or acted out against a live peer. Only wiring."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import CaptureFile, Color, Dissectors, ReadFile
from vutrace.records import Connection, Record, Side
from vutrace.views.colour import When

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.replay.act import Stage
    from vutrace.replay.pace import Pace
    from vutrace.replay.paced import Window
    from vutrace.replay.script import Script
    from vutrace.session.row import Row
    from vutrace.session.tracker import Tracker

EXAMPLES = """Examples:

\b
  vutrace replay start.pcapng                           the rows at their own pace; space pauses, s steps
  vutrace replay start.pcapng --speed 10x --from 2 --to 5
  vutrace replay start.pcapng --board                   every ring as it stands at that moment
  vutrace replay start.pcapng -w live.pcapng            a capture that grows, for any view with --follow
  vutrace replay start.pcapng --as frontend --to vhost.sock      act QEMU for a DPDK that listens
  vutrace replay start.pcapng --as backend --to qemu.sock        act DPDK for a QEMU that connects
  vutrace replay start.pcapng --as frontend --to listen:s -w again.pcapng
  vutrace replay start.pcapng --as frontend --to vhost.sock --mutate 1 --runs 1000
"""

Sink = Callable[[Connection | Record], None]
Show = Callable[["Row"], None]
Take = Callable[["Iterator[Row]"], None]


def replay(
    file: CaptureFile = None,
    read: ReadFile = None,
    role: Annotated[Side | None, typer.Option("--as", help="Act this side out.", show_default=False)] = None,
    to: Annotated[
        str,
        typer.Option(
            metavar="ENDPOINT|T",
            help="With --as, the live peer: PATH, listen:PATH, connect:PATH or fd:N (a PATH alone is "
            "connected to as front-end, listened on as back-end). Without, the second to end at.",
        ),
    ] = "",
    start: Annotated[float, typer.Option("--from", metavar="T", help="The second to begin at.")] = 0.0,
    speed: Annotated[
        str, typer.Option(metavar="2x|max", help="1x unless acting, then max.", show_default=False)
    ] = "",
    write: Annotated[
        str, typer.Option("-w", "--write", metavar="FILE", help="Record the replay itself.")
    ] = "",
    board: Annotated[
        bool, typer.Option("--board", help="The board of rings, instead of rows (not with --as).")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows.")] = False,
    connection: Annotated[
        str, typer.Option(metavar="LETTER", help="Which connection to act out, if there are several.")
    ] = "",
    session: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only this session.", show_default=False)
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, metavar="S", help="How long the peer may take to answer.")
    ] = 10.0,
    idle: Annotated[
        float, typer.Option(min=0.001, metavar="S", help="How long a front-end may say nothing.")
    ] = 600.0,
    mutate: Annotated[
        int | None,
        typer.Option(metavar="SEED", help="Change some messages at random; a seed does the same again."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="So many mutated replays, SEED, SEED + 1, …")] = 1,
    device: Annotated[str, typer.Option(metavar="NAME", help="What was traced (net, blk, ...).")] = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Show a capture at its pace, or act one side of it out against a live peer."""
    from vutrace.cli.reading import chosen, load_dissectors
    from vutrace.replay.act import Actor, perform
    from vutrace.replay.fuzz import fuzz
    from vutrace.replay.pace import Pace
    from vutrace.session.tracker import Tracker

    name, registry = chosen(file, read), load_dissectors(dissector)
    if role is not Side.FRONTEND and mutate is not None:
        raise UsageError("--mutate needs --as frontend and --to ENDPOINT")
    quiet = quiet or write == "-"
    with interruptible(), writing(write) as sink:
        if role is None:
            tracker, pace = Tracker(registry, device), Pace(speed_of(speed or "1x"))
            take = on_board(tracker, color) if board else on_rows(quiet, color)
            return show_paced(name, tracker, part_of(start, to), pace, sink, take, board)
        recorded = recordings(name, registry, device, connection, session)
        stage = stage_of(role, to, speed, timeout, idle, mutate is not None)
        with closing(Actor(stage, registry, recorded[0].device, sink, shower(quiet, color))) as actor:
            if mutate is None:
                status = perform(actor, recorded, say)
            else:
                status = fuzz(actor, recorded, range(mutate, mutate + runs), say)
    raise typer.Exit(status)


replay.__doc__ = f"{replay.__doc__}\n\n{EXAMPLES}"


def recordings(
    name: str, registry: "Registry", device: str, letter: str, session: int | None
) -> "list[Script]":
    """The sessions to act out."""
    from vutrace.cli.reading import open_capture, rows_of
    from vutrace.replay.act import foreign
    from vutrace.replay.script import chosen, connections, scripts

    found = scripts(rows_of(name, open_capture(name, False, None), registry, device))
    letters = connections(found)
    if len(letters) > 1 and not letter:
        raise UsageError(f"{name} has connections {', '.join(letters)}: --connection chooses one")
    wanted = chosen(found, letter, session)
    if not wanted:
        raise UsageError(f"{name} has no such session with messages")
    for why in foreign(wanted):
        raise UsageError(f"{name}: {why}")
    return wanted


def stage_of(role: Side, to: str, speed: str, timeout: float, idle: float, often: bool) -> "Stage":
    """What to act, where; `often`: there are to be many runs, so none is lingered over."""
    from vutrace.proxy.endpoints import How, parse_endpoint
    from vutrace.replay.act import Stage
    from vutrace.replay.frontend import SETTLE

    if not to:
        raise UsageError("--as needs --to ENDPOINT, the live peer")
    try:
        endpoint = parse_endpoint(to, How.CONNECT if role is Side.FRONTEND else How.LISTEN)
    except ValueError as error:
        raise UsageError(str(error)) from None
    settle = SETTLE / 20 if often else SETTLE
    return Stage(role, endpoint, timeout, idle, settle, speed_of(speed or "max"))


def speed_of(speed: str) -> float:
    """How often as fast; 0 for no waiting."""
    from vutrace.replay.pace import factor

    try:
        return factor(speed)
    except ValueError:
        raise UsageError(f"--speed {speed}: 2x, 0.5x or max") from None


def say(line: str) -> None:
    """A line on stderr."""
    typer.echo(line, err=True)


def show_paced(
    name: str, tracker: "Tracker", part: "Window", pace: "Pace", sink: Sink, take: Take, all_rows: bool
) -> None:
    """Show the rows at their pace, of the part or all; with a terminal, keys pause and step."""
    from vutrace.cli.reading import note, noting, open_capture
    from vutrace.replay.keyboard import keyboard
    from vutrace.replay.pace import KEYS
    from vutrace.replay.paced import paced

    reader = open_capture(name, False, None)
    with keyboard(name == "-") as keys:

        def rows() -> "Iterator[Row]":
            for item, due in paced(reader, pace, keys, part):
                sink(item)
                yield from (row for row in tracker.rows([item]) if due or all_rows)

        if keys.fd >= 0:
            note(KEYS)
        take(noting(name, reader, rows()))


def on_board(tracker: "Tracker", color: When) -> Take:
    """Shows how the rings stand while rows come."""
    from vutrace.cli.board import show_board
    from vutrace.replay.paced import as_now
    from vutrace.views.board import Board
    from vutrace.views.colour import painter

    paint, board = painter(color, os.environ, sys.stdout.isatty()), Board(tracker.connections)
    return lambda rows: show_board(map(as_now, rows), board, True, paint, sys.stdout)


def part_of(start: float, to: str) -> "Window":
    """The part between --from and --to."""
    from vutrace.replay.paced import window

    try:
        return window(start, to)
    except ValueError:
        raise UsageError(f"--to {to}: a second to end at, or an endpoint together with --as") from None


@contextmanager
def writing(path: str) -> Iterator[Sink]:
    """Where the replay is recorded; nowhere without a path."""
    from vutrace.capture import Writer

    if not path:
        yield lambda item: None
        return
    with Writer(path) as writer:
        yield writer.write


def shower(quiet: bool, color: When) -> Show:
    """Prints rows as they come."""
    from vutrace.cli.show import text_printer
    from vutrace.views.sight import Onlooker

    if quiet:
        return lambda row: None
    printer, onlooker = text_printer(False, False, "r", color, False), Onlooker()
    for line in printer.heading():
        print(line, flush=True)

    def show(row: "Row") -> None:
        for line in printer.lines(onlooker.see(row)):
            print(line, flush=True)

    return show


def on_rows(quiet: bool, color: When) -> Take:
    """Prints each row when it comes."""

    def take(rows: "Iterator[Row]") -> None:
        show = shower(quiet, color)
        for row in rows:
            show(row)

    return take


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals end it with their status; what was written is whole."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
