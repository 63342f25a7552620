"""Verdicts on all sessions of a capture; sessions that ended alike, one after the other, are one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vutrace.rules.verdict import Verdict, VerdictBuilder, begin, verdict
from vutrace.session.row import Row

KEPT = 256  # verdicts that differ, of one capture
# What differs between two sessions that are alike: rows, times, processes, counts.
PLACES = re.compile(r"\[\d+\]|\b\d+(\.\d+)? m?s\b|\bpid \d+|\b[\d,]+ tries|\bsession \d+")


def alike(one: Verdict, other: Verdict) -> bool:
    """Whether two sessions came to the same."""
    return PLACES.sub("#", one.text) == PLACES.sub("#", other.text)


def rate(count: int, time_ns: int) -> str:
    """How often something happened, or in what time where that is not often."""
    seconds = time_ns / 1e9
    often = seconds >= 1 and count >= seconds
    return f"{count / seconds:,.0f}/s" if often else f"in {seconds:.1f} s"


@dataclass(slots=True)
class SameSessions:
    """Sessions `first` to `last` of a connection, all with such a verdict; from `start_ns` to `end_ns`."""

    connection: int
    first: int
    last: int
    verdict: Verdict
    start_ns: int
    end_ns: int

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def repeated(self) -> str:
        """What to say of all but the first, "" where there is one."""
        if self.count == 1:
            return ""
        which = f"sessions {self.first + 1:,}–{self.last:,}" if self.count > 2 else f"session {self.last}"
        return f"{which}: the same, {rate(self.count, self.end_ns - self.start_ns)}"

    def take(self, other: "SameSessions") -> bool:
        """Add the next one, if it is alike."""
        follows = other.connection == self.connection and other.first == self.last + 1
        if not follows or not alike(self.verdict, other.verdict):
            return False
        self.last, self.end_ns = other.last, other.end_ns
        return True


class Verdicts:
    """A fold over judged rows. `omitted` counts the verdicts beyond those that are kept."""

    def __init__(self) -> None:
        self.over: list[SameSessions] = []
        self.omitted = 0
        self.builders: dict[int, VerdictBuilder] = {}
        self._now_ns = 0

    def feed(self, row: Row) -> VerdictBuilder:
        """Take a row; what is known of its session so far."""
        known = self.builders.get(row.connection)
        if known is None or known.session != row.session:
            if known is not None:
                self._end(known)
            known = self.builders[row.connection] = begin(row, known)
        known.feed(row)
        self._now_ns = max(self._now_ns, row.record.time_ns)
        return known

    def _end(self, builder: VerdictBuilder) -> None:
        one = self._told(builder, builder.last_ns)
        if self.over and self.over[-1].take(one):
            return
        if len(self.over) < KEPT:
            self.over.append(one)
        else:
            self.omitted += 1

    def _told(self, builder: VerdictBuilder, now_ns: int) -> SameSessions:
        told, number = verdict(builder, now_ns), builder.session
        return SameSessions(builder.connection, number, number, told, builder.first_ns, builder.last_ns)

    def all(self) -> Iterator[SameSessions]:
        """Every verdict, those of the sessions that are the last of their connection at the end."""
        for builder in self.builders.values():
            one = self._told(builder, self._now_ns)
            if not (self.over and self.over[-1].take(one)):
                self.over.append(one)
        self.builders.clear()
        yield from self.over
