"""A descriptor on its way through: open for as long as it has to be forwarded or looked at, no longer."""

import array
import socket
from collections.abc import Callable, Sequence

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES

Ancillary = Sequence[tuple[int, int, bytes]]
"""Control messages as recvmsg returns them."""
FD_SIZE = array.array("i").itemsize
PASSED_BY = {
    row.passes: f"{row.passes.words}, passed by {row.name}"
    for row in FRONTEND_MESSAGES.values()
    if row.passes
}
"""Channels whose socket comes over another one; the text of their OPEN events."""


def descriptors(ancillary: Ancillary) -> "array.array[int]":
    """The descriptors in control messages."""
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % FD_SIZE])
    return fds


def rights(fds: "Sequence[Passed]") -> Ancillary:
    """The control messages that pass descriptors on."""
    if not fds:
        return ()
    numbers = array.array("i", [passed.fd for passed in fds])
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers.tobytes())]


class Passed:
    """One received descriptor. It may be closed when it is both `gone` (forwarded, or never will be) and
    `recorded`; whichever comes last sees to it, `release` being how.
    """

    __slots__ = ("_release", "fd", "gone", "recorded")

    def __init__(self, fd: int, release: Callable[[int], None], recorded: bool = False) -> None:
        self.fd = fd
        self._release = release
        self.gone = False
        self.recorded = recorded

    def forwarded(self) -> None:
        """It was sent, or never will be. Only once."""
        self.gone = True
        if self.recorded:
            self._release(self.fd)
