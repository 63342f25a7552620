"""One session of one connection: from connect to close."""

from collections import defaultdict
from collections.abc import Sequence

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.dissection.soundness import dissector_failed
from vutrace.problems import Problem
from vutrace.protocol.wire import sender_of
from vutrace.records import Channel, Connection, Event, EventKind
from vutrace.session.context import Context, learn
from vutrace.session.course import Course
from vutrace.session.exchanges import Answer, Exchanges, unanswered
from vutrace.session.labels import Labels
from vutrace.session.recognition import Guess, adopt, from_event, from_message, telling
from vutrace.session.row import Row


class Session:
    """Takes the records of one session in order and gives a row for each.

    `before` is the connection's session before it: the device is the same, and its driver may still be.
    """

    def __init__(
        self,
        devices: Sequence[Device],
        said: Guess | None = None,
        endpoints: Connection | None = None,
        before: "Session | None" = None,
    ) -> None:
        self.devices, self.endpoints = devices, endpoints
        self.context = adopt(Context(), [said] if said else [before.guess] if before else [])
        self.exchanges: dict[Channel, Exchanges] = defaultdict(Exchanges)
        self.course: Course = Course(was_running=before is not None and before.course.running)
        self.labels = Labels()
        self.telling = telling(devices)

    @property
    def guess(self) -> Guess:
        """The device that this session is believed to be about."""
        return Guess(self.context.device, self.context.reason, self.context.weight)

    def event(self, number: int, since_first_ns: int, event: Event) -> Row:
        """The row of an event; a close tells which replies were still owed."""
        self.context = adopt(self.context, from_event(event, self.devices, self.endpoints))
        problems = tuple(self.unanswered(event.channel)) if event.kind is EventKind.CLOSE else ()
        return Row(number, since_first_ns, event, self.context, problems=problems)

    def message(self, number: int, since_first_ns: int, message: Message) -> Row:
        """The row of a message."""
        if self.context.weight < 4 and message.name in self.telling:
            self.context = adopt(self.context, from_message(message, self.devices))
        before = self.context
        answer = self.pair(number, message)
        self.context = learn(before, message)
        ring = message.ring
        if ring is None and answer.request is not None:
            ring = answer.request.ring
        name, failures = self.ring_name(ring)
        phase = self.course.phase(message, before)
        return Row(
            number,
            since_first_ns,
            message,
            before,
            ring,
            name,
            answer.request.number if answer.request else None,
            message.frame.time_ns - answer.request.time_ns if answer.request else None,
            phase,
            self.labels.of(message, phase, before.device),
            problems=message.problems + answer.problems + failures,
        )

    def pair(self, number: int, message: Message) -> Answer:
        """Note a request, or find the one that a reply answers."""
        if message.frame.sender is not sender_of(message.channel, message.reply):
            return Answer(None)
        exchanges = self.exchanges[message.channel]
        if message.reply:
            return exchanges.answer(message)
        exchanges.ask(number, message, self.context)
        return Answer(None)

    def ring_name(self, ring: int | None) -> tuple[str, tuple[Problem, ...]]:
        """The device's name of a ring, and what went wrong in asking its dissector."""
        if ring is None:
            return "", ()
        known = self.context
        try:
            name = known.device.name_of_ring(ring, known.features or 0, known.queue_num or 0)
            if not (isinstance(name, str) and name.isprintable()):
                raise TypeError(f"{name!r} is no name of ring {ring}")
            return name, ()
        except Exception as error:  # a plug-in may raise anything; the trace goes on
            return f"q{ring}", (dissector_failed(known.device, error),)

    def unanswered(self, closed: Channel) -> list[Problem]:
        """The replies that can come no more: of a closed channel, or of all when the main one closed."""
        ended = list(Channel) if closed is Channel.MAIN else [closed]
        return [
            unanswered(request)
            for channel in ended
            for request in self.exchanges.pop(channel, Exchanges()).overdue()
        ]
