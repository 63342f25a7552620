"""One mutated replay, told by its seed: the same seed does the same to the same recording."""

from collections.abc import Sequence

from vutrace.replay.act import Actor
from vutrace.replay.frontend import BrokeOffError
from vutrace.replay.mutate import mutated
from vutrace.replay.outcome import Outcome, summary
from vutrace.replay.script import Script


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
