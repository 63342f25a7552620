"""Words that more than one format of the timeline has: what a session is, what an anomaly is about."""

from vutrace.records import Side
from vutrace.session.model import Iteration, Sequence, SessionTimeline
from vutrace.views.text import count

SECOND = 1_000_000_000


def headline(session: SessionTimeline) -> str:
    """What the session is, in one line."""
    parts = [
        f"session {session.number}",
        session.device if session.device_reason else "device unknown",
        rows_words(session.first, session.last),
        *([f"{session.start_ns / SECOND:.6f}–{session.end_ns / SECOND:.6f} s"] if session.timed else []),
        end_words(session),
    ]
    if session.partial:
        parts.append("not all known" if session.timed else "not all known, no times")
    if session.problems:
        parts.append(f"{count(session.problems, 'row')} with problems")
    return ", ".join(parts)


def end_words(session: SessionTimeline) -> str:
    """How it ended, and who closed it."""
    if not session.closed:
        return "open at the end of the capture"
    return f"closed by {closer_words(session.closed_by)}" if session.closed_by else "closed by vutrace"


def closer_words(side: Side) -> str:
    """The side that closed."""
    return f"the {side.words}"


def rows_words(first: int, last: int | None) -> str:
    """A range of rows: row 7, rows 7–9."""
    return f"row {first}" if last in (None, first) else f"rows {first}–{last}"


def name_of(item: Iteration | Sequence) -> str:
    """The iteration that something is said of."""
    if isinstance(item, Sequence):
        return ""
    return f"ring {item.ring}" if item.pair is None else f"pair {item.pair}"
