"""A line for each case while it runs; for one that fails what was sent, what came and what the spec says."""

import shlex
from collections.abc import Iterator, Sequence

from vutrace.conform.case import CaseResult, CaseVerdict, Level
from vutrace.outgoing import printable
from vutrace.records import Event
from vutrace.session.row import Row
from vutrace.views.colour import Paint
from vutrace.views.descriptors import short
from vutrace.views.details import detail

WIDTH = 48
STYLES = {CaseVerdict.PASS: "", CaseVerdict.FAIL: "problem", CaseVerdict.SKIP: "="}


def lines(result: CaseResult, command: Sequence[str], paint: Paint) -> Iterator[str]:
    """One case; `command` is what runs it again, but for its name."""
    case = result.case
    head = f"{verdict(result):<5} {case.name:<{WIDTH}} {case.level:<6}"
    style = STYLES[result.verdict]
    why = result.came if result.verdict is CaseVerdict.SKIP or verdict(result) == "note" else ""
    first = f"{head} {why or f'{result.seconds:6.2f} s'}"
    yield paint(first.rstrip(), style) if style else first.rstrip()
    if result.verdict is CaseVerdict.FAIL and verdict(result) != "note":
        yield from failure(result, command)


def verdict(result: CaseResult) -> str:
    """One word; a should that does not hold is a warning, a may a note."""
    if result.verdict is not CaseVerdict.FAIL:
        return result.verdict
    if result.known:
        return "known"
    if result.fails():
        return "FAIL"
    return "warn" if result.case.level is Level.SHOULD else "note"


def failure(result: CaseResult, command: Sequence[str]) -> Iterator[str]:
    """What a developer needs."""
    case = result.case
    yield f"      sent: {sent(result)}"
    yield f"      came: {result.came}"
    yield f'      spec: "{case.heading}" ({case.level}): {case.expects}'
    for line in result.output:
        yield f"      said: {line}"
    if result.known:
        yield f"      known: {result.known}"
    if result.capture:
        yield f"      capture: {result.capture}, row {result.failed_row}"
    yield f"      alone: {alone(result, command)}"


def alone(result: CaseResult, command: Sequence[str]) -> str:
    """What runs the case by itself."""
    return shlex.join([*command, "--only", result.case.name])


def sent(result: CaseResult) -> str:
    """What the case sends, and the row of its last message."""
    row = next((row for row in result.rows if row.number == result.failed_row), None)
    return f"{result.case.sends}; last: {in_words(row)}" if row else result.case.sends


def in_words(row: Row) -> str:
    """A message with its ring, what matters in it and its descriptors."""
    if isinstance(row.what, Event):
        return row.what.text
    need = "need-reply" if row.what.need_reply else ""
    words = (row.ring_name, row.what.name, need, detail(row.what, row.context), short(row.what.frame.fds))
    return printable(" ".join(filter(None, words)))


def summary(results: Sequence[CaseResult], strict: bool) -> str:
    """The last line."""
    counts = {each: sum(result.verdict is each for result in results) for each in CaseVerdict}
    failed = sum(result.fails(strict) for result in results)
    known = sum(bool(result.known) for result in results)
    shoulds = sum(
        result.verdict is CaseVerdict.FAIL and not result.fails() and result.case.level is Level.SHOULD
        for result in results
    )
    text = f"{len(results)} cases: {counts[CaseVerdict.PASS]} pass, {failed} fail"
    text += f", {counts[CaseVerdict.SKIP]} have no sense here"
    return f"{text}, {shoulds} shoulds do not hold, {known} failures are known"
