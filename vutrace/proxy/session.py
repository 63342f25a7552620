"""One front-end and one back-end that talk: their main channel, and those whose sockets they pass."""

import os
import select
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import HEADER, VHOST_USER
from vutrace.proxy.flow import Substitution
from vutrace.proxy.link import Link, Place
from vutrace.proxy.loop import Loop
from vutrace.proxy.recorder import Recorder
from vutrace.records import Channel, EventKind, FdKind, Side
from vutrace.sockets.inspect import describe
from vutrace.sockets.passed import PASSED_BY, Passed
from vutrace.sockets.process import credentials, describe_process, descriptors_readable

_PASSED_CHANNELS = {
    number: (row.passes, PASSED_BY[row.passes]) for number, row in FRONTEND_MESSAGES.items() if row.passes
}


class Session:
    """Relays between two connected sockets, and between the ends of those that are passed over them.

    A passed socket is kept, and one end of a fresh pair goes on in its place. The channels of a session end
    with it.
    """

    def __init__(
        self,
        loop: Loop,
        recorder: Recorder,
        connection: int,
        session: int,
        ends: Mapping[Side, socket.socket],
        on_close: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._recorder = recorder
        self._place = _place(connection, session, ends)
        self._ends = ends
        self._on_close = on_close
        self._side_links: list[Link] = []
        substitution = Substitution(_PASSED_CHANNELS, self._substitute)
        self._main = Link(loop, recorder, self._place, ends, self._closed, substitution)

    def start(self) -> None:
        """Begin to relay."""
        self._main.start(f"session {self._place.session} of {_whom(self._place)}")

    @property
    def ending(self) -> bool:
        """Whether one side has closed already."""
        poll = select.poll()
        for end in self._ends.values():
            if end.fileno() >= 0:
                poll.register(end, select.POLLRDHUP)
        return bool(poll.poll(0))

    def close(self, text: str) -> None:
        """End it from here; `text` is why."""
        self._main.close(text)

    def _closed(self) -> None:
        for link in list(self._side_links):
            link.close("the main channel closed")
        self._on_close()

    def _substitute(self, data: bytes, fds: Sequence[Passed]) -> Sequence[Passed]:
        request, flags, _ = HEADER.unpack_from(data)
        channel, text = _PASSED_CHANNELS.get(request, (None, ""))
        if channel is None or flags & VHOST_USER.reply:
            return fds
        first = fds[0]
        info = describe(first.fd)
        theirs = self._relay_passed(first, channel, text) if info.kind is FdKind.SOCKET else None
        if theirs is None:
            self._main.tell(EventKind.NOTE, f"{text}: not a Unix stream socket; passed on untraced")
            return fds
        return [Passed(theirs, info), *fds[1:]]

    def _relay_passed(self, passed: Passed, channel: Channel, text: str) -> int | None:
        """Relay the socket `passed`; the descriptor to pass on instead, None where it is no stream socket."""
        original = socket.socket(fileno=os.dup(passed.fd))
        if original.family != socket.AF_UNIX or original.type != socket.SOCK_STREAM:
            original.close()
            return None
        ours, theirs = socket.socketpair()
        # Blocking or not is a property that goes with the socket to whoever gets it.
        os.set_blocking(theirs.fileno(), os.get_blocking(original.fileno()))
        passed.inspect()
        passed.forwarded()
        self._open_side_link(channel, text, {Side.FRONTEND: original, Side.BACKEND: ours})
        return theirs.detach()

    def _open_side_link(self, channel: Channel, text: str, ends: Mapping[Side, socket.socket]) -> None:
        place = replace(self._place, channel=channel, attributes={})
        link = Link(self._loop, self._recorder, place, ends, lambda: self._side_links.remove(link))
        self._side_links.append(link)
        self._loop.later(0, lambda: link.start(text))  # the message that passes it is recorded first


def _place(connection: int, session: int, ends: Mapping[Side, socket.socket]) -> Place:
    pids: dict[Side, int] = {}
    attributes: dict[str, str] = {}
    for side, end in ends.items():
        pid, uid = credentials(end)
        pids[side] = pid
        attributes |= {f"{side}_{name}": text for name, text in _process(pid, uid).items()}
    return Place(connection, session, pids=pids, attributes=attributes)


def _process(pid: int, uid: int) -> dict[str, str]:
    known = describe_process(pid, uid)
    if not known or descriptors_readable(pid):
        return known
    return known | {"fd_numbers": "cannot be read, another user's process"}


def _whom(place: Place) -> str:
    return " and ".join(_name(place.attributes, side) for side in Side)


def _name(attributes: Mapping[str, str], side: Side) -> str:
    """The program; where /proc is hidden, what the socket tells of it."""
    pid, uid, name = (attributes.get(f"{side}_{each}", "") for each in ("pid", "uid", "name"))
    return name or (f"process {pid} of user {uid}" if pid else "unknown")
