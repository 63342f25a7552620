"""Our end of one channel: whole messages in and out with their descriptors, never blocking for ever."""

import array
import os
import select
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vutrace.framing import MAX_FDS, Framer, Message
from vutrace.peers import PeerError
from vutrace.records import Channel, FdInfo, Frame, Side
from vutrace.sockets.inspect import describe
from vutrace.sockets.passed import FD_SIZE, descriptors

BIG_ENDIAN = sys.byteorder == "big"
AT_ONCE = 256  # messages that are taken in one go
_SPACE = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the records of a live session belong."""

    connection: int
    session: int


@dataclass(frozen=True, slots=True)
class Came:
    """A message as it came, and its descriptors, which are the taker's to close."""

    frame: Frame
    fds: list[int]


class Link:
    """One end of a channel; `side` is who we are on it."""

    def __init__(self, end: socket.socket, channel: Channel, side: Side, place: Place) -> None:
        end.setblocking(False)
        self.channel, self.side, self.closed = channel, side, False
        self._end, self._place = end, place
        self._framer: Framer[int] = Framer(channel)

    def fileno(self) -> int:
        """The socket, to be waited on."""
        return self._end.fileno()

    def send(self, data: bytes, fds: Sequence[int], timeout: float) -> Frame:
        """Send a message in one piece; the frame to record. PeerError when nobody takes it."""
        frame = self._frame(self.side, data, tuple(describe(fd) for fd in fds))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        deadline = time.monotonic() + timeout
        while data:
            try:
                data, rights = data[self._end.sendmsg([data], rights) :], []
            except BlockingIOError:
                self._wait_writable(deadline, timeout)
            except (BrokenPipeError, ConnectionResetError):
                self.closed = True
                raise PeerError(f"the {self.side.peer.words} closed the connection") from None
        return frame

    def read(self) -> list[Came]:
        """The messages that are here now; `closed` is set at the end. PeerError when they are none.

        So many at once: a peer that never pauses is not to keep us here.
        """
        came: list[Came] = []
        while not self.closed and len(came) < AT_ONCE:
            try:
                data, ancillary, _, _ = self._end.recvmsg(
                    self._framer.wants(), _SPACE, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                break
            except ConnectionResetError:
                data, ancillary = b"", []
            self.closed = not data
            came += self._framed(data, list(descriptors(ancillary)))
        return came

    def close(self) -> None:
        """Give the socket back."""
        self.closed = True
        self._end.close()

    def _framed(self, data: bytes, fds: list[int]) -> list[Came]:
        parts = self._framer.feed(data, fds) if data else self._framer.finish()
        if self._framer.lost:
            close_all(fds)
            raise PeerError(f"the {self.side.peer.words} sent {self._framer.lost}")
        return [self._came(part.message) for part in parts if part.message]

    def _came(self, message: Message[int]) -> Came:
        infos = tuple(map(describe, message.fds))
        frame = self._frame(self.side.peer, message.data, infos, message.wire_size)
        return Came(replace(frame, flags=message.flags), list(message.fds))

    def _frame(self, sender: Side, data: bytes, infos: tuple[FdInfo, ...], size: int = 0) -> Frame:
        return Frame(
            time.time_ns(),
            self._place.connection,
            self._place.session,
            self.channel,
            sender,
            data,
            infos,
            wire_size=size or len(data),
            big_endian=BIG_ENDIAN,
        )

    def _wait_writable(self, deadline: float, timeout: float) -> None:
        poll = select.poll()
        poll.register(self._end, select.POLLOUT)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise PeerError(f"the {self.side.peer.words} has not read for {timeout:g} s")


def close_all(fds: list[int]) -> None:
    """Close descriptors."""
    while fds:
        os.close(fds.pop())
