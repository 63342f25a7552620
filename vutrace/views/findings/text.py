"""`check` as text: for each session who talks, the verdict, and what was found, the worst first."""

from collections.abc import Iterable, Iterator, Set
from textwrap import wrap

from vutrace.problems import Severity
from vutrace.records import connection_letter
from vutrace.rules.findings import WORST_FIRST, PlacedProblem
from vutrace.rules.folding import SameSessions
from vutrace.rules.report import SessionReport
from vutrace.rules.verdict import Verdict
from vutrace.views.colour import Paint, bare
from vutrace.views.text import count, printable

MARKS = {Severity.ERROR: "!", Severity.WARNING: "!", Severity.INFO: "i"}
NARROWEST = 40
ROWS_SHOWN = 3


class ReportText:
    """Formats reports for a terminal of `width` columns."""

    def __init__(self, width: int, paint: Paint = bare) -> None:
        self.width, self.paint = max(width, NARROWEST), paint

    def sessions(self, reports: Iterable[tuple[str, SessionReport]]) -> Iterator[str]:
        """All sessions; of those that are alike, one after the other, the first, and how many they are."""
        before: tuple[str, Set[str], SameSessions] | None = None
        for file, report in reports:
            rules, session = report.counts.keys(), report.alone()
            if before and before[:2] == (file, rules) and before[2].take(session):
                continue
            if before:
                yield from self.repeated(before[2])
                yield ""
            yield from self.lines(file, report)
            before = file, rules, session
        if before:
            yield from self.repeated(before[2])

    def repeated(self, sessions: SameSessions) -> Iterator[str]:
        """What there is to say of all but the first."""
        if text := sessions.repeated():
            yield f"  {text}"

    def lines(self, file: str, report: SessionReport) -> Iterator[str]:
        """A session."""
        assert report.verdict
        yield self.paint(printable(self.title(file, report, report.verdict)), "heading")
        yield from self.wrapped(report.verdict.text, "  ")
        for name in ordered(report):
            yield from self.rule([found for found in report.findings if found.rule.name == name], report)
        yield from self.wrapped(summary(report), "  ")

    def title(self, file: str, report: SessionReport, told: Verdict) -> str:
        """What is traced, and between whom."""
        ends = [each.text for each in (told.frontend, told.backend) if each]
        between = f", {' and '.join(ends)}" if ends else ""
        place = f"connection {connection_letter(report.connection)}, session {report.session}"
        return f"{file}: {place}: {report.device.name}{between}"

    def rule(self, found: list[PlacedProblem], report: SessionReport) -> Iterator[str]:
        """All findings of one rule: what is wrong, where, and what to do."""
        rule, times = found[0].rule, report.counts[found[0].rule.name]
        head = f"{MARKS[rule.severity]} {rule.severity} {rule.name}"
        style = "problem" if rule.severity is not Severity.INFO else "="
        yield f"  {self.paint(head, style)}{f' ×{times}' if times > 1 else ''}"
        for each in found[:ROWS_SHOWN]:
            yield from self.wrapped(f"[{each.row}] {place(each)}{each.problem.text}", "      ")
        if times > ROWS_SHOWN:
            yield f"      and {times - ROWS_SHOWN} more"
        if rule.advice:
            yield from self.wrapped(f"→ {rule.advice}", "      ")

    def wrapped(self, text: str, indent: str) -> Iterator[str]:
        """A text in lines that fit."""
        lines = wrap(printable(text), self.width - len(indent), break_on_hyphens=False)
        return (indent + line for line in lines)


def ordered(report: SessionReport) -> list[str]:
    """The rules that were found broken, the worst first, then by row."""
    first = {found.rule.name: found for found in reversed(report.findings)}
    return sorted(first, key=lambda name: (WORST_FIRST[first[name].rule.severity], first[name].row))


def place(found: PlacedProblem) -> str:
    """The ring, where it is about one."""
    return "" if found.problem.ring is None else f"ring {found.problem.ring}: "


def summary(report: SessionReport) -> str:
    """How much was looked at, and what is not shown."""
    rows = count(report.rows, "row")
    told = count(sum(report.counts.values()), "finding") if report.counts else "nothing found"
    others = [f"{number} {severity}" for severity, number in report.untold.items()]
    return f"{told} in {rows}" + (f"; not shown: {', '.join(others)}" if others else "")
