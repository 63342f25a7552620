"""`vutrace queues`: the state of every ring."""

import os
import sys
from typing import Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import CaptureFile, Color, Device, Dissectors, ReadFile, Width
from vutrace.cli.output import columns, note, put, say
from vutrace.records import connection_letter
from vutrace.views.colour import When, painter

EXAMPLES = """Examples:

\b
  vutrace queues start.pcapng                   every ring at the end of the last session
  vutrace queues start.pcapng --session all
  vutrace queues start.pcapng --at 5.2          their state 5.2 s after the first record
  vutrace queues start.pcapng --json | jq '.[].rings[] | select(.enabled)'

"enabled" is the effect, and in brackets what the last SET_VRING_ENABLE said; eventfd#12 (2nd) is the second
descriptor that the ring was given for that purpose.
"""

NAMES_TOLD = 8


def queues(
    file: CaptureFile = None,
    read: ReadFile = None,
    session: Annotated[
        str, typer.Option(metavar="N|last|all", help="Which session of each connection.")
    ] = "last",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    width: Width = None,
    at: Annotated[
        str, typer.Option("--at", metavar="SECONDS", help="The state at this time; default: at the end.")
    ] = "",
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Show every ring: set up, started, enabled (as sent, in effect, and why), descriptors, last change."""
    from vutrace.cli.reading import choose_capture, load_dissectors
    from vutrace.cli.timeline import read_timeline
    from vutrace.views.queues import objects, sessions_of, text

    wanted = which(session)
    name, moment = choose_capture(file, read), parse_moment(at)
    timeline = read_timeline(name, load_dissectors(dissector), device, drawn=False, until_ns=moment)
    if wanted and not any(sessions_of(connection, wanted) for connection in timeline.connections):
        last = [(each.number, session.number) for each in timeline.connections for session in each.sessions]
        raise UsageError(f"--session {wanted}: {name} has {session_names(last)}")
    if json:
        put("-", [objects(timeline, wanted) + "\n"])
        return
    paint = painter(color, os.environ, sys.stdout.isatty())
    say(text(timeline, wanted, paint, width or columns(), moment))
    others = sum(len(each.sessions) - 1 for each in timeline.connections if wanted == 0)
    if others > 0:
        note(f"{others} earlier session{'s' * (others > 1)} not shown; --session all shows all")


queues.__doc__ = f"{queues.__doc__}\n\n{EXAMPLES}"


def parse_moment(text: str) -> int | None:
    """Nanoseconds since the first record; None for the end."""
    if not text:
        return None
    try:
        return round(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--at {text}: seconds since the first record are needed, as in the time column"
        ) from None


def session_names(found: list[tuple[int, int]]) -> str:
    """The sessions there are, by connection."""
    letters = [f"{number} of {connection_letter(connection)}" for connection, number in found[:NAMES_TOLD]]
    more = f" and {len(found) - NAMES_TOLD} more" if len(found) > NAMES_TOLD else ""
    return f"{', '.join(letters)}{more}" if letters else "no session"


def which(session: str) -> int | None:
    """0 for the last session, None for all; UsageError when it is neither a word nor a number."""
    if session in ("last", "all"):
        return 0 if session == "last" else None
    if not session.isdecimal() or session == "0":
        raise UsageError(f"--session {session}: a number from 1, last or all is needed")
    return int(session)
