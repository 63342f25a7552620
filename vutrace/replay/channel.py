"""Our end of one channel: what passes over it, as frames to record."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vutrace.records import Channel, FdInfo, Frame, Side
from vutrace.sockets.framed import FramedSocket
from vutrace.sockets.inspect import describe

BIG_ENDIAN = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class LiveSession:
    """Where the records of a live session belong: the number of its connection, and its own."""

    connection: int
    number: int


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    """A message as it came, and its descriptors, which are the taker's to close."""

    frame: Frame
    fds: list[int]


class ChannelEnd:
    """One end of a channel; `side` is who we are on it."""

    def __init__(self, end: socket.socket, channel: Channel, side: Side, session: LiveSession) -> None:
        self.channel, self.side = channel, side
        self._socket = FramedSocket(end, side.peer, channel)
        self._session = session

    @property
    def closed(self) -> bool:
        """Whether the peer has closed it, and all it sent was read."""
        return self._socket.closed

    def fileno(self) -> int:
        """The socket, to be waited on."""
        return self._socket.fileno()

    def send(self, data: bytes, fds: Sequence[int], timeout: float) -> Frame:
        """Send a message in one piece; the frame to record. PeerError when nobody takes it."""
        frame = self._frame(self.side, data, tuple(describe(fd) for fd in fds))
        self._socket.send(data, fds, timeout)
        return frame

    def send_part(self, data: bytes) -> None:
        """Send a part of a message, as far as the peer takes it."""
        with contextlib.suppress(OSError):
            os.write(self.fileno(), data)

    def noted(self, data: bytes) -> Frame:
        """The frame to record of what was sent by other means."""
        return self._frame(self.side, data, ())

    def read(self) -> Iterator[ReceivedFrame]:
        """The messages that are here now; `closed` is set at the end. PeerError when they are none."""
        for message in self._socket.read():
            infos = tuple(map(describe, message.fds))
            frame = self._frame(self.side.peer, message.data, infos, message.wire_size)
            yield ReceivedFrame(replace(frame, flags=message.flags), list(message.fds))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _frame(self, sender: Side, data: bytes, infos: tuple[FdInfo, ...], size: int = 0) -> Frame:
        return Frame(
            time.time_ns(),
            self._session.connection,
            self._session.number,
            self.channel,
            sender,
            data,
            infos,
            wire_size=size or len(data),
            big_endian=BIG_ENDIAN,
        )
