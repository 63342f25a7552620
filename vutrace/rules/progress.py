"""How far a session got: the steps of a start, the last of which the verdict names."""

from enum import StrEnum

from vutrace.protocol.effects import Fact, MemoryEffect, RingEffect
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import Channel
from vutrace.session.state import SessionState


class Progress(StrEnum):
    """How far a session got, the first step first."""

    NOTHING = "nothing"  # no message at all
    HANDSHAKE = "handshake"  # the two find out what the other can do
    READY = "ready"  # the front-end has all it needs, and waits for a driver
    FEATURES = "features"  # a driver's features are acknowledged
    MEMORY = "memory"  # guest memory is shared
    RINGS = "rings"  # rings are set up
    STARTED = "started"  # rings are started, none is enabled
    RUNNING = "running"


WORDS = {
    Progress.NOTHING: "not a message was sent",
    Progress.HANDSHAKE: "the handshake was not done",
    Progress.READY: "the handshake was done, and no driver started the device",
    Progress.FEATURES: "features were set, and no memory was shared",
    Progress.MEMORY: "memory was shared, and no ring was set up",
    Progress.RINGS: "rings were set up, and none was started",
    Progress.STARTED: "rings were started, and none was enabled",
    Progress.RUNNING: "rings ran",
}
SETS_FEATURES = next(
    row.number for row in FRONTEND_MESSAGES.values() if row.tells(Fact.FEATURES, reply=False)
)
SHARES = frozenset(
    row.number for row in FRONTEND_MESSAGES.values() if row.memory in (MemoryEffect.TABLE, MemoryEffect.ADD)
)
WATCHES = frozenset(row.number for row in FRONTEND_MESSAGES.values() if row.effect is RingEffect.CALL)


def step(state: SessionState) -> Progress:
    """How far the session is now; what was stopped again counts no more (see `Progress`)."""
    rings, sent = state.rings, state.sent
    if rings.running:
        return Progress.RUNNING
    if rings.started:
        return Progress.STARTED
    if any(ring.configured for ring in rings.by_index.values()):
        return Progress.RINGS
    if any(sent[Channel.MAIN, number] for number in SHARES):
        return Progress.MEMORY
    if sent[Channel.MAIN, SETS_FEATURES] and not greeting(state):
        return Progress.FEATURES
    if any(sent[Channel.MAIN, number] for number in WATCHES):
        return Progress.READY
    return Progress.HANDSHAKE if sent else Progress.NOTHING


def greeting(state: SessionState) -> bool:
    """Whether the features are set before the protocol features, as SPDK and libblkio do."""
    return state.context.protocol_features is None and bool(state.context.protocol_offered is None)


ORDER = tuple(Progress)


def further(one: Progress, other: Progress) -> Progress:
    """The further of two steps."""
    return max(one, other, key=ORDER.index)
