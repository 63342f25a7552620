"""A finding as a JSON object (design §6: keys are added, never renamed), on rows and in `check` alike."""

from typing import Any

from vutrace.records import connection_letter
from vutrace.rules.findings import PlacedProblem


def finding(found: PlacedProblem) -> dict[str, Any]:
    """One finding; `about` is another row that it is about, `descriptor` a place in the message from 0."""
    problem, rule = found.problem, found.rule
    return {
        "rule": rule.name,
        "severity": str(rule.severity),
        "text": problem.text,
        "heading": rule.heading,
        "row": found.row,
        "about": problem.row,
        "ring": problem.ring,
        "descriptor": problem.descriptor,
        "connection": connection_letter(found.connection),
        "session": found.session,
        "advice": rule.advice,
    }
