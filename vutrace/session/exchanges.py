"""Pairs replies with requests, and knows who owes one ("Communication", "REPLY_ACK")."""

from collections import deque
from enum import Enum
from typing import NamedTuple

from vutrace.dissection.message import Message
from vutrace.problems import Problem, ProblemText, Rule, Severity
from vutrace.protocol.effects import Fact
from vutrace.protocol.payloads import Ack
from vutrace.protocol.spec import ReplyRule
from vutrace.records import FrameFlag, Side
from vutrace.session.context import LOG_SHMFD, REPLY_ACK, Context
from vutrace.session.memory import MemoryChange
from vutrace.session.ring import RingChange

UNASKED = Rule(
    "reply.unasked",
    Severity.ERROR,
    "Communication",
    "A reply came that no request waits for: QEMU takes it for the answer to its next request.",
    "Mend the sender: it answered a request that asked for no reply, or answered it twice.",
)
OVERTAKES = Rule(
    "reply.overtakes",
    Severity.ERROR,
    "Communication",
    "Replies came in another order than the requests: front-ends read them in order.",
    "Mend the back-end: it must answer in the order of the requests.",
)
UNANSWERED = Rule(
    "reply.never-came",
    Severity.ERROR,
    "Communication",
    "The session ended while one side still waited for a reply.",
    "Look at the side that owed it: its log, and whether it was stopped or died.",
)
NOBODY_WAITS = ProblemText(UNASKED, "a reply that no request waits for")
BEFORE_ANOTHER = ProblemText(OVERTAKES, "overtakes the reply that {} [{:d}] waits for")
NEVER_ANSWERED = ProblemText(UNANSWERED, "{} [{:d}] was never answered")
RULES = (UNASKED, OVERTAKES, UNANSWERED)


WAITING_KEPT = 4096
REPLY_UNKNOWN, FLAGS_UNKNOWN = FrameFlag.REPLY_UNKNOWN, FrameFlag.FLAGS_UNKNOWN
NEVER, ALWAYS, LOG = ReplyRule.NEVER, ReplyRule.ALWAYS, ReplyRule.LOG
ACK, ACK_OR_POSTCOPY = ReplyRule.ACK, ReplyRule.ACK_OR_POSTCOPY


class Owed(Enum):
    """Whether a request is answered."""

    NO = "no"
    MAYBE = "maybe"  # NEED_REPLY without REPLY_ACK: DPDK answers, others need not
    YES = "yes"

    @property
    def possible(self) -> bool:
        """Whether an answer may come."""
        return self is not Owed.NO


class Request(NamedTuple):
    """A request that waits for its reply, perhaps overtaken by a later one's; `number` is its row.

    `message` is the request itself and `context` the negotiation before it; `rings` and `memory` are what it
    did, to be undone if it is refused. `barrier`: it only waits for the request before it. `dropped` is the
    row where a rule of vutrace's kept the request, or its reply, from its receiver.
    """

    number: int
    message: Message
    owed: Owed
    context: Context
    rings: tuple[RingChange, ...] = ()
    memory: MemoryChange | None = None
    barrier: bool = False
    overtaken: bool = False
    dropped: int | None = None

    @property
    def name(self) -> str:
        """The message's name."""
        return self.message.name

    @property
    def ring(self) -> int | None:
        """The ring that it is about."""
        return self.message.ring

    @property
    def time_ns(self) -> int:
        """When it was sent, since the epoch."""
        return self.message.frame.time_ns

    @property
    def debtor(self) -> Side:
        """Who is to answer."""
        return self.message.frame.sender.peer


class Answer(NamedTuple):
    """What is known of a reply: the request it answers (None if nobody asked), and what is odd."""

    request: Request | None
    problems: tuple[Problem, ...] = ()


NO, MAYBE, YES = Owed.NO, Owed.MAYBE, Owed.YES


def owed(message: Message, context: Context) -> Owed:
    """Whether `message`, a request, is to be answered, as far as whoever recorded it would have seen it."""
    rule, flags = message.spec.rule, message.frame.flags
    if flags and flags & REPLY_UNKNOWN:  # `&` of flags is slow
        return NO
    if rule is not ACK:
        if rule is NEVER:
            return NO
        if rule is ALWAYS or (rule is LOG and context.has_protocol(LOG_SHMFD)):
            return YES
        if rule is ACK_OR_POSTCOPY and context.postcopy and not message.need_reply:
            return YES if message.frame.fds else NO
    if flags and flags & FLAGS_UNKNOWN:
        return MAYBE
    if not message.need_reply:
        return NO
    return YES if context.has_protocol(REPLY_ACK) else MAYBE


class Exchanges:
    """The requests of one channel that wait for a reply, oldest first.

    `omitted` counts those that were given up: a peer that never answers must not make each later reply a
    longer search. `lost`: messages are missing, and replies to them may still come.
    """

    def __init__(self, lost: bool = False) -> None:
        self.waiting: deque[Request] = deque()
        self.omitted = 0
        self.lost = lost

    def lose_some(self) -> None:
        """Messages are missing from here on: what waits may have been answered among them."""
        self.lost = True
        self.waiting = deque(each._replace(owed=MAYBE) for each in self.waiting)

    def ask(self, request: Request) -> None:
        """Note a request that is answered."""
        self.waiting.append(request)
        if len(self.waiting) > WAITING_KEPT:
            self.waiting.popleft()
            self.omitted += 1

    def answer(self, message: Message) -> Answer:
        """Pair a reply with the oldest request of its number."""
        found = next((each for each in self.waiting if each.message.request == message.request), None)
        if found is None:
            return Answer(None, () if self.lost else (NOBODY_WAITS.problem(),))
        self.lost &= found.owed is not YES  # replies come in order: none is left of what is missing
        passed = []
        while (earlier := self.waiting.popleft()) is not found:
            if earlier.owed is YES:  # one that may be left unanswered was
                passed.append(earlier)
        self.waiting.extendleft(
            each if each.overtaken else each._replace(overtaken=True) for each in reversed(passed)
        )
        return Answer(found, tuple(overtaking(each) for each in passed if not each.overtaken))

    def lose(self, reply: Message, row: int) -> Request | None:
        """A rule dropped a reply at a row: the request that still waits for it."""
        for place, each in enumerate(self.waiting):
            if each.message.request == reply.request and each.dropped is None:
                self.waiting[place] = lost = each._replace(dropped=row)
                return lost
        return None

    def overdue(self) -> list[Request]:
        """The requests whose reply is still owed."""
        return [request for request in self.waiting if request.owed is YES]


def is_barrier(message: Message, previous: Message | None) -> bool:
    """Whether `message` only waits for `previous`, the request before it, to be done (QEMU, SPDK).

    It asks for the features, which nobody needs just then; the reply tells that the request was done.
    """
    return (
        previous is not None
        and previous.spec.fenced
        and not previous.need_reply
        and message.spec.tells(Fact.OFFERED, reply=True)
    )


def is_refusal(message: Message) -> bool:
    """Whether a message is an acknowledgement with an error ("VHOST_USER_PROTOCOL_F_REPLY_ACK")."""
    return message.reply and message.layer is Ack and bool(message.number_in("status"))


def overtaking(passed: Request) -> Problem:
    """What is odd about a reply that comes before that of an earlier request."""
    return BEFORE_ANOTHER.problem(passed.name, passed.number, row=passed.number, ring=passed.ring)


def unanswered(request: Request) -> Problem:
    """A reply that can come no more."""
    why = f": a rule of vutrace's dropped {lost_words(request)}" if request.dropped else ""
    text = NEVER_ANSWERED.text.format(request.name, request.number)
    return UNANSWERED.problem(text + why, row=request.number, ring=request.ring)


def lost_words(request: Request) -> str:
    """What a rule dropped, the request itself or its reply."""
    return "it" if request.dropped == request.number else f"its reply [{request.dropped}]"
