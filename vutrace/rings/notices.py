"""Kicks and calls of one ring: what stands in its eventfds, and how often they were written to."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from vutrace.records import FdInfo, NoticeTimes
from vutrace.rings.held import COUNT, Holdings
from vutrace.rings.tally import ROLES, Tally


class NoticeCounts(NamedTuple):
    """What stands in the eventfds, unread, and how often they were written to; None is not known."""

    kicks: int | None = None
    calls: int | None = None
    kick_total: int | None = None
    call_total: int | None = None


class RingNotices:
    """Those of a ring at `place` (connection, session, ring); `held` gives the eventfd of a role."""

    def __init__(
        self,
        holdings: Holdings,
        held: Callable[[str], FdInfo | None],
        tally: Tally | None,
        place: tuple[int, int, int],
    ) -> None:
        self._holdings, self._held, self._tally, self._place = holdings, held, tally, place
        self._told = [0] * len(ROLES)  # how many of each role were told of

    def counts(self) -> NoticeCounts:
        """How they stand now."""
        count, held = self._holdings.count, self._held
        kicks, calls = (
            count(held("kick")),
            count(held("call")),
        )  # written out: 256 rings ask ten times a second
        if self._tally is None:
            return NoticeCounts(kicks, calls)
        heads = [self._tally.head(*self._place, role) for role in range(len(ROLES))]
        if heads[0]:  # the device reads another eventfd, which is the counting process's
            kicks = unread(heads[0][0].process, heads[0][0].number)
        return NoticeCounts(kicks, calls, *(head and head[1].total for head in heads))

    def times(self) -> Iterator[NoticeTimes]:
        """When the latest were since the last time."""
        if self._tally is None:
            return
        for role, name in enumerate(ROLES):
            found = tuple(map(tuple, self._tally.since(self._told[role], *self._place, role)))
            if found:
                self._told[role] = found[-1][1]
                yield NoticeTimes(self._place[2], name, found)  # type: ignore[arg-type]


def unread(process: int, number: int) -> int | None:
    """What stands in another process's eventfd; None where that cannot be asked."""
    with contextlib.suppress(OSError, ValueError):
        with open(f"/proc/{process}/fdinfo/{number}", "rb") as file:
            told = file.read(512)
        begin = told.index(COUNT) + len(COUNT)
        return int(told[begin : told.index(b"\n", begin)], 16)
    return None
