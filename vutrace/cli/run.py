"""`vutrace run`: only wiring. What is changed and how a program is started is in `vutrace.launch`."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Color, Device, Fold, Hex, Messages, OneRing, PlainFilter, TimeStyle, Tree
from vutrace.cli.output import note, say
from vutrace.cli.relay_words import (
    ActingWords,
    CountKicks,
    DissectorFiles,
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
    Stall,
)
from vutrace.cli.run_relay import RelayWish, run_beside, run_between, start_alone
from vutrace.cli.view_options import ViewOptions
from vutrace.views.colour import When

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vutrace.launch.sockets import ProgramSocket

EXAMPLES = """\b
Examples:
  vutrace run -w trace.pcapng -- qemu-system-x86_64 -chardev socket,id=c0,path=/run/vhost.sock -netdev …
  vutrace run -- dpdk-testpmd --vdev net_vhost0,iface=/run/vhost.sock -- --auto-start      rows on stderr
  vutrace run --mask-features -MRG_RXBUF -- qemu-system-x86_64 …      rules and --rings as with proxy
  vutrace run --dry-run -- virtiofsd --socket-path=/run/fs.sock --shared-dir=/srv      what it would change
  exec vutrace run --exec -q -w "/tmp/$$.pcapng" -- /usr/bin/qemu-system-x86_64 "$@"     libvirt's <emulator>
"""
SOMEWHERE = "vutrace-…"


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- PROGRAM", help="The program and its arguments.")
    ],
    write: Annotated[str, typer.Option("-w", "--write", metavar="FILE", help="Record.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show rows on stderr, even with -w.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows and no notes.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be changed; start nothing.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--exec", help="Let the program replace this process, and run vutrace beside it.")
    ] = False,
    words: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py", help="A table of further programs' socket options.", show_default=False
        ),
    ] = None,
    tree: Tree = False,
    dump: Hex = False,
    fold: Fold = None,
    time: TimeStyle = "r",
    message: Messages = None,
    ring: OneRing = "",
    filter_: PlainFilter = "",
    color: Color = When.AUTO,
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
    seed: Seed = 0,
) -> None:
    """Start a program whose vhost-user sockets go through vutrace."""
    view = ViewOptions(tree, dump, False, fold, time, tuple(message or ()), ring, filter_, str(color))
    shows = (rows or not write) and not quiet
    view.check(not shows, False, dissector or [])
    acting = ActingWords(rule, rules, script, mask_features, mask_protocol, seed=seed)
    recording = RelayWords(
        write,
        stall,
        rings,
        payload,
        snaplen,
        count_kicks=count_kicks,
        device=device,
        dissectors=dissector or (),
        acting=acting,
    )
    wanted = RelayWish(recording.settings(), recording.taps, tuple(view.words()) if shows else None)
    program = os.path.basename(command[0])
    sockets = found_in(command, words or (), quiet)
    refuse_told(program, sockets)
    if dry_run:
        say(changes(command, sockets))
        return
    if not sockets:
        if not quiet:
            note(f"{program}: no vhost-user socket is named, it is started as it is")
        start_alone(command)
    (run_beside if in_place else run_between)(command, sockets, wanted)


run.__doc__ = f"{run.__doc__}\n\n{EXAMPLES}"


def refuse_told(program: str, sockets: "Sequence[ProgramSocket]") -> None:
    """UsageError for a program that only tells another one of sockets."""
    from vutrace.launch.programs import NOT_HERE

    paths = {each.option.program: each.path for each in sockets}
    for name in (program, *paths):
        if name in NOT_HERE:
            raise UsageError(f"{name}: {NOT_HERE[name].format(paths.get(name, 'SOCKET'))}")


def found_in(command: "Sequence[str]", files: "Sequence[str]", quiet: bool) -> "list[ProgramSocket]":
    from vutrace.launch.sockets import sockets_of
    from vutrace.launch.table import load_table

    table, troubles = load_table(map(Path, files))
    for line in () if quiet else troubles:
        note(line)
    return sockets_of(command, table)


def changes(command: "Sequence[str]", sockets: "Sequence[ProgramSocket]") -> "Iterator[str]":
    """What would be changed, a line for each socket, and the command that would be run."""
    from vutrace.launch.between import names_of
    from vutrace.launch.sockets import changed_command

    paths = names_of(sockets, SOMEWHERE)
    for each, path in zip(sockets, paths, strict=True):
        yield f"{each}"
        if each.fd >= 0:
            yield f"  gets another descriptor {each.fd}; vutrace keeps this one"
        else:
            option = f"{each.word.option} " if not each.word.prefix else ""
            yield f"  {option}{each.word.prefix}{each.word.text}"
            yield f"  {option}{each.changed(path)}"
    yield shlex.join(changed_command(command, list(zip(sockets, paths, strict=True))))
