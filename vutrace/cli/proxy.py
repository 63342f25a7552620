"""`vutrace proxy`: only wiring. The relay is in `vutrace.proxy`."""

from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli import interrupts
from vutrace.cli.inserting import break_connections, confirm_breaks, note_insertions, sockets_of
from vutrace.cli.options import Color, Device, Fold, Hex, Messages, OneRing, PlainFilter, TimeStyle, Tree
from vutrace.cli.output import note, refuse_output
from vutrace.cli.proxy_words import (
    parse_count,
    parse_duration,
    parse_interval,
    parse_listener,
    parse_mode,
    parse_pairs,
    parse_payload,
    parse_seconds,
    parse_size,
    refuse_unfollowed,
    refuse_unknown,
)
from vutrace.cli.view_options import ViewOptions
from vutrace.proxy.options import SOCKET_MODE, WAIT
from vutrace.views.colour import When

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vutrace.proxy.inserting import Insertion
    from vutrace.records import Side
    from vutrace.sockets.endpoints import Endpoint, Source

EXAMPLES = """\b
Examples:
  vutrace proxy front.sock back.sock                   QEMU connects to front.sock, DPDK listens on back.sock
  vutrace proxy front.sock back.sock -w start.pcapng -q      only record
  vutrace proxy front.sock back.sock --board           every ring as it stands now
  vutrace proxy front.sock back.sock --rings 100ms --board   what moves in the rings, too
  vutrace proxy front.sock back.sock -t a --fold       the time of day; a request and its ok on one row
  vutrace proxy connect:qemu.sock listen:dpdk.sock     QEMU has server=on, DPDK client=1
  vutrace proxy f0 b0 --also f1 b1 -w two.pcapng       two devices in one capture
  vutrace proxy front.sock back.sock --device acme --dissector acme.py
  vutrace proxy front.sock back.sock --rule 'SET_VRING_KICK ring=1 : delay 500ms'
  vutrace proxy front.sock back.sock --mask-features -MRG_RXBUF
  vutrace proxy --insert /run/vhost.sock -w trace.pcapng     in the place of a socket that somebody listens on
  vutrace proxy --insert /run/vhost.sock --break       and end the connections that stand, so that they come
  vutrace proxy front.sock back.sock -w - | tshark -r -      the capture on stdout
"""


USUAL_INTERVAL = "100ms"
LEAST_BUFFER, LEAST_SPOOL = 64 << 20, 1 << 20


class WhenFull(StrEnum):
    """What happens when more comes than can be recorded."""

    COUNT = "count"
    WAIT = "wait"


def proxy(
    endpoints: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FRONTEND BACKEND",
            show_default=False,
            help="Each is PATH, listen:PATH, connect:PATH or fd:N; "
            "a PATH alone is listened on for the front-end, connected to for the back-end. "
            "@NAME is a name in the abstract namespace.",
        ),
    ] = None,
    insert: Annotated[
        list[str] | None,
        typer.Option(
            "--insert",
            metavar="SOCKET",
            help="Take the place of a socket, or of all in a directory or of a pattern; may be repeated.",
            show_default=False,
        ),
    ] = None,
    breaks: Annotated[
        bool,
        typer.Option(
            "--break", help="With --insert: end the connections that stand, so that they come through."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before --break.")] = False,
    listener: Annotated[
        str,
        typer.Option(
            metavar="SIDE", help="Who listens at --insert: frontend or backend, instead of finding out."
        ),
    ] = "",
    also: Annotated[
        int,
        typer.Option(
            "--also",
            count=True,
            show_default=False,
            help="Before every further FRONTEND BACKEND: several in one capture.",
        ),
    ] = 0,
    pair: Annotated[int, typer.Option("--pair", count=True, hidden=True)] = 0,
    write: Annotated[str, typer.Option("-w", "--write", metavar="FILE", help="Record; - is stdout.")] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows.")] = False,
    board: Annotated[bool, typer.Option("--board", help="The live board of rings, instead of rows.")] = False,
    tree: Tree = False,
    dump: Hex = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    fold: Fold = False,
    time: TimeStyle = "r",
    message: Messages = None,
    ring: OneRing = "",
    filter_: PlainFilter = "",
    color: Color = When.AUTO,
    count: Annotated[str, typer.Option("-c", "--count", metavar="N", help="Stop after N messages.")] = "",
    autostop: Annotated[
        str, typer.Option("-a", "--autostop", metavar="duration:S", help="Stop after S seconds.")
    ] = "",
    wait: Annotated[str, typer.Option(WAIT.call, metavar=WAIT.metavar, help=WAIT.help)] = WAIT.default,
    socket_mode: Annotated[
        str, typer.Option(SOCKET_MODE.call, metavar=SOCKET_MODE.metavar, help=SOCKET_MODE.help)
    ] = SOCKET_MODE.default,
    stall: Annotated[
        str,
        typer.Option(metavar="S", help="Seconds that a reply may take without a note; 0 for no notes."),
    ] = "1",
    payload: Annotated[
        str,
        typer.Option(
            metavar="net",
            help="Keep what goes through the rings of a network device, too: the first bytes of frames, as "
            "packets of the capture. It samples; and it is what the guest sends and receives.",
        ),
    ] = "",
    snaplen: Annotated[
        str, typer.Option(metavar="N", help="Bytes of each frame that --payload keeps.")
    ] = "96",
    rings: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Look at every ring in memory so often (100ms, 1s): what moves, what is stuck. Reads only.",
        ),
    ] = "",
    device: Device = "",
    dissector: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE.py", help="A dissector to load; may be repeated.", show_default=False),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'MATCH : ACTION'", help="Act on messages; may be repeated.", show_default=False
        ),
    ] = None,
    rules: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Rules, one a line; may be repeated.", show_default=False),
    ] = None,
    script: Annotated[
        list[str] | None,
        typer.Option("-s", "--script", metavar="FILE.py", help="A script that acts.", show_default=False),
    ] = None,
    mask_features: Annotated[
        str, typer.Option(metavar="-NAME,...", help="Take virtio features out of every offer.")
    ] = "",
    mask_protocol: Annotated[
        str, typer.Option(metavar="-NAME,...", help="Take protocol features out of every offer.")
    ] = "",
    intercept: Annotated[
        str, typer.Option(metavar="MATCH", help="Matching messages wait for what you type; ? is help.")
    ] = "",
    seed: Annotated[int, typer.Option(metavar="N", help="Decides the random times of rules.")] = 0,
    buffer: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory for what is yet to be recorded: 512M, 1G, ...")
    ] = "256M",
    when_full: Annotated[
        WhenFull, typer.Option(help="Then count what is not recorded, or let the senders wait.")
    ] = WhenFull.COUNT,
    spool: Annotated[
        str, typer.Option(metavar="SIZE", help="Disk for what is yet to be shown, where there is no -w.")
    ] = "1G",
) -> None:
    """Sit between a front-end and a back-end: forward, record and show every message."""
    from vutrace.sockets.endpoints import open_pairs
    from vutrace.sockets.process import raise_descriptor_limit

    pairs, mode = parse_pairs(endpoints or (), also + pair, bool(insert)), parse_mode(socket_mode)
    paths, side = sockets_of(insert or ()), parse_listener(listener)
    messages, seconds = parse_count(count), parse_duration(autostop)
    patience, late = parse_seconds("--wait", wait, wait), parse_seconds("--stall", stall, stall)
    snap = parse_payload(payload, snaplen, write)
    rings = rings or (USUAL_INTERVAL if payload else "")
    interval = parse_interval("--rings", rings) if rings else 0.0
    memory, disk = parse_size("--buffer", buffer, LEAST_BUFFER), parse_size("--spool", spool, LEAST_SPOOL)
    refuse_output(write, quiet, board)
    view = ViewOptions(tree, dump, json, fold, time, tuple(message or ()), ring, filter_, str(color))
    view.check(quiet or write == "-", board, dissector or [])
    refuse_unfollowed(write, quiet)
    refuse_unknown(device, dissector)
    raise_descriptor_limit()
    acting = {
        "rule": rule or [],
        "rules": rules or [],
        "scripts": script or [],
        "mask_features": mask_features,
        "mask_protocol": mask_protocol,
        "intercept": intercept,
    }
    also_known = {"device": device, "dissectors": dissector or [], "seed": str(seed)}
    if pair:  # its name before; in `vutrace timeline` that is a queue pair
        note("--pair is called --also now")
    if breaks:
        confirm_breaks(paths, side, yes)
    with interrupts.held():
        taps = None
        if any(acting.values()):
            from vutrace.tap.launch import launch

            taps = launch({**acting, **also_known})
        # Listen first: who connects meanwhile waits in the backlog while the rest is imported.
        sources = open_pairs(pairs, mode)
        with closed_unless_made(sources):
            insertions = take_places(paths, side)
            pairs += [each.pair for each in insertions]
            sources += [each.sources() for each in insertions]
            from vutrace.proxy.relay import LiveView, Options, Relay

            rows = LiveView.BOARD if board else LiveView.ROWS
            show = LiveView.BYTES if write == "-" else LiveView.NOTHING if quiet else rows
            file = "" if write == "-" else write
            options = Options(
                pairs=pairs,
                write=file,
                show=show,
                wait=patience,
                socket_mode=mode,
                messages=messages,
                duration=seconds,
                device=device,
                dissectors=dissector or (),
                buffer=memory,
                spool=disk,
                full_waits=when_full == WhenFull.WAIT,
                stall=late,
                view=tuple(view.words()),
                taps=taps,
                rings=interval,
                snaplen=snap,
            )
            relay = Relay(options, sources)
            relay.own_process()
            if show in (LiveView.ROWS, LiveView.BYTES):
                note_places(pairs[: len(pairs) - len(insertions)], mode)
                note_insertions(insertions, breaks)
            if breaks:
                break_connections(insertions)
    status = relay.run()
    if show is LiveView.ROWS and relay.sessions:
        note(kept_words(relay.sessions, write))
    raise typer.Exit(status)


proxy.__doc__ = f"{proxy.__doc__}\n\n{EXAMPLES}"


def note_places(pairs: "list[tuple[Endpoint, Endpoint]]", mode: int) -> None:
    """Say where both ends of each pair are, and whether somebody is there."""
    from vutrace.sockets.presence import place

    for front, back in pairs:
        note(f"front-end: {place(front, mode)}")
        note(f"back-end: {place(back, mode)}")


def kept_words(sessions: int, path: str) -> str:
    """What there is now, and how to read it."""
    count = f"{sessions} session{'' if sessions == 1 else 's'}"
    if not path:
        return f"{count}, not kept (-w FILE keeps them)"
    return f"{count} in {path}; what became of {'it' if sessions == 1 else 'them'}: vutrace check {path}"


@contextmanager
def closed_unless_made(sources: "Sequence[tuple[Source, Source]]") -> "Iterator[None]":
    """No socket is left where the relay cannot be: there may be too few descriptors to load it."""
    try:
        yield
    except BaseException:
        for source in chain(*sources):
            source.close()
        raise


def take_places(paths: "list[str]", side: "Side | None") -> "list[Insertion]":
    if not paths:
        return []
    from vutrace.proxy.inserting import insert

    return insert(paths, side)
