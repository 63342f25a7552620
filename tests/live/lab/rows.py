"""What vutrace makes of a capture: rows, their words, and what it has to say against them."""

from pathlib import Path

from vutrace.capture import read
from vutrace.dissection.registry import load
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import Annotator
from vutrace.views.rows import Rows

PROBLEMS_OF_SIZE = "larger than the record bound"


def rows(capture: Path) -> list[Row]:
    """What vutrace makes of a capture, with the device that it found out itself."""
    return list(Tracker(load()).rows(read(capture)))


def shown(capture: Path) -> str:
    """Its rows in words."""
    lines = Rows()
    return "\n".join(line for row in Annotator().annotate_all(rows(capture)) for line in lines.lines(row))


def problems(capture: Path) -> list[str]:
    """What vutrace has to say against it, but for what it chose not to record."""
    return [text for row in rows(capture) for text in row.problems if PROBLEMS_OF_SIZE not in text]
