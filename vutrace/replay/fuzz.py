"""Mutated replays, each told by its seed: the same seed does the same to the same recording."""

from collections.abc import Callable, Iterable, Sequence

from vutrace.replay.act import BROKE, SAME, Actor
from vutrace.replay.frontend import BrokeOffError
from vutrace.replay.mutate import mutated
from vutrace.replay.outcome import Outcome, summary
from vutrace.replay.script import Script
from vutrace.sockets.framed import PeerError


def run(actor: Actor, recorded: Sequence[Script], seed: int) -> str:
    """Act a damaged recording out; a line of what was done and what came of it.

    A back-end that closes the connection does what it may. PeerError when none is there any more.
    """
    damaged = [mutated(script, seed) for script in recorded]
    outcome = Outcome()
    try:
        actor.act([script for script, _ in damaged], outcome)
        end = "went through"
    except BrokeOffError as error:
        end = str(error)
    done = "; ".join(str(mutation) for _, mutations in damaged for mutation in mutations)
    return f"seed {seed}: {done} => {end} ({summary(outcome)})"


def fuzz(actor: Actor, recorded: Sequence[Script], seeds: Iterable[int], say: Callable[[str], None]) -> int:
    """A run for each seed, a line for each run; the exit status tells whether a back-end is still there."""
    last = ""
    for seed in seeds:
        try:
            say(run(actor, recorded, seed))
        except PeerError as error:
            say(f"vutrace: {last}{error}")
            return BROKE
        last = f"after seed {seed}, "
    return SAME
