"""`vutrace rings`: the rings of running sessions as they stand now."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Width
from vutrace.cli.output import columns, note, put, say
from vutrace.cli.proxy_words import parse_interval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vutrace.rings.once import OpenSession, RingLook

EXAMPLES = """Examples:

\b
  vutrace rings /tmp/vhost.sock                 what moves in the rings that a running proxy set up
  vutrace rings 4711                            the same, by one of the two processes
  vutrace rings 4711 --interval 5s --json
  vutrace rings $(pidof qemu-system-x86_64) --qmp /run/vm.qmp     a QEMU with no proxy

The proxy need not have been started with --rings: its capture so far tells where the rings are, and
their memory and eventfds are taken from the two processes that have them (pidfd_getfd: as root, or
whoever may trace them). A QEMU from 7.2 on that has a QMP socket needs no proxy: it tells where its
rings are. It only reads.
"""


def rings(
    target: Annotated[
        str, typer.Argument(metavar="PID|SOCKET", help="An end of a session, or a QEMU that tells over QMP.")
    ],
    interval: Annotated[
        str, typer.Option(metavar="TIME", help="Time between the two samples for rates.")
    ] = "1s",
    qmp: Annotated[
        str,
        typer.Option(metavar="SOCKET", help="The QMP socket of the QEMU, if its command line does not say."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    width: Width = None,
) -> None:
    """Look at every ring once: both indexes, what moves, what is in flight, which kicks are unread."""
    from vutrace.outgoing import json_text
    from vutrace.views.rings_now import lines, objects

    seconds = parse_interval("--interval", interval)
    looks = list(looks_at(target, qmp))
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


def looks_at(target: str, qmp: str) -> "Iterator[RingLook]":
    """Looks at what a proxy records of a process or a socket, or at what a QEMU tells itself."""
    from vutrace.cli.reading import load_dissectors
    from vutrace.rings.once import RingLook
    from vutrace.session.tracker import Tracker

    registry = load_dissectors(None)
    recorded = [] if qmp else sessions_of(target)
    tracker = Tracker(registry)
    for session in recorded:
        yield RingLook(session, tracker)
    for name, session in [] if recorded else told_by_qemu(target, qmp):
        device = name.removeprefix("vhost-user-").removeprefix("virtio-")
        yield RingLook(session, Tracker(registry, device if device in registry.plugins else ""))


def told_by_qemu(target: str, qmp: str) -> "list[tuple[str, OpenSession]]":
    """What a QEMU without a proxy tells of its rings; UsageError where it is none."""
    from vutrace.evidence.qmp import monitor_of, qemu_sessions

    path = qmp or (monitor_of(int(target)) if target.isdecimal() else "")
    if not path:
        raise UsageError(
            f"{target}: no running vutrace proxy has a session of that process or socket, and it is no QEMU"
            " with a QMP socket (-qmp unix:PATH, or name it: --qmp PATH). Nothing else tells where rings are"
        )
    if not target.isdecimal():
        raise UsageError(f"--qmp is for a QEMU by its process number, and not for {target}")
    sessions = qemu_sessions(int(target), path)
    if not sessions:
        note("no vhost device of this QEMU has started")
    return sessions


def sessions_of(target: str) -> "list[OpenSession]":
    """The open sessions that a process or a socket has, by the captures of the proxies that run."""
    from vutrace.capture import read
    from vutrace.rings.foreign import proxies
    from vutrace.rings.once import concerns, open_sessions

    for pid, path in proxies():
        sessions = open_sessions(read(path))
        chosen = sessions if target == str(pid) else [each for each in sessions if concerns(each, target)]
        if chosen:
            return chosen
    return []
