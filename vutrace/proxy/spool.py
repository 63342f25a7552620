"""The file without a name that rows are shown from: what was read of it is given back to the file system."""

import contextlib
import ctypes
import os
from pathlib import Path

from vutrace.sockets.inspect import read_fdinfo

PUNCH_HOLE, KEEP_SIZE = 2, 1
PAGE = 4096
LOOKS = 16  # in the time in which it fills


class Spool:
    """The file `fd`, of which at most `bound` bytes are kept; its readers are children of process `parent`.

    `full`: so much waits for them that nothing more fits.
    """

    def __init__(self, fd: int, bound: int, parent: int) -> None:
        self._fd = fd
        self._bound = bound
        self._children = Path(f"/proc/{parent}/task/{parent}/children")
        self._read = 0  # by the slowest reader
        self._seen = False
        self._looked = 0
        self.full = False

    def grown(self, size: int) -> None:
        """It has so many bytes now; called by who writes."""
        if not self.full and size - self._looked < self._bound // LOOKS:
            return
        self._looked = size
        self._give_back(size)
        self.full = size - self._read > self._bound

    def _give_back(self, size: int) -> None:
        places = self._places()
        self._seen = self._seen or bool(places)
        if not self._seen:
            return  # the reader is yet to come
        read = min(places, default=size) // PAGE * PAGE
        libc = ctypes.CDLL(None)
        start, length = ctypes.c_int64(self._read), ctypes.c_int64(read - self._read)
        # Where the file system cannot, nothing is given back, and what does not fit is not recorded.
        if length.value > 0 and not libc.fallocate64(self._fd, PUNCH_HOLE | KEEP_SIZE, start, length):
            self._read = read

    def _places(self) -> list[int]:
        """How far its readers are."""
        ours, places = os.readlink(f"/proc/self/fd/{self._fd}"), []
        for pid in self._children.read_text().split():
            with contextlib.suppress(OSError):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == ours:
                        places += position(read_fdinfo(f"/proc/{pid}/fdinfo/{fd}"))
        return places


def position(fdinfo: bytes) -> list[int]:
    """Of one that only reads; the other is the writer's own, which a reader inherits."""
    told = dict(line.split(b":", 1) for line in fdinfo.splitlines() if b":" in line)
    reads = int(told.get(b"flags", b"1"), 8) & os.O_ACCMODE == os.O_RDONLY
    return [int(told[b"pos"])] if reads and b"pos" in told else []
