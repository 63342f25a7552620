"""All connections of a capture: dissects each record and hands it to its session."""

from collections.abc import Iterable, Iterator

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.registry import Registry
from vutrace.records import Connection, Deed, Event, EventKind, Record
from vutrace.session.acted import dropped_frame, frame_as_it_came
from vutrace.session.living import Living
from vutrace.session.recognition import from_user, telling
from vutrace.session.row import Row
from vutrace.session.session import Session


class Tracker:
    """Records in, rows out, one for one and in order.

    `device` is the user's word on what is traced ("" to find out); DissectorError if it is unknown.
    """

    def __init__(self, registry: Registry, device: str = "") -> None:
        self._devices = tuple(registry.devices)
        self._telling = telling(self._devices)
        self._dissect = Dissector(registry.messages)
        self._said = from_user(registry.device(device)) if device else None
        self._endpoints: dict[int, Connection] = {}
        self._sessions = Living[tuple[int, Session]](lambda known: known[1].state.closed)
        self._count = 0
        self._first_ns: int | None = None

    @property
    def connections(self) -> dict[int, Connection]:
        """The connections that were announced so far, by number."""
        return self._endpoints

    @property
    def first_ns(self) -> int | None:
        """When the first record was, since the epoch; None before it."""
        return self._first_ns

    def rows(self, records: Iterable[Record | Connection]) -> Iterator[Row]:
        """A row for each record; connections are noted."""
        feed = self.feed
        for record in records:
            if isinstance(record, Connection):
                self._endpoints[record.number] = record
            else:
                yield feed(record)

    def feed(self, record: Record) -> Row:
        """The row of one record."""
        number = self._count = self._count + 1
        time_ns, connection = record.time_ns, record.connection
        if self._first_ns is None:
            self._first_ns = time_ns
        since = time_ns - self._first_ns
        known = self._sessions.get(connection)
        if known is None or known[0] != record.session:
            session = self.session(connection, record.session)
        else:
            session = known[1]
        if isinstance(record, Event):
            dropped = dropped_frame(record) if record.kind is EventKind.DROPPED else None
            if dropped:
                return session.dropped(number, since, record, self._dissect(dropped))
            return session.event(number, since, record)
        row = session.message(number, since, self._dissect(record))
        acted = record.acted
        if acted and acted.deed is Deed.CHANGED:
            return row._replace(came=self._dissect(frame_as_it_came(record, acted)))
        return row

    def session(self, connection: int, number: int) -> Session:
        """The current session of a connection; a new number begins a new one."""
        known = self._sessions.get(connection)
        if known is not None and known[0] == number:
            return known[1]
        endpoints, before = self._endpoints.get(connection), known[1] if known else None
        session = Session(self._devices, self._telling, self._said, endpoints, before)
        self._sessions.begin(connection, (number, session))
        return session
