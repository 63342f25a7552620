"""`vutrace check`: only wiring. The rules are in `vutrace.rules`, the outputs in `vutrace.views.findings`."""

import os
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Color, Device, Dissectors
from vutrace.cli.output import columns, note, say
from vutrace.problems import Rule, Severity
from vutrace.records import Frame
from vutrace.views.colour import When, painter

if TYPE_CHECKING:
    from vutrace.dissection.registry import Registry
    from vutrace.rules.findings import Choice
    from vutrace.rules.profiles import DeviationProfile
    from vutrace.rules.report import SessionReport
    from vutrace.session.row import Row

    Reports = Iterator[tuple[str, SessionReport]]

EXAMPLES = """Examples:

\b
  vutrace check start.pcapng                        what is wrong, and how each session ended
  vutrace check *.pcapng --severity error           only errors
  vutrace check start.pcapng --select memory,ring   some groups of rules, or single rules
  vutrace check start.pcapng --ignore reply.refused --profile strict
  vutrace check start.pcapng --json | jq .verdict   one object for each session
  vutrace check start.pcapng --sarif > findings.sarif
  vutrace check start.pcapng.gz                     .zst and .xz, too
"""
FOUND = 1


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Captures; - is stdin.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each session.")] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="A SARIF 2.1.0 log.")] = False,
    junit: Annotated[bool, typer.Option("--junit", help="JUnit XML.")] = False,
    select: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE,...", help="Use only these rules or groups.", show_default=False),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE,...", help="Skip these rules or groups.", show_default=False),
    ] = None,
    severity: Annotated[Severity, typer.Option(help="The lowest severity that counts.")] = Severity.WARNING,
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Show known deviations of an implementation as info: auto, strict, or its name.",
        ),
    ] = "auto",
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Say what is wrong in captures, and how each session ended.

    Exit status: 0 no findings of that severity, 1 findings, 3 a file cannot be read.
    """
    from vutrace.cli.reading import load_dissectors, refuse_stdin_twice

    if json + sarif + junit > 1:
        raise UsageError("one of --json, --sarif and --junit at a time")
    refuse_stdin_twice(files)
    registry = load_dissectors(dissector)
    rules = all_rules(registry)
    choice = chosen(rules, severity, select or [], ignore or [])
    found = False

    def reports() -> "Reports":
        nonlocal found
        for each in checked(files, registry, device, profile_called(profile, rules), choice):
            found = found or bool(each[1].counts)
            yield each

    printed = (
        json_lines(reports())
        if json
        else [sarif_log(rules, reports())]
        if sarif
        else [junit_document(reports())]
        if junit
        else text_lines(reports(), color)
    )
    say(printed)
    if found:
        raise typer.Exit(FOUND)


check.__doc__ = f"{check.__doc__}\n\n{EXAMPLES}"


def all_rules(registry: "Registry") -> list[Rule]:
    """Every rule, those of the dissectors among them."""
    from vutrace.rules.catalogue import rules

    return list(rules(registry.devices).values())


def checked(
    files: Iterable[str], registry: "Registry", device: str, profile: "DeviationProfile", choice: "Choice"
) -> "Reports":
    """The sessions of all files; the first file that cannot be read ends it."""
    from vutrace.cli.reading import open_capture, rows_of
    from vutrace.rules.judge import Judge
    from vutrace.rules.report import Reporter

    for file in files:
        rows = rows_of(file, open_capture(file, False, None), registry, device)
        for report in Reporter(Judge(profile), choice).reports(noting_unknown(file, rows)):
            yield file, report


def noting_unknown(file: str, rows: "Iterable[Row]") -> "Iterator[Row]":
    """The rows; a note where the source of an import did not know all: no finding is no proof then."""
    told = False
    for row in rows:
        record = row.record
        if not told and isinstance(record, Frame) and record.flags and record.flags.unknown:
            told = True
            note(f"{file} was made from what others recorded: rules that cannot know are silent")
        yield row


def chosen(rules: list[Rule], severity: Severity, select: list[str], ignore: list[str]) -> "Choice":
    """What counts; UsageError for a rule that there is not."""
    from vutrace.rules.findings import Choice

    return Choice(severity, named(rules, select), named(rules, ignore))


def named(rules: list[Rule], texts: list[str]) -> frozenset[str]:
    """The rules and groups in texts with commas."""
    names = frozenset(name for text in texts for name in text.replace(" ", "").split(",") if name)
    known = {rule.name for rule in rules} | {rule.group for rule in rules}
    for name in sorted(names - known):
        like = get_close_matches(name, known, 3)
        raise UsageError(f"no rule or group '{name}'" + (f"; like it: {', '.join(like)}" if like else ""))
    return names


def profile_called(name: str, rules: list[Rule]) -> "DeviationProfile":
    """The profile; UsageError names those there are."""
    from vutrace.rules.profiles import DeviationProfile, known_names

    if name not in (known := known_names(rules)):
        raise UsageError(f"no profile '{name}'; there are {', '.join(known)}")
    return DeviationProfile(name)


def json_lines(reports: "Reports") -> Iterator[str]:
    """An object a line, each when its session is over."""
    from vutrace.views.findings.json import line

    return (line(file, report) for file, report in reports)


def sarif_log(rules: list[Rule], reports: "Reports") -> str:
    """The whole log."""
    from vutrace import __version__
    from vutrace.outgoing import json_text
    from vutrace.views.findings.sarif import log

    return json_text(log(__version__, rules, reports), indent=1)


def junit_document(reports: "Reports") -> str:
    """The whole document."""
    from vutrace.views.findings.junit import document

    return document(reports)


def text_lines(reports: "Reports", color: When) -> Iterator[str]:
    """Sessions with an empty line between them; those that are alike, one after the other, are one."""
    from vutrace.outgoing import page
    from vutrace.views.findings.text import ReportText

    text = ReportText(columns() or 100, painter(color, os.environ, sys.stdout.isatty()))
    return (page(line, painted=True) for line in text.sessions(reports))
