"""The places of several sockets, taken together or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from vutrace.proxy.place_watch import InsertedSource
from vutrace.records import Side
from vutrace.sockets.endpoints import Connecting, Endpoint, How, Source
from vutrace.sockets.insertion import SocketPlace
from vutrace.sockets.standing import Before, before, side_of


@dataclass(frozen=True, slots=True)
class Insertion:
    """A place that was taken: who was there, who that is, and what the relay makes a pair of."""

    place: SocketPlace
    before: Before
    listener: Side

    @property
    def pair(self) -> tuple[Endpoint, Endpoint]:
        """The ends as a capture names them, the front-end's first."""
        path = self.place.path
        ours, theirs = Endpoint(How.LISTEN, path), Endpoint(How.CONNECT, path)
        return (ours, theirs) if self.listener is Side.BACKEND else (theirs, ours)

    def sources(self) -> tuple[Source, Source]:
        """What connections come from; closing them gives the place back."""
        ours, theirs = InsertedSource(self.place), Connecting(self.place.address)
        return (ours, theirs) if self.listener is Side.BACKEND else (theirs, ours)


def insert(paths: Sequence[str], listener: Side | None) -> list[Insertion]:
    """Take the places of all; where `listener` is None, the process tells which side it is.

    Raises InsertError, and then everything is as before.
    """
    taken: list[Insertion] = []
    try:
        taken.extend(take(path, listener) for path in paths)
    except BaseException:
        for source in chain.from_iterable(each.sources() for each in taken):
            source.close()
        raise
    return taken


def take(path: str, listener: Side | None) -> Insertion:
    """Take one place."""
    place = SocketPlace(path)
    there = before(place.names.aside, place.path)
    return Insertion(place, there, listener or side_of(there.listener, place.path))
