"""One end of a channel: whole messages with their descriptors, in and out, with a limit on every wait."""

import array
import os
import select
import socket
import time
from collections.abc import Iterable, Iterator, Sequence

from vutrace.errors import PEER, VutraceError
from vutrace.framing import MAX_FDS, FramedMessage, Framer
from vutrace.records import Channel, Side
from vutrace.sockets.passed import FD_SIZE, descriptors

AT_ONCE = 256  # messages that are taken in one go
SPACE = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)


class PeerError(VutraceError):
    """The other side did what it must not, or nothing at all; the text is one line for the user."""

    status = PEER


class PeerClosedError(PeerError):
    """The other side closed the connection before it had taken a message."""


class FramedSocket:
    """A connected socket that is read and written by the message; `peer` is who is at its other end.

    `closed`: the peer has closed it, and what it sent before was read.
    """

    def __init__(self, end: socket.socket, peer: Side, channel: Channel = Channel.MAIN) -> None:
        end.setblocking(False)
        self.closed = False
        self._end, self._name = end, peer.words
        self._framer: Framer[int] = Framer(channel)

    def fileno(self) -> int:
        """The socket, to be waited on."""
        return self._end.fileno()

    def send(self, data: bytes, fds: Sequence[int], timeout: float) -> None:
        """Send a message in one piece; PeerError when the peer does not take it within `timeout` seconds."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        deadline = time.monotonic() + timeout
        while data:
            try:
                # after a short write the rest goes without descriptors
                data, rights = data[self._end.sendmsg([data], rights) :], []
            except BlockingIOError:
                if not self.wait(select.POLLOUT, deadline):
                    raise PeerError(f"the {self._name} has not read for {timeout:g} s") from None
            except (BrokenPipeError, ConnectionResetError):
                self.closed = True
                raise PeerClosedError(f"the {self._name} closed the connection") from None

    def read(self, most: int = AT_ONCE) -> Iterator[FramedMessage[int]]:
        """The messages that are here now, whose descriptors are the taker's to close; PeerError for none.

        So many at once: a peer that never pauses is not to keep us here. A message that the peer broke off
        comes as well, marked as partial.
        """
        while most > 0 and not self.closed:
            try:
                message = self._receive()
            except BlockingIOError:
                return
            if message:
                most -= 1
                yield message

    def wait(self, event: int, deadline: float | None) -> bool:
        """Wait for an event of poll, for ever without a deadline (of time.monotonic); whether it came."""
        poll = select.poll()
        poll.register(self._end, event)
        return bool(poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000))

    def shutdown(self) -> None:
        """End the connection from any thread; whoever waits on it sees its end. OSError if it has ended."""
        self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back, and the descriptors of a message that has not come whole."""
        self.closed = True
        self._end.close()
        for part in self._framer.finish():
            close_all(part.message.fds if part.message else ())

    def _receive(self) -> FramedMessage[int] | None:
        """The message that one read completes."""
        try:
            data, ancillary, flags, _ = self._end.recvmsg(
                self._framer.wants(), SPACE, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            data, ancillary, flags = b"", [], 0
        fds = descriptors(ancillary)
        if flags & socket.MSG_CTRUNC:
            close_all(fds)
            raise PeerError(f"descriptors from the {self._name} were lost: no room for them")
        self.closed = not data
        return self._whole(data, fds)

    def _whole(self, data: bytes, fds: Iterable[int]) -> FramedMessage[int] | None:
        parts = self._framer.feed(data, fds) if data else self._framer.finish()
        message = next((part.message for part in parts if part.message), None)
        if message and self._framer.lost:
            close_all(message.fds)
            raise PeerError(f"the {self._name} sent {self._framer.lost}")
        return message


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
