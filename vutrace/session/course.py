"""Follows a session through its phases: the phase of each message, decided as it comes."""

from vutrace.dissection.message import Message
from vutrace.protocol.effects import Purpose, RingEffect
from vutrace.records import Channel, Side
from vutrace.session.acts import DRIVER_OK, Known, act_of
from vutrace.session.context import Context
from vutrace.session.phases import Act, Phase, following
from vutrace.session.rings import Rings

# Longer than a back-end takes between two messages of one start, shorter than a driver does anything.
PAUSE_NS = 100_000_000


MAIN, FRONTEND, STATUS = Channel.MAIN, Side.FRONTEND, Purpose.STATUS
INIT, MIGRATION = Phase.INIT, Phase.MIGRATION
RUNS = frozenset({Act.OPERATE, Act.RESUME})
ENDS = frozenset({RingEffect.STOP, RingEffect.RESET_DEVICE})


class Course:
    """The phase of one session, whose rings somebody else keeps.

    `was_running` when the session before it ended while the device ran.
    """

    def __init__(self, rings: Rings, was_running: bool = False) -> None:
        self._known = Known(rings, was_running)
        self._last_ns = 0  # when the last message on the main channel came

    @property
    def phase(self) -> Phase:
        """The phase so far."""
        return self._known.phase or INIT

    @property
    def driver_ok(self) -> bool:
        """Whether this start was declared complete."""
        return self._known.driver_ok

    @property
    def running(self) -> bool:
        """Whether a driver uses the device: what a next session would take up again."""
        return bool(self._known.started) or self._known.was_running

    def enter(self, message: Message, context: Context) -> Phase:
        """The phase of `message`, before it takes effect; `context` is the negotiation before it.

        Replies and the back-end's messages change nothing.
        """
        known, frame, phase = self._known, message.frame, self._known.phase
        if message.channel is not MAIN:
            return phase or INIT
        known.paused, self._last_ns = 0 < self._last_ns <= frame.time_ns - PAUSE_NS, frame.time_ns
        if message.reply or frame.sender is not FRONTEND:
            return phase or INIT
        known.context = context
        act = act_of(message, known)
        # While pages are logged, what happens happens in a migration.
        if phase is MIGRATION and act in RUNS and known.logging:
            act = Act.ASK
        known.phase = phase = following(phase, act)
        if message.spec.ring:
            known.last = message.ring
        return phase

    def leave(self, message: Message) -> None:
        """A request has taken effect on the rings."""
        known, spec = self._known, message.spec
        if spec.purpose is STATUS:
            known.driver_ok = bool((message.number_in("status") or 0) & DRIVER_OK)
        elif spec.effect in ENDS and not known.started:
            # With the last of its rings the driver is gone, or the guest is paused.
            known.driver_ok = known.was_running = False
