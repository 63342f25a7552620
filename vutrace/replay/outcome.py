"""What came of a replay: how the live peer differed from the recorded one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from vutrace.replay.compare import Difference

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the exchange of row `row` of the recording."""

    row: int
    name: str
    difference: Difference


@dataclass(slots=True)
class Outcome:
    """One or more sessions acted out; `notes` are worth a line and count for nothing."""

    requests: int = 0
    replies: int = 0
    same: int = 0
    sessions: int = 0
    unrecorded: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def different(self) -> bool:
        """Whether the live peer did what the recorded one had not, values that may differ aside."""
        return self.unrecorded > 0 or any(not finding.difference.own for finding in self.findings)


def lines(outcome: Outcome) -> Iterator[str]:
    """The outcome in words."""
    told = sorted(outcome.findings, key=lambda finding: bool(finding.difference.own))
    for finding in told[:SHOWN]:
        difference = finding.difference
        own = f" ({difference.own}: may differ)" if difference.own else ""
        words = f"{difference.field}: recorded {difference.recorded}, live {difference.live}{own}"
        yield f"[{finding.row}] {finding.name}: {words}"
    if len(told) > SHOWN:
        yield f"… and {len(told) - SHOWN} more"
    yield from notes(outcome.notes)
    yield summary(outcome)


def notes(found: Iterable[str]) -> Iterator[str]:
    """Each in order; one that was made over and over is told once."""
    counted = [(note, len(list(same))) for note, same in groupby(found)]
    for note, times in counted[:SHOWN]:
        yield f"note: {note}" + (f" ({times} times)" if times > 1 else "")
    if len(counted) > SHOWN:
        yield f"note: … and {len(counted) - SHOWN} more"


def summary(outcome: Outcome) -> str:
    """All in one line."""
    differing = sum(not finding.difference.own for finding in outcome.findings)
    parts = [
        count(outcome.sessions, "session"),
        count(outcome.requests, "request"),
        f"{count(outcome.replies, 'reply', 'replies')}, {outcome.same} as recorded",
        count(differing, "difference"),
    ]
    parts += [f"{outcome.unrecorded} never recorded"] if outcome.unrecorded else []
    return "; ".join(parts)


def count(number: int, one: str, many: str = "") -> str:
    """1 session, 2 sessions."""
    return f"{number} {one if number == 1 else many or one + 's'}"
