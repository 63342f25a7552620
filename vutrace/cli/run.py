"""`vutrace run`: only wiring. What is changed and how a program is started is in `vutrace.launch`."""

import os
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vutrace.cli.errors import UsageError
from vutrace.cli.options import Device
from vutrace.cli.output import note, say
from vutrace.errors import VutraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vutrace.launch.between import Between
    from vutrace.launch.sockets import ProgramSocket
    from vutrace.proxy.relay import Relay

EXAMPLES = """\b
Examples:
  vutrace run -w trace.pcapng -- qemu-system-x86_64 -chardev socket,id=c0,path=/run/vhost.sock -netdev …
  vutrace run -- dpdk-testpmd --vdev net_vhost0,iface=/run/vhost.sock -- --auto-start      rows on stderr
  vutrace run --dry-run -- virtiofsd --socket-path=/run/fs.sock --shared-dir=/srv      what it would change
  exec vutrace run --exec -q -w "/tmp/$$.pcapng" -- /usr/bin/qemu-system-x86_64 "$@"     libvirt's <emulator>
"""
AFTER_SECONDS = 0.1  # for what the program sent before it ended
NOT_FOUND, NOT_STARTED = 127, 126  # as shells and env have it
SOMEWHERE = "vutrace-…"


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="-- PROGRAM", help="The program and its arguments.")
    ],
    write: Annotated[str, typer.Option("-w", "--write", metavar="FILE", help="Record.")] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show rows on stderr, with -w too.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no rows and no notes.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be changed; start nothing.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--exec", help="The program is this very process, vutrace another one beside it.")
    ] = False,
    device: Device = "",
    words: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py", help="More ways in which programs are told of sockets.", show_default=False
        ),
    ] = None,
) -> None:
    """Start a program with its vhost-user sockets through vutrace."""
    from vutrace.launch.programs import NOT_HERE

    program = os.path.basename(command[0])
    if program in NOT_HERE:
        raise UsageError(f"{program}: {NOT_HERE[program]}")
    sockets = found_in(command, words or (), quiet)
    if dry_run:
        say(changes(command, sockets))
        return
    if not sockets:
        if not quiet:
            note(f"{program}: no vhost-user socket is named, it is started as it is")
        start_alone(command)
    settings = {"write": write, "device": device, "rows": "on" if (rows or not write) and not quiet else ""}
    (run_beside if in_place else run_between)(command, sockets, settings)


run.__doc__ = f"{run.__doc__}\n\n{EXAMPLES}"


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


def start_alone(command: "Sequence[str]") -> NoReturn:
    from vutrace.launch.start import become

    try:
        become(command, {})
    except OSError as error:
        fail(command, error)


def fail(command: "Sequence[str]", error: OSError) -> NoReturn:
    note(f"{command[0]}: {error.strerror}")
    raise typer.Exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED)


def relay_of(between: "Between", settings: "dict[str, str]", orphaned: "Callable[[], None]") -> "Relay":
    from vutrace.proxy.relay import LiveView, Options, Relay
    from vutrace.sockets.process import raise_descriptor_limit

    raise_descriptor_limit()
    show = LiveView.ROWS if settings["rows"] else LiveView.NOTHING
    options = Options(
        between.pairs,
        write=settings["write"],
        show=show,
        show_on=2,
        device=settings["device"],
        orphaned=[orphaned],
    )
    return Relay(options, between.sources)


def run_between(
    command: "Sequence[str]", sockets: "Sequence[ProgramSocket]", settings: "dict[str, str]"
) -> NoReturn:
    """Run the program as a child; what it ended with is what this ends with."""
    from vutrace.launch.between import PrivateDirectory, go_between
    from vutrace.launch.sockets import changed_command
    from vutrace.launch.start import StartedProgram, Surroundings

    surroundings = Surroundings()
    private = PrivateDirectory(sockets)
    try:
        between = go_between(sockets, private.names)
        relay = relay_of(between, settings, private.remove)
        changed = changed_command(command, list(zip(sockets, private.names, strict=True)))
        try:
            program = StartedProgram(changed, between.instead, surroundings)
        except OSError as error:
            between.close()
            fail(command, error)
        between.let_go()
        relay.own_process()  # now: what this does to signals is not for the program
        relay.stop_after(program.fd, AFTER_SECONDS, program.in_background)
        relay.run()
        status = program.status()
    finally:
        private.remove()
    raise typer.Exit(status)


def run_beside(
    command: "Sequence[str]", sockets: "Sequence[ProgramSocket]", settings: "dict[str, str]"
) -> NoReturn:
    """Be the program; a child is between until that has ended."""
    from vutrace.launch.between import PrivateDirectory, go_between, rejoin
    from vutrace.launch.sockets import changed_command
    from vutrace.launch.start import become

    private = PrivateDirectory(sockets)
    rejoined = partial(rejoin, sockets, private.names)
    ended = os.pidfd_open(os.getpid())
    ready, told = os.pipe2(os.O_CLOEXEC)
    try:
        between = go_between(sockets, private.names)
    except VutraceError:
        private.remove()
        raise
    if os.fork() == 0:
        os.close(ready)
        between.let_go()
        stay(between, settings, (private.remove, rejoined), ended, told)
    os.close(told)
    if not os.read(ready, 1):
        raise typer.Exit(os.waitstatus_to_exitcode(os.wait()[1]))
    try:
        become(changed_command(command, list(zip(sockets, private.names, strict=True))), between.instead)
    except OSError as error:
        fail(command, error)


def stay(
    between: "Between",
    settings: "dict[str, str]",
    afterwards: "tuple[Callable[[], None], Callable[[], None]]",
    ended: int,
    told: int,
) -> NoReturn:
    """Relay in a session of its own until the program has ended; no terminal's key reaches this.

    `afterwards`: what is done then, and what is done should this process be killed.
    """
    os.setsid()
    remove, orphaned = afterwards
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        relay = relay_of(between, settings, orphaned)
        relay.own_process()
        relay.stop_after(ended, AFTER_SECONDS)
        os.write(told, b"+")
        os.close(told)
        relay.run()
    finally:
        remove()
    raise typer.Exit
