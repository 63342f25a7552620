"""Reading a capture while it is written: like tail -f, until the writer is done."""

import os
import select
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from vutrace.capture.errors import CaptureError
from vutrace.capture.reader import CHUNK, Reader

POLL_SECONDS = 0.03


class Done(Protocol):
    """How a follower learns that nothing more will be written; `threading.Event` is one."""

    def wait(self, timeout: float) -> bool:
        """Sleep for up to `timeout` seconds; True as soon as the writer is done."""


class WriterGone:
    """Done when the other end of a pipe is closed, so also when its process was killed.

    The writer keeps the only write end open for as long as it writes. A byte that it sends wakes the
    follower before its time.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def wait(self, timeout: float) -> bool:
        """See `Done`."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000)) and os.read(self._fd, 4096) == b""


class DoneOrIdle:
    """`done`, or for ever; whenever nothing more comes `idle` is called."""

    def __init__(self, done: Done | None, idle: Callable[[], None]) -> None:
        self._done = done or threading.Event()
        self._idle = idle

    def wait(self, timeout: float) -> bool:
        """See `Done`."""
        self._idle()
        return self._done.wait(timeout)


def follow(path: str | os.PathLike[str], done: Done | None = None) -> Reader:
    """A Reader of a file that grows. It waits at the end, also for the header, until `done`, then drains.

    Without `done` it waits for ever. CaptureError also when the file is truncated meanwhile.
    """
    return Reader(growing_chunks(path, done))


def copy(path: str | os.PathLike[str], out_fd: int, done: Done) -> bool:
    """Copy a growing file to a descriptor, byte for byte, until `done`; False when its reader has gone."""
    try:
        for chunk in growing_chunks(path, DoneOrUnread(done, out_fd)):
            view = memoryview(chunk)
            while view:
                view = view[os.write(out_fd, view) :]
    except BrokenPipeError:
        return False
    return not is_unread(out_fd)


class DoneOrUnread:
    """`done`, or what is written to a pipe has no reader any more."""

    def __init__(self, done: Done, out_fd: int) -> None:
        self._done = done
        self._out_fd = out_fd

    def wait(self, timeout: float) -> bool:
        """See `Done`."""
        return self._done.wait(timeout) or is_unread(self._out_fd)


def is_unread(fd: int) -> bool:
    """Whether a descriptor is a pipe or a socket whose reader has gone."""
    poll = select.poll()
    poll.register(fd, 0)  # errors are told without being asked for
    return any(event & select.POLLERR for _, event in poll.poll(0))


def growing_chunks(path: str | os.PathLike[str], done: Done | None = None) -> Iterator[bytes]:
    """The bytes of a growing file as they come; ends once `done` and everything was read."""
    signal = done or threading.Event()
    finished = False
    with open_file(path) as file:
        while True:
            while chunk := file.read(CHUNK):
                yield chunk
            if os.fstat(file.fileno()).st_size < file.tell():
                raise CaptureError(f"{os.fspath(path)}: was truncated while it was read; start again")
            if finished:
                return
            # Once more after the end: what was written between the last read and the end is in the file.
            finished = signal.wait(POLL_SECONDS)


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise CaptureError(f"{os.fspath(path)}: {error.strerror or error}") from None
