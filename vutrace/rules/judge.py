"""Judges rows: each comes back with the problems that the rules find added to its own."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.kept import Kept
from vutrace.dissection.message import Message
from vutrace.dissection.soundness import dissector_failed
from vutrace.problems import Problem, Severity
from vutrace.protocol.check import Check, Once
from vutrace.records import LACKS, Channel, Event, EventKind, Frame, Side
from vutrace.rules.catalogue import CHECKS, EVENT_CHECKS
from vutrace.rules.findings import at_least
from vutrace.rules.implementations import Implementation
from vutrace.rules.notes import NOTES
from vutrace.rules.profiles import DeviationProfile
from vutrace.rules.recognised import Recogniser
from vutrace.rules.seen import History, Outliving
from vutrace.session.context import Context
from vutrace.session.exchanges import UNASKED
from vutrace.session.living import Living
from vutrace.session.row import Row

SESSION = Once.SESSION
Take = Callable[[Row, History], None]


class Asked(NamedTuple):
    """What is to be asked about one kind of message."""

    checks: tuple[Check, ...]
    theirs: tuple[Check, ...]
    notes: tuple[Take, ...]


@dataclass(slots=True)
class Judged:
    """A session under judgement: its latest row, what the rules know of it, and who is at its ends."""

    number: int
    row: Row
    seen: History
    recogniser: Recogniser = field(default_factory=Recogniser)
    over: bool = False

    def programs(self) -> Iterator[Implementation]:
        """The implementations at both ends; nothing is looked for until one is asked for."""
        return filter(None, map(self.recogniser.who, Side))


class Judge:
    """A fold over rows, in order; what the rules find that is less than `least` is left out."""

    def __init__(
        self,
        profile: DeviationProfile | None = None,
        checks: Iterable[Check] = CHECKS,
        least: Severity = Severity.INFO,
    ) -> None:
        self.profile, self.least = profile or DeviationProfile(), least
        # A rule may turn out less severe where an implementation is known for it, never more.
        self.checks = tuple(check for check in checks if at_least(check.rule.severity, least))
        self.at_end = tuple(check for check in self.checks if check.when is None)
        self.sessions = Living[Judged](lambda session: session.over)
        self._asked: Kept[tuple[object, ...], Asked] = Kept()
        self._narrowed: Kept[tuple[object, ...], Asked] = Kept()

    def rows(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, judged."""
        return map(self.judge, rows)

    def judge(self, row: Row) -> Row:
        """The row with its problems."""
        what = row.what
        if isinstance(what, Event):
            session = self._session(row, what)
            problems, found = row.problems, self._event(what, session)
        else:
            session = self._session(row, what.frame)
            found = self._message(row, what, session.seen)
            problems = own(row, what, session.seen.whole) if row.problems else ()
        if not found and not row.problems:
            return row
        told = (*self._weighed(problems, session), *self._counting(found, session))
        return row._replace(problems=told)

    def end(self) -> Iterator[Row]:
        """The latest row of each session that is still open, with what only shows now and nothing else."""
        for session in self.sessions.values():
            if not session.over:
                yield session.row._replace(problems=tuple(self._counting(self._ended(session), session)))

    def _session(self, row: Row, record: Frame | Event) -> Judged:
        """The row's session, which knows it now."""
        known = self.sessions.get(record.connection)
        if known is None or known.number != record.session:
            kept = known.seen.kept if known else Outliving()
            seen = History(begins(row), record.session == 1, kept)
            known = self.sessions.begin(record.connection, Judged(record.session, row, seen))
        known.row = row
        known.recogniser.feed(row)
        return known

    def _weighed(self, problems: Iterable[Problem], session: Judged) -> tuple[Problem, ...]:
        return tuple(self.profile.weigh(problem, session.programs()) for problem in problems)

    def _counting(self, problems: Iterable[Problem], session: Judged) -> Iterator[Problem]:
        found = self._weighed(problems, session)
        return (problem for problem in found if at_least(problem.severity, self.least))

    def _event(self, event: Event, session: Judged) -> list[Problem]:
        if event.channel is not Channel.MAIN or session.over:
            return []
        session.seen.partial |= LACKS in event.attributes or event.kind is EventKind.GAP
        if event.kind is not EventKind.CLOSE:
            return broken(session.row, session.seen, EVENT_CHECKS.get(event.kind, ()))
        session.over = True
        return self._ended(session)

    def _ended(self, session: Judged) -> list[Problem]:
        seen, row, device = session.seen, session.row, session.row.context.device
        if not seen.whole or seen.partial:
            return []
        theirs = tuple(check for check in device.checks if check.when is None)
        return [*broken(row, seen, self.at_end), *broken_theirs(row, seen, theirs, device)]

    def _message(self, row: Row, message: Message, seen: History) -> list[Problem]:
        flags, device = message.frame.flags, row.context.device
        if flags and flags.unknown:
            seen.partial = True
        asked = self._asked_of(message, row.context, seen.whole and not seen.partial)
        found = broken(row, seen, asked.checks) if asked.checks else []
        if asked.theirs:
            found += broken_theirs(row, seen, asked.theirs, device)
        for take in asked.notes:
            take(row, seen)
        return found

    def _asked_of(self, message: Message, context: Context, all_before: bool) -> Asked:
        """What to ask about a message, kept for the next of the same in such a negotiation."""
        if message.content is None:
            return self._narrow(message, context, all_before)
        key = message.content, context, all_before
        return self._narrowed.get(key) or self._narrowed.keep(key, self._narrow(message, context, all_before))

    def _narrow(self, message: Message, context: Context, all_before: bool) -> Asked:
        """Of what is asked about its kind, what such a message may break."""
        unknown, device = message.frame.flags.unknown, context.device
        key = message.channel, message.name, message.reply, all_before, unknown, device.name
        asked = self._asked.get(key) or self._asked.keep(key, self._ask(message, all_before, device))
        theirs = tuple(each for check in asked.theirs if (each := suited_theirs(check, message, context)))
        return asked._replace(checks=suited(asked.checks, message, context), theirs=theirs)

    def _ask(self, message: Message, all_before: bool, device: Device) -> Asked:
        """What can be known: of a message that its source told in part, nothing."""
        about = message.spec, message.channel, message.reply

        def wanted(checks: Iterable[Check]) -> tuple[Check, ...]:
            able = (each for each in checks if all_before or each.anytime)
            return tuple(each for each in able if each.when and each.when(*about))

        notes = tuple(note.take for note in NOTES if note.when(*about))
        if message.frame.flags.unknown:
            return Asked((), (), notes)
        theirs = wanted(device.checks) if device is not UNKNOWN_DEVICE else ()
        return Asked(wanted(self.checks), theirs, notes)


def suited(checks: Iterable[Check], what: Message | Event, context: Context) -> tuple[Check, ...]:
    """Those that a message may break by what it says, and when; those about the end are about no message."""
    return tuple([check for check in checks if check.when is None or may_break(check, what, context)])


def may_break(check: Check, what: Message | Event, context: Context) -> bool:
    """Whether a message may break a rule, as far as it can be known without the session."""
    return (check.only is None or check.only(what)) and (check.given is None or check.given(what, context))


def suited_theirs(check: Check, message: Message, context: Context) -> Check | None:
    """A plug-in's check if it suits; one that raises does so when it is asked, and is told of there."""
    try:
        return check if may_break(check, message, context) else None
    except Exception as error:
        raised = error

    def fail(_row: Row, _seen: History) -> Iterator[str]:
        raise raised

    return replace(check, find=fail)


def broken(row: Row, seen: History, checks: Iterable[Check]) -> list[Problem]:
    """The rules that are broken, each time that it is news."""
    found = []
    for check in checks:
        if check.once is SESSION and seen.is_old(check.rule.name):
            continue
        for told in check.find(row, seen):
            problem = check.problem(told, row.ring)
            if check.once is None or seen.is_news(problem.name, ring_of(check, problem)):
                found.append(problem)
    return found


def broken_theirs(row: Row, seen: History, checks: Iterable[Check], device: Device) -> list[Problem]:
    """The same of a plug-in's rules, which may raise anything; the trace goes on."""
    try:
        return broken(row, seen, checks)
    except Exception as error:
        return [dissector_failed(device, error)]


def ring_of(check: Check, problem: Problem) -> int | None:
    """The ring for which a breach is told once, None for the whole session."""
    return problem.ring if check.once is Once.RING else None


def begins(row: Row) -> bool:
    """Whether a session's first row is its beginning: any message may also come in the middle."""
    return isinstance(row.what, Event) and row.what.kind is EventKind.OPEN


def own(row: Row, message: Message, whole: bool) -> tuple[Problem, ...]:
    """The row's own problems; who asked for a reply may have done so before the trace began."""
    if whole or not message.reply or row.state.sent[message.channel, message.request]:
        return row.problems
    return tuple(problem for problem in row.problems if problem.rule is not UNASKED)
