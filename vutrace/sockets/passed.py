"""A descriptor on its way through: open for as long as it has to be forwarded or looked at, no longer."""

import array
import os
import socket
from collections.abc import Sequence

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.records import FdInfo
from vutrace.sockets.inspect import describe

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
    """One received descriptor, ours until it is both forwarded and inspected.

    `fd` is what is forwarded. A substitute comes with the `info` of what it stands for.
    """

    __slots__ = ("_forwarded", "fd", "info")

    def __init__(self, fd: int, info: FdInfo | None = None, forwarded: bool = False) -> None:
        self.fd = fd
        self.info = info
        self._forwarded = forwarded

    def inspect(self) -> FdInfo:
        """What it is; the first call looks, and closes it if it went on already."""
        if self.info is None:
            self.info = describe(self.fd)
            if self._forwarded:
                os.close(self.fd)
        return self.info

    def forwarded(self) -> None:
        """It was sent, or never will be: closed now if it was inspected. Only once."""
        self._forwarded = True
        if self.info is not None:
            os.close(self.fd)
