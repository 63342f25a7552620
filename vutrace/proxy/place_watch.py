"""Watching a name whose place was taken: programs remove it when they end, and bind it when they start."""

import os
import socket
from collections.abc import Callable

from vutrace.proxy.loop import READ, EventLoop
from vutrace.sockets.endpoints import Listening
from vutrace.sockets.insertion import Holder, SocketPlace
from vutrace.sockets.notify import DirectoryWatch

LOOK_SECONDS = 1.0  # between looks where the system does not tell of changes
PATIENCE_SECONDS = 1.0  # until a name that was removed, its program being there still, is listened on again


class InsertedSource(Listening):
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


class PlaceWatch:
    """Takes the place of `source` again when somebody binds its name anew, and says so with `tell`.

    `replaced` is called when the source has another listener.
    """

    def __init__(
        self,
        loop: EventLoop,
        source: InsertedSource,
        replaced: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._source = source
        self._replaced = replaced
        self._tell = tell
        self._told = ""
        self._closed = False
        self._watch: DirectoryWatch | None = None

    def start(self) -> None:
        """Look each second, and at once when something happens in the directory."""
        try:
            self._watch = DirectoryWatch(os.path.dirname(self._source.place.path))
        except OSError as error:
            self._say(f"looked at once a second only: {error.strerror}")
        else:
            self._loop.watch(self._watch.fd, READ, self._happened, lambda _: self._happened())
        self._tick()

    def close(self) -> None:
        """Look no more."""
        self._closed = True
        if self._watch:
            self._loop.forget(self._watch.fd)
            self._watch.close()

    def _tick(self) -> None:
        if not self._closed:
            self._look()
            self._loop.later(LOOK_SECONDS, self._tick)

    def _happened(self) -> None:
        if self._watch:
            self._watch.drain()
        self._look()

    def _look(self) -> None:
        match self._source.place.holder:
            case Holder.VUTRACE:
                self._told = ""
            case Holder.NOBODY:
                self._gone()
            case Holder.OTHER:
                self._take(self._source.place.renew, "was bound anew, and vutrace took its place again")

    def _gone(self) -> None:
        if self._source.place.answered:
            self._loop.later(PATIENCE_SECONDS, self._listen_again)
        else:
            self._say(
                "was removed by whoever listened there; vutrace takes its place when somebody does again"
            )

    def _listen_again(self) -> None:
        place = self._source.place
        if not self._closed and place.holder is Holder.NOBODY and place.answered:
            self._take(place.listen_again, "was removed, and vutrace listens there again")

    def _take(self, how: Callable[[], socket.socket], words: str) -> None:
        old = self._source.listener.fileno()
        try:
            listener = how()
        except OSError as error:
            self._say(f"is somebody else's now, and vutrace is out of the way: {error.strerror or error}")
            return
        self._loop.forget(old)
        self._source.renew(listener)
        self._replaced()
        self._told = ""
        self._say(words)
        self._told = ""

    def _say(self, words: str) -> None:
        if words != self._told:
            self._told = words
            self._tell(f"{self._source.place.path} {words}")
