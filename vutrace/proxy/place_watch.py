"""Watching a name whose place was taken: programs remove it when they end, and bind it when they start."""

import socket
from collections.abc import Callable

from vutrace.proxy.loop import EventLoop
from vutrace.proxy.name_watch import NameWatch, WatchedSource
from vutrace.sockets.endpoints import Listening
from vutrace.sockets.insertion import Holder, SocketPlace
from vutrace.sockets.socket_table import neighbours

PATIENCE_SECONDS = 1.0  # until a name that was removed, its program being there still, is listened on again


class InsertedSource(Listening, WatchedSource):
    """Accepts in the place of another socket, which gets it back in the end."""

    def __init__(self, place: SocketPlace) -> None:
        super().__init__(place.listener)
        self.place = place

    def renew(self, listener: socket.socket) -> None:
        """Accept on another socket from now on."""
        self.listener.close()
        listener.setblocking(False)
        self.listener = listener
        self.ready = self.pressing = False

    def close(self) -> None:
        """Give the place back. InsertError where that cannot be."""
        try:
            self.place.release()
        finally:
            self.listener.close()

    def watch(self, loop: EventLoop, replaced: Callable[[], None], tell: Callable[[str], None]) -> NameWatch:
        """See `WatchedSource`."""
        return PlaceWatch(loop, self, replaced, tell)


class PlaceWatch(NameWatch):
    """Takes the place of `source` again when somebody binds its name anew, and says so."""

    def __init__(
        self,
        loop: EventLoop,
        source: InsertedSource,
        replaced: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(loop, source.place.path, tell)
        self._source = source
        self._replaced = replaced

    def look(self) -> None:
        """See `NameWatch`."""
        match self._source.place.holder:
            case Holder.VUTRACE:
                self.told = ""
            case Holder.NOBODY:
                self._gone()
            case Holder.OTHER:
                self._take(self._source.place.renew, "was bound anew, and vutrace took its place again")

    def _gone(self) -> None:
        if self._source.place.answered:
            self.loop.later(PATIENCE_SECONDS, self._listen_again)
        else:
            self.say(
                "was removed by whoever listened there; vutrace takes its place when somebody does again"
            )

    def _listen_again(self) -> None:
        place = self._source.place
        if not self.closed and place.holder is Holder.NOBODY and place.answered:
            self._take(place.listen_again, "was removed, and vutrace listens there again")

    def _take(self, how: Callable[[], socket.socket], words: str) -> None:
        old = self._source.listener.fileno()
        try:
            listener = how()
        except OSError as error:
            self.say(f"is somebody else's now, and vutrace is out of the way: {error.strerror or error}")
            return
        self.loop.forget(old)
        self._source.renew(listener)
        self._replaced()
        self.told = ""
        self.say(f"{words}{self._earlier()}")
        self.told = ""

    def _earlier(self) -> str:
        """Who has connected before the place was taken again, in words."""
        count = len(neighbours(self._source.place.names.aside).connections)
        return (
            f"; {count} {'connection' if count == 1 else 'connections'} came first, past vutrace"
            if count
            else ""
        )
