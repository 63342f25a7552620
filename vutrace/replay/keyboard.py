"""Keys as they are pressed, from a terminal if there is one."""

import contextlib
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator


class Keyboard:
    """Waits for keys on a terminal `fd`; without one (-1) it only lets time pass."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def wait(self, seconds: float | None) -> str:
        """The key that is pressed within so many seconds, or ""; None waits for one."""
        if self.fd < 0:
            time.sleep(seconds or 0)
            return ""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        return os.read(self.fd, 1).decode(errors="replace") if ready else ""


@contextlib.contextmanager
def keyboard(stdin_is_capture: bool) -> Iterator[Keyboard]:
    """The keyboard of the terminal that the rows are shown on; it is as before afterwards."""
    fd = terminal(stdin_is_capture)
    if fd < 0:
        yield Keyboard(-1)
        return
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield Keyboard(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        if fd != 0:
            os.close(fd)


def terminal(stdin_is_capture: bool) -> int:
    """A descriptor of the terminal; -1 where nobody sits at one, or types for another process."""
    if not stdin_is_capture:
        return 0 if sys.stdin.isatty() and in_foreground(0) else -1
    if not sys.stdout.isatty() or not in_foreground(1):
        return -1
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1


def in_foreground(fd: int) -> bool:
    """Whether what is typed at terminal `fd` is for us: who reads it in the background is stopped."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # not the terminal that we were started at: nothing stops us there
        return True
