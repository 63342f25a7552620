"""Rows in, the timeline out: what `timeline`, `queues` and the pages draw."""

from collections.abc import Iterable, Mapping

from vutrace.dissection.message import Message
from vutrace.records import Channel, Connection, Event, EventKind
from vutrace.session.ends import Ends
from vutrace.session.exchanges import Owed, owed
from vutrace.session.fd_ledger import FdLedger
from vutrace.session.labels import pair_of, paired
from vutrace.session.lanes import SESSION_END, Lanes
from vutrace.session.memory import MAPPING, Memory
from vutrace.session.model import ConnectionTimeline, Owing, RingLane, SessionTimeline, Timeline
from vutrace.session.negotiation import Negotiation
from vutrace.session.phase_spans import PhaseSpans
from vutrace.session.ring_states import RingState
from vutrace.session.rings import OF_ALL, Ring, Rings
from vutrace.session.row import Row

SESSIONS_KEPT = 256
OWING_KEPT = 64


class SessionBuilder:
    """Everything about one session, fed with its rows."""

    def __init__(self, row: Row, number: int) -> None:
        self.number, self.first, self.last = number, row, row
        self.context = row.context
        self.rows = self.problems = 0
        self.closed = False
        self.rings, self.lanes, self.phases = Rings(), Lanes(), PhaseSpans()
        self.negotiation, self.memory, self.fds = Negotiation(), Memory(), FdLedger()
        self._owing: dict[int, Owing] = {}
        self._running: set[int] = set()
        self._stood: list[Ring] | None = None  # when the session ended

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.last = row
        self.rows += 1
        self.problems += bool(row.problems)
        self.context = row.context
        if isinstance(row.what, Event):
            self._event(row, row.what)
        else:
            self._message(row, row.what)

    def _event(self, row: Row, event: Event) -> None:
        if event.kind is EventKind.CLOSE and event.channel is Channel.MAIN:
            self.closed = True
            self.phases.end(row.since_first_ns, bool(self._running))
            self._stood = self.rings.values()
            self._draw(self.rings.end(), row, SESSION_END)

    def _message(self, row: Row, message: Message) -> None:
        number, time_ns, spec, frame = row.number, row.since_first_ns, message.spec, message.frame
        ring, asks = message.ring if spec.ring else None, not message.reply
        running, news = bool(self._running), False
        if ring is not None or spec.name in OF_ALL:
            sent = self._enable_sent(ring)
            changed = self.rings.feed(number, time_ns, message, row.ring_name)
            news = sent != self._enable_sent(ring)
            if ring is not None and asks:
                self.lanes.mark(ring, number, time_ns, message)
            self._draw(changed, row, spec.name)
        self.phases.feed(row, message, ring, news, running)
        self.negotiation.feed(number, message)
        if spec.name in MAPPING:
            self.memory.feed(number, time_ns, message)
        if frame.fds or ring is not None or spec.name in MAPPING:
            self.fds.feed(number, time_ns, message)
        self._note_owed(row, message)

    def _enable_sent(self, ring: int | None) -> bool | None:
        known = self.rings.by_index.get(ring) if ring is not None else None
        return known.enable_sent if known else None

    def _draw(self, changed: Iterable[int], row: Row, name: str) -> None:
        for index in changed:
            ring = self.rings.by_index[index]
            self.lanes.state(ring, row.number, row.since_first_ns, name)
            if ring.state is RingState.RUNNING:
                self._running.add(index)
            else:
                self._running.discard(index)

    def _note_owed(self, row: Row, message: Message) -> None:
        if message.reply:
            self._owing.pop(row.reply_to or 0, None)
        elif owed(message, row.context) is Owed.YES and len(self._owing) < OWING_KEPT:
            debtor = message.frame.sender.peer
            self._owing[row.number] = Owing(row.number, message.name, str(message.channel), debtor)

    def value(self) -> SessionTimeline:
        """The session so far; the builder is used up."""
        end_ns = self.last.since_first_ns
        if not self.closed:
            self.phases.end(end_ns, bool(self._running))
        self.lanes.end(end_ns)
        phases, device = self.phases.phases, self.context.device
        return SessionTimeline(
            number=self.number,
            device=device.name,
            device_reason=self.context.reason,
            first=self.first.number,
            last=self.last.number,
            start_ns=self.first.since_first_ns,
            end_ns=end_ns,
            closed=self.closed,
            rows=self.rows,
            problems=self.problems,
            phases=tuple(phases),
            rings=tuple(map(self._lane, self._stood or self.rings.values())),
            rounds=self.negotiation.rounds,
            barriers=self.negotiation.barriers,
            memory=tuple(self.memory.regions),
            memory_changes=tuple(self.memory.changes),
            fds=tuple(self.fds.slots.values()),
            fds_received=self.fds.received,
            owing=tuple(self._owing.values()),
            status=self.context.status,
            phases_omitted=phases.omitted,
            phases_cut=phases.cut,
            kind=device,
        )

    def _lane(self, ring: Ring) -> RingLane:
        lane = self.lanes.by_ring.get(ring.index)
        pair = pair_of(ring.index) if paired(self.context.device) else None
        if lane is None:
            return RingLane(ring, pair, (), ())
        return RingLane(ring, pair, tuple(lane.spans), tuple(lane.marks))


class TimelineBuilder:
    """The timeline of all connections. Memory is bounded by what a timeline keeps, not by the rows."""

    def __init__(self) -> None:
        self.rows, self.first_ns = 0, 0
        self._open: dict[int, SessionBuilder] = {}
        self._closed: dict[int, Ends[SessionTimeline]] = {}

    def feed(self, row: Row) -> None:
        """Take a row."""
        what = row.what
        place = what if isinstance(what, Event) else what.frame
        if not self.rows:
            self.first_ns = place.time_ns - row.since_first_ns
        self.rows += 1
        session = self._open.get(place.connection)
        if session is None or session.number != place.session:
            self._keep(place.connection)
            session = self._open[place.connection] = SessionBuilder(row, place.session)
        session.feed(row)

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
        return Timeline(found, self.rows, self.first_ns)


def connection_of(
    number: int, endpoints: Connection | None, sessions: Ends[SessionTimeline]
) -> ConnectionTimeline:
    """One connection with its endpoints, as far as the capture names them."""
    names = (endpoints.frontend, endpoints.backend) if endpoints else ("", "")
    return ConnectionTimeline(number, *names, tuple(sessions), sessions.omitted)


def timeline(rows: Iterable[Row], connections: Mapping[int, Connection]) -> Timeline:
    """The timeline of `rows`; `connections` is read at the end, so it may fill while they pass."""
    builder = TimelineBuilder()
    for row in rows:
        builder.feed(row)
    return builder.value(connections)
