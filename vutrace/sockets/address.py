"""Where a socket listens: a path, or with @ before it a name in the abstract namespace of Linux."""

import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BACKLOG = 64
TURN_SECONDS = 2.0  # for another start at the same directory, which takes a millisecond


def address_of(path: str) -> str:
    """What bind and connect take. A file whose name begins with @ is ./@name."""
    return f"\0{path[1:]}" if is_abstract(path) else path


def is_abstract(path: str) -> bool:
    """Whether it is a name and no file: it has neither a mode nor a stale socket."""
    return path.startswith("@")


def listen_at(path: str, mode: int) -> socket.socket:
    """A listener, its file with `mode`, where nobody listens; OSError says why there is none."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_abstract(path):
            listener.bind(address_of(path))
            listener.listen(BACKLOG)
        else:
            take_place(listener, path, mode)
    except OSError:
        listener.close()
        raise
    return listener


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what is there, so that nothing is removed but what was made."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def set_mode(path: str, mode: int) -> None:
    """Change the mode of what is there itself: chmod would follow a link that somebody put in its place."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)


def take_place(listener: socket.socket, path: str, mode: int) -> None:
    # Between the look whether anybody answers and listen(), a second start would see a dead socket.
    with turn(os.path.dirname(path) or "."):
        make_way(path)
        # The mode of the socket less the umask is that of its file: no chmod, which would follow a link.
        os.fchmod(listener.fileno(), mode)
        before = os.umask(0o777 & ~mode)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(BACKLOG)


@contextmanager
def turn(directory: str) -> Iterator[None]:
    """One start at a time takes a place in a directory; without a lock where there is none to be had."""
    fd = -1
    with suppress(OSError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock(fd)
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def lock(fd: int) -> None:
    until = time.monotonic() + TURN_SECONDS
    while time.monotonic() < until:
        with suppress(BlockingIOError):
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.001)
    return None


def make_way(path: str) -> None:
    try:
        found = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found):
        raise OSError(errno.EEXIST, "exists and is not a socket")
    if answers(path):
        raise OSError(errno.EADDRINUSE, "in use by another process")
    os.unlink(path)


def answers(path: str) -> bool:
    # A datagram socket's connect to a living stream socket fails with EPROTOTYPE, to a dead one with
    # ECONNREFUSED, and the other process does not notice either.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
