"""The program of `vutrace run` and the relay that is between: as a child of vutrace, or beside it."""

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from vutrace.cli.output import note
from vutrace.errors import VutraceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vutrace.launch.between import Between
    from vutrace.launch.sockets import ProgramSocket
    from vutrace.proxy.relay import Relay
    from vutrace.proxy.taps import Taps

AFTER_SECONDS = 0.1  # for what the program sent before it ended
NOT_FOUND, NOT_STARTED = 127, 126  # as shells and env have it


def start_alone(command: "Sequence[str]") -> NoReturn:
    from vutrace.launch.start import become

    try:
        become(command, {})
    except OSError as error:
        fail(command, error)


def fail(command: "Sequence[str]", error: OSError) -> NoReturn:
    note(f"{command[0]}: {error.strerror}")
    raise typer.Exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED)


@dataclass(frozen=True, slots=True)
class RelayWish:
    """What the relay is to do: fields of its `Options`, what acts, and how rows are shown (None: not)."""

    settings: dict[str, Any]
    taps: "Callable[[], Taps | None]"
    view: tuple[str, ...] | None


def relay_of(between: "Between", wanted: RelayWish, orphaned: "Callable[[], None]") -> "Relay":
    from vutrace.proxy.relay import LiveView, Options, Relay
    from vutrace.sockets.process import raise_descriptor_limit

    raise_descriptor_limit()
    options = Options(
        between.pairs,
        show=LiveView.NOTHING if wanted.view is None else LiveView.ROWS,
        show_on=2,
        view=wanted.view or (),
        taps=wanted.taps(),
        orphaned=[orphaned],
        **wanted.settings,
    )
    return Relay(options, between.sources)


def run_between(command: "Sequence[str]", sockets: "Sequence[ProgramSocket]", wanted: RelayWish) -> NoReturn:
    """Run the program as a child; what it ended with is what this ends with."""
    from vutrace.launch.between import PrivateDirectory, go_between
    from vutrace.launch.sockets import changed_command
    from vutrace.launch.start import StartedProgram, Surroundings

    surroundings = Surroundings()
    private = PrivateDirectory(sockets)
    try:
        between = go_between(sockets, private.names)
        relay = relay_of(between, wanted, private.remove)
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


def run_beside(command: "Sequence[str]", sockets: "Sequence[ProgramSocket]", wanted: RelayWish) -> NoReturn:
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
        stay(between, wanted, (private.remove, rejoined), ended, told)
    os.close(told)
    if not os.read(ready, 1):
        raise typer.Exit(os.waitstatus_to_exitcode(os.wait()[1]))
    try:
        become(changed_command(command, list(zip(sockets, private.names, strict=True))), between.instead)
    except OSError as error:
        fail(command, error)


def stay(
    between: "Between",
    wanted: RelayWish,
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
        relay = relay_of(between, wanted, orphaned)
        relay.own_process()
        relay.stop_after(ended, AFTER_SECONDS)
        os.write(told, b"+")
        os.close(told)
        relay.run()
    finally:
        remove()
    raise typer.Exit
