"""Where in a capture it first went wrong, and what became of one message in it."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from vutrace.dissection.checks import CUT
from vutrace.dissection.message import Message
from vutrace.protocol.payloads import Ack
from vutrace.records import Channel, Event, EventKind, Side, connection_letter
from vutrace.session.row import Row
from vutrace.views.annotated import AnnotatedRow, Annotator
from vutrace.views.rows import Rows
from vutrace.views.text import status

BEFORE = 3
MORE_SHOWN = 5


@dataclass(slots=True)
class Findings:
    """What was seen of a capture: the first rows that went wrong, and how its sessions ended."""

    wrong: list[tuple[AnnotatedRow, tuple[str, ...]]] = field(default_factory=list)
    before: tuple[str, ...] = ()
    count: int = 0
    ends: list[str] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    rows: int = 0


def look(rows: Iterable[Row], names: frozenset[str]) -> Findings:
    """Read a capture once; `names` are the messages that the user asked about."""
    found, lines, recent = Findings(), Rows(), deque[str](maxlen=BEFORE)
    last: dict[int, Row] = {}
    for shown in Annotator().annotate_all(rows):
        found.rows += 1
        line, why = lines.line(shown), tuple(reasons(shown))
        if why:
            note_wrong(found, shown, why, recent)
        what = shown.row.what
        if isinstance(what, Event):
            if what.kind is EventKind.CLOSE and what.channel is Channel.MAIN:
                found.ends.append(ending(what, last.pop(what.connection, None)))
        else:
            last[what.frame.connection] = shown.row
            if what.name in names and not what.reply:
                found.asked.append(shown.row.number)
        recent.append(line)
    return found


def note_wrong(found: Findings, shown: AnnotatedRow, why: tuple[str, ...], recent: Iterable[str]) -> None:
    """Keep a row that went wrong, with what came before if it is the first."""
    if not found.wrong:
        found.before = tuple(recent)
    found.count += 1
    if len(found.wrong) <= MORE_SHOWN:
        found.wrong.append((shown, why))


def reasons(shown: AnnotatedRow) -> Iterator[str]:
    """What is wrong with a row: problems, an error, an acknowledgement that is none."""
    what = shown.row.what
    yield from (problem.text for problem in shown.problems if problem.rule is not CUT)
    if isinstance(what, Event):
        if what.kind is EventKind.ERROR:
            yield "an error on the connection"
        elif what.kind is EventKind.CLOSE and what.channel is Channel.MAIN and what.sender is Side.BACKEND:
            yield "the back-end closed the connection: it ended, or it failed"
    elif refused(what):
        code = what.number_in("status") or 0
        yield f"the {what.frame.sender.words} refused {what.name}: {status(code)}"


def refused(message: Message) -> bool:
    """Whether a message is an acknowledgement with an error in it."""
    return message.reply and message.layer is Ack and bool(message.number_in("status"))


def ending(event: Event, last: Row | None) -> str:
    """How a session ended: who closed, and what was the last message."""
    who = f"closed by the {event.sender.words}" if event.sender else "closed"
    text = f"connection {connection_letter(event.connection)}, session {event.session}: {who}"
    if last is None or not isinstance(last.what, Message):
        return text
    kind = "reply to " if last.what.reply else ""
    return f"{text}; the last message was the {kind}{last.what.name} [{last.number}]"


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
        yield f"  and after it {found.count - 1} more, from"
        yield f"  {Rows().line(rest[0][0])}"
    yield from (f"  {end}" for end in found.ends)


def first_wrong(shown: AnnotatedRow, why: tuple[str, ...]) -> Iterator[str]:
    """The row that went wrong, and why below it."""
    yield f"  {Rows().line(replace(shown, problems=()))}"
    yield from (f"         ! {reason}" for reason in why)


def how_often(numbers: list[int], names: frozenset[str]) -> str:
    """How often a message is in the capture."""
    which = " or ".join(sorted(names))
    if not numbers:
        return f"no {which} in it"
    times = f"{len(numbers)} times, first [{numbers[0]}], last [{numbers[-1]}]"
    return f"{which} {times if len(numbers) > 1 else f'once, [{numbers[0]}]'}"
