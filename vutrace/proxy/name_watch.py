"""Watching a name in a directory while the relay runs; a source may get another listener by that."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable

from vutrace.proxy.loop import READ, EventLoop
from vutrace.sockets.endpoints import Source
from vutrace.sockets.notify import DirectoryWatch

LOOK_SECONDS = 1.0  # between looks where the system does not tell of changes


class NameWatch(ABC):
    """Calls `look` each second, and at once when something happens to a name in the directory of `path`.

    `tell` gets lines that begin with `path`; the same one is told once.
    """

    def __init__(self, loop: EventLoop, path: str, tell: Callable[[str], None]) -> None:
        self.loop = loop
        self.path = path
        self.told = ""
        self.closed = False
        self._tell = tell
        self._watch: DirectoryWatch | None = None

    @abstractmethod
    def look(self) -> None:
        """See what there is, and do what is to be done."""

    def start(self) -> None:
        """Begin to look."""
        try:
            self._watch = DirectoryWatch(os.path.dirname(self.path))
        except OSError as error:
            self.say(f"is looked at once a second only: {error.strerror}")
        else:
            self.loop.watch(self._watch.fd, READ, self._happened, lambda _: self._happened())
        self._tick()

    def close(self) -> None:
        """Look no more."""
        self.closed = True
        if self._watch:
            self.loop.forget(self._watch.fd)
            self._watch.close()

    def say(self, words: str) -> None:
        """Tell what happened to the name."""
        if words != self.told:
            self.told = words
            self._tell(f"{self.path} {words}")

    def _tick(self) -> None:
        if not self.closed:
            self.look()
            self.loop.later(LOOK_SECONDS, self._tick)

    def _happened(self) -> None:
        if self._watch:
            self._watch.drain()
        self.look()


class WatchedSource(Source):
    """A source whose listener depends on a name."""

    @abstractmethod
    def watch(self, loop: EventLoop, replaced: Callable[[], None], tell: Callable[[str], None]) -> NameWatch:
        """What watches the name; it calls `replaced` when the source has another listener."""
