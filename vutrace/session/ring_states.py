"""What a ring does, and what changes it: the table that the manual's state diagram is drawn from.

Source: vhost-user.rst, "Ring states". Rings begin stopped and disabled; the two are independent, and a
ring is processed normally only when it is started and enabled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from vutrace.protocol.effects import RingEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES


class RingState(StrEnum):
    """What the back-end may do with a ring; it is `started` or not, and `enabled` or not."""

    started: bool
    enabled: bool

    def __init__(self, text: str) -> None:
        self.started, self.enabled = text in ("started", "running"), text in ("enabled", "running")

    STOPPED = "stopped"  # it does not touch the ring
    ENABLED = "enabled"  # the same: enabled, which counts once it is started
    STARTED = "started"  # processed without side effects: net gives no packets and drops those it gets
    RUNNING = "running"  # processed normally


def ring_state(started: bool, enabled: bool) -> RingState:
    """The state of its two halves."""
    if started:
        return RingState.RUNNING if enabled else RingState.STARTED
    return RingState.ENABLED if enabled else RingState.STOPPED


class Trigger(StrEnum):
    """What changes a ring's state."""

    KICK = "its kick descriptor"
    NOTIFY = "its kick in band"
    STOP = "its stop"
    ENABLE = "its enabling"
    DISABLE = "its disabling"
    DEFAULT_ENABLE = "features without PROTOCOL_FEATURES"
    RESET_DEVICE = "the device's reset"
    RESET_OWNER = "the owner's reset"
    END = "the session's end"


TRIGGERS: Mapping[RingEffect, Trigger] = {
    RingEffect.KICK: Trigger.KICK,
    RingEffect.NOTIFY: Trigger.NOTIFY,
    RingEffect.STOP: Trigger.STOP,
    RingEffect.ENABLE: Trigger.ENABLE,  # or DISABLE, by its value
    RingEffect.DEFAULT_ENABLE: Trigger.DEFAULT_ENABLE,
    RingEffect.RESET_DEVICE: Trigger.RESET_DEVICE,
    RingEffect.RESET_OWNER: Trigger.RESET_OWNER,
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a trigger does to the halves of a ring (None: nothing), and the rule that says so.

    In `rule`, {} is the message's name.
    """

    started: bool | None
    enabled: bool | None
    rule: str


EFFECTS: Mapping[Trigger, Effect] = {
    Trigger.KICK: Effect(True, None, "started by {}"),
    Trigger.NOTIFY: Effect(True, None, "started by {}"),
    Trigger.STOP: Effect(False, None, "stopped by {}"),
    Trigger.ENABLE: Effect(None, True, "enabled by {}"),
    Trigger.DISABLE: Effect(None, False, "disabled by {}"),
    Trigger.DEFAULT_ENABLE: Effect(None, True, "enabled: PROTOCOL_FEATURES is not negotiated"),
    Trigger.RESET_DEVICE: Effect(False, False, "stopped and disabled by {}"),
    Trigger.RESET_OWNER: Effect(None, False, "disabled by {}"),
    Trigger.END: Effect(False, False, "stopped and disabled: the session ended"),
}
INITIAL = "disabled: no SET_VRING_ENABLE yet"
UNSTARTED = "stopped: no SET_VRING_KICK yet"

TRANSITIONS: Mapping[tuple[RingState, Trigger], RingState] = {
    (state, trigger): ring_state(
        state.started if effect.started is None else effect.started,
        state.enabled if effect.enabled is None else effect.enabled,
    )
    for state in RingState
    for trigger, effect in EFFECTS.items()
}


@cache
def rule_of(trigger: Trigger, name: str) -> str:
    """The rule of a trigger, with the message that it was."""
    return EFFECTS[trigger].rule.format(name)


def label(trigger: Trigger) -> str:
    """A trigger as the diagram has it: the messages that are one."""
    if trigger is Trigger.END:
        return "the session ends"
    effects = {trigger: effect for effect, trigger in TRIGGERS.items()} | {Trigger.DISABLE: RingEffect.ENABLE}
    names = [row.name for row in FRONTEND_MESSAGES.values() if row.effect is effects[trigger]]
    behind = {
        Trigger.ENABLE: " 1",
        Trigger.DISABLE: " 0",
        Trigger.DEFAULT_ENABLE: " without PROTOCOL_FEATURES",
    }
    return ", ".join(name + behind.get(trigger, "") for name in names)


def diagram() -> Iterator[str]:
    """The transitions that change something, as a Mermaid state diagram, line by line."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {RingState.STOPPED}"
    for before in RingState:
        for after in RingState:
            labels = [
                label(trigger)
                for trigger in Trigger
                if before is not after and TRANSITIONS[before, trigger] is after
            ]
            if labels:
                yield f"    {before} --> {after}: {'<br/>'.join(labels)}"
