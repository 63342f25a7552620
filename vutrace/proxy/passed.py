"""A descriptor on its way through: open for as long as it has to be forwarded or looked at, no longer."""

import os

from vutrace.proxy.inspect import describe
from vutrace.records import FdInfo


class Passed:
    """One received descriptor, ours until it is both forwarded and inspected.

    `fd` is what is forwarded. A substitute comes with the `info` of what it stands for.
    """

    __slots__ = ("_forwarded", "fd", "info")

    def __init__(self, fd: int, info: FdInfo | None = None) -> None:
        self.fd = fd
        self.info = info
        self._forwarded = False

    def inspect(self) -> FdInfo:
        """What it is; the first call looks, and closes it if it went on already."""
        if self.info is None:
            self.info = describe(self.fd)
            if self._forwarded:
                os.close(self.fd)
        return self.info

    def forwarded(self) -> None:
        """It was sent, or never will be: closed now if it was inspected."""
        self._forwarded = True
        if self.info is not None:
            os.close(self.fd)
