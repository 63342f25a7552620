"""A part of a timeline, as a timeline: what is drawn of it. What it says is computed from the whole."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from vutrace.session.model import Iteration, Loop, Mark, Part, PhaseSpan, RingLane, SessionTimeline, Timeline

Drawn = Mark | Part | Iteration | SessionTimeline


def with_rings(timeline: Timeline, wanted: Callable[[RingLane], bool]) -> Timeline:
    """The timeline with the lanes of the wanted rings alone."""
    return with_sessions(
        timeline, lambda session: replace(session, rings=tuple(filter(wanted, session.rings)))
    )


def with_rows(timeline: Timeline, numbers: Sequence[int]) -> Timeline:
    """What there is of the rows with these numbers (in order): sessions, parts of phases, rings, marks.

    States stay, since they are those of the whole capture, whatever is drawn of it.
    """

    def has(item: Drawn) -> bool:
        at = bisect_left(numbers, item.first)
        return at < len(numbers) and numbers[at] <= item.last

    def lane(lane: RingLane) -> RingLane:
        return replace(lane, marks=tuple(mark for mark in lane.marks if has(mark)))

    def phase(phase: PhaseSpan) -> PhaseSpan:
        loops = (
            replace(part, iterations=tuple(filter(has, part.iterations))) if isinstance(part, Loop) else part
            for part in phase.parts
            if has(part)
        )
        parts = tuple(part for part in loops if not isinstance(part, Loop) or part.iterations)
        return replace(phase, parts=parts, once_marks=tuple(filter(has, phase.once_marks)))

    def kept(session: SessionTimeline) -> SessionTimeline | None:
        if not has(session):
            return None
        lanes = tuple(each for each in map(lane, session.rings) if each.marks)
        return replace(session, rings=lanes, phases=tuple(map(phase, session.phases)))

    return with_sessions(timeline, kept)


def with_sessions(timeline: Timeline, kept: Callable[[SessionTimeline], SessionTimeline | None]) -> Timeline:
    """The timeline with what is kept of each session."""
    connections = tuple(
        replace(connection, sessions=tuple(filter(None, map(kept, connection.sessions))))
        for connection in timeline.connections
    )
    return replace(timeline, connections=connections)
