"""Rows in, the timeline out: what `timeline`, `queues` and the pages draw."""

from collections.abc import Iterable, Mapping

from vutrace.dissection.message import Message
from vutrace.problems import Severity
from vutrace.records import Channel, Connection, Event, EventKind, Record, Side
from vutrace.session.acted import ActedRow, deed_of
from vutrace.session.ends import CONNECTIONS_KEPT, Ends
from vutrace.session.exchanges import Request
from vutrace.session.labels import pair_of
from vutrace.session.lanes import Lanes
from vutrace.session.memory import MemoryChange
from vutrace.session.model import ConnectionTimeline, Omitted, Owing, RingLane, SessionTimeline, Timeline
from vutrace.session.negotiation import Negotiation
from vutrace.session.phase_spans import PhaseSpans
from vutrace.session.ring import Ring, RingChange
from vutrace.session.row import Row
from vutrace.session.series import Series
from vutrace.session.side_channels import SideChannels

MAIN = Channel.MAIN
SESSIONS_KEPT = 256
OWING_KEPT = 64
MEMORY_CHANGES_KEPT = 128
ACTED_KEPT = 128


class SessionBuilder:
    """Folds the rows of one session into what is drawn of it; how things stand it reads from the last row.

    Without `drawn` it remembers nothing of what led there.
    """

    def __init__(self, row: Row, number: int, drawn: bool = True) -> None:
        self.number, self.first, self.last, self._drawn = number, row, row, drawn
        self.rows = self.problems = 0
        self.lanes, self.phases, self.negotiation = Lanes(), PhaseSpans(), Negotiation()
        self.series = Series()
        self.memory_changes = Ends[MemoryChange](MEMORY_CHANGES_KEPT)
        self.side_channels = SideChannels()
        self.acted = Ends[ActedRow](ACTED_KEPT)
        self.closed_by: Side | None = None
        self.partial, self.timed = False, True
        self._running = False  # whether some ring ran before the row at hand

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.last = row
        self.rows += 1
        if row.problems:
            self.problems += any(each.severity is not Severity.INFO for each in row.problems)
        what = row.what
        if isinstance(what, Event):
            self._event(row, what)
        else:
            flags = what.frame.flags
            if flags:
                self.partial |= bool(flags.unknown)
                self.timed &= row.timed
            if self._drawn:
                self._message(row, what)

    def _event(self, row: Row, event: Event) -> None:
        changes = row.changes
        if changes.moved:
            self.series.feed(changes.moved)
        if not self._drawn:
            return
        self._act(row, event)
        if event.kind is EventKind.CLOSE and event.channel is MAIN:
            self.closed_by = event.sender
        if changes.rings or row.state.closed:
            self.phases.end(row.since_first_ns, self._running)
        self._rings(row, changes.rings)

    def _message(self, row: Row, message: Message) -> None:
        changes, ring = row.changes, message.ring
        rings = changes.rings
        if rings and ring is not None and not message.reply:
            self.lanes.mark(ring, row.number, row.since_first_ns, message)
        self.phases.feed(row, message, ring, self._running)
        self.negotiation.feed(row, message)
        if message.channel is not MAIN:
            self.side_channels.feed(row.number, message)
        if message.frame.acted:
            self._act(row, message.frame)
        if changes.memory:
            self.memory_changes.append(changes.memory)
        if rings:
            self._rings(row, rings)

    def _act(self, row: Row, record: Record) -> None:
        if done := deed_of(record):
            self.acted.append(ActedRow(row.number, *done))

    def _rings(self, row: Row, changes: Iterable[RingChange]) -> None:
        for before, after in changes:
            if before is None or before.drawn != after.drawn:
                self.lanes.state(after, row.number, row.since_first_ns)
        self._running = bool(row.state.rings.running)

    def value(self) -> SessionTimeline:
        """The session so far; the builder is used up."""
        end_ns, state = self.last.since_first_ns, self.last.state
        self.phases.end(end_ns, bool(state.rings.running))
        self.lanes.end(end_ns)
        phases, context = self.phases.phases, state.context
        owing = [*state.unpaid, *state.owing()]
        return SessionTimeline(
            number=self.number,
            device=context.device.name,
            device_reason=context.reason,
            first=self.first.number,
            last=self.last.number,
            start_ns=self.first.since_first_ns,
            end_ns=end_ns,
            closed=state.closed,
            rows=self.rows,
            problems=self.problems,
            phases=tuple(phases),
            rings=tuple(map(self._lane, state.rings.values())),
            rounds=tuple(self.negotiation.rounds),
            barriers=self.negotiation.barriers,
            memory=tuple(state.memory.regions),
            memory_changes=tuple(self.memory_changes),
            fds=tuple(state.fds.slots.values()),
            fds_received=state.fds.received,
            owing=tuple(map(owing_of, owing[:OWING_KEPT])),
            status=context.status,
            phases_omitted=phases.omitted,
            phases_cut=phases.cut,
            kind=context.device,
            closed_by=self.closed_by,
            partial=self.partial,
            timed=self.timed,
            side_channels=self.side_channels.value(),
            acted=tuple(self.acted),
            omitted=Omitted(
                rings=state.rings.omitted,
                rounds=self.negotiation.rounds.omitted,
                memory=state.memory.omitted,
                memory_changes=self.memory_changes.omitted,
                fds=state.fds.omitted,
                side_channels=self.side_channels.omitted,
                owing=state.unpaid.omitted
                + max(0, len(owing) - OWING_KEPT)
                + sum(each.omitted for each in state.debts.values()),
            ),
        )

    def _lane(self, ring: Ring) -> RingLane:
        lane, samples = self.lanes.by_ring.get(ring.index), tuple(self.series.of(ring.index))
        pair = pair_of(ring.index) if self.last.state.context.device.pairs else None
        if lane is None:
            return RingLane(ring, pair, (), (), samples)
        return RingLane(ring, pair, tuple(lane.spans), tuple(lane.marks), samples)


def owing_of(request: Request) -> Owing:
    """A debt as it is told."""
    return Owing(request.number, request.name, str(request.message.channel), request.debtor)


class TimelineBuilder:
    """The timeline of all connections. Memory is bounded by what a timeline keeps, not by the rows.

    Without `drawn` it has no phases, spans or marks, only how each session stood at its end.
    """

    def __init__(self, drawn: bool = True) -> None:
        self.rows, self.first_ns, self._drawn = 0, 0, drawn
        self._open: dict[int, SessionBuilder] = {}
        self._closed: dict[int, Ends[SessionTimeline]] = {}
        self._kept: set[int] = set()  # connections; later ones are only counted
        self._omitted: set[int] = set()

    def feed(self, row: Row) -> None:
        """Take a row."""
        place = row.record
        if not self.rows:
            self.first_ns = place.time_ns - row.since_first_ns
        self.rows += 1
        session = self._open.get(place.connection)
        if session is None or session.number != place.session:
            if not self._has_room(place.connection):
                return
            self._keep(place.connection)
            session = self._open[place.connection] = SessionBuilder(row, place.session, self._drawn)
        session.feed(row)

    def _has_room(self, connection: int) -> bool:
        if connection not in self._kept and len(self._kept) >= CONNECTIONS_KEPT:
            self._omitted.add(connection)
            return False
        self._kept.add(connection)
        return True

    def _keep(self, connection: int) -> None:
        session = self._open.pop(connection, None)
        if session:
            self._closed.setdefault(connection, Ends(SESSIONS_KEPT)).append(session.value())

    def value(self, connections: Mapping[int, Connection]) -> Timeline:
        """The timeline; `connections` by number, as `Tracker.connections` has them. Call it once."""
        for number in list(self._open):
            self._keep(number)
        found = tuple(
            connection_of(number, connections.get(number), sessions)
            for number, sessions in sorted(self._closed.items())
        )
        return Timeline(found, self.rows, self.first_ns, len(self._omitted))


def connection_of(
    number: int, endpoints: Connection | None, sessions: Ends[SessionTimeline]
) -> ConnectionTimeline:
    """One connection with its endpoints, as far as the capture names them."""
    names = (endpoints.frontend, endpoints.backend) if endpoints else ("", "")
    return ConnectionTimeline(number, *names, tuple(sessions), sessions.omitted)


def timeline(rows: Iterable[Row], connections: Mapping[int, Connection], drawn: bool = True) -> Timeline:
    """The timeline of `rows`; `connections` is read at the end, so it may fill while they pass.

    `drawn` is as for TimelineBuilder.
    """
    builder = TimelineBuilder(drawn)
    for row in rows:
        builder.feed(row)
    return builder.value(connections)
