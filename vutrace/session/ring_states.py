"""What a ring does, and what changes it: the table that the manual's state diagram is drawn from.

Source: vhost-user.rst, "Ring states". Rings begin stopped and disabled; the two are independent, and a
ring is processed normally only when it is started and enabled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class RingState(StrEnum):
    """What the back-end may do with a ring."""

    STOPPED = "stopped"  # it does not touch the ring
    ENABLED = "enabled"  # the same: enabled, which counts once it is started
    STARTED = "started"  # processed without side effects: net gives no packets and drops those it gets
    RUNNING = "running"  # processed normally

    @property
    def started(self) -> bool:
        """Whether the ring is started."""
        return self in (RingState.STARTED, RingState.RUNNING)

    @property
    def enabled(self) -> bool:
        """Whether the ring is enabled."""
        return self in (RingState.ENABLED, RingState.RUNNING)


def ring_state(started: bool, enabled: bool) -> RingState:
    """The state of its two halves."""
    if started:
        return RingState.RUNNING if enabled else RingState.STARTED
    return RingState.ENABLED if enabled else RingState.STOPPED


class Trigger(StrEnum):
    """What changes a ring, as the diagram labels it."""

    KICK = "SET_VRING_KICK"
    INBAND_KICK = "VRING_KICK"
    BASE = "GET_VRING_BASE"
    ENABLE = "SET_VRING_ENABLE 1"
    DISABLE = "SET_VRING_ENABLE 0"
    PLAIN_FEATURES = "SET_FEATURES without PROTOCOL_FEATURES"
    RESET_DEVICE = "RESET_DEVICE"
    RESET_OWNER = "RESET_OWNER"
    END = "the session ends"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a trigger does to the halves of a ring (None: nothing), and the rule that says so."""

    started: bool | None
    enabled: bool | None
    rule: str


EFFECTS: Mapping[Trigger, Effect] = {
    Trigger.KICK: Effect(True, None, "started by SET_VRING_KICK"),
    Trigger.INBAND_KICK: Effect(True, None, "started by VRING_KICK"),
    Trigger.BASE: Effect(False, None, "stopped by GET_VRING_BASE"),
    Trigger.ENABLE: Effect(None, True, "enabled by SET_VRING_ENABLE"),
    Trigger.DISABLE: Effect(None, False, "disabled by SET_VRING_ENABLE"),
    Trigger.PLAIN_FEATURES: Effect(None, True, "enabled: PROTOCOL_FEATURES is not negotiated"),
    Trigger.RESET_DEVICE: Effect(False, False, "stopped and disabled by RESET_DEVICE"),
    Trigger.RESET_OWNER: Effect(None, False, "disabled by RESET_OWNER"),
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


def diagram() -> Iterator[str]:
    """The transitions that change something, as a Mermaid state diagram, line by line."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {RingState.STOPPED}"
    for before in RingState:
        for after in RingState:
            labels = [
                str(trigger)
                for trigger in Trigger
                if before is not after and TRANSITIONS[before, trigger] is after
            ]
            if labels:
                yield f"    {before} --> {after}: {'<br/>'.join(labels)}"
