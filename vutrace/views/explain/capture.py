"""Where in a capture it first went wrong, what became of its sessions, and of one message in it."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vutrace.dissection.checks import CUT
from vutrace.problems import Severity
from vutrace.records import Event, EventKind, connection_letter
from vutrace.rules.folding import SameSessions, Verdicts
from vutrace.rules.verdict import VerdictBuilder
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.rows import Rows
from vutrace.views.text import printable

BEFORE = 3
MORE_SHOWN = 5


@dataclass(slots=True)
class Findings:
    """What was seen of a capture: the first rows that went wrong, and what became of its sessions."""

    wrong: list[tuple[AnnotatedRow, tuple[str, ...]]] = field(default_factory=list)
    before: tuple[str, ...] = ()
    count: int = 0
    sessions: list[SameSessions] = field(default_factory=list)
    omitted: int = 0
    asked: list[int] = field(default_factory=list)
    rows: int = 0


def look(rows: Iterable[Row], names: frozenset[str]) -> Findings:
    """Read the judged rows of a capture once; `names` are the messages that the user asked about."""
    found, lines, recent = Findings(), Rows(), deque[str](maxlen=BEFORE)
    verdicts = Verdicts()
    for shown in Annotator().annotate_all(rows):
        found.rows += 1
        row = shown.row
        session = verdicts.feed(row)
        if why := tuple(reasons(shown, session)):
            note_wrong(found, shown, why, recent)
        if not isinstance(row.what, Event) and row.what.name in names and not row.what.reply:
            found.asked.append(row.number)
        recent.append(lines.line(shown))
    found.sessions, found.omitted = list(verdicts.all()), verdicts.omitted
    return found


def note_wrong(found: Findings, shown: AnnotatedRow, why: tuple[str, ...], recent: Iterable[str]) -> None:
    """Keep a row that went wrong, with what came before if it is the first."""
    if not found.wrong:
        found.before = tuple(recent)
    found.count += 1
    if len(found.wrong) <= MORE_SHOWN:
        found.wrong.append((shown, why))


def reasons(shown: AnnotatedRow, session: VerdictBuilder) -> Iterator[str]:
    """What is wrong with a row: what rules say, and an error unless it is the search after an orderly end."""
    event = shown.row.what
    for problem in shown.problems:
        if problem.rule is not CUT and problem.severity is not Severity.INFO:
            yield problem.text
    if isinstance(event, Event) and event.kind is EventKind.ERROR and not (session.close and session.orderly):
        yield "an error on the connection"


def report(name: str, found: Findings, names: frozenset[str]) -> Iterator[str]:
    """The findings in lines."""
    if names:
        yield f"in {name}: {how_often(found.asked, names)}"
    if not found.wrong:
        yield f"in {name}: nothing went wrong in {found.rows} rows"
    else:
        yield f"in {name}: it first went wrong here"
        yield from (f"  {line}" for line in found.before)
        yield from first_wrong(*found.wrong[0])
    rest = found.wrong[1:]
    if rest:
        yield f"  and after it {found.count - 1:,} more, from"
        yield f"  {Rows().line(rest[0][0])}"
    for session in found.sessions:
        yield from became(session)
    if found.omitted:
        yield f"  and {found.omitted:,} more sessions"


def became(session: SameSessions) -> Iterator[str]:
    """What became of a session, and of those that were like it."""
    place = f"connection {connection_letter(session.connection)}, session {session.first}"
    yield f"  {place}: {printable(session.verdict.text)}"
    if repeated := session.repeated():
        yield f"  {repeated}"


def first_wrong(shown: AnnotatedRow, why: tuple[str, ...]) -> Iterator[str]:
    """The row that went wrong, and why below it."""
    yield f"  {Rows().line(shown._replace(problems=()))}"
    yield from (f"         ! {reason}" for reason in why)


def how_often(numbers: list[int], names: frozenset[str]) -> str:
    """How often a message is in the capture."""
    which = " or ".join(sorted(names))
    if not numbers:
        return f"no {which} in it"
    times = f"{len(numbers)} times, first [{numbers[0]}], last [{numbers[-1]}]"
    return f"{which} {times if len(numbers) > 1 else f'once, [{numbers[0]}]'}"
