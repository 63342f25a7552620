"""The phases of a device's life, and how one leads to the next: a table.

What a message does (`Act`, see acts.py) and the phase before it decide the phase that it belongs to,
at the message and for good. Nothing here knows of front-ends or of positions. Source of the phases:
QEMU's vhost_net_init, virtio_net_set_queue_pairs and vhost_net_start; vhost-user.rst, "Ring states",
"Migration" and "Migrating back-end state".
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum


class Phase(StrEnum):
    """What the device is going through."""

    INIT = "init"  # the two ends get to know each other, no driver yet
    FEATURES = "features"  # the guest wrote its features: rings are enabled before they are set up
    START = "start"  # the driver is ready: features, memory and rings are handed over
    RUNNING = "running"
    STOP = "stop"
    MIGRATION = "migration"
    RESET = "reset"


class Act(StrEnum):
    """What a message does, as far as phases go."""

    ASK = "is neutral"
    GREET = "asks what the back-end can do"
    MEET = "does so for the first time in this session"
    WATCH = "sets a ring's call or err descriptor"
    SWITCH = "enables or disables a ring that is not set up"
    SET_UP = "sets what a start needs"
    OPERATE = "is for a device that runs"
    RESUME = "enables a ring that is started"
    HALT = "stops a ring, or the device's first"
    MIGRATE = "logs dirty pages, or transfers state or pages"
    RESET = "resets the device"


def everywhere(phase: Phase) -> Mapping[Phase, Phase]:
    """The same phase, whatever was before."""
    return dict.fromkeys(Phase, phase)


# A phase that an act does not name stays as it is.
NEXT: Mapping[Act, Mapping[Phase, Phase]] = {
    Act.ASK: {},
    Act.GREET: {},
    Act.MEET: everywhere(Phase.INIT),
    Act.WATCH: {Phase.FEATURES: Phase.START},
    Act.SWITCH: {
        Phase.INIT: Phase.FEATURES,
        Phase.STOP: Phase.FEATURES,
        Phase.RESET: Phase.FEATURES,
    },
    Act.SET_UP: everywhere(Phase.START),
    Act.OPERATE: {Phase.START: Phase.RUNNING, Phase.MIGRATION: Phase.RUNNING},
    Act.RESUME: {Phase.START: Phase.RUNNING, Phase.STOP: Phase.RUNNING},
    Act.HALT: everywhere(Phase.STOP),
    Act.MIGRATE: everywhere(Phase.MIGRATION),
    Act.RESET: everywhere(Phase.RESET),
}


def following(phase: Phase | None, act: Act) -> Phase:
    """The phase after `act`; a session begins as if it were in init."""
    before = phase or Phase.INIT
    return NEXT[act].get(before, before)


def table() -> Iterator[str]:
    """The transitions as a Markdown table, line by line: the manual's."""
    yield "| a message that … | leads from | to |"
    yield "|---|---|---|"
    for act, ways in NEXT.items():
        goals = dict.fromkeys(ways.values())
        for goal in goals:
            sources = [phase for phase in Phase if ways.get(phase) is goal]
            yield f"| {act.value} | {'any' if len(sources) == len(Phase) else ', '.join(sources)} | {goal} |"
        if not goals:
            yield f"| {act.value} | any | the same |"
