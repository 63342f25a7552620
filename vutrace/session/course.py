"""Follows a session through its phases: the phase of each message, decided as it comes."""

from collections.abc import Callable, Mapping

from vutrace.dissection.message import Message
from vutrace.records import Channel, Side
from vutrace.session.acts import DRIVER_OK, Known, act_of
from vutrace.session.context import Context
from vutrace.session.phases import Act, Phase, following


class Course:
    """The phase of one session; `was_running` when the session before it ended while the device ran."""

    def __init__(self, was_running: bool = False) -> None:
        self.known = Known(was_running)

    @property
    def running(self) -> bool:
        """Whether a driver uses the device: what a next session would take up again."""
        return bool(self.known.started) or self.known.was_running

    def phase(self, message: Message, context: Context) -> Phase:
        """The phase of `message`; `context` is the negotiation before it. Replies change nothing."""
        known = self.known
        frame = message.frame
        if message.reply or frame.channel is not Channel.MAIN or frame.sender is not Side.FRONTEND:
            return known.phase or Phase.INIT
        known.context = context
        act = act_of(message, known)
        # While pages are logged, what happens happens in a migration.
        if act in (Act.OPERATE, Act.RESUME) and known.phase is Phase.MIGRATION and known.logging:
            act = Act.ASK
        known.phase = following(known.phase, act)
        if message.name in LEARN:
            LEARN[message.name](message, known)
        if message.spec.ring:
            known.last = message.ring
        return known.phase


def kicked(message: Message, known: Known) -> None:
    """A ring is started; what it had before counts no more."""
    if message.ring is not None:
        known.started.add(message.ring)
        known.called.discard(message.ring)
        known.switched.discard(message.ring)


def called(message: Message, known: Known) -> None:
    """A ring got its call descriptor."""
    if message.ring in known.started:
        known.called.add(message.ring)


def switched(message: Message, known: Known) -> None:
    """A ring was enabled or disabled."""
    if message.ring is None:
        return
    if message.number_in("num"):
        known.enabled.add(message.ring)
    else:
        known.enabled.discard(message.ring)
    if message.ring in known.started:
        known.switched.add(message.ring)


def stopped(message: Message, known: Known) -> None:
    """A ring is stopped; with the last of them the driver is gone, or the guest is paused."""
    if message.ring is not None:
        known.started.discard(message.ring)
    if not known.started:
        known.driver_ok = known.was_running = False


def status_set(message: Message, known: Known) -> None:
    """DRIVER_OK says that a start is complete."""
    known.driver_ok = bool((message.number_in("status") or 0) & DRIVER_OK)


def reset(message: Message, known: Known) -> None:
    """Everything is as at the beginning."""
    known.started.clear()
    known.enabled.clear()
    known.driver_ok = known.was_running = False


LEARN: Mapping[str, Callable[[Message, Known], None]] = {
    "SET_VRING_KICK": kicked,
    "SET_VRING_CALL": called,
    "SET_VRING_ENABLE": switched,
    "GET_VRING_BASE": stopped,
    "SET_STATUS": status_set,
    "RESET_OWNER": reset,
    "RESET_DEVICE": reset,
}
