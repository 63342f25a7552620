"""`vutrace queues`: the state of every ring."""

import os
import sys
from typing import Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import CaptureFile, Color, Device, Dissectors, ReadFile, Width
from vutrace.cli.output import columns, note, put, say
from vutrace.views.colour import When, painter

EXAMPLES = """Examples:

\b
  vutrace queues start.pcapng                   every ring as the last session left it
  vutrace queues start.pcapng --session all
  vutrace queues start.pcapng --json | jq '.[].rings[] | select(.enabled)'

"enabled" is the effect, and in brackets what the last SET_VRING_ENABLE said; eventfd#12 (2nd) is the second
descriptor that the ring was given for that purpose.
"""


def queues(
    file: CaptureFile = None,
    read: ReadFile = None,
    session: Annotated[
        str, typer.Option(metavar="N|last|all", help="Which session of each connection.")
    ] = "last",
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    width: Width = None,
    device: Device = "",
    dissector: Dissectors = None,
    color: Color = When.AUTO,
) -> None:
    """Show every ring: set up, started, enabled (as sent, in effect, and why), descriptors, last change."""
    from vutrace.cli.reading import choose_capture, load_dissectors
    from vutrace.cli.timeline import read_timeline
    from vutrace.views.queues import objects, sessions_of, text

    wanted = which(session)
    timeline = read_timeline(choose_capture(file, read), load_dissectors(dissector), device, judge=False)
    if wanted and not any(sessions_of(connection, wanted) for connection in timeline.connections):
        note(f"there is no session {wanted}")
    if json:
        put("-", [objects(timeline, wanted) + "\n"])
        return
    paint = painter(color, os.environ, sys.stdout.isatty())
    say(text(timeline, wanted, paint, width or columns()))


queues.__doc__ = f"{queues.__doc__}\n\n{EXAMPLES}"


def which(session: str) -> int | None:
    """0 for the last session, None for all; UsageError when it is neither a word nor a number."""
    if session in ("last", "all"):
        return 0 if session == "last" else None
    if not session.isdecimal() or session == "0":
        raise UsageError(f"--session {session}: a number from 1, last or all is needed")
    return int(session)
