"""Everything that passes in one case: rows to look at, and a capture where one is wanted."""

import time
from collections.abc import Callable

from vutrace.capture import Writer
from vutrace.dissection.registry import Registry
from vutrace.records import Connection, Event, EventKind, Record, Side
from vutrace.session.row import Row
from vutrace.session.tracker import Tracker

Rules = Callable[[Row], Row]


class CaseLog:
    """Takes records, gives rows; `path` is where the capture goes, "" for none."""

    def __init__(self, registry: Registry, device: str, names: tuple[str, str], path: str = "") -> None:
        self.rows: list[Row] = []
        self.path = path
        self._writer = Writer(path) if path else None
        self._tracker = Tracker(registry, device)
        connection = Connection(0, *names)
        if self._writer:
            self._writer.write(connection)
        list(self._tracker.rows([connection]))

    def __call__(self, record: Record) -> Row:
        """The row of a record."""
        if self._writer:
            self._writer.write(record)
        row = self._tracker.feed(record)
        self.rows.append(row)
        return row

    def note(self, text: str, kind: EventKind = EventKind.NOTE) -> None:
        """A remark of ours, in its place."""
        session = self.rows[-1].session if self.rows else 1
        self(Event(time.time_ns(), 0, session, kind, text))

    def last_sent(self, side: Side) -> int:
        """The row of the last message of a side; 0 if it sent none."""
        sent = (
            row.number
            for row in reversed(self.rows)
            if not isinstance(row.what, Event) and row.what.frame.sender is side
        )
        return next(sent, 0)

    def close(self) -> None:
        """The capture is whole."""
        if self._writer:
            self._writer.close()
