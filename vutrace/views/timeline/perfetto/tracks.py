"""The tracks of a trace: a process for each connection, and what stands below it."""

from collections.abc import Hashable, Iterator
from itertools import count

from vutrace.records import Channel, Side, connection_letter
from vutrace.session.model import ConnectionTimeline, RingLane
from vutrace.views.timeline.perfetto.track_event import counter_track, process, track

SESSIONS, MEMORY, RINGS = 0, 10, 11  # ranks from top to bottom; the channels stand between


class Tracks:
    """Numbers tracks by connection and key, and announces each when it is first used."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._known: dict[tuple[int, Hashable], int] = {}
        self._news: list[bytes] = []

    def begin(self, connection: ConnectionTimeline) -> bytes:
        """The process of a connection; its number stands for a process id."""
        letter = connection_letter(connection.number)
        uuid = self._known[connection.number, None] = next(self._numbers)
        timed = all(session.timed for session in connection.sessions)
        about = "" if timed else ", times unknown: only the order is"
        name = f"{letter}  {connection.frontend or '?'} ⇄ {connection.backend or '?'}{about}"
        return process(uuid, connection.number + 1, name)

    def announced(self) -> Iterator[bytes]:
        """The tracks that are new since the last call; they have to come before what is on them."""
        news, self._news = self._news, []
        return iter(news)

    def sessions(self, connection: int) -> int:
        """Sessions, their phases and turns."""
        return self._of(connection, SESSIONS, "sessions, phases, loops", SESSIONS)

    def channel(self, connection: int, channel: Channel, sender: Side) -> int:
        """What one side says on one socket."""
        rank = 1 + 2 * list(Channel).index(channel) + (sender is Side.BACKEND)
        return self._of(connection, (channel, sender), f"{channel.words}, {sender.words}", rank)

    def memory(self, connection: int) -> int:
        """The memory map."""
        return self._of(connection, MEMORY, "memory", MEMORY)

    def ring(self, connection: int, lane: RingLane) -> int:
        """A ring, below the track of all rings."""
        self._of(connection, RINGS, "rings", RINGS)
        index = lane.ring.index
        return self._of(connection, (RINGS, index), f"ring {index} {lane.ring.name}".rstrip(), index, RINGS)

    def count(self, connection: int, lane: RingLane, name: str) -> int:
        """A number of a ring over time, below the track of all rings."""
        self._of(connection, RINGS, "rings", RINGS)
        key, called = (
            (connection, (RINGS, lane.ring.index, name)),
            f"{lane.ring.name or lane.ring.index}: {name}",
        )
        if key not in self._known:
            self._known[key] = next(self._numbers)
            parent = self._known[connection, RINGS]
            self._news.append(counter_track(self._known[key], parent, called, lane.ring.index))
        return self._known[key]

    def _of(self, connection: int, key: Hashable, name: str, rank: int, parent: Hashable = None) -> int:
        uuid = self._known.get((connection, key))
        if uuid is None:
            uuid = self._known[connection, key] = next(self._numbers)
            self._news.append(track(uuid, self._known.get((connection, parent), 0), name, rank))
        return uuid
