"""`vutrace diff`: two captures by meaning. Only wiring."""

from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Dissectors
from vutrace.cli.output import note, say
from vutrace.records import connection_letter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vutrace.diff.sections import Account
    from vutrace.dissection.registry import Registry
    from vutrace.records import Connection, Record
    from vutrace.session.row import Row

EXAMPLES = """Examples:

\b
  vutrace diff good.pcapng failed.pcapng                what changed, the first difference first
  vutrace diff qemu-7.2.pcapng qemu-10.pcapng --json
  vutrace diff restart.pcapng --session 1:2             before and after the reconnect
  vutrace diff two.pcapng --connection A:B --latency
"""
DIFFERENT = 1


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A capture.")],
    b: Annotated[
        str, typer.Argument(metavar="[B]", help="Another capture; default: the same one.", show_default=False)
    ] = "",
    session: Annotated[
        str, typer.Option(metavar="N[:M]", help="Compare session N of A with session M of B (default: N).")
    ] = "",
    connection: Annotated[
        str, typer.Option(metavar="X[:Y]", help="Compare connection X of A with connection Y of B.")
    ] = "",
    latency: Annotated[bool, typer.Option("--latency", help="Also compare how long replies took.")] = False,
    indexes: Annotated[
        bool,
        typer.Option(
            "--indexes", help="Also compare whether rings have moved on, which depends on the traffic."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    device: Annotated[str, typer.Option(metavar="NAME", help="The traced device (net, blk, ...).")] = "",
    dissector: Dissectors = None,
) -> None:
    """Compare two captures by meaning, ignoring descriptors, addresses, times, and how rings interleave."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.diff.compare import pairings
    from vutrace.diff.text import objects, same, text

    if not b and not (session or connection):
        raise UsageError("two captures are needed, or one and --session N:M or --connection X:Y")
    sessions, connections = halves(session, "--session"), halves(connection, "--connection")
    registry = load_dissectors(dissector)
    names = (a, b or a)
    sides = [
        choose_accounts(name, items, registry, device, sessions[side], connections[side])
        for side, (name, items) in enumerate(zip(names, alike(names), strict=True))
    ]
    pairs = pairings(sides[0], sides[1], latency, indexes)
    say([objects(pairs)] if json else text(pairs, row_line))
    raise typer.Exit(0 if same(pairs) else DIFFERENT)


diff.__doc__ = f"{diff.__doc__}\n\n{EXAMPLES}"


def halves(text: str, option: str) -> tuple[str, str]:
    """N:M as both, N as N:N."""
    first, colon, second = text.partition(":")
    if text and not (first and (second or not colon)):
        raise UsageError(f"{option} {text}: N or N:M is what it takes")
    return first, second or first


def alike(names: tuple[str, str]) -> "list[list[Connection | Record]]":
    """The records of both captures; what one of them, an import, cannot know is in neither."""
    from vutrace.cli.reading import noting, open_capture
    from vutrace.diff.known import as_known_to, knowledge_of

    readers = [open_capture(name, False, None) for name in names]
    items = [list(noting(name, reader, reader)) for name, reader in zip(names, readers, strict=True)]
    known = [knowledge_of(each) for each in items]
    for name, knows in zip(names, known, strict=True):
        if knows.partial:
            note(f"{name} was made from what others recorded: what it cannot know is not compared")
            items = [list(as_known_to(each, knows)) for each in items]
    return items


def choose_accounts(
    name: str,
    items: "Iterable[Connection | Record]",
    registry: "Registry",
    device: str,
    session: str,
    letter: str,
) -> "list[Account]":
    """The sessions of a capture that were asked for."""
    from vutrace.cli.reading import no_session
    from vutrace.diff.sections import accounts
    from vutrace.session.tracker import Tracker

    tracker = Tracker(registry, device)
    found = accounts(tracker.rows(items), tracker.connections)
    wanted = [
        each
        for each in found
        if session in ("", str(each.session)) and letter in ("", connection_letter(each.connection))
    ]
    if not wanted:
        raise no_session(name, [(each.connection, each.session) for each in found])
    return wanted


def row_line(row: "Row") -> str:
    """A row as `show` has it."""
    from vutrace.views.annotated import AnnotatedRow
    from vutrace.views.rows import Rows

    return Rows().line(AnnotatedRow(row))
