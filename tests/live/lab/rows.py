"""What vutrace makes of a capture: rows, their words, and what it has to say against them."""

from pathlib import Path

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.problems import Severity
from vutrace.rules.judge import Judge
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.rows import Rows


def rows(capture: Path) -> list[Row]:
    """What vutrace makes of a capture, with the device that it found out itself."""
    return list(Tracker(load()).rows(read(capture)))


def shown(capture: Path) -> str:
    """Its rows in words."""
    lines = Rows()
    return "\n".join(line for row in Annotator().annotate_all(rows(capture)) for line in lines.lines(row))


def problems(capture: Path) -> list[str]:
    """What vutrace has to say against it: everything but what is only worth knowing."""
    judge, tracker = Judge(), Tracker(load())
    judged = [*judge.rows(tracker.rows(read(capture))), *judge.end()]
    found = (problem for row in judged for problem in row.problems)
    return [f"{each.name}: {each}" for each in found if each.severity is not Severity.INFO]
