"""`vutrace replay --as`: one side of a capture acted out against a live peer."""

from contextlib import ExitStack, closing

from vutrace.cli import interrupts
from vutrace.cli.errors import UsageError
from vutrace.cli.output import tell
from vutrace.cli.printers import shower
from vutrace.cli.reading import no_session, open_capture, rows_of
from vutrace.dissection.registry import Registry
from vutrace.records import Side
from vutrace.replay.act import Actor, Sink, Stage, foreign, perform
from vutrace.replay.frontend import SETTLE
from vutrace.replay.fuzz import fuzz
from vutrace.replay.script import Script, choose_scripts, connections, scripts
from vutrace.sockets.endpoints import How, parse_endpoint
from vutrace.views.colour import When


def stage_of(role: Side, to: str, speed: float, timeout: float, idle: float, often: bool) -> Stage:
    """What to act, where; `often`: there are to be many runs, so none is lingered over."""
    if not to:
        raise UsageError("--as needs --to ENDPOINT, the live peer")
    try:
        endpoint = parse_endpoint(to, How.CONNECT if role is Side.FRONTEND else How.LISTEN)
    except ValueError as error:
        raise UsageError(str(error)) from None
    settle = SETTLE / 20 if often else SETTLE
    return Stage(role, endpoint, timeout, idle, settle, speed)


def seeds_of(role: Side, mutate: int | None, runs: int) -> range:
    """The seeds of the mutated replays; none for the plain one."""
    if mutate is None:
        if runs > 1:
            raise UsageError("--runs needs --mutate SEED: without damage each run would be the same")
        return range(0)
    if role is not Side.FRONTEND:
        raise UsageError("--mutate needs --as frontend and --to ENDPOINT")
    return range(mutate, mutate + runs)


def recordings(
    name: str, registry: Registry, device: str, letter: str, session: int | None, acts: Side = Side.FRONTEND
) -> list[Script]:
    """The sessions to act out."""
    found = scripts(rows_of(name, open_capture(name, False, None), registry, device), acts)
    letters = connections(found)
    if len(letters) > 1 and not letter:
        raise UsageError(f"{name} has connections {', '.join(letters)}: --connection chooses one")
    wanted = choose_scripts(found, letter, session)
    if not wanted:
        raise no_session(name, [(each.connection, each.session) for each in found])
    for why in foreign(wanted):
        raise UsageError(f"{name}: {why}")
    return wanted


def act_out(
    stage: Stage,
    registry: Registry,
    recorded: list[Script],
    seeds: range,
    sink: Sink,
    quiet: bool,
    color: When,
) -> int:
    """Act the sessions out, once or damaged by each seed, and tell what came of it; the exit status."""
    with ExitStack() as stack:
        with interrupts.held():
            actor = Actor(stage, registry, recorded[0].device, sink, shower(quiet, color))
            stack.enter_context(closing(actor))
        return fuzz(actor, recorded, seeds, tell) if seeds else perform(actor, recorded, tell)
