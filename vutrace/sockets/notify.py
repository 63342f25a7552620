"""Being told when a name in a directory comes, goes or changes its mode."""

import contextlib
import ctypes
import os

ATTRIBUTES, MOVED_FROM, MOVED_TO, CREATED, DELETED = 0x4, 0x40, 0x80, 0x100, 0x200


class DirectoryWatch:
    """`fd` is readable when something happened to a name in `directory`. OSError where there are no more."""

    def __init__(self, directory: str) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        mask = ATTRIBUTES | MOVED_FROM | MOVED_TO | CREATED | DELETED
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(directory), mask) < 0:
            code = ctypes.get_errno()
            self.close()
            raise OSError(code, os.strerror(code), directory)

    def drain(self) -> None:
        """Be told anew."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fd, 1 << 16):
                pass

    def close(self) -> None:
        """Be told no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
