"""`vutrace minimise`: the smallest part of a capture after which a live peer still fails. Only wiring."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Device, Dissectors
from vutrace.cli.output import note, put, tell
from vutrace.records import Side

if TYPE_CHECKING:
    from vutrace.replay.trial import PeerFailure

EXAMPLES = """Examples:

\b
  vutrace minimise 6.pcapng --start 'qemu-storage-daemon … addr.path={socket}' --until 'signal SEGV'
  vutrace minimise 6.pcapng --start './backend --socket-path={socket}' --until 'exit 4' --script small.py
  vutrace minimise start.pcapng --to vhost.sock --until closed      a back-end that runs already
  vutrace minimise start.pcapng --to vhost.sock --until-finding reply.never-came
"""
FINE, NO = 0, 1


def minimise(
    file: Annotated[str, typer.Argument(metavar="CAPTURE", help="A capture after which the peer fails.")],
    to: Annotated[str, typer.Option(metavar="ENDPOINT", help="A back-end that is already running.")] = "",
    start: Annotated[
        str,
        typer.Option(
            metavar="CMD", help="Start the back-end anew for each trial; {socket} is its socket's path."
        ),
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="WHAT", help="Failure: 'exit N', 'signal NAME', 'closed' or 'gone'.")
    ] = "",
    until_finding: Annotated[
        str, typer.Option(metavar="RULE", help="Failure: check finds this rule broken.")
    ] = "",
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="Write the capture to this file.")
    ] = "",
    script: Annotated[str, typer.Option(metavar="OUT.py", help="Write a program that plays it.")] = "",
    mutate: Annotated[
        int | None, typer.Option(metavar="SEED", help="Change it at random first, as replay --mutate does.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.01, metavar="S", help="How long the peer may take to answer.")
    ] = 1.0,
    session: Annotated[int | None, typer.Option(min=1, metavar="N", show_default=False)] = None,
    connection: Annotated[str, typer.Option(metavar="LETTER")] = "",
    device: Device = "",
    dissector: Dissectors = None,
) -> None:
    """Find the shortest part of a capture that makes a live back-end fail; exit status 1 if none does."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.cli.replay import interruptible, writing
    from vutrace.cli.replay_acted import recordings, stage_of
    from vutrace.replay.minimise import AskedOnce, fewest, plainest, with_main
    from vutrace.replay.mutate import mutated
    from vutrace.replay.program import program
    from vutrace.replay.trial import PLACE, TrialBench

    failure = failure_of_options(until, until_finding, start)
    if not to and PLACE not in start:
        raise UsageError("minimise needs --to ENDPOINT, or --start CMD with {socket} where its path belongs")
    registry = load_dissectors(dissector)
    stage = stage_of(Side.FRONTEND, to or "unused", 0.0, timeout, timeout, often=True)
    scripts = recordings(file, registry, device, connection, session)
    if mutate is not None:
        scripts = [mutated(each, mutate)[0] for each in scripts]
    bench = TrialBench(stage, registry, scripts[0].device, failure, start)
    everything = [exchange for each in scripts for exchange in each.main]
    asked = AskedOnce(lambda chosen: bench.fails(with_main(scripts, chosen), lambda item: None))
    with interruptible():
        if not asked(everything):
            note(f"{file}: the peer does not fail ({failure.text}) after these {len(everything)} requests")
            raise typer.Exit(NO)
        small = plainest(fewest(everything, asked), asked)
        told = (
            f"{len(everything)} requests became {len(small)} in {asked.runs} runs; it fails: {failure.text}"
        )
        if output:
            with writing(output, file) as sink:
                bench.fails(with_main(scripts, small), sink)
    if script:
        put(script, [program(small, told, Path(script).name)])
    for exchange in small:
        message = exchange.message
        values = ", ".join(
            f"{name} {value:#x}" if isinstance(value, int) else name for name, value in message.fields.items()
        )
        tell(f"[{exchange.row.number}] {message.name}: {values}".rstrip(": "))
    note(told)
    raise typer.Exit(FINE)


minimise.__doc__ = f"{minimise.__doc__}\n\n{EXAMPLES}"


def failure_of_options(until: str, finding: str, start: str) -> "PeerFailure":
    """What counts as failing; UsageError where the options do not say it."""
    from vutrace.replay.trial import PeerFailure, failure_of

    if bool(until) == bool(finding):
        raise UsageError(
            "--until 'exit N', 'signal NAME', 'closed' or 'gone', or --until-finding RULE: one of them"
        )
    if finding:
        return PeerFailure("finding", finding)
    try:
        failure = failure_of(until)
    except ValueError as error:
        raise UsageError(f"--until {error}") from None
    if failure.word in ("exit", "signal") and not start:
        raise UsageError(f"--until '{until}' needs --start CMD: how others end is not told")
    return failure
