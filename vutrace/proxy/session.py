"""One front-end and one back-end that talk: their main channel, and those whose sockets they pass."""

import errno
import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import HEADER, VHOST_USER
from vutrace.proxy.flow import Substitution
from vutrace.proxy.link import Link, Place
from vutrace.proxy.loop import EventLoop
from vutrace.proxy.recorder import Recorder
from vutrace.records import Channel, EventKind, Side
from vutrace.sockets.passed import PASSED_BY, Passed
from vutrace.sockets.process import credentials

if TYPE_CHECKING:
    from vutrace.proxy.counting import Counting
    from vutrace.proxy.tap import SessionTap

MOST_CHANNELS = 16  # that a session has besides the main one, at a time
NO_SOCKET = "not a Unix stream socket"
PASSED_CHANNELS = {
    number: (row.passes, PASSED_BY[row.passes]) for number, row in FRONTEND_MESSAGES.items() if row.passes
}


class RelayedSession:
    """Relays between two connected sockets, and between the ends of those that are passed over them.

    A passed socket is kept, and one end of a fresh pair goes on in its place. The channels of a session end
    with it.
    """

    def __init__(
        self,
        loop: EventLoop,
        recorder: Recorder,
        connection: int,
        session: int,
        ends: Mapping[Side, socket.socket],
        on_close: Callable[[], None],
        tap: "SessionTap | None" = None,
        counting: "Counting | None" = None,
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._peers = [credentials(ends[side]) for side in Side]
        pids = dict(zip(Side, (pid for pid, _ in self._peers), strict=True))
        self._place = Place(connection, session, pids=pids)
        self._ends = ends
        self._on_close = on_close
        self._tap = tap
        self._side_links: list[Link] = []
        self._counting = counting
        replaced = {*PASSED_CHANNELS, *(counting.requests if counting else ())}
        substitution = Substitution(replaced, self._substitute)
        self._main = Link(loop, recorder, self._place, ends, self._closed, substitution, tap)

    def start(self) -> None:
        """Begin to relay."""
        self._loop.sessions += 1
        self._main.start(f"session {self._place.session}", self._peers)

    @property
    def ending(self) -> bool:
        """Whether one side has closed already."""
        poll = select.poll()
        for end in self._ends.values():
            if end.fileno() >= 0:
                poll.register(end, select.POLLRDHUP)
        return bool(poll.poll(0))

    def close(self, text: str) -> None:
        """End it from here; `text` is why. What rules hold goes on first."""
        if self._tap:
            self._tap.let_go(text)
        self._main.close(text)

    def _closed(self) -> None:
        self._loop.sessions -= 1
        for link in list(self._side_links):
            link.close("the main channel closed")
        if self._tap:
            self._tap.close()
        if self._counting:
            self._counting.over(self._place.connection, self._place.session)
        self._on_close()

    def _substitute(self, data: bytes, fds: Sequence[Passed]) -> Sequence[Passed]:
        request, flags, _ = HEADER.unpack_from(data)
        channel, text = PASSED_CHANNELS.get(request, (None, ""))
        if flags & VHOST_USER.reply:
            return fds
        if self._counting and request in self._counting.requests:
            return self._counting.substitute(self._place.connection, self._place.session, data, fds)
        if channel is None:
            return fds
        first = fds[0]
        try:
            theirs = self._relay_passed(first, channel, text)
        except OSError as error:
            # What is no such socket is the front-end's affair, everything else ours: neither ends a session.
            kind = EventKind.NOTE if error.errno == errno.EPROTOTYPE else EventKind.ERROR
            self._main.tell(kind, f"{text}: {error.strerror or error}; passed on untraced")
            return fds
        return [Passed(theirs, os.close, recorded=True), *fds[1:]]

    def _relay_passed(self, passed: Passed, channel: Channel, text: str) -> int:
        """Relay the socket `passed`; the descriptor to pass on instead. OSError where that cannot be."""
        if len(self._side_links) >= MOST_CHANNELS:
            raise OSError(errno.EUSERS, f"{MOST_CHANNELS} channels are open already")
        original = stream_socket(passed.fd)
        try:
            ours, theirs = socket.socketpair()
        except OSError:
            original.close()
            raise
        # Blocking or not is a property that goes with the socket to whoever gets it.
        os.set_blocking(theirs.fileno(), os.get_blocking(original.fileno()))
        passed.forwarded()
        self._open_side_link(channel, text, {Side.FRONTEND: original, Side.BACKEND: ours})
        return theirs.detach()

    def _open_side_link(self, channel: Channel, text: str, ends: Mapping[Side, socket.socket]) -> None:
        place = replace(self._place, channel=channel)
        link = Link(
            self._loop,
            self._recorder,
            place,
            ends,
            lambda: self._side_links.remove(link),
            tap=self._tap,
        )
        self._side_links.append(link)
        self._loop.later(0, lambda: link.start(text))  # the message that passes it is recorded first


def stream_socket(fd: int) -> socket.socket:
    """The socket that `fd` is, as a descriptor of its own; OSError where it is none, or of another kind."""
    copy = os.dup(fd)
    try:
        passed = socket.socket(fileno=copy)  # asks the socket layer only: nothing else could hang
    except OSError:
        os.close(copy)
        raise OSError(errno.EPROTOTYPE, NO_SOCKET) from None
    if passed.family != socket.AF_UNIX or passed.type != socket.SOCK_STREAM:
        passed.close()
        raise OSError(errno.EPROTOTYPE, NO_SOCKET)
    return passed
