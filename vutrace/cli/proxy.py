"""`vutrace proxy`: only wiring. The relay is in `vutrace.proxy`."""

from contextlib import contextmanager
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
    parse_listener,
    parse_mode,
    parse_pairs,
    parse_seconds,
    refuse_unfollowed,
)
from vutrace.cli.relay_words import (
    ActingWords,
    Buffer,
    CountKicks,
    DissectorFiles,
    Full,
    MaskFeatures,
    MaskProtocol,
    Payload,
    RelayWords,
    Rule,
    RuleFiles,
    Sampled,
    Scripts,
    Seed,
    Snaplen,
    Spool,
    Stall,
    WhenFull,
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
  vutrace proxy front.sock back.sock --board           the current state of every ring
  vutrace proxy front.sock back.sock --rings 100ms --board   also what moves in the rings
  vutrace proxy front.sock back.sock -t a --no-fold    the time of day; a request and its ok as two rows
  vutrace proxy connect:qemu.sock listen:dpdk.sock     QEMU has server=on, DPDK client=1
  vutrace proxy f0 b0 --also f1 b1 -w two.pcapng       two devices in one capture
  vutrace proxy front.sock back.sock --device acme --dissector acme.py
  vutrace proxy front.sock back.sock --rule 'SET_VRING_KICK ring=1 : delay 500ms'
  vutrace proxy front.sock back.sock --mask-features -MRG_RXBUF
  vutrace proxy --insert /run/vhost.sock -w trace.pcapng     take the place of a socket in use
  vutrace proxy --insert /run/vhost.sock --break       and close existing connections, so that they reconnect
  vutrace proxy front.sock back.sock -w - | tshark -r -      the capture on stdout
"""


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
            "--break",
            help="With --insert: close existing connections, so that they reconnect through vutrace.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Do not ask for confirmation before --break.")
    ] = False,
    listener: Annotated[
        str,
        typer.Option(
            metavar="SIDE", help="Who listens on an --insert socket: frontend or backend; default: find out."
        ),
    ] = "",
    also: Annotated[
        int,
        typer.Option(
            "--also",
            count=True,
            show_default=False,
            help="Separates further FRONTEND BACKEND pairs, recorded in the same capture.",
        ),
    ] = 0,
    pair: Annotated[int, typer.Option("--pair", count=True, hidden=True)] = 0,
    write: Annotated[
        str, typer.Option("-w", "--write", metavar="FILE", help="Record to FILE; - is stdout.")
    ] = "",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows.")] = False,
    board: Annotated[
        bool, typer.Option("--board", help="Show the live board of rings instead of rows.")
    ] = False,
    tree: Tree = False,
    dump: Hex = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    fold: Fold = None,
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
    stall: Stall = "1",
    payload: Payload = "",
    snaplen: Snaplen = "96",
    rings: Sampled = "",
    count_kicks: CountKicks = False,
    device: Device = "",
    dissector: DissectorFiles = None,
    rule: Rule = None,
    rules: RuleFiles = None,
    script: Scripts = None,
    mask_features: MaskFeatures = "",
    mask_protocol: MaskProtocol = "",
    intercept: Annotated[
        str,
        typer.Option(metavar="MATCH", help="Hold matching messages until you type a command; ? for help."),
    ] = "",
    seed: Seed = 0,
    buffer: Buffer = "256M",
    when_full: Full = WhenFull.COUNT,
    spool: Spool = "1G",
) -> None:
    """Forward, record and show every message between a front-end and a back-end."""
    from vutrace.sockets.endpoints import open_pairs
    from vutrace.sockets.process import raise_descriptor_limit

    pairs, mode = parse_pairs(endpoints or (), also + pair, bool(insert)), parse_mode(socket_mode)
    paths, side = sockets_of(insert or ()), parse_listener(listener)
    messages, seconds = parse_count(count), parse_duration(autostop)
    patience = parse_seconds("--wait", wait, wait)
    acting = ActingWords(rule, rules, script, mask_features, mask_protocol, intercept, seed)
    recording = write, stall, rings, payload, snaplen, buffer, when_full, spool, count_kicks
    words = RelayWords(*recording, device, dissector or (), acting)
    refuse_output(write, quiet, board)
    view = ViewOptions(tree, dump, json, fold, time, tuple(message or ()), ring, filter_, str(color))
    view.check(quiet or write == "-", board, dissector or [])
    refuse_unfollowed(write, quiet)
    settings = words.settings()
    raise_descriptor_limit()
    if pair:  # its name before; in `vutrace timeline` that is a queue pair
        note("--pair is called --also now")
    if breaks:
        confirm_breaks(paths, side, yes)
    with interrupts.held():
        taps = words.taps()
        # Listen first: who connects meanwhile waits in the backlog while the rest is imported.
        sources = open_pairs(pairs, mode)
        with closed_unless_made(sources):
            insertions = take_places(paths, side)
            pairs += [each.pair for each in insertions]
            sources += [each.sources() for each in insertions]
            from vutrace.proxy.relay import LiveView, Options, Relay

            rows = LiveView.BOARD if board else LiveView.ROWS
            show = LiveView.BYTES if write == "-" else LiveView.NOTHING if quiet else rows
            options = Options(
                pairs=pairs,
                show=show,
                wait=patience,
                socket_mode=mode,
                messages=messages,
                duration=seconds,
                view=tuple(view.words()),
                taps=taps,
                **settings,
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
