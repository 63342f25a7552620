"""`vutrace replay`: a capture at its own pace, or acted out against a live peer. Only wiring.

`replay_paced.py` is the one half, `replay_acted.py` the other.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import CaptureFile, Color, Device, Dissectors, ReadFile
from vutrace.cli.output import refuse_output
from vutrace.records import Connection, Record, Side
from vutrace.views.colour import When

EXAMPLES = """Examples:

\b
  vutrace replay start.pcapng                           the rows at their own pace; space pauses, s steps
  vutrace replay start.pcapng --speed 10x --from 2 --to 5
  vutrace replay start.pcapng --board                   the state of every ring at that moment
  vutrace replay start.pcapng -w live.pcapng            a growing capture, for any view with --follow
  vutrace replay start.pcapng --as frontend --to vhost.sock      play QEMU to a DPDK that listens
  vutrace replay start.pcapng --as backend --to qemu.sock        play DPDK to a QEMU that connects
  vutrace replay start.pcapng --as frontend --to listen:s -w again.pcapng
  vutrace replay start.pcapng --as frontend --to vhost.sock --mutate 1 --runs 1000
"""

# Options by parameter that only one of the two halves takes.
ACTED = {name: f"--{name}" for name in ("connection", "session", "timeout", "idle", "mutate", "runs")}
PACED = {"start": "--from", "board": "--board"}
LONGEST = 1_000_000  # seconds to wait for a peer

Sink = Callable[[Connection | Record], None]


def replay(
    context: typer.Context,
    file: CaptureFile = None,
    read: ReadFile = None,
    role: Annotated[Side | None, typer.Option("--as", help="Play this side.", show_default=False)] = None,
    to: Annotated[
        str,
        typer.Option(
            metavar="ENDPOINT|T",
            help="With --as, the live peer: PATH, listen:PATH, connect:PATH or fd:N (a PATH alone is "
            "connected to as front-end, listened on as back-end). Without, the second to end at.",
        ),
    ] = "",
    start: Annotated[
        float, typer.Option("--from", min=0, metavar="T", help="The second to start at (not with --as).")
    ] = 0.0,
    speed: Annotated[
        str, typer.Option(metavar="2x|max", help="Default: 1x; with --as, max.", show_default=False)
    ] = "",
    write: Annotated[str, typer.Option("-w", "--write", metavar="FILE", help="Record the replay.")] = "",
    board: Annotated[
        bool, typer.Option("--board", help="Show the board of rings instead of rows (not with --as).")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows.")] = False,
    connection: Annotated[
        str, typer.Option(metavar="LETTER", help="Which connection to play, if there are several.")
    ] = "",
    session: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Play only this session.", show_default=False)
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, max=LONGEST, metavar="S", help="How long the peer may take to answer.")
    ] = 10.0,
    idle: Annotated[
        float, typer.Option(min=0.001, max=LONGEST, metavar="S", help="How long a front-end may stay silent.")
    ] = 600.0,
    mutate: Annotated[
        int | None,
        typer.Option(
            metavar="SEED", help="Change some messages at random; the same seed makes the same changes."
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Number of mutated replays: SEED, SEED + 1, …")] = 1,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Play a capture back at its own pace, or play one side of it to a live peer."""
    from vutrace.cli.reading import choose_capture, load_dissectors
    from vutrace.cli.replay_acted import act_out, recordings, seeds_of, stage_of
    from vutrace.cli.replay_paced import part_of, show_paced
    from vutrace.replay.pace import Pace
    from vutrace.session.tracker import Tracker

    refuse_misplaced(context, role)
    refuse_output(write, quiet, board)
    name, registry = choose_capture(file, read), load_dissectors(dissector)
    quiet = quiet or write == "-"
    if role is None:
        part, pace = part_of(start, to), Pace(speed_of(speed or "1x"))
        tracker = Tracker(registry, device)
        with interruptible(), writing(write, name) as sink:
            show_paced(name, tracker, part, pace, sink, board, quiet, color)
        return
    seeds = seeds_of(role, mutate, runs)
    stage = stage_of(role, to, speed_of(speed or "max"), timeout, idle, often=bool(seeds))
    recorded = recordings(name, registry, device, connection, session, role)
    with interruptible(), writing(write, name) as sink:
        status = act_out(stage, registry, recorded, seeds, sink, quiet, color)
    raise typer.Exit(status)


replay.__doc__ = f"{replay.__doc__}\n\n{EXAMPLES}"


def refuse_misplaced(context: typer.Context, role: Side | None) -> None:
    """UsageError for an option that would do nothing."""
    for name, option in (ACTED if role is None else PACED).items():
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            why = "needs --as frontend or --as backend" if role is None else "does not go with --as"
            raise UsageError(f"{option} {why}")


def speed_of(speed: str) -> float:
    """How often as fast; 0 for no waiting."""
    from vutrace.replay.pace import factor

    try:
        return factor(speed)
    except ValueError:
        raise UsageError(f"--speed {speed}: 2x, 0.5x or max") from None


@contextmanager
def writing(path: str, source: str) -> Iterator[Sink]:
    """Where the replay of the capture `source` is recorded; nowhere without a path."""
    from vutrace.capture import Writer
    from vutrace.cli.reading import refuse_overwrite

    if not path:
        yield lambda item: None
        return
    refuse_overwrite(source, path, "-w")
    with Writer(path) as writer:
        yield writer.write


@contextmanager
def interruptible() -> Iterator[None]:
    """Signals end it with their status; what was written is whole."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
