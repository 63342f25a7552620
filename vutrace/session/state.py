"""How things stand in one session. Every fact has its one keeper, and all of them are here.

Rule: what a message changes in a session is changed here, driven by the columns of the message's row. Whoever
wants to know how things stand, or what a row changed, reads `Row.state` and `Row.changes` and keeps no copy.
"""

from collections import Counter
from collections.abc import Iterable

from vutrace.dissection.message import Message
from vutrace.protocol.effects import RingEffect
from vutrace.records import Channel
from vutrace.session.activity import Activity
from vutrace.session.context import Context, learn, unlearn
from vutrace.session.course import Course
from vutrace.session.ends import Ends
from vutrace.session.exchanges import Exchanges, Request
from vutrace.session.fd_ledger import FdLedger, Holding
from vutrace.session.memory import Memory, MemoryChange
from vutrace.session.phases import Phase
from vutrace.session.ring import RingChange
from vutrace.session.rings import Rings
from vutrace.session.told import BOTH_UNTOLD

UNPAID_KEPT = 64
STOP = RingEffect.STOP


class SessionState:
    """The state of a session after the rows so far.

    `context` is the negotiation, `debts` the requests that wait for a reply on each channel, `unpaid` those
    whose channel closed before it came. `previous` is the last request on the main channel. `sent` counts
    requests by channel and number; `activity` is what moved in the rings; `told` is what both ends were told
    when they were started. `closed`: the main channel is; everything else then stays as it stood. `lost`:
    messages are missing, so that things may stand otherwise.
    """

    def __init__(self, context: Context, was_running: bool = False) -> None:
        self.context = context
        self.rings, self.memory, self.fds = Rings(), Memory(), FdLedger()
        self.course = Course(self.rings, was_running)
        self.debts: dict[Channel, Exchanges] = {}
        self.unpaid: Ends[Request] = Ends(UNPAID_KEPT)
        self.previous: Message | None = None
        self.sent: Counter[tuple[Channel, int]] = Counter()
        self.closed = self.lost = False
        self.activity = Activity()
        self.told = BOTH_UNTOLD

    @property
    def phase(self) -> Phase:
        """The phase so far."""
        return self.course.phase

    @property
    def driver_ok(self) -> bool:
        """Whether this start was declared complete."""
        return self.course.driver_ok

    def owing(self) -> Iterable[Request]:
        """The requests whose reply is still owed, on channels that are open."""
        return (request for debts in self.debts.values() for request in debts.overdue())

    def exchanges(self, channel: Channel) -> Exchanges:
        """The requests of a channel."""
        if channel not in self.debts:
            self.debts[channel] = Exchanges(self.lost)
        return self.debts[channel]

    def learn(self, message: Message) -> None:
        """Take what a message tells of the negotiation."""
        spec = message.spec
        if spec.reply_learns if message.reply else spec.learns:
            self.context = learn(self.context, message)

    def act(
        self, number: int, time_ns: int, message: Message, name: str
    ) -> tuple[tuple[RingChange, ...], MemoryChange | None, tuple[Holding, ...]]:
        """Take what the message of row `number` does; `name` is its ring's."""
        spec, frame = message.spec, message.frame
        rings = self.rings.feed(number, time_ns, message, name) if spec.effect is not None else ()
        memory = None
        if spec.memory is not None and not message.reply:
            memory = self.memory.feed(number, time_ns, message)
        fds: tuple[Holding, ...] = ()
        if frame.fds or spec.role or spec.effect is STOP:
            fds = self.fds.feed(number, time_ns, message)
        return rings, memory, fds

    def ask(self, request: Request) -> None:
        """A request was sent that is answered, or may be."""
        self.exchanges(request.message.channel).ask(request)

    def refuse(self, request: Request) -> tuple[RingChange, ...]:
        """A request was refused: what it did is undone, as far as nothing later has changed it."""
        self.context = unlearn(self.context, request.message, request.context)
        if request.memory:
            self.memory.undo(request.memory)
        return self.rings.undo(request.rings, request.message)

    def lose_some(self) -> None:
        """Messages are missing, of whatever channel."""
        self.lost = True
        for debts in self.debts.values():
            debts.lose_some()

    def close(self, channel: Channel) -> list[Request]:
        """A channel closed, with the main one all of them; the requests that nobody will answer any more."""
        self.closed = self.closed or channel is Channel.MAIN
        ended = list(self.debts) if channel is Channel.MAIN else [channel]
        unpaid = [request for each in ended for request in self.debts.pop(each, Exchanges()).overdue()]
        for request in unpaid:
            self.unpaid.append(request)
        return unpaid
