"""The peers' connection: dissected messages with their descriptors, in and out; every wait has a name."""

import contextlib
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.records import Channel, FdInfo, FdKind, Frame, FrameFlag, Side
from vutrace.sockets.framed import FramedSocket, PeerClosedError, PeerError, close_all

DISSECT = Dissector()
# What a descriptor is does not matter here, only how many there are.
SOME_FD = FdInfo(FdKind.OTHER)


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message and its descriptors, which are the taker's to close."""

    message: Message
    fds: list[int]


class PeerConnection:
    """One end of a main channel; `peer` is the side that it talks to, which may take `timeout` s to read."""

    def __init__(self, end: socket.socket, peer: Side, timeout: float = 5.0) -> None:
        self._socket = FramedSocket(end, peer)
        self._peer = peer
        self._timeout = timeout

    def send(self, data: bytes, fds: Iterable[int], what: str) -> None:
        """Send one message in one piece; a PeerError that names `what` when the peer does not take it."""
        try:
            self._socket.send(data, [*fds], self._timeout)
        except PeerClosedError as error:
            raise PeerError(f"{error} before {what} could be sent") from None
        except PeerError as error:
            raise PeerError(f"{what}: {error}") from None

    def receive(self, what: str, timeout: float | None = None) -> ReceivedMessage | None:
        """The next message, None when the peer closed between two of them.

        `what` is awaited for `timeout` seconds, or for as long as it takes; PeerError names it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._socket.closed:
            if not self._socket.wait(select.POLLIN, deadline):
                raise PeerError(f"{what}: nothing from the {self._peer.words} within {timeout:g} s")
            if received := self._read(what):
                return received
        return None

    def wait_gone(self, timeout: float) -> None:
        """Wait until the peer has closed both ways, not only ended what it says."""
        self._socket.wait(0, time.monotonic() + timeout)  # a hang-up is told unasked

    def hang_up(self) -> None:
        """End the connection from any thread; whoever waits on it sees its end."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._socket.shutdown()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _read(self, what: str) -> ReceivedMessage | None:
        try:
            message = next(self._socket.read(1), None)
        except PeerError as error:
            raise PeerError(f"{what}: {error}") from None
        if message is None:
            return None
        if message.flags & FrameFlag.PARTIAL:
            close_all(message.fds)
            raise PeerError(f"{what}: the {self._peer.words} closed in the middle of a message")
        return ReceivedMessage(self._dissect(message.data, message.fds), [*message.fds])

    def _dissect(self, data: bytes, fds: tuple[int, ...]) -> Message:
        infos = (SOME_FD,) * len(fds)
        return DISSECT(Frame(0, 0, 1, Channel.MAIN, self._peer, data, infos, wire_size=len(data)))
