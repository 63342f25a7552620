"""The verdict on a session: whether it is over, and who owes whom."""

from dataclasses import dataclass, field

from vutrace.records import Channel, Event, EventKind, Side
from vutrace.rules.recognised import Implementation, Recogniser
from vutrace.session.row import Row
from vutrace.session.state import SessionState


@dataclass(frozen=True, slots=True)
class OwedReply:
    """A reply that is owed, since `since_ns` nanoseconds."""

    row: int
    name: str
    channel: Channel
    debtor: Side
    since_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a session; `ended_by` is a side, "vutrace", or "" for a session that is open."""

    text: str
    orderly: bool
    ended_by: str
    got_to: str
    owing: tuple[OwedReply, ...]
    frontend: Implementation | None = None
    backend: Implementation | None = None


@dataclass(slots=True)
class VerdictBuilder:
    """What is remembered of a session for its verdict: fed with its rows."""

    connection: int
    session: int
    state: SessionState
    first_ns: int
    recogniser: Recogniser = field(default_factory=Recogniser)
    close: Event | None = None

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.recogniser.feed(row)
        event = row.what
        if isinstance(event, Event) and event.kind is EventKind.CLOSE and event.channel is Channel.MAIN:
            self.close = event


def verdict(course: VerdictBuilder, now_ns: int) -> Verdict:
    """The verdict; `now_ns` is the time of the last record."""
    state, who = course.state, course.recogniser.who
    requests = tuple(state.owing()) if course.close is None else tuple(state.unpaid)
    owing = tuple(
        OwedReply(each.number, each.name, each.message.channel, each.debtor, now_ns - each.time_ns)
        for each in requests
    )
    ended_by = "" if course.close is None else str(course.close.sender or "vutrace")
    how = f"Ended by the {ended_by}" if ended_by else "Still open"
    debts = f"{len(owing)} replies are owed." if owing else "Nobody owes anybody a reply."
    text = f"{how}, in phase {state.phase}. {debts}"
    return Verdict(text, not owing, ended_by, str(state.phase), owing, who(Side.FRONTEND), who(Side.BACKEND))
