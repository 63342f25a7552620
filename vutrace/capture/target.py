"""The file that is recorded into: nobody else's while it is, and looked after.

Another program may still remove, truncate or overwrite it. What it has left is not written into.
"""

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import stat
from collections.abc import Callable

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
MOVED = "it was moved or replaced; the recording goes on in the file, wherever it is now"
REMOVED = "it was removed; it is put back at the end"
NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}


def open_target(path: str) -> int:
    """An empty file at `path`, made with mode 0600, or what else can be written to there.

    OSError where another vutrace writes to it, and of a FIFO that nobody reads: to wait for its reader would
    be to wait for ever, and to keep the peers waiting.
    """
    try:
        fd = os.open(path, FLAGS | os.O_NONBLOCK, 0o600)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(errno.ENXIO, "a FIFO that nobody reads; start its reader first", path) from None
        raise
    os.set_blocking(fd, True)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        own(fd, path)
    return fd


def is_regular(path: str) -> bool:
    """Whether a capture at `path` can be followed while it is written: a FIFO has one reader."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # it is yet to be made, or cannot be


def own(fd: int, path: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            os.close(fd)
            raise OSError(errno.EBUSY, "another vutrace writes to it", path) from None
    os.ftruncate(fd, 0)


class Target:
    """The regular file `fd` at `path`, to which one thread appends; `tell` gets what happened to it.

    `head` is what a capture begins with, and what a further file needs to be readable by itself. `fd` stays
    the same number, whatever file it is.
    """

    def __init__(self, fd: int, path: str, tell: Callable[[str], None]) -> None:
        self._fd = fd
        self.head = b""
        self._path = path
        self._tell = tell
        self._told = False

    def settled(self, size: int) -> int:
        """Behind how many bytes to append: `size`; fewer where the file was changed and another is begun."""
        status = os.fstat(self._fd)
        if status.st_size != size:
            return self._begin_anew()
        if not self._told and not self._stands(status):
            self._told = True
            self._tell(f"{self._path}: {MOVED if status.st_nlink else REMOVED}")
        return size

    def close(self, size: int) -> None:
        """Nothing more comes. What was removed is written anew."""
        status = os.fstat(self._fd)
        if not status.st_nlink and status.st_size == size:
            self._put_back()
        elif status.st_size != size:
            self._tell(f"{self._path}: another program has changed it; the capture is not whole")
        fcntl.flock(self._fd, fcntl.LOCK_UN)  # a viewer that is left running has it open, too

    def _stands(self, status: os.stat_result) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.stat(self._path), status)
        return False

    def _begin_anew(self) -> int:
        path, fd = self._free_place()
        fcntl.flock(fd, fcntl.LOCK_EX)
        self._tell(f"{self._path}: another program has changed it; the recording goes on in {path}")
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self._path, self._told = path, False
        return os.write(self._fd, self.head)

    def _put_back(self) -> None:
        path, fd = self._free_place()
        with open(f"/proc/self/fd/{self._fd}", "rb") as old, open(fd, "wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
        self._tell(f"{self._path}: it was removed while vutrace wrote to it; the capture is in {path}")

    def _free_place(self) -> tuple[str, int]:
        """The path itself where nothing is there, else with a number more."""
        for number in itertools.count():
            path = f"{self._path}.{number}" if number else self._path
            with contextlib.suppress(FileExistsError):
                return path, os.open(path, FLAGS | os.O_EXCL, 0o600)
        raise AssertionError  # count() has no end
