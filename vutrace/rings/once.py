"""A look at the rings of running sessions, by their capture so far and the descriptors of their processes."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vutrace.capture.pseudo_header import sample_of
from vutrace.records import Connection, Event, EventKind, Frame, Record, Side
from vutrace.rings.foreign import Foreign
from vutrace.rings.session import SampledSession
from vutrace.rings.wire import is_needed
from vutrace.session.activity import Activity, Moved
from vutrace.session.tracker import Tracker

if TYPE_CHECKING:
    from vutrace.session.row import Row


@dataclass(slots=True)
class OpenSession:
    """A session that has not ended: its processes, and the messages that set up its rings."""

    connection: Connection
    number: int
    pids: tuple[int, ...]
    frames: list[Frame]


def open_sessions(items: Iterable[Connection | Record]) -> list[OpenSession]:
    """The sessions of a capture that are still open."""
    connections: dict[int, Connection] = {}
    found: dict[int, OpenSession] = {}
    for item in items:
        if isinstance(item, Connection):
            connections[item.number] = item
        elif isinstance(item, Frame):
            if item.connection in found and is_needed(item):
                found[item.connection].frames.append(item)
        elif item.kind is EventKind.OPEN and item.connection in connections and pids_of(item):
            session = OpenSession(connections[item.connection], item.session, pids_of(item), [])
            found[item.connection] = session
        elif is_needed(item):  # a close
            found.pop(item.connection, None)
    return list(found.values())


def pids_of(event: Event) -> tuple[int, ...]:
    """The processes at both ends, as far as they are known."""
    told = (event.attributes.get(f"{side}_pid", "") for side in Side)
    return tuple(int(pid) for pid in told if pid.isdecimal() and int(pid))


class RingLook:
    """Looks at the rings of an open session; close it. Raises ForeignError."""

    def __init__(self, session: OpenSession, tracker: Tracker) -> None:
        self.session = session
        self._sampled = SampledSession(since_start=False)
        self._activity = Activity()
        self._began_ns = time.monotonic_ns()
        self.row: Row | None = None
        foreign = Foreign(session.pids)
        for frame in session.frames:
            self.row = tracker.feed(self._with_descriptors(frame, foreign))
            self._sampled.feed(self.row)

    def _with_descriptors(self, frame: Frame, foreign: Foreign) -> Frame:
        infos = []
        for info in frame.fds:
            number = foreign.take(info)
            infos.append(info if number is None else self._sampled.holdings.add([info], [number])[0])
        return replace(frame, fds=tuple(infos))

    def moved(self) -> tuple[Moved, ...]:
        """Every ring as it stands, with what moved since the last time."""
        now = time.monotonic_ns()
        rings = tuple(self._sampled.samples(now))
        return self._activity.feed(now - self._began_ns, sample_of(time.time_ns(), 0, 1, rings, 0))

    def close(self) -> None:
        """Let go of the descriptors."""
        self._sampled.close()


def concerns(session: OpenSession, target: str) -> bool:
    """Whether a session is one of a process, or of a socket."""
    if target.isdecimal():
        return int(target) in session.pids
    return any(target in end.partition(":")[2].split(":") for end in ends(session.connection))


def ends(connection: Connection) -> Iterator[str]:
    """Both endpoints' names."""
    yield connection.frontend
    yield connection.backend
