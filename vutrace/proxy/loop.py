"""One thread, one epoll: who is ready, and whose time has come. What it calls never waits."""

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable

from vutrace.proxy.alarm import Alarm

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
BROKEN = 0  # given to a handler whose descriptor is not watched any more, because it raised
# Looks at what is ready before sleeping, about 1 µs each. To be woken up costs several times as much as to
# forward a message, and an answer mostly comes sooner than that. Where there is one processor, the peer needs
# it to answer at all.
LOOKS = 80 if len(os.sched_getaffinity(0)) > 1 else 0
# Looks are worth it while one message follows the other at once. They end with the first that was in vain,
# and begin when so many sleeps in a row were as short as that.
SHORT_SECONDS, SHORT_SLEEPS = 100e-6, 3
MANY = 32  # events taken at once: keeps the array that epoll_wait fills small
Poll = Callable[[float, int], list[tuple[int, int]]]


class Timer:
    """A call that can still be called off."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """It will not be called."""
        self.call = None


class Readiness:
    """Waits for what is ready: looks first where that pays, as recent sleeps tell, and `may_look` says so."""

    def __init__(self, poll: Poll, may_look: Callable[[], bool]) -> None:
        self._poll = poll
        self._may_look = may_look
        self._short = 0

    def events(self) -> list[tuple[int, int]]:
        """Descriptors that are ready, at least one."""
        poll = self._poll
        if self._short >= SHORT_SLEEPS and self._may_look():
            for _ in range(LOOKS):
                if events := poll(0, MANY):
                    return events
            self._short = -1
        began = time.perf_counter()
        events = poll(-1, MANY)
        slept = time.perf_counter() - began
        self._short = min(self._short + 1, SHORT_SLEEPS) if slept < SHORT_SECONDS else 0
        return events


class EventLoop:
    """Calls handlers with the epoll mask of their descriptor, and timers.

    A handler that raises loses its descriptor, and nobody else loses anything; `tell` gets a line about it.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.sessions = 0  # that it serves, each in its turn
        self.may_look: Callable[[], bool] = lambda: (
            True
        )  # when the processor is not needed for something else
        self._epoll = select.epoll()
        self._pumps: dict[int, Callable[[], object]] = {}
        self._others: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake, READ, lambda: None, lambda _: None)
        self._heard = -1
        self._alarm = Alarm()
        self.watch(self._alarm.fd, READ, self._rang, self._rang)

    def watch(self, fd: int, mask: int, pump: Callable[[], object], other: Callable[[int], object]) -> None:
        """Call `pump` when `fd` is readable, and `other` with the mask when it is anything else or more."""
        self._pumps[fd], self._others[fd] = pump, other
        self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Another mask for a descriptor that is watched."""
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Watch it no longer."""
        if self._pumps.pop(fd, None):
            del self._others[fd]
            self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Call once, after so many seconds."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        self._alarm.set(seconds)
        return timer

    def stop(self) -> None:
        """Leave `run` soon; from any thread or signal handler."""
        self._stopped = True
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def hear_signals(self) -> None:
        """Be woken by a signal that comes right before the sleep, whose handler would run only after it."""
        self._heard, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.watch(self._heard, READ, self._hear, lambda _: self._hear())
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def _hear(self) -> None:
        os.read(self._heard, 64)

    def run(self) -> None:
        """Serve until `stop`."""
        wait, pumps, others = Readiness(self._epoll.poll, self.may_look).events, self._pumps, self._others
        fd = -1
        while not self._stopped:
            try:
                while not self._stopped:
                    for fd, mask in wait():
                        # It is gone if an earlier event of this turn closed it.
                        if mask == READ and fd in pumps:
                            pumps[fd]()
                        elif fd in others:
                            others[fd](mask)
            except Exception as error:
                self._fail(fd, error)

    def _fail(self, fd: int, error: Exception) -> None:
        # A fault of ours: it ends one session, and neither the others nor the process.
        self._tell_fault(error)
        other = self._others.get(fd)
        self.forget(fd)
        if other:
            self._call(lambda: other(BROKEN))

    def _tell_fault(self, error: Exception) -> None:
        self._tell(f"an error that should not happen: {error!r}")

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            self._tell_fault(error)

    def _rang(self, _mask: int = READ) -> None:
        self._alarm.rang()
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            if call:
                self._call(call)
        if self._timers:
            self._alarm.set(self._timers[0][0] - now)

    def close(self) -> None:
        """Close the epoll; what it watched stays open."""
        self._epoll.close()
        self._alarm.close()
        if self._heard >= 0:
            os.close(signal.set_wakeup_fd(-1))
            os.close(self._heard)
        wake, self._wake = self._wake, -1
        os.close(wake)
