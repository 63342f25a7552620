"""What `check` says of each session: a verdict, and the findings that count."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.problems import Severity
from vutrace.rules.findings import Choice, PlacedProblem, findings_of
from vutrace.rules.folding import SameSessions
from vutrace.rules.judge import Judge
from vutrace.rules.verdict import Verdict, VerdictBuilder, begin, verdict
from vutrace.session.row import Row

OF_EACH = 100  # findings of one rule that are kept in one session


@dataclass(slots=True)
class SessionReport:
    """One session as it was judged.

    `findings` are those that count, of each rule the first `OF_EACH`; `counts` is how many of each rule there
    were, `untold` how many were not chosen, by severity. `verdict` is set when the session is over.
    """

    connection: int
    session: int
    course: VerdictBuilder
    device: Device = UNKNOWN_DEVICE
    reason: str = ""
    rows: int = 0
    findings: list[PlacedProblem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    untold: Counter[Severity] = field(default_factory=Counter)
    verdict: Verdict | None = None

    def alone(self) -> SameSessions:
        """The session by itself, to be put together with others that are alike."""
        assert self.verdict
        times = self.course.first_ns, self.course.last_ns
        return SameSessions(self.connection, self.session, self.session, self.verdict, *times)

    def note(self, found: PlacedProblem, choice: Choice) -> None:
        """Take a finding."""
        if not choice.takes(found.problem):
            self.untold[found.rule.severity] += 1
            return
        self.counts[found.rule.name] += 1
        if self.counts[found.rule.name] <= OF_EACH:
            self.findings.append(found)


class Reporter:
    """A fold over the rows of a capture; memory is bounded by what is open and what is found."""

    def __init__(self, judge: Judge, choice: Choice) -> None:
        self.judge, self.choice = judge, choice
        self._open: dict[int, SessionReport] = {}
        self._now_ns = 0

    def reports(self, rows: Iterable[Row]) -> Iterator[SessionReport]:
        """The sessions, each when the next one of its connection begins or the capture ends."""
        for row in self.judge.rows(rows):
            known = self._open.get(row.connection)
            if known is None or known.session != row.session:
                if known is not None:
                    yield self._over(known)
                known = self._open[row.connection] = begun(row, known)
            self._feed(known, row)
        for row in self.judge.end():
            self._note(self._open[row.connection], row)
        yield from (self._over(self._open[number]) for number in sorted(self._open))

    def _feed(self, report: SessionReport, row: Row) -> None:
        report.rows += 1
        report.course.feed(row)
        self._now_ns = max(self._now_ns, row.record.time_ns)
        if row.context.device is not report.device:
            report.device, report.reason = row.context.device, row.context.reason
        if row.problems:
            self._note(report, row)

    def _note(self, report: SessionReport, row: Row) -> None:
        for found in findings_of(row):
            report.note(found, self.choice)

    def _over(self, report: SessionReport) -> SessionReport:
        report.verdict = verdict(report.course, self._now_ns)
        return report


def begun(row: Row, before: SessionReport | None) -> SessionReport:
    """The report of a session that begins with this row, behind another of its connection."""
    course = begin(row, before.course if before else None)
    return SessionReport(row.connection, row.session, course)
