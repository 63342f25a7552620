"""One live session: the main channel and those passed over it, and everything that passes as rows."""

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vutrace.dissection.message import Message
from vutrace.records import Channel, Event, EventKind, Record, Side
from vutrace.replay.link import Came, Link, Place, close_all
from vutrace.session.row import Row
from vutrace.sockets.passed import PASSED_BY
from vutrace.sockets.process import credentials, describe_process

Log = Callable[[Record], Row]
"""Takes what passed, gives its row: records it, shows it, follows the session."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of the peer with its row; descriptors are the taker's to close."""

    row: Row
    message: Message
    fds: list[int]


class Talk:
    """We as `role` over `end`; `timeout` is how many seconds the peer may take to read what we send."""

    def __init__(self, end: socket.socket, role: Side, place: Place, log: Log, timeout: float) -> None:
        self.role, self._place, self._log, self._timeout = role, place, log, timeout
        self._selector = selectors.DefaultSelector()
        self._links: dict[Channel, Link] = {}
        self._heard: deque[Heard] = deque()
        attributes = peer_attributes(end, role.peer)
        names = {role: "vutrace replay", role.peer: attributes.get(f"{role.peer}_name", "unknown")}
        text = f"session {place.session} of {names[Side.FRONTEND]} and {names[Side.BACKEND]}"
        self._event(EventKind.OPEN, text, Channel.MAIN, attributes)
        self._add(Channel.MAIN, end)

    @property
    def closed(self) -> bool:
        """Whether the peer has closed the main channel, and all it said was heard."""
        return self._links[Channel.MAIN].closed and not self._heard

    def has(self, channel: Channel) -> bool:
        """Whether a channel is open."""
        return channel in self._links and not self._links[channel].closed

    def send(self, channel: Channel, data: bytes, fds: Sequence[int] = ()) -> tuple[Row, Message]:
        """Send a message; PeerError when the peer does not take it."""
        row = self._log(self._links[channel].send(data, fds, self._timeout))
        assert isinstance(row.what, Message)
        return row, row.what

    def hear(self, deadline: float) -> Heard | None:
        """The next message, of any channel; None once the peer is gone. TimeoutError at `deadline`."""
        while not self._heard:
            if self.closed:
                return None
            self.look(deadline)
            if not self._heard and not self.closed and time.monotonic() >= deadline:
                raise TimeoutError
        return self._heard.popleft()

    def heard(self) -> Iterator[Heard]:
        """What has come and was not heard yet."""
        while self._heard:
            yield self._heard.popleft()

    def look(self, deadline: float = 0.0) -> None:
        """Read what is there, or wait for something until `deadline`."""
        for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
            self._read(key.data)

    def open_side(self, channel: Channel, end: socket.socket) -> None:
        """A socket was passed: another channel, in place of an earlier one."""
        if channel in self._links:
            self._drop(self._links[channel])
        self._event(EventKind.OPEN, PASSED_BY[channel], channel)
        self._add(channel, end)

    def close(self) -> None:
        """End the session; the side that closed first is recorded."""
        who = self.role.peer if self._links[Channel.MAIN].closed else self.role
        for heard in self._heard:
            close_all(heard.fds)
        self._heard.clear()
        for link in list(self._links.values()):
            link.close()
        self._selector.close()
        self._event(EventKind.CLOSE, f"the {who.words} closed", Channel.MAIN, {}, who)

    def _add(self, channel: Channel, end: socket.socket) -> None:
        # requests on the side channels come from the back-end; who we are stays the same
        self._links[channel] = link = Link(end, channel, self.role, self._place)
        self._selector.register(link, selectors.EVENT_READ, link)

    def _read(self, link: Link) -> None:
        for came in link.read():
            self._take(came)
        if link.closed:
            self._selector.unregister(link)
            if link.channel is not Channel.MAIN:
                who = self.role.peer
                self._event(EventKind.CLOSE, f"the {who.words} closed", link.channel, {}, who)
                del self._links[link.channel]
                link.close()

    def _take(self, came: Came) -> None:
        row = self._log(came.frame)
        assert isinstance(row.what, Message)
        self._heard.append(Heard(row, row.what, came.fds))

    def _drop(self, link: Link) -> None:
        self._selector.unregister(link)
        del self._links[link.channel]
        link.close()

    def _event(
        self,
        kind: EventKind,
        text: str,
        channel: Channel,
        attributes: dict[str, str] | None = None,
        sender: Side | None = None,
    ) -> None:
        place = self._place.connection, self._place.session
        self._log(Event(time.time_ns(), *place, kind, text, channel, sender, attributes or {}))


def peer_attributes(end: socket.socket, side: Side) -> dict[str, str]:
    """What the kernel tells of the process at the other end, named as in an OPEN event."""
    pid, uid = credentials(end)
    if pid == os.getpid():
        return {}
    return {f"{side}_{name}": value for name, value in describe_process(pid, uid).items()}
