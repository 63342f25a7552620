"""`vutrace conform`: only wiring. The cases are in `vutrace.conform`, the outputs in `views.conformance`."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Color, Device, Dissectors
from vutrace.cli.output import say
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from vutrace.conform.case import Case, CaseResult
    from vutrace.conform.tested import TestedPeer

UNMET = 1
app = typer.Typer(help="Put a back-end or a front-end to the spec, case by case.", no_args_is_help=True)

To = Annotated[str, typer.Option("--to", metavar="ENDPOINT", help="Where it is: PATH, @NAME or listen:PATH.")]
Start = Annotated[
    str, typer.Option("--start", metavar="CMD", help="How to start it; {socket} is where it has to listen.")
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CASE", help="Only this case, group or pattern; may be repeated."),
]

EXAMPLES = """Examples:

\b
  vutrace conform backend --start 'qemu-storage-daemon ... addr.path={socket}'
  vutrace conform backend --to /tmp/vhost.sock          somebody is there already
  vutrace conform backend --to /tmp/vhost.sock --only memory --only rings/base-0-comes-back
  vutrace conform backend --list                        one group/case a line
"""


@app.command("backend", short_help="A back-end, by a front-end of ours.")
def backend(
    to: To = "",
    start: Start = "",
    share: Annotated[
        bool, typer.Option("--share", help="One process for all cases, not one for each.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="The cases, one a line.")] = False,
    only: Only = None,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a reply may take.", min=0.05)
    ] = 2.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="What the spec says with should decides, too.")
    ] = False,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Say what a back-end does otherwise than the spec, case by case.

    Exit status: 0 all musts hold, 1 not all, 4 it cannot be reached.
    """
    from vutrace.conform.catalogue import backend_cases

    cases = picked(backend_cases(), only or [])
    if list_:
        return say(case.name for case in cases)
    from vutrace.cli.reading import load_dissectors
    from vutrace.conform.run import Bench, run, survey
    from vutrace.views.conformance import text

    registry = load_dissectors(dissector)
    command = alone(to, start, share)
    paint = painter(color, os.environ, sys.stdout.isatty())
    results: list[CaseResult] = []
    with contextlib.closing(target_of(to, start, share)) as target:
        bench = Bench(target, registry, device, timeout)
        offer = survey(bench)

        def told() -> Iterator[str]:
            for result in run(bench, offer, cases):
                results.append(result)
                yield from text.lines(result, command, paint)

        for line in told():
            say([line])
            sys.stdout.flush()
    say([text.summary(results, strict)])
    if any(result.fails(strict) for result in results):
        raise typer.Exit(UNMET)
    return None


backend.__doc__ = f"{backend.__doc__}\n\n{EXAMPLES}"


def picked(cases: "Mapping[str, Case]", only: list[str]) -> "list[Case]":
    """The cases of these names; UsageError for one that there is not."""
    from vutrace.conform.catalogue import chosen

    try:
        return chosen(cases, only)
    except LookupError as error:
        raise UsageError(f"no case '{error}'; --list tells which there are") from None


def target_of(to: str, start: str, share: bool) -> "TestedPeer":
    """What is tested; UsageError where it is not said."""
    from vutrace.conform.tested import Reached, Started
    from vutrace.sockets.endpoints import How, parse_endpoint

    if bool(to) == bool(start):
        raise UsageError("one of --to ENDPOINT and --start 'CMD ... {socket}'")
    if start:
        if "{socket}" not in start:
            raise UsageError(
                "--start: {socket} has to be in the command, where the program is told its socket"
            )
        return Started(start, share)
    try:
        return Reached(parse_endpoint(to, How.CONNECT))
    except ValueError as error:
        raise UsageError(str(error)) from None


def alone(to: str, start: str, share: bool) -> list[str]:
    """What a user types to run a case again, but for its name."""
    where = ["--start", start] if start else ["--to", to]
    return ["vutrace", "conform", "backend", *where, *(["--share"] if share else [])]
