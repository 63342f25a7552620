"""`vutrace conform`: only wiring. The cases are in `vutrace.conform`, the outputs in `views.conformance`."""

import contextlib
import os
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.conform_form import Form, form_of
from vutrace.cli.errors import UsageError
from vutrace.cli.options import Color, Device, Dissectors
from vutrace.cli.output import say
from vutrace.views.colour import When

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vutrace.conform.case import Case, CaseResult
    from vutrace.conform.run import Bench
    from vutrace.conform.tested import TestedPeer

UNMET = 1
app = typer.Typer(help="Test a back-end or a front-end against the specification.", no_args_is_help=True)

To = Annotated[str, typer.Option("--to", metavar="ENDPOINT", help="Where it is: PATH, @NAME or listen:PATH.")]
Start = Annotated[
    str,
    typer.Option("--start", metavar="CMD", help="Start it with this command; it must listen on {socket}."),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CASE", help="Only this case, group or pattern; may be repeated."),
]
List = Annotated[
    bool, typer.Option("--list", help="List the cases, one per line; with --json, everything about them.")
]
Write = Annotated[
    str, typer.Option("-w", metavar="DIR", help="Write a capture of each case to this directory.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for each case.")]
Junit = Annotated[bool, typer.Option("--junit", help="JUnit XML.")]
Tap = Annotated[bool, typer.Option("--tap", help="TAP, version 14.")]
Strict = Annotated[bool, typer.Option("--strict", help="A failed “should” also counts as a failure.")]
AllowKnown = Annotated[
    bool, typer.Option("--allow-known", help="Ignore failures that are known for this program.")
]

EXAMPLES = """Examples:

\b
  vutrace conform backend --start 'qemu-storage-daemon ... addr.path={socket}'
  vutrace conform backend --to /tmp/vhost.sock          it is already running
  vutrace conform backend --to /tmp/vhost.sock --only memory --only rings/base-0-comes-back
  vutrace conform backend --list                        one group/case per line
"""


@app.command("backend", short_help="Test a back-end.")
def backend(
    to: To = "",
    start: Start = "",
    share: Annotated[
        bool, typer.Option("--share", help="Use one process for all cases instead of one per case.")
    ] = False,
    list_: List = False,
    only: Only = None,
    write: Write = "",
    json: Json = False,
    junit: Junit = False,
    tap: Tap = False,
    timeout: Annotated[float, typer.Option(metavar="S", help="Seconds to wait for a reply.", min=0.05)] = 2.0,
    strict: Strict = False,
    allow_known: AllowKnown = False,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Test a back-end against the specification, case by case.

    Exit status: 0 every “must” holds, 1 one does not, 4 it cannot be reached.
    """
    from vutrace.conform.catalogue import backend_cases

    cases = picked(backend_cases(), only or [])
    if list_:
        return listed(cases, json)
    from vutrace.cli.reading import load_dissectors
    from vutrace.conform.run import Bench, run, survey

    form = form_of(alone(to, start, share), strict, json, junit, tap, color)
    bench = Bench(target_of(to, start, share), load_dissectors(dissector), device, timeout, write)
    return conduct(bench, form, len(cases), allow_known, lambda: run(bench, survey(bench), cases))


backend.__doc__ = f"{backend.__doc__}\n\n{EXAMPLES}"


@app.command("frontend", short_help="Test a front-end.")
def frontend(
    listen: Annotated[
        str, typer.Option("--listen", metavar="PATH", help="Where a front-end reconnects.")
    ] = "",
    start: Start = "",
    list_: List = False,
    only: Only = None,
    write: Write = "",
    json: Json = False,
    junit: Junit = False,
    tap: Tap = False,
    quiet: Annotated[
        float, typer.Option(metavar="S", help="Seconds without a message after which a case ends.", min=0.1)
    ] = 1.0,
    strict: Strict = False,
    allow_known: AllowKnown = False,
    device: Annotated[str, typer.Option(metavar="NAME", help="The device to play: net, blk, ...")] = "net",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Test a front-end against the specification, with the rules of `vutrace check`.

    Exit status: 0 every “must” holds, 1 one does not, 4 it does not connect.
    """
    from vutrace.conform.catalogue import frontend_cases

    cases = picked(frontend_cases(), only or [])
    if list_:
        return listed(cases, json)
    from vutrace.cli.reading import load_dissectors
    from vutrace.conform.run import Bench, run_frontend

    if bool(listen) == bool(start):
        raise UsageError("one of --listen PATH and --start 'CMD ... {socket}'")
    command = ["vutrace", "conform", "frontend", *(["--start", start] if start else ["--listen", listen])]
    form = form_of([*command, "--device", device], strict, json, junit, tap, color)
    bench = Bench(frontend_of(listen, start), load_dissectors(dissector), device, quiet, write)
    return conduct(bench, form, len(cases), allow_known, lambda: run_frontend(bench, cases))


def frontend_of(listen: str, start: str) -> "TestedPeer":
    """What is tested."""
    from vutrace.conform.tested import Reached, StartedFrontEnd
    from vutrace.records import Side
    from vutrace.sockets.endpoints import How, parse_endpoint

    if start:
        return StartedFrontEnd(started(start))
    try:
        return Reached(parse_endpoint(listen, How.LISTEN), Side.FRONTEND)
    except ValueError as error:
        raise UsageError(str(error)) from None


def started(command: str) -> str:
    """The command of --start; UsageError where it has no place for the socket."""
    if "{socket}" not in command:
        raise UsageError("--start: {socket} has to be in the command, where the program is told its socket")
    return command


def conduct(
    bench: "Bench", form: Form, count: int, allow_known: bool, run: "Callable[[], Iterable[CaseResult]]"
) -> None:
    """Run the cases, tell what comes of each, and end with the exit status."""
    if bench.directory:
        os.makedirs(bench.directory, exist_ok=True)
    with contextlib.closing(bench.target):
        results = form.tell(run(), count)
    if any(result.fails(form.strict) and not (allow_known and result.known) for result in results):
        raise typer.Exit(UNMET)


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
        return Started(started(start), share)
    try:
        return Reached(parse_endpoint(to, How.CONNECT))
    except ValueError as error:
        raise UsageError(str(error)) from None


def alone(to: str, start: str, share: bool) -> list[str]:
    """What a user types to run a case again, but for its name."""
    where = ["--start", start] if start else ["--to", to]
    return ["vutrace", "conform", "backend", *where, *(["--share"] if share else [])]


def listed(cases: "list[Case]", json: bool) -> None:
    """The cases, by name or in full."""
    from vutrace.outgoing import json_text
    from vutrace.views.conformance.json import row

    say(json_text(row(case)) if json else case.name for case in cases)
