"""A socket that is there when a program listens, and is like the program's own."""

import os
import socket
import stat
from collections.abc import Callable

from vutrace.proxy.loop import EventLoop
from vutrace.proxy.name_watch import NameWatch, WatchedSource
from vutrace.sockets.address import identity, listen_at
from vutrace.sockets.insertion import make_like
from vutrace.sockets.socket_table import neighbours

# Between looks whether the program listens on what it has bound, and how many: the kernel may not tell.
LISTEN_SECONDS, LOOKS = 0.01, 100


class MirroredSource(WatchedSource):
    """Accepts at `path` as soon as a program has made the socket `inner`, with the owner and mode of that."""

    rank = 1

    def __init__(self, path: str, inner: str) -> None:
        self.path = path
        self.inner = inner
        self.listener: socket.socket | None = None
        self._identity: tuple[int, int] | None = None

    def listen(self) -> None:
        """Begin to accept; OSError where that cannot be."""
        status = os.lstat(self.inner)
        listener = listen_at(self.path, 0)
        self._identity = identity(self.path)
        self.listener = listener
        listener.setblocking(False)
        make_like(self.path, self.inner, status)

    def imitate(self) -> None:
        """Have the mode that the program's socket has by now."""
        wanted, now = os.lstat(self.inner), os.lstat(self.path)
        if (wanted.st_mode, wanted.st_uid, wanted.st_gid) != (now.st_mode, now.st_uid, now.st_gid):
            make_like(self.path, self.inner, wanted)

    def arrived(self) -> None:
        """See `Source`."""
        self.ready = self.pressing = True

    def take(self) -> socket.socket:
        """See `Source`."""
        self.ready = self.pressing = False
        if not self.listener:
            raise OSError("nobody listens")
        return self.listener.accept()[0]

    def close(self) -> None:
        """See `Source`."""
        if self.listener:
            self.listener.close()
        if self._identity and identity(self.path) == self._identity:
            os.unlink(self.path)

    def watch(self, loop: EventLoop, replaced: Callable[[], None], tell: Callable[[str], None]) -> NameWatch:
        """See `WatchedSource`."""
        return MirrorWatch(loop, self, replaced, tell)


class MirrorWatch(NameWatch):
    """Waits for the program's socket."""

    def __init__(
        self,
        loop: EventLoop,
        source: MirroredSource,
        replaced: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        super().__init__(loop, source.inner, tell)
        self._source = source
        self._replaced = replaced
        self._looks = 0

    def look(self) -> None:
        """See `NameWatch`."""
        source = self._source
        try:
            if not stat.S_ISSOCK(os.lstat(source.inner).st_mode):
                return
            if source.listener:
                source.imitate()
                return
            if self._looks < LOOKS and not neighbours(source.inner).listening:  # it was bound a moment ago
                self._looks += 1
                self.loop.later(LISTEN_SECONDS, self.look_again)
                return
            source.listen()
        except FileNotFoundError:
            return
        except OSError as error:
            self.say(
                f"is the program's, but vutrace cannot listen on {source.path}: {error.strerror or error}"
            )
            return
        self._replaced()

    def look_again(self) -> None:
        """Look, if that is still wanted."""
        if not self.closed:
            self.look()
