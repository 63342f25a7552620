"""Findings: the problems of rows, each with its place, as `check` and the views tell them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vutrace.problems import Problem, Rule, Severity
from vutrace.session.row import Row

WORST_FIRST = {severity: place for place, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class PlacedProblem:
    """A problem in its place; `row` carries it, `connection` is a number, as in records."""

    problem: Problem
    row: int
    connection: int
    session: int

    @property
    def rule(self) -> Rule:
        """What is broken; its severity is that of this finding."""
        return self.problem.rule


def findings_of(row: Row) -> Iterator[PlacedProblem]:
    """A row's problems in their place."""
    return (PlacedProblem(problem, row.number, row.connection, row.session) for problem in row.problems)


def at_least(severity: Severity, wanted: Severity) -> bool:
    """Whether it is as bad as `wanted`, or worse."""
    return WORST_FIRST[severity] <= WORST_FIRST[wanted]


def is_wrong(problem: Problem) -> bool:
    """Whether something is wrong, or at least with what is shown: a message that is not all there."""
    return problem.severity is not Severity.INFO or problem.rule.group == "frame"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which findings count: of `severity` or worse, of the selected rules or groups, none ignored."""

    severity: Severity = Severity.WARNING
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()

    def takes(self, problem: Problem) -> bool:
        """Whether a problem counts."""
        return at_least(problem.severity, self.severity) and self.wants(problem.rule)

    def wants(self, rule: Rule) -> bool:
        """Whether a rule is asked about; its own name says more than that of its group."""
        if rule.name in self.select or rule.name in self.ignore:
            return rule.name in self.select
        return (not self.select or rule.group in self.select) and rule.group not in self.ignore


def worst(findings: Iterable[PlacedProblem]) -> Severity | None:
    """The worst severity of some findings."""
    return min((found.rule.severity for found in findings), key=WORST_FIRST.__getitem__, default=None)
