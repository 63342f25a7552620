"""`vutrace rings`: the rings of running sessions as they stand now."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Width
from vutrace.cli.output import columns, note, put, say
from vutrace.cli.proxy_words import parse_interval

if TYPE_CHECKING:
    from vutrace.rings.once import OpenSession, RingLook

EXAMPLES = """Examples:

\b
  vutrace rings /tmp/vhost.sock                 what moves in the rings that a running proxy set up
  vutrace rings 4711                            the same, by one of the two processes
  vutrace rings 4711 --interval 5s --json

The proxy need not have been started with --rings: its capture so far tells where the rings are, and
their memory and eventfds are taken from the two processes that have them (pidfd_getfd: as root, or
whoever may trace them). It only reads.
"""


def rings(
    target: Annotated[
        str, typer.Argument(metavar="PID|SOCKET", help="An end of a session that a running proxy records.")
    ],
    interval: Annotated[
        str, typer.Option(metavar="TIME", help="Time between the two samples for rates.")
    ] = "1s",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    width: Width = None,
) -> None:
    """Look at every ring once: both indexes, what moves, what is in flight, which kicks are unread."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.outgoing import json_text
    from vutrace.rings.once import RingLook
    from vutrace.session.tracker import Tracker
    from vutrace.views.rings_now import lines, objects

    seconds = parse_interval("--interval", interval)
    tracker = Tracker(load_dissectors(None))
    looks = [RingLook(session, tracker) for session in sessions_of(target)]
    try:
        for look in looks:
            look.moved()
        time.sleep(seconds)
        found = [(look, look.row, look.moved()) for look in looks]
    finally:
        for look in looks:
            look.close()
    if json:
        told = [
            {**place_of(look), "rings": objects(row, moved)} for look, row, moved in found if row is not None
        ]
        put("-", [json_text(told, indent=1) + "\n"])
        return
    for look, row, moved in found:
        place = place_of(look)
        say([f"connection {place['connection']}, session {place['session']}:"])
        if row is None or not moved:
            note("no ring is started")
        else:
            say(lines(row, moved, width or columns()))


rings.__doc__ = f"{rings.__doc__}\n\n{EXAMPLES}"


def place_of(look: "RingLook") -> dict[str, object]:
    """Which session it is."""
    from vutrace.records import connection_letter

    return {"connection": connection_letter(look.session.connection.number), "session": look.session.number}


def sessions_of(target: str) -> "list[OpenSession]":
    """The open sessions that a process or a socket has; UsageError for none."""
    from vutrace.capture import read
    from vutrace.rings.foreign import proxies
    from vutrace.rings.once import concerns, open_sessions

    running = list(proxies())
    for pid, path in running:
        sessions = open_sessions(read(path))
        chosen = sessions if target == str(pid) else [each for each in sessions if concerns(each, target)]
        if chosen:
            return chosen
    if not running:
        raise UsageError("no vutrace proxy that records is running here: it has to see where the rings are")
    raise UsageError(f"{target}: no running proxy has a session of that process or socket")
