"""The phases of one session as values, closed one by one as rows pass."""

from vutrace.dissection.message import Message
from vutrace.protocol.effects import RingEffect
from vutrace.quick import quick_tuple
from vutrace.records import Channel, Side
from vutrace.session.acts import LOG_ALL
from vutrace.session.ends import Ends
from vutrace.session.exchanges import is_refusal
from vutrace.session.loops import once_per_device, parts_of
from vutrace.session.model import Anomaly, Mark, PhaseSpan
from vutrace.session.phases import Phase
from vutrace.session.row import Row
from vutrace.session.runs import At, Pass, Run
from vutrace.session.turns import Turns

MAIN, FRONTEND, ENABLE = Channel.MAIN, Side.FRONTEND, RingEffect.ENABLE
quick_at = quick_tuple(At)
PHASES_KEPT = 256
# After these the device runs, whether or not anything is said.
THEN_RUNNING = (Phase.START, Phase.MIGRATION)


class OpenPhase:
    """A phase whose messages still come."""

    def __init__(self, phase: Phase, at: At) -> None:
        self.phase, self.first, self.last = phase, at, at
        self.start_ns = at.time_ns
        self.turns = Turns(heads=phase in (Phase.INIT, Phase.START))
        self.messages = 0

    def closed(self, end_ns: int) -> PhaseSpan:
        """The phase as a value, until `end_ns`."""
        parts = self.turns.finish()
        once = once_per_device(parts)
        return PhaseSpan(
            self.phase,
            self.first.row,
            self.last.row,
            self.start_ns,
            end_ns,
            parts_of(parts, self.turns.paired, once),
            self.turns.parts.omitted,
            self.messages,
            tuple(Mark("once", name, at.row, at.time_ns, at.row) for name, at in once.items()),
        )


class PhaseSpans:
    """All phases of a session. A features phase waits for the start after it, which may claim its end."""

    def __init__(self) -> None:
        self.phases: Ends[PhaseSpan] = Ends(PHASES_KEPT)
        self._open: OpenPhase | None = None
        self._waiting: OpenPhase | None = None
        self._features: int | None = None

    def feed(self, row: Row, message: Message, ring: int | None, running: bool) -> None:
        """Take a message about `ring`; `running`: when it came, some ring was started and enabled."""
        at, main = quick_at((row.number, row.since_first_ns)), message.channel is MAIN
        asks, phase = main and not message.reply and message.frame.sender is FRONTEND, self._open
        if phase is None or (asks and phase.phase is not row.phase):
            phase = self._begin(phase, OpenPhase(row.phase or Phase.INIT, at), running)
        if main:  # what a device says while it runs makes its start no longer
            phase.last = at
        self._features = row.context.features
        if asks:
            self._take(phase, row, message, ring)
        else:
            phase.turns.touch(at)
        if main and (row.problems or message.reply):  # loops are made of the main channel's messages alone
            for text in (*map(str, row.problems), *refusal(message)):
                phase.turns.trouble(Anomaly(text, row=row.number))

    def _begin(self, before: OpenPhase | None, phase: OpenPhase, running: bool) -> OpenPhase:
        self._open = phase
        if before:
            self._change(before, phase, running)
        return phase

    def end(self, time_ns: int, running: bool) -> None:
        """The session is over, or the capture."""
        if self._open:
            self._change(self._open, None, running, time_ns)
        self._open = None

    def _take(self, phase: OpenPhase, row: Row, message: Message, ring: int | None) -> None:
        at = phase.last
        phase.messages += 1
        if ring is None:
            phase.turns.device(at, message.name, bool(message.spec.once), row.barrier)
        else:
            if not phase.turns.rings_seen:
                phase.turns.paired = row.context.device.pairs
            enables = message.spec.effect is ENABLE
            value = message.number_in("num") if enables else None
            phase.turns.ring(at, message.name, ring, value, enables and is_news(row))

    def _change(self, before: OpenPhase, after: OpenPhase | None, running: bool, end_ns: int = 0) -> None:
        until = after.start_ns if after else end_ns
        before.turns.flush()
        if before.phase is Phase.STOP and after and after.phase is Phase.START:
            features = features_of(before)
            if features:
                self.phases.append(before.closed(before.last.time_ns))
                before = features
        if before.phase is Phase.FEATURES and after and after.phase is Phase.START:
            self._waiting = before
            return
        if self._waiting:
            divide(self._waiting, before)
            if len(self._waiting.turns.parts):
                self.phases.append(self._waiting.closed(self._waiting.last.time_ns))
            self._waiting = None
        said_ns = before.last.time_ns
        logging = (self._features or 0) & LOG_ALL
        if before.phase is Phase.RUNNING or (before.phase is Phase.MIGRATION and logging):
            self.phases.append(before.closed(until))
            return
        self.phases.append(before.closed(said_ns))
        if before.phase in THEN_RUNNING and running:
            if after and after.phase is Phase.RUNNING:
                after.start_ns = said_ns
            else:
                self.phases.append(PhaseSpan(Phase.RUNNING, None, None, said_ns, until))


def is_news(row: Row) -> bool:
    """Whether a message changed what was sent of a ring's enable state."""
    return any(
        after.enable_sent is not (before.enable_sent if before else None)
        for before, after in row.changes.rings
    )


def refusal(message: Message) -> tuple[str, ...]:
    """What an acknowledgement with an error says ("VHOST_USER_PROTOCOL_F_REPLY_ACK")."""
    return (f"{message.name} failed",) if is_refusal(message) else ()


def features_of(stop: OpenPhase) -> OpenPhase | None:
    """The features phase at the end of a stop that a start follows: the next driver wrote its features.

    Where no start follows, the same messages were the device's reset, as when a guest powers off.
    """
    taken = stop.turns.take_switches()
    if not taken:
        return None
    first = taken[0].turns[0] if isinstance(taken[0], Pass) else taken[0]
    features = OpenPhase(Phase.FEATURES, first.first)
    features.last = taken[-1].last
    features.turns.paired = stop.turns.paired
    for part in taken:
        features.turns.parts.append(part)
    features.messages = sum(map(count_of, taken))
    stop.messages -= features.messages
    rest = stop.turns.parts.last
    stop.last = rest.last if rest else stop.first
    return features


def count_of(part: Run | Pass) -> int:
    """How many messages a part has."""
    if isinstance(part, Pass):
        return part.repeats * sum(map(count_of, part.turns))
    return sum(step.count for step in part.steps)


def divide(features: OpenPhase, start: OpenPhase) -> None:
    """Give the start what is its own of the features phase before it, now that both are known."""
    taken = features.turns.take_enables(start.turns)
    if taken is None:
        return
    start.first = taken.turns[0].first
    start.start_ns = start.first.time_ns
    start.messages += count_of(taken)
    features.messages -= count_of(taken)
    rest = features.turns.parts.last
    features.last = rest.last if rest else features.first
