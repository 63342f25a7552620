"""TAP, version 14: a line for each case, with a block of YAML behind one that fails.

A should or a may that does not hold is a TODO: harnesses count it and do not fail for it.
"""

from collections.abc import Iterator, Sequence

from vutrace.conform.case import CaseResult, CaseVerdict
from vutrace.outgoing import json_text
from vutrace.views.conformance.text import alone, sent


def head(count: int) -> Iterator[str]:
    """What comes before the cases."""
    yield "TAP version 14"
    yield f"1..{count}"


def lines(number: int, result: CaseResult, command: Sequence[str], strict: bool) -> Iterator[str]:
    """One case."""
    case = result.case
    if result.verdict is CaseVerdict.SKIP:
        yield f"ok {number} - {case.name} # SKIP {result.came}"
        return
    if result.verdict is CaseVerdict.PASS:
        yield f"ok {number} - {case.name}"
        return
    yield f"not ok {number} - {case.name}" + ("" if result.fails(strict) else f" # TODO {case.level}")
    told = {"sent": sent(result), "came": result.came, "spec": case.expects, "alone": alone(result, command)}
    yield "  ---"
    yield from (f"  {key}: {json_text(text)}" for key, text in told.items())
    yield "  ..."
