"""The live board: how every connection stands now, fed with rows while they come.

Only the latest session of a connection is on it. `board_text` makes lines of it.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import islice

from vutrace.records import Connection, Event, EventKind, Sample
from vutrace.session.ends import CONNECTIONS_KEPT
from vutrace.session.exchanges import Request
from vutrace.session.row import Row
from vutrace.session.state import SessionState

WAITING_KEPT = 64
EVENTS_KEPT = 3


class Standing:
    """One session as it stands after `last`, its latest row."""

    def __init__(self, row: Row) -> None:
        self.last = row
        self.rows = self.problems = 0
        self.held: dict[str, Event] = {}  # notes of messages that wait, by when these came
        self.events: deque[tuple[int, Event]] = deque(maxlen=EVENTS_KEPT)

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.last = row
        self.rows += 1
        self.problems += bool(row.problems)
        record = row.record
        if isinstance(record, Sample):
            return
        if isinstance(record, Event):
            self.events.append((row.number, record))
            if record.kind is EventKind.NOTE and "held" in record.attributes:
                self.held[record.attributes["held"]] = record
            else:
                self.held.pop(record.attributes.get("held", ""), None)
        elif record.acted:
            self.held.pop(str(record.acted.came_ns), None)

    @property
    def state(self) -> SessionState:
        """What the session knows."""
        return self.last.state

    @property
    def waiting(self) -> list[Request]:
        """The requests that are not answered; nobody owes anything on a socket that is closed."""
        return list(islice(self.state.owing(), WAITING_KEPT))

    @property
    def unpaid(self) -> list[Request]:
        """Those that were never answered, of a session that is over."""
        return list(islice(self.state.unpaid, WAITING_KEPT)) if self.state.closed else []


class Board:
    """All connections; `endpoints` fills while the rows come, as `Tracker.connections` does."""

    def __init__(self, endpoints: Mapping[int, Connection]) -> None:
        self.endpoints = endpoints
        self.now_ns = 0  # the time of the latest record, since the epoch
        self._standing: dict[int, Standing] = {}
        self.omitted: set[int] = set()  # connections for which there was no room

    def feed(self, row: Row) -> None:
        """Take a row."""
        standing = self._standing.get(row.connection)
        if standing is None and len(self._standing) >= CONNECTIONS_KEPT:
            self.omitted.add(row.connection)
            return
        if standing is None or standing.last.session != row.session:
            standing = self._standing[row.connection] = Standing(row)
        self.now_ns = max(self.now_ns, row.record.time_ns)
        standing.feed(row)

    def standing(self) -> Iterator[Standing]:
        """The sessions, by connection."""
        return (self._standing[number] for number in sorted(self._standing))
