"""The verdict on a session: how far it got, who owes whom, what ended it, and what went wrong first."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from vutrace.dissection.message import Message
from vutrace.problems import Severity
from vutrace.protocol.effects import RingEffect
from vutrace.records import Channel, Event, EventKind, FrameFlag, Lack, Side, lacking
from vutrace.rules.implementations import Implementation
from vutrace.rules.lost import NOT_RECORDED
from vutrace.rules.progress import Progress, further, step
from vutrace.rules.recognised import Recogniser
from vutrace.session.acted import deed_of
from vutrace.session.exchanges import UNANSWERED, Request, lost_words
from vutrace.session.row import Row
from vutrace.session.state import SessionState

WAITED = "waiting for vutrace when the session ended"


@dataclass(frozen=True, slots=True)
class OwedReply:
    """A reply that is owed, since `since_ns` nanoseconds when this was asked.

    `dropped` is what a rule of vutrace's dropped, if that is why: "it", or its reply.
    """

    row: int
    name: str
    channel: Channel
    debtor: Side
    since_ns: int
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a session.

    `text` is a paragraph; `orderly` says that nothing has to be done about its end. `ended_by` is a side,
    "vutrace", or "" for a session that is open. `got_to` is the furthest step.
    """

    text: str
    orderly: bool
    ended_by: str
    got_to: Progress
    owing: tuple[OwedReply, ...]
    frontend: Implementation | None = None
    backend: Implementation | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that went wrong, at a row."""

    row: int
    text: str
    severity: Severity
    advice: str = ""


SWITCHES = {RingEffect.KICK, RingEffect.NOTIFY, RingEffect.STOP, RingEffect.ENABLE}


def is_untold(message: Message) -> bool:
    """Whether a message starts, stops or enables a ring, and nobody knows which, or what of these it does."""
    spec = message.spec
    if spec.effect not in SWITCHES or not message.frame.flags & FrameFlag.PAYLOAD_UNKNOWN:
        return False
    return message.ring is None or (spec.effect is RingEffect.ENABLE and "num" not in message.fields)


@dataclass(slots=True)
class VerdictBuilder:
    """What is remembered of a session for its verdict: fed with its rows, of which it keeps four at most."""

    connection: int
    session: int
    state: SessionState
    first_ns: int
    last_ns: int = 0
    recogniser: Recogniser = field(default_factory=Recogniser)
    got_to: Progress = Progress.NOTHING
    opened: Event | None = None
    close: Row | None = None
    ran: int = 0
    running_at_end: int = 0
    unpaid: tuple[Request, ...] = ()
    sent: dict[Side, Row] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)
    more_wrong: int = 0
    misses: int = 0
    miss: Event | None = None
    resumed: dict[int, int] = field(default_factory=dict)
    stall: Event | None = None
    lost_ns: int = 0
    lost_session: int = 0
    untold: bool = False  # the source of an import did not tell which rings run
    no_end: bool = False  # nor how the session ended
    missing: int = 0  # messages that were not recorded, the first of them at `gap_row`
    gap_row: int = 0
    acted: Counter[str] = field(default_factory=Counter)
    acted_rows: dict[int, str] = field(default_factory=dict)

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.last_ns = row.record.time_ns
        self.recogniser.feed(row)
        if done := deed_of(row.record):
            self._acted(row.number, *done)
        if isinstance(row.what, Message):
            self._message(row, row.what)
        else:
            self._event(row, row.what)
        for wrong in faults(row):
            self._note(wrong)

    def _message(self, row: Row, message: Message) -> None:
        if message.frame.flags:
            self.untold |= is_untold(message)
        if message.channel is Channel.MAIN:
            self.sent[message.frame.sender] = row
            if not message.reply:
                self.got_to = further(self.got_to, step(row.state))
                self.ran = max(self.ran, len(row.state.rings.running))
        for before, after in row.changes.rings:
            if after.state.started and not (before and before.state.started) and after.base:
                self.resumed.setdefault(after.index, after.base)

    def _event(self, row: Row, event: Event) -> None:
        if event.channel is not Channel.MAIN:
            return
        self.no_end |= Lack.END in lacking(event)
        if event.kind is EventKind.OPEN:
            self.opened = event
        elif event.kind is EventKind.CLOSE:
            self.close = row
            self.running_at_end = len(row.state.rings.running)
            self.unpaid = tuple(row.state.unpaid)
        elif event.kind is EventKind.GAP:
            self.missing += int(event.attributes.get("messages", "1"))
            self.gap_row = self.gap_row or row.number
        elif event.kind is EventKind.NOTE and "stall" in event.attributes:
            self.stall = event
        elif event.kind is EventKind.ERROR and (self.close or not self.opened):
            # An attempt to reach a side, between two sessions, or a count of some more.
            self.miss = self.miss if self.miss and "tries" in event.attributes else event
            self.misses += int(event.attributes.get("tries", "1"))

    def _acted(self, row: int, deed: str, rule: str) -> None:
        self.acted[rule or WAITED] += 1
        if len(self.acted_rows) < WRONG_KEPT:
            self.acted_rows[row] = f"{deed} by the rule '{rule}'" if rule else WAITED

    def _note(self, wrong: Wrong) -> None:
        if self.close is not None and self.close.number < wrong.row:
            return  # what comes after the end is no cause of it
        if len(self.wrong) < WRONG_KEPT:
            self.wrong.append(wrong)
        else:
            self.more_wrong += 1

    def owing(self, now_ns: int) -> tuple[OwedReply, ...]:
        """The replies that are owed; of a closed session, that were."""
        requests = self.unpaid if self.close else tuple(self.state.owing())
        until = self.close.record.time_ns if self.close else now_ns
        return tuple(
            OwedReply(
                *(each.number, each.name, each.message.channel, each.debtor, until - each.time_ns),
                lost_words(each) if each.dropped else "",
            )
            for each in requests
        )

    @property
    def ended_by(self) -> str:
        """A side, "vutrace", or "" while it is open."""
        if self.close is None:
            return ""
        event = self.close.what
        assert isinstance(event, Event)
        return str(event.sender) if event.sender else "vutrace"

    @property
    def unreached(self) -> bool:
        """Whether there was no session at all, for want of a side."""
        return self.opened is None and self.close is None and self.miss is not None

    @property
    def orderly(self) -> bool:
        """Whether nothing has to be done about how it ended, or stands."""
        if self.unreached or self.owing_now:
            return False
        if self.close is None or self.ended_by == "vutrace":
            return True
        if self.running_at_end or self.got_to in HALFWAY:
            return False
        return bool(self.ran) or not any(each.severity is Severity.ERROR for each in self.wrong)

    @property
    def owing_now(self) -> bool:
        """Whether a reply is owed, or was at the end."""
        return bool(self.unpaid) if self.close else any(True for _ in self.state.owing())


def begin(row: Row, before: VerdictBuilder | None = None) -> VerdictBuilder:
    """What is remembered of the session that begins with `row`, after `before` on the same connection."""
    history = VerdictBuilder(row.connection, row.session, row.state, row.record.time_ns)
    if before is not None and before.close is not None and before.running_at_end:
        history.lost_ns, history.lost_session = before.close.record.time_ns, before.session
    return history


WRONG_KEPT = 64
# Steps that nobody leaves by choice.
HALFWAY = frozenset(
    {
        Progress.NOTHING,
        Progress.HANDSHAKE,
        Progress.FEATURES,
        Progress.MEMORY,
        Progress.RINGS,
        Progress.STARTED,
    }
)


def faults(row: Row) -> Iterable[Wrong]:
    """What is wrong with a row, as far as it may be the cause of what follows."""
    refused = row.changes.refused
    if refused is not None:  # the end comes of it, whatever a rule thinks of it
        text = f"the {refused.debtor.words} refused {refused.name} [{refused.number}]"
        yield Wrong(row.number, text, Severity.ERROR, "Look at the log of the side that refused it")
        return
    for problem in row.problems:
        caused = problem.rule in (UNANSWERED, NOT_RECORDED) or problem.rule.group == "end"
        if problem.severity is not Severity.INFO and not caused:
            yield Wrong(row.number, str(problem), problem.severity, problem.rule.advice)


def first_wrong(history: VerdictBuilder) -> Wrong | None:
    """The first error, without one the first warning."""
    errors = (wrong for wrong in history.wrong if wrong.severity is Severity.ERROR)
    return next(errors, None) or next(iter(history.wrong), None)


def verdict(history: VerdictBuilder, now_ns: int) -> Verdict:
    """The verdict; `now_ns` is the time of the last record, or now where the session is live."""
    from vutrace.rules.wording import paragraph

    owing, who = history.owing(now_ns), history.recogniser.who
    return Verdict(
        paragraph(history, owing),
        history.orderly,
        history.ended_by,
        history.got_to,
        owing,
        who(Side.FRONTEND),
        who(Side.BACKEND),
    )
