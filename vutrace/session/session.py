"""One session of one connection: from connect to close."""

from collections.abc import Sequence

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.dissection.soundness import dissector_failed
from vutrace.problems import Problem
from vutrace.quick import quick_tuple
from vutrace.records import Channel, Connection, Event, EventKind, Sample
from vutrace.session.context import NOTHING_KNOWN, Context
from vutrace.session.exchanges import Answer, Owed, Request, is_barrier, is_refusal, owed, unanswered
from vutrace.session.labels import Labels
from vutrace.session.recognition import MESSAGE, Guess, adopt, from_event, from_message
from vutrace.session.rings import RINGS_KEPT
from vutrace.session.row import NOTHING, Changes, Row
from vutrace.session.state import SessionState
from vutrace.session.told import told_of

NO_ANSWER = Answer(None)
MAIN, NOT_OWED = Channel.MAIN, Owed.NO
quick_row, quick_changes = quick_tuple(Row), quick_tuple(Changes)


class Session:
    """Takes the records of one session in order and gives a row for each.

    `telling` are the names of the messages that may tell the device. `before` is the connection's session
    before it: the device is the same, and its driver may still be.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        telling: frozenset[str],
        said: Guess | None = None,
        endpoints: Connection | None = None,
        before: "Session | None" = None,
    ) -> None:
        self._devices, self._endpoints = devices, endpoints
        context = adopt(NOTHING_KNOWN, [said] if said else [before.guess] if before else [])
        was_running = before is not None and before.state.course.running
        self.state: SessionState = SessionState(context, was_running)
        self._labels = Labels()
        self._telling = telling
        self._ring_names: dict[int, str] = {}
        self._named_by = context

    @property
    def guess(self) -> Guess:
        """The device that this session is believed to be about."""
        context = self.state.context
        return Guess(context.device, context.reason, context.weight)

    def event(self, number: int, since_first_ns: int, event: Event) -> Row:
        """The row of an event; a close tells which replies were still owed, a gap forgives them."""
        state = self.state
        moved = state.activity.feed(since_first_ns, event) if isinstance(event, Sample) else ()
        if event.attributes:
            state.context = adopt(
                state.context, from_event(event, self._devices, self._endpoints, state.context.weight)
            )
        if event.kind is EventKind.OPEN and event.channel is Channel.MAIN:
            state.told = told_of(event, self._devices, self._endpoints)
        if event.kind is EventKind.GAP:
            state.lose_some()
        if event.kind is not EventKind.CLOSE:
            changes = Changes(moved=moved) if moved else NOTHING
            return Row(number, since_first_ns, event, state.context, state, changes)
        problems = tuple(map(unanswered, state.close(event.channel)))
        ended = Changes(state.rings.end()) if event.channel is Channel.MAIN else NOTHING
        return Row(number, since_first_ns, event, state.context, state, ended, problems=problems)

    def dropped(self, number: int, since_first_ns: int, event: Event, message: Message) -> Row:
        """The row of a message that its receiver never got: nothing changed, but somebody may wait."""
        state, context = self.state, self.state.context
        request = asked = None
        if message.reply:
            request = state.exchanges(message.channel).lose(message, number)
        elif message.lawful and (due := owed(message, context)) is not Owed.NO:
            asked = Request(number, message, due, context, dropped=number)
            state.ask(asked)
        ring = request.ring if request else message.ring
        name, problems = self._ring_name(ring)
        changes = Changes(asked=asked) if asked else NOTHING
        return Row(
            *(number, since_first_ns, event, context, state, changes, ring, name, request),
            problems=problems,
        )

    def message(self, number: int, since_first_ns: int, message: Message) -> Row:
        """The row of a message."""
        state, reply = self.state, message.reply
        if state.context.weight <= MESSAGE and message.name in self._telling:
            state.context = adopt(state.context, from_message(message, self._devices))
        before = state.context
        request, problems = NO_ANSWER
        if reply and message.lawful:
            request, problems = state.exchanges(message.channel).answer(message)
        ring = request.ring if request and message.ring is None else message.ring
        phase = state.course.enter(message, before)
        state.learn(message)
        name, failures = self._ring_name(ring)
        if reply:
            barrier = bool(request and request.barrier)
            changes = self._replied(number, since_first_ns, message, name, request)
        else:
            barrier, changes = self._requested(number, since_first_ns, message, name, before)
        loop = self._labels.of(message, phase, before.device, barrier)
        return quick_row(
            (
                *(number, since_first_ns, message, before, state, changes),
                *(ring, name, request, phase, loop, barrier),
                *(message.problems + problems + failures, None),
            )
        )

    def _requested(
        self, number: int, time_ns: int, message: Message, name: str, before: Context
    ) -> tuple[bool, Changes]:
        """Whether a request is a barrier, and what it did."""
        state, main = self.state, message.channel is MAIN
        barrier = main and is_barrier(message, state.previous)
        rings, memory, fds = state.act(number, time_ns, message, name)
        state.sent[message.channel, message.spec.number] += 1
        if main:
            state.course.leave(message)
            state.previous = message
        due = owed(message, before)
        asked = None
        if due is not NOT_OWED and message.lawful:
            asked = Request(number, message, due, before, rings, memory, barrier)
            state.ask(asked)
        if not (rings or memory or fds or asked):
            return barrier, NOTHING
        return barrier, quick_changes((rings, memory, fds, asked, None, ()))

    def _replied(
        self, number: int, time_ns: int, message: Message, name: str, request: Request | None
    ) -> Changes:
        """What a reply did; a refusal undoes what was asked."""
        if request and is_refusal(message):
            return Changes(self.state.refuse(request), refused=request)
        rings, _, fds = self.state.act(number, time_ns, message, name)
        return Changes(rings, fds=fds) if rings or fds else NOTHING

    def _ring_name(self, ring: int | None) -> tuple[str, tuple[Problem, ...]]:
        """The device's name of a ring, and what went wrong in asking its dissector."""
        if ring is None:
            return "", ()
        known = self.state.context
        if known is not self._named_by:  # another device or other features, maybe
            self._named_by, self._ring_names = known, {}
        if ring in self._ring_names:
            return self._ring_names[ring], ()
        try:
            name = known.device.name_of_ring(ring, known.features or 0, known.queue_num or 0)
            if not (isinstance(name, str) and name.isprintable()):
                raise TypeError(f"{name!r} is no name of ring {ring}")
            if ring < RINGS_KEPT:
                self._ring_names[ring] = name
            return name, ()
        except Exception as error:  # a plug-in may raise anything; the trace goes on
            return f"q{ring}", (dissector_failed(known.device, error),)
