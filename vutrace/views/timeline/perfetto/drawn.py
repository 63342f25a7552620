"""What a timeline says of a session, as slices: phases with the turns of their loops, memory, rings."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from vutrace.session.activity import Moved
from vutrace.session.memory import MemoryChange, Region
from vutrace.session.model import PhaseSpan, RingLane, SessionTimeline, Span, Timeline
from vutrace.session.ring_states import RingState
from vutrace.views.text import address, count, size
from vutrace.views.timeline.perfetto.track_event import Annotations, Type, counter, event
from vutrace.views.timeline.perfetto.tracks import Tracks
from vutrace.views.timeline.words import name_of

COUNTED: Mapping[str, Callable[[Moved], int]] = {
    "made available per s": lambda moved: int(moved.made),
    "used per s": lambda moved: int(moved.used),
    "in flight": lambda moved: moved.sample.in_flight,
}


def rows_of_turns(timeline: Timeline) -> Iterator[int]:
    """The rows whose times a drawing needs: where turns begin and end."""
    for connection in timeline.connections:
        for session in connection.sessions:
            for phase in session.phases:
                for loop in phase.loops:
                    for turn in loop.iterations:
                        yield from (turn.first, turn.last)


class Slices:
    """Draws sessions; `times` are those of the turns' rows, in nanoseconds since the epoch as `first_ns`."""

    def __init__(self, tracks: Tracks, first_ns: int, times: Mapping[int, int]) -> None:
        self.tracks, self.first_ns, self.times = tracks, first_ns, times

    def packets(self, connection: int, session: SessionTimeline) -> Iterator[bytes]:
        """Everything about a session but its messages."""
        yield from self.phases(self.tracks.sessions(connection), session)
        if session.memory_changes:
            yield from self.memory(self.tracks.memory(connection), session)
        for lane in session.rings:
            yield from self.ring(self.tracks.ring(connection, lane), lane)
            yield from self.counters(connection, lane)

    def slice(
        self,
        uuid: int,
        start_ns: int,
        end_ns: int,
        name: str,
        facts: Annotations,
        inside: Iterable[bytes] = (),
    ) -> Iterator[bytes]:
        """A slice in nanoseconds since the epoch, around what is inside of it."""
        yield from self.tracks.announced()
        yield event(Type.BEGIN, uuid, start_ns, name, facts)
        yield from inside
        yield event(Type.END, uuid, max(start_ns, end_ns))

    def phases(self, uuid: int, session: SessionTimeline) -> Iterator[bytes]:
        """A session with its phases inside."""
        facts = {"device": session.device, "reason": session.device_reason, "rows": session.rows}
        start, end = self.first_ns + session.start_ns, self.first_ns + session.end_ns
        inside = (packet for phase in session.phases for packet in self.phase(uuid, phase))
        yield from self.slice(uuid, start, end, f"session {session.number}", facts, inside)

    def phase(self, uuid: int, phase: PhaseSpan) -> Iterator[bytes]:
        """A phase with its turns inside."""
        facts = {"first_row": phase.first, "last_row": phase.last, "once_per_device": phase.once}
        start, end = self.first_ns + phase.start_ns, self.first_ns + phase.end_ns
        yield from self.slice(uuid, start, end, str(phase.phase), facts, self.turns(uuid, phase))

    def turns(self, uuid: int, phase: PhaseSpan) -> Iterator[bytes]:
        """The turns of a phase's loops, one after the other."""
        for loop in phase.loops:
            for turn in loop.iterations:
                facts = {"messages": turn.messages, "anomalies": list(map(str, turn.anomalies))}
                start, end = self.times[turn.first], self.times[turn.last]
                yield from self.slice(uuid, start, end, name_of(turn), facts)

    def memory(self, uuid: int, session: SessionTimeline) -> Iterator[bytes]:
        """The memory map from each of its changes to the next."""
        ends = [change.time_ns for change in session.memory_changes[1:]] + [session.end_ns]
        regions: list[Region] = []
        for change, end_ns in zip(session.memory_changes, ends, strict=True):
            regions = [each for each in regions if each not in change.removed] + list(change.added)
            start, end = self.first_ns + change.time_ns, self.first_ns + end_ns
            yield from self.slice(uuid, start, end, memory_name(regions), memory_facts(change, regions))

    def ring(self, uuid: int, lane: RingLane) -> Iterator[bytes]:
        """A ring's states as slices, its messages as instants."""
        for span in lane.spans:
            if span.state != RingState.STOPPED:
                start, end = self.first_ns + span.start_ns, self.first_ns + span.end_ns
                yield from self.slice(uuid, start, end, span.state, span_facts(span))
        for mark in lane.marks:
            facts = {"row": mark.row, "count": mark.count}
            yield from self.tracks.announced()
            yield event(Type.INSTANT, uuid, self.first_ns + mark.time_ns, mark.name, facts, mark.kind)

    def counters(self, connection: int, lane: RingLane) -> Iterator[bytes]:
        """What moved in a ring, and what was in flight, where somebody looked."""
        known = [(moved, self.first_ns + moved.time_ns) for moved in lane.samples]
        for name, value in COUNTED.items() if known else ():
            uuid = self.tracks.count(connection, lane, name)
            yield from self.tracks.announced()
            yield from (counter(uuid, time_ns, value(moved)) for moved, time_ns in known)


def memory_name(regions: list[Region]) -> str:
    """1 region, 256 MiB."""
    return f"{count(len(regions), 'region')}, {size(sum(each.size for each in regions))}"


def memory_facts(change: MemoryChange, regions: list[Region]) -> Annotations:
    """The regions, and what changed them."""
    told = [
        {"guest": address(each.guest_address), "size": size(each.size), "user": address(each.user_address)}
        for each in regions
    ]
    return {"row": change.number, "by": change.message, "regions": told}


def span_facts(span: Span) -> Annotations:
    """Since which row, and by which rule."""
    return {"first_row": span.first, "rule": span.rule, "changes": span.changes}
