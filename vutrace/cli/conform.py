"""`vutrace conform`: only wiring. The cases are in `vutrace.conform`, the outputs in `views.conformance`."""

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Color, Device, Dissectors
from vutrace.cli.output import say
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vutrace.conform.case import Case, CaseResult
    from vutrace.conform.tested import TestedPeer
    from vutrace.views.colour import Paint

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
    list_: Annotated[
        bool, typer.Option("--list", help="The cases, one a line; all about them with --json.")
    ] = False,
    only: Only = None,
    write: Annotated[str, typer.Option("-w", metavar="DIR", help="A capture of each case goes there.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each case.")] = False,
    junit: Annotated[bool, typer.Option("--junit", help="JUnit's XML.")] = False,
    tap: Annotated[bool, typer.Option("--tap", help="TAP, version 14.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="S", help="Seconds that a reply may take.", min=0.05)
    ] = 2.0,
    strict: Annotated[
        bool, typer.Option("--strict", help="What the spec says with should decides, too.")
    ] = False,
    allow_known: Annotated[
        bool, typer.Option("--allow-known", help="Failures that are known of this program do not decide.")
    ] = False,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Say what a back-end does otherwise than the spec, case by case.

    Exit status: 0 all musts hold, 1 not all, 4 it cannot be reached.
    """
    from vutrace.conform.catalogue import backend_cases

    if json + junit + tap > 1:
        raise UsageError("one of --json, --junit and --tap at a time")
    cases = picked(backend_cases(), only or [])
    if list_:
        return listed(cases, json)
    from vutrace.cli.reading import load_dissectors
    from vutrace.conform.run import Bench, run, survey

    registry = load_dissectors(dissector)
    if write:
        os.makedirs(write, exist_ok=True)
    form = Form(
        alone("backend", to, start, share),
        strict,
        "json" if json else "junit" if junit else "tap" if tap else "",
        painter(color, os.environ, sys.stdout.isatty()),
    )
    with contextlib.closing(target_of(to, start, share)) as target:
        bench = Bench(target, registry, device, timeout, write)
        results = form.tell(run(bench, survey(bench), cases), len(cases))
    if any(result.fails(strict) and not (allow_known and result.known) for result in results):
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


def alone(role: str, to: str, start: str, share: bool) -> list[str]:
    """What a user types to run a case again, but for its name."""
    where = ["--start", start] if start else ["--to", to]
    return ["vutrace", "conform", role, *where, *(["--share"] if share else [])]


def listed(cases: "list[Case]", json: bool) -> None:
    """The cases, by name or in full."""
    from vutrace.outgoing import json_text
    from vutrace.views.conformance.json import row

    say(json_text(row(case)) if json else case.name for case in cases)


@dataclass(frozen=True)
class Form:
    """How results are told: as text, or as the format called `name`; `command` is what runs a case again."""

    command: list[str]
    strict: bool
    name: str
    paint: "Paint"

    def tell(self, results: "Iterable[CaseResult]", count: int) -> "list[CaseResult]":
        """Tell each result when it is there; all of them."""
        from vutrace.views.conformance import junit, tap, text

        say(tap.head(count) if self.name == "tap" else ())
        kept: list[CaseResult] = []
        for result in results:
            kept.append(result)
            say(self.lines(len(kept), result))
            sys.stdout.flush()
        say([junit.document(kept, self.command, self.strict)] if self.name == "junit" else ())
        say([] if self.name else [text.summary(kept, self.strict)])
        return kept

    def lines(self, number: int, result: "CaseResult") -> "Iterable[str]":
        """What is told of a case at once."""
        from vutrace.views.conformance import json, tap, text

        match self.name:
            case "json":
                return [json.line(result, self.command)]
            case "tap":
                return tap.lines(number, result, self.command, self.strict)
            case "junit":
                return []
        return text.lines(result, self.command, self.paint)
