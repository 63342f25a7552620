"""Words that more than one format of the timeline has: what a session is, what an anomaly is about."""

from vutrace.session.model import Iteration, Sequence, SessionTimeline

SECOND = 1_000_000_000


def headline(session: SessionTimeline) -> str:
    """What the session is, in one line."""
    parts = [
        f"session {session.number}",
        session.device if session.device_reason else "device unknown",
        f"rows {session.first}–{session.last}",
        f"{session.start_ns / SECOND:.6f}–{session.end_ns / SECOND:.6f} s",
        "closed" if session.closed else "open at the end of the capture",
    ]
    if session.problems:
        parts.append(f"{session.problems} rows with problems")
    return ", ".join(parts)


def name_of(item: Iteration | Sequence) -> str:
    """The iteration that something is said of."""
    if isinstance(item, Sequence):
        return ""
    return f"ring {item.ring}" if item.pair is None else f"pair {item.pair}"
