"""The live board: how every connection stands now, fed with rows while they come.

Only the latest session of a connection is on it. `board_text` makes lines of it.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vutrace.dissection.message import Message
from vutrace.records import Channel, Connection, Event, EventKind, Side
from vutrace.session.context import learn
from vutrace.session.exchanges import Owed, owed
from vutrace.session.fd_ledger import FdLedger
from vutrace.session.rings import Rings
from vutrace.session.row import Row

WAITING_KEPT = 64
EVENTS_KEPT = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request of row `number` that `debtor` has not answered, since `time_ns` (since the epoch)."""

    number: int
    name: str
    channel: Channel
    debtor: Side
    time_ns: int


class Standing:
    """One session as it stands."""

    def __init__(self, row: Row, connection: int, number: int) -> None:
        self.connection, self.number = connection, number
        self.context, self.phase = row.context, ""
        self.rows = self.problems = 0
        self.closed = False
        self.rings, self.fds = Rings(), FdLedger()
        self.waiting: dict[tuple[Channel, int], Waiting] = {}
        self.events: deque[tuple[int, Event]] = deque(maxlen=EVENTS_KEPT)

    def feed(self, row: Row) -> None:
        """Take a row."""
        self.rows += 1
        self.problems += bool(row.problems)
        if isinstance(row.what, Event):
            self.context = row.context
            self._event(row.number, row.what)
        else:
            self.context = learn(row.context, row.what)
            self._message(row, row.what)

    def _event(self, number: int, event: Event) -> None:
        self.events.append((number, event))
        if event.kind is EventKind.CLOSE:
            self._close(event.channel)

    def _close(self, channel: Channel) -> None:
        """Nobody owes anything on a socket that is closed; with the main one the session ends."""
        ended = list(Channel) if channel is Channel.MAIN else [channel]
        self.waiting = {key: each for key, each in self.waiting.items() if key[0] not in ended}
        if channel is Channel.MAIN:
            self.closed = True
            self.rings.end()

    def _message(self, row: Row, message: Message) -> None:
        self.phase = row.phase or self.phase
        self.rings.feed(row.number, row.since_first_ns, message, row.ring_name)
        self.fds.feed(row.number, row.since_first_ns, message)
        channel, frame = message.channel, message.frame
        if message.reply:
            self.waiting.pop((channel, row.reply_to or 0), None)
        elif owed(message, row.context) is Owed.YES and len(self.waiting) < WAITING_KEPT:
            debt = Waiting(row.number, message.name, channel, frame.sender.peer, frame.time_ns)
            self.waiting[channel, row.number] = debt


class Board:
    """All connections; `endpoints` fills while the rows come, as `Tracker.connections` does."""

    def __init__(self, endpoints: Mapping[int, Connection]) -> None:
        self.endpoints = endpoints
        self.now_ns = 0  # the time of the latest record, since the epoch
        self._standing: dict[int, Standing] = {}

    def feed(self, row: Row) -> None:
        """Take a row."""
        record = row.what if isinstance(row.what, Event) else row.what.frame
        standing = self._standing.get(record.connection)
        if standing is None or standing.number != record.session:
            standing = Standing(row, record.connection, record.session)
            self._standing[record.connection] = standing
        self.now_ns = max(self.now_ns, record.time_ns)
        standing.feed(row)

    def standing(self) -> Iterator[Standing]:
        """The sessions, by connection."""
        return (self._standing[number] for number in sorted(self._standing))
