"""The peers' socket: whole messages with their descriptors, in and out, with a limit on every wait."""

import array
import contextlib
import os
import select
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.framing import MAX_FDS, Framer
from vutrace.records import Channel, FdInfo, FdKind, Frame, Side

_SPACE = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
_DISSECT = Dissector()
# What a descriptor is does not matter here, only how many there are.
_SOME_FD = FdInfo(FdKind.OTHER)


class PeerError(Exception):
    """The other side did what it must not, or nothing at all; the text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message and its descriptors, which are the taker's to close."""

    message: Message
    fds: list[int]


class Wire:
    """One end of a main channel; `peer` is the side that it talks to, which may take `timeout` s to read."""

    def __init__(self, end: socket.socket, peer: Side, timeout: float = 5.0) -> None:
        self._end = end
        self._peer = peer
        self._timeout = timeout
        self._name = peer.words
        self._framer: Framer[int] = Framer()

    def send(self, data: bytes, fds: Iterable[int], what: str) -> None:
        """Send one message in one piece; a PeerError that names `what` when the peer does not take it."""
        rights = array.array("i", fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        try:
            self._end.settimeout(self._timeout)
            # after a short write the rest goes without descriptors
            while rest := data[self._end.sendmsg([data], ancillary) :]:
                data, ancillary = rest, []
        except (BrokenPipeError, ConnectionResetError):
            raise PeerError(f"the {self._name} closed the connection before {what} could be sent") from None
        except TimeoutError:
            raise PeerError(f"{what}: the {self._name} has not read for {self._timeout:g} s") from None

    def receive(self, what: str, timeout: float | None = None) -> Received | None:
        """The next message, None when the peer closed between two of them.

        `what` is awaited for `timeout` seconds, or for as long as it takes; PeerError names it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                self._end.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
                data, fds = self._read(self._framer.wants())
            except TimeoutError:
                raise PeerError(f"{what}: nothing from the {self._name} within {timeout:g} s") from None
            if not data and self._framer.between:
                return None
            if not data:
                raise PeerError(f"{what}: the {self._name} closed in the middle of a message")
            for part in self._framer.feed(data, fds):
                if part.message and not self._framer.lost:
                    return Received(self._dissect(part.message.data, part.message.fds), [*part.message.fds])
            if self._framer.lost:
                raise PeerError(f"{what}: the {self._name} sent {self._framer.lost}")

    def wait_gone(self, timeout: float) -> None:
        """Wait until the peer has closed both ways, not only ended what it says."""
        poll = select.poll()
        poll.register(self._end, 0)  # a hang-up is told unasked
        poll.poll(timeout * 1000)

    def hang_up(self) -> None:
        """End the connection from any thread; whoever waits on it sees its end."""
        with contextlib.suppress(OSError):  # the peer was faster
            self._end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back."""
        self._end.close()

    def _read(self, size: int) -> tuple[bytes, list[int]]:
        try:
            data, ancillary, flags, _ = self._end.recvmsg(size, _SPACE, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b"", []
        fds = [fd for level, kind, rights in ancillary for fd in _numbers(level, kind, rights)]
        if flags & socket.MSG_CTRUNC:
            close_all(fds)
            raise PeerError(f"descriptors from the {self._name} were lost: no room for them")
        return data, fds

    def _dissect(self, data: bytes, fds: tuple[int, ...]) -> Message:
        infos = (_SOME_FD,) * len(fds)
        return _DISSECT(Frame(0, 0, 1, Channel.MAIN, self._peer, data, infos, wire_size=len(data)))


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def _numbers(level: int, kind: int, rights: bytes) -> Iterable[int]:
    if (level, kind) != (socket.SOL_SOCKET, socket.SCM_RIGHTS):
        return ()
    numbers = array.array("i")
    numbers.frombytes(rights[: len(rights) - len(rights) % numbers.itemsize])
    return numbers
