"""One thread, one epoll: who is ready, whose time has come, and what is left to do when nobody is."""

import heapq
import itertools
import os
import select
import time
from collections.abc import Callable
from typing import Protocol

from vutrace.proxy.alarm import Alarm

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
BROKEN = 0  # given to a handler whose descriptor is not watched any more, because it raised
# Looks at what is ready before sleeping, about 1 µs each. To be woken up costs several times as much as to
# forward a message, and an answer mostly comes sooner than that. Where there is one processor, the peer needs
# it to answer at all.
LOOKS = 80 if len(os.sched_getaffinity(0)) > 1 else 0
MANY = 32  # events taken at once: keeps the array that epoll_wait fills small
TICK = 0.002  # seconds from a reminder to the first look whether there is the time


class Deferred(Protocol):
    """Work that waits until nothing is to be forwarded; it asks for its turn with `Loop.remind`."""

    def work(self, disturbed: bool) -> bool:
        """Do a small slice, or none if it is not the time; whether to go on with it in the next turn.

        `disturbed`: somebody came since the last slice.
        """


def _soon(poll: Callable[[float, int], list[tuple[int, int]]]) -> list[tuple[int, int]]:
    """What happens before it is worth going to sleep: an answer mostly comes within microseconds."""
    for _ in range(LOOKS):
        if events := poll(0, MANY):
            return events
    return []


class Timer:
    """A call that can still be called off."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """It will not be called."""
        self.call = None


class Loop:
    """Calls handlers with the epoll mask of their descriptor, timers, and deferred work in between."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._epoll = select.epoll()
        self._pumps: dict[int, Callable[[], object]] = {}
        self._others: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._deferred: Deferred | None = None
        self._stopped = False
        self._calm = True
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake, READ, self._woken, self._woken)
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

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call once, after so many seconds."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        self._alarm.set(seconds)
        return timer

    def remind(self, deferred: Deferred) -> None:
        """Let `deferred` work, soon."""
        self._deferred = deferred
        self._alarm.set(TICK)

    def stop(self) -> None:
        """Leave `run` soon; from any thread or signal handler."""
        self._stopped = True
        self._calm = False
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def _woken(self, _mask: int = READ) -> None:
        self._calm = False

    def run(self) -> None:
        """Serve until `stop`."""
        poll, pumps, others = self._epoll.poll, self._pumps, self._others
        fd = -1
        while not self._stopped:
            try:
                while self._calm:
                    for fd, mask in _soon(poll) or poll(-1, MANY):
                        # It is gone if an earlier event of this turn closed it.
                        if mask == READ and fd in pumps:
                            pumps[fd]()
                        elif fd in others:
                            others[fd](mask)
            except Exception as error:
                self._fail(fd, error)
            self._work_in_between()

    def _fail(self, fd: int, error: Exception) -> None:
        # A fault of ours: it ends one session, and neither the others nor the process.
        self._tell(f"an error that should not happen: {error!r}")
        other = self._others.get(fd)
        self.forget(fd)
        if other:
            other(BROKEN)

    def _work_in_between(self) -> None:
        deferred, self._deferred = self._deferred, None
        while deferred and not self._stopped:
            events = self._epoll.poll(0, MANY)
            for fd, mask in events:
                self._handle(fd, mask)
            if not deferred.work(bool(events)):
                break
        self._calm = not self._stopped

    def _handle(self, fd: int, mask: int) -> None:
        try:
            if fd in self._others:
                self._others[fd](mask)
        except Exception as error:
            self._fail(fd, error)

    def _rang(self, _mask: int = READ) -> None:
        self._alarm.rang()
        self._call_timers()
        if self._timers:
            self._alarm.set(self._timers[0][0] - time.monotonic())
        self._calm = not (self._stopped or self._deferred)

    def _call_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            if call:
                call()

    def close(self) -> None:
        """Close the epoll; what it watched stays open."""
        self._epoll.close()
        self._alarm.close()
        wake, self._wake = self._wake, -1
        os.close(wake)
