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
from vutrace.replay.channel import ChannelEnd, LiveSession, ReceivedFrame
from vutrace.session.row import Row
from vutrace.sockets.framed import close_all
from vutrace.sockets.passed import PASSED_BY
from vutrace.sockets.process import credentials, describe_process

Log = Callable[[Record], Row]
"""Takes what passed, gives its row: records it, shows it, follows the session."""


@dataclass(frozen=True, slots=True)
class ReceivedRow:
    """A message of the peer with its row; descriptors are the taker's to close."""

    row: Row
    message: Message
    fds: list[int]


class Talk:
    """We as `role` over `end`; `timeout` is how many seconds the peer may take to read what we send.

    `verb` is what the records call us.
    """

    def __init__(
        self,
        end: socket.socket,
        role: Side,
        session: LiveSession,
        log: Log,
        timeout: float,
        verb: str = "replay",
    ) -> None:
        self.role, self._session, self._log, self._timeout = role, session, log, timeout
        self._selector = selectors.DefaultSelector()
        self._ends: dict[Channel, ChannelEnd] = {}
        self._received: deque[ReceivedRow] = deque()
        attributes = peer_attributes(end, role.peer)
        names = {role: f"vutrace {verb}", role.peer: attributes.get(f"{role.peer}_name", "unknown")}
        text = f"session {session.number} of {names[Side.FRONTEND]} and {names[Side.BACKEND]}"
        self._event(EventKind.OPEN, text, Channel.MAIN, attributes)
        self._add(Channel.MAIN, end)

    @property
    def closed(self) -> bool:
        """Whether the peer has closed the main channel, and all it sent was taken."""
        return self._ends[Channel.MAIN].closed and not self._received

    def has(self, channel: Channel) -> bool:
        """Whether a channel is open."""
        return channel in self._ends and not self._ends[channel].closed

    def send(self, channel: Channel, data: bytes, fds: Sequence[int] = ()) -> tuple[Row, Message]:
        """Send a message; PeerError when the peer does not take it."""
        row = self._log(self._ends[channel].send(data, fds, self._timeout))
        assert isinstance(row.what, Message)
        return row, row.what

    def send_part(self, data: bytes) -> None:
        """Send a part of a message over the main channel; `sent` notes the whole."""
        self._ends[Channel.MAIN].send_part(data)

    def sent(self, channel: Channel, data: bytes) -> Row:
        """Note what was sent by other means than `send`."""
        return self._log(self._ends[channel].noted(data))

    def receive(self, deadline: float) -> ReceivedRow | None:
        """The next message, of any channel; None once the peer is gone. TimeoutError at `deadline`."""
        while not self._received:
            if self.closed:
                return None
            self.wait(deadline)
            if not self._received and not self.closed and time.monotonic() >= deadline:
                raise TimeoutError
        return self._received.popleft()

    def received(self) -> Iterator[ReceivedRow]:
        """What has come and was not taken yet."""
        while self._received:
            yield self._received.popleft()

    def wait(self, deadline: float = 0.0) -> None:
        """Read what is there, or wait for something until `deadline`."""
        for key, _ in self._selector.select(max(0.0, deadline - time.monotonic())):
            self._read(key.data)

    def open_side(self, channel: Channel, end: socket.socket) -> None:
        """A socket was passed: another channel, in place of an earlier one."""
        if channel in self._ends:
            self._drop(self._ends[channel])
        self._event(EventKind.OPEN, PASSED_BY[channel], channel)
        self._add(channel, end)

    def close_side(self, channel: Channel) -> None:
        """End a channel that was passed, if it is still open."""
        if self.has(channel):
            self._drop(self._ends[channel])
            self._event(EventKind.CLOSE, f"the {self.role.words} closed", channel, {}, self.role)

    def close(self) -> None:
        """End the session; the side that closed first is recorded."""
        who = self.role.peer if self._ends[Channel.MAIN].closed else self.role
        for received in self._received:
            close_all(received.fds)
        self._received.clear()
        for end in list(self._ends.values()):
            end.close()
        self._selector.close()
        self._event(EventKind.CLOSE, f"the {who.words} closed", Channel.MAIN, {}, who)

    def _add(self, channel: Channel, end: socket.socket) -> None:
        # requests on the side channels come from the back-end; who we are stays the same
        self._ends[channel] = ours = ChannelEnd(end, channel, self.role, self._session)
        self._selector.register(ours, selectors.EVENT_READ, ours)

    def _read(self, end: ChannelEnd) -> None:
        for message in end.read():
            self._take(message)
        if end.closed:
            self._selector.unregister(end)
            if end.channel is not Channel.MAIN:
                who = self.role.peer
                self._event(EventKind.CLOSE, f"the {who.words} closed", end.channel, {}, who)
                del self._ends[end.channel]
                end.close()

    def _take(self, message: ReceivedFrame) -> None:
        row = self._log(message.frame)
        assert isinstance(row.what, Message)
        self._received.append(ReceivedRow(row, row.what, message.fds))

    def _drop(self, end: ChannelEnd) -> None:
        self._selector.unregister(end)
        del self._ends[end.channel]
        end.close()

    def _event(
        self,
        kind: EventKind,
        text: str,
        channel: Channel,
        attributes: dict[str, str] | None = None,
        sender: Side | None = None,
    ) -> None:
        place = self._session.connection, self._session.number
        self._log(Event(time.time_ns(), *place, kind, text, channel, sender, attributes or {}))


def peer_attributes(end: socket.socket, side: Side) -> dict[str, str]:
    """What the kernel tells of the process at the other end, named as in an OPEN event."""
    pid, uid = credentials(end)
    if pid == os.getpid():
        return {}
    return {f"{side}_{name}": value for name, value in describe_process(pid, uid).items()}
