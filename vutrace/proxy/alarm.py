"""A timerfd: a time to wake up at that does not have to be set again for every wait.

A timeout of epoll_wait programs the machine's timer each time the relay goes to sleep, which costs more than
forwarding a message does. Python has timerfds from 3.13 on, hence ctypes.
"""

import contextlib
import ctypes
import os
import time

CLOCK_MONOTONIC = 1
FLAGS = os.O_CLOEXEC | os.O_NONBLOCK  # TFD_CLOEXEC and TFD_NONBLOCK have these values
libc = ctypes.CDLL(None, use_errno=True)
# struct itimerspec: the interval and the first time, both in seconds and nanoseconds.
Setting = ctypes.c_long * 4


class Alarm:
    """`fd` becomes readable at the earliest of the times that were set since it last rang."""

    def __init__(self) -> None:
        self.fd: int = libc.timerfd_create(CLOCK_MONOTONIC, FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "no timerfd")
        self._at: float | None = None

    def set(self, seconds: float) -> None:
        """Ring after so many seconds, or earlier if it was set to."""
        at = time.monotonic() + seconds
        if self._at is None or at < self._at:
            self._at = at
            whole, part = divmod(max(int(seconds * 1e9), 1), 1_000_000_000)
            libc.timerfd_settime(self.fd, 0, Setting(0, 0, whole, part), None)

    def rang(self) -> None:
        """It rang: be silent until it is set again."""
        self._at = None
        with contextlib.suppress(BlockingIOError):  # it was set anew in the meantime
            os.read(self.fd, 8)

    def close(self) -> None:
        """No alarm any more."""
        os.close(self.fd)
