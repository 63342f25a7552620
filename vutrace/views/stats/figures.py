"""A fold of rows into counts, sizes and latencies. A latency is kept as 8 bytes, nothing else of a row."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from vutrace.dissection.message import Message
from vutrace.records import Event, FrameFlag, connection_letter
from vutrace.session.exchanges import is_refusal
from vutrace.session.row import Row
from vutrace.views.stats.grouping import Grouping

PERCENTILES = (50, 90, 99)
SECOND = 1_000_000_000
Key = tuple[Any, ...]


def message_key(row: Row, message: Message) -> Key:
    """A message by its name, on its channel, from whoever sends the request."""
    frame = message.frame
    asker = frame.sender.peer if message.reply else frame.sender
    return message.name, str(message.channel), str(asker)


def ring_key(row: Row, _message: Message) -> Key | None:
    """The ring that a message is about; None where it is about none."""
    if row.ring is None:
        return None
    return connection_letter(row.connection), row.ring


def session_key(row: Row, _message: Message) -> Key:
    """The connection it is on, and which session of that."""
    return connection_letter(row.connection), row.session


@dataclass(frozen=True, slots=True)
class GroupingRow:
    """How a grouping finds the key of a message, and what the parts of the key are called."""

    key: Callable[[Row, Message], Key | None]
    names: tuple[str, ...]


GROUPINGS: Mapping[Grouping, GroupingRow] = {
    Grouping.MESSAGE: GroupingRow(message_key, ("message", "channel", "asked_by")),
    Grouping.RING: GroupingRow(ring_key, ("connection", "ring")),
    Grouping.SESSION: GroupingRow(session_key, ("connection", "session")),
}


class Figures:
    """What was counted of one message, ring or session.

    `sizes` are bytes on the wire, header included; `latencies` nanoseconds from a request to its reply; times
    are nanoseconds since the capture's first record; `ring_name` is the last ring's.
    """

    def __init__(self) -> None:
        self.requests = self.replies = self.refused = self.need_reply = self.descriptors = 0
        self.bytes, self.smallest, self.largest = 0, 0, 0
        self.first_ns = self.last_ns = 0
        self.latencies = array("q")
        self.unsized = 0  # messages of an import whose size nobody knows
        self.unflagged = self.undescribed = False  # of some nobody knows the flags, or all descriptors
        self.timed = True
        self.ring_name = ""
        self._by_second: Counter[int] = Counter()

    def feed(self, row: Row, message: Message) -> None:
        """Take a message."""
        size = message.frame.wire_size
        self.smallest = min(self.smallest, size) if self.messages else size
        self.first_ns = self.first_ns if self.messages else row.since_first_ns
        self.last_ns = max(self.last_ns, row.since_first_ns)
        self.unsized += message.size_unknown
        if unknown := message.frame.flags.unknown:
            self.unflagged |= bool(unknown & FrameFlag.FLAGS_UNKNOWN)
            self.undescribed |= bool(unknown & FrameFlag.FDS_UNKNOWN)
        self.timed &= row.timed
        self.largest, self.bytes = max(self.largest, size), self.bytes + size
        self.requests += not message.reply
        self.replies += message.reply
        self.refused += is_refusal(message)
        self.need_reply += message.need_reply
        self.descriptors += len(message.frame.fds)
        self.ring_name = row.ring_name or self.ring_name
        self._by_second[row.since_first_ns // SECOND] += 1
        if row.latency_ns is not None:
            self.latencies.append(row.latency_ns)

    @property
    def messages(self) -> int:
        """Requests and replies."""
        return self.requests + self.replies

    @property
    def busiest(self) -> int:
        """The most messages in a second of the capture's clock."""
        return max(self._by_second.values(), default=0)

    @property
    def rate(self) -> float | None:
        """Messages in a second, from the first to the last; None where those are less than a second apart."""
        passed = self.last_ns - self.first_ns
        return self.messages * SECOND / passed if passed >= SECOND else None

    def percentiles(self) -> dict[str, int]:
        """Latencies: p50, p90 and p99 by nearest rank, and the largest, in ns; empty without a reply."""
        ordered = sorted(self.latencies)
        if not ordered:
            return {}
        told = {f"p{each}": ordered[ceil(len(ordered) * each / 100) - 1] for each in PERCENTILES}
        return told | {"max": ordered[-1]}


class Stats:
    """The figures of a capture, by each grouping, in the order in which things came; `all` has everything."""

    def __init__(self) -> None:
        self.all = Figures()
        self.by: dict[Grouping, dict[Key, Figures]] = {grouping: {} for grouping in Grouping}

    def feed(self, row: Row) -> None:
        """Take a row."""
        message = row.what
        if isinstance(message, Event):
            return
        self.all.feed(row, message)
        for grouping, found in self.by.items():
            key = GROUPINGS[grouping].key(row, message)
            if key is not None:
                found.setdefault(key, Figures()).feed(row, message)


def stats_of(rows: Iterable[Row]) -> Stats:
    """The figures of rows."""
    stats = Stats()
    for row in rows:
        stats.feed(row)
    return stats
