"""`vutrace replay`: a capture at its own pace, or acted out against a live peer. Only wiring."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.records import Connection, Record, Side
from vutrace.views.colour import When

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.replay.act import Actor, Stage
    from vutrace.replay.paced import Window
    from vutrace.replay.script import Script
    from vutrace.session.row import Row
    from vutrace.session.tracker import Tracker

EXAMPLES = """Examples:

\b
  vutrace replay start.pcapng                           the rows at their own pace; space pauses, s steps
  vutrace replay start.pcapng --speed 10x --from 2 --to 5
  vutrace replay start.pcapng -w live.pcapng            a capture that grows, for any view with --follow
  vutrace replay start.pcapng --as frontend --to vhost.sock      act QEMU for a DPDK that listens
  vutrace replay start.pcapng --as backend --to qemu.sock        act DPDK for a QEMU that connects
  vutrace replay start.pcapng --as frontend --to listen:s -w again.pcapng
  vutrace replay start.pcapng --as frontend --to vhost.sock --mutate 1 --runs 1000
"""
EXIT_DIFFERENT, EXIT_PEER = 1, 4

Sink = Callable[[Connection | Record], None]
Show = Callable[["Row"], None]


def replay(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A capture; - is stdin.", show_default=False)
    ] = None,
    read: Annotated[
        str | None, typer.Option("-r", "--read", metavar="FILE", help="The same.", show_default=False)
    ] = None,
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
    dissector: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.py", help="A dissector to load; may be repeated.", show_default=False),
    ] = None,
    color: Annotated[When, typer.Option(help="Colour; NO_COLOR is honoured.")] = When.AUTO,
) -> None:
    """Show a capture at its pace, or act one side of it out against a live peer."""
    from vutrace.cli.reading import chosen, load_dissectors
    from vutrace.replay.act import Actor
    from vutrace.session.tracker import Tracker

    name, registry = chosen(file, read), load_dissectors(dissector)
    if role is not Side.FRONTEND and mutate is not None:
        raise UsageError("--mutate needs --as frontend and --to ENDPOINT")
    show = shower(quiet or write == "-", color)
    with interruptible(), writing(write) as sink:
        if role is None:
            part, tracker = part_of(start, to), Tracker(registry, device)
            show_paced(name, tracker, part, speed_of(speed or "1x"), sink, show)
            return
        recorded = recordings(name, registry, device, connection, session)
        stage = stage_of(role, to, speed, timeout, idle, mutate is not None)
        with closing(Actor(stage, registry, recorded[0].device, sink, show)) as actor:
            status = acted(actor, recorded) if mutate is None else fuzzed(actor, recorded, mutate, runs)
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


def acted(actor: "Actor", recorded: "list[Script]") -> int:
    """Act it out, tell what came of it; the exit status."""
    from vutrace.peers import PeerError
    from vutrace.replay.outcome import Outcome, lines

    outcome, broke = Outcome(), ""
    try:
        actor.act(recorded, outcome)
    except PeerError as error:
        broke = str(error)
    for line in lines(outcome):
        typer.echo(line, err=True)
    if broke:
        typer.echo(f"vutrace: {broke}", err=True)
        return EXIT_PEER
    return EXIT_DIFFERENT if outcome.different else 0


def fuzzed(actor: "Actor", recorded: "list[Script]", seed: int, runs: int) -> int:
    """Act it out damaged, a line for each run; the exit status tells whether the back-end is still there."""
    from vutrace.peers import PeerError
    from vutrace.replay.fuzz import run

    try:
        for number in range(seed, seed + runs):
            typer.echo(run(actor, recorded, number), err=True)
    except PeerError as error:
        typer.echo(f"vutrace: seed {number}: {error}", err=True)
        return EXIT_PEER
    return 0


def show_paced(name: str, tracker: "Tracker", part: "Window", speed: float, sink: Sink, show: Show) -> None:
    """Show it at its pace; with a terminal, keys pause and step."""
    from vutrace.cli.reading import note, noting, open_capture
    from vutrace.replay.keyboard import keyboard
    from vutrace.replay.pace import KEYS, Pace
    from vutrace.replay.paced import paced

    reader = open_capture(name, False, None)
    with keyboard(name == "-") as keys:

        def rows() -> "Iterator[Row]":
            for item, due in paced(reader, Pace(speed), keys, part):
                sink(item)
                yield from (row for row in tracker.rows([item]) if due)

        if keys.fd >= 0:
            note(KEYS)
        for row in noting(name, reader, rows()):
            show(row)


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


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals end it with their status; what was written is whole."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
