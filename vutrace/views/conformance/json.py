"""One object for each case, as JSON: the keys are fixed, more may come."""

from collections.abc import Sequence

from vutrace.conform.case import Case, CaseResult
from vutrace.outgoing import json_text
from vutrace.views.conformance.text import alone, sent


def row(case: Case) -> dict[str, object]:
    """What a case is."""
    return {
        "case": case.name,
        "group": case.group,
        "level": case.level,
        "heading": case.heading,
        "sends": case.sends,
        "expects": case.expects,
        "needs": list(case.needs),
        "device": case.device,
    }


def line(result: CaseResult, command: Sequence[str]) -> str:
    """What came of it; `verdict` is pass, fail or skip, `row` the message that was answered wrongly."""
    return json_text(
        row(result.case)
        | {
            "verdict": result.verdict,
            "sent": sent(result),
            "came": result.came,
            "seconds": round(result.seconds, 3),
            "crash": result.crash,
            "output": list(result.output),
            "row": result.failed_row or None,
            "capture": result.capture,
            "known": result.known,
            "alone": alone(result, command),
        }
    )
