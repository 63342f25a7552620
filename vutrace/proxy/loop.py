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
MANY = 32  # events taken at once: keeps the array that epoll_wait fills small
TICK = 0.002  # seconds from something to do later to the first look whether there is the time


class Deferred(Protocol):
    """Work that waits until nothing is to be forwarded."""

    urgent: bool
    """Whether it has waited for long enough."""

    @property
    def due(self) -> bool:
        """Whether there is any."""

    def work(self, idle: bool) -> None:
        """Do a small slice, or none if the relay is busy and the work can wait."""


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

    def __init__(self, deferred: Deferred) -> None:
        self._deferred = deferred
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake, READ, lambda _mask: None)
        self._alarm = Alarm()
        self.watch(self._alarm.fd, READ, self._rang)
        self._works = self._ticks = False
        self._turns = self._seen = 0

    def watch(self, fd: int, mask: int, handler: Callable[[int], None]) -> None:
        """Call `handler` when `fd` is ready for `mask`, and always when it is hung up."""
        self._handlers[fd] = handler
        self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Another mask for a descriptor that is watched."""
        self._epoll.modify(fd, mask)

    def forget(self, fd: int) -> None:
        """Watch it no longer."""
        if self._handlers.pop(fd, None):
            self._epoll.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
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

    def run(self) -> None:
        """Serve until `stop`."""
        poll, handlers, deferred = self._epoll.poll, self._handlers, self._deferred
        while not self._stopped:
            events = poll(0 if self._works else -1, MANY)
            for fd, mask in events:
                handler = handlers.get(fd)  # an earlier event of this turn may have closed it
                if handler:
                    handler(mask)
            self._turns += 1
            if self._works:
                self._work(not events)
            elif not self._ticks and deferred.due:
                self._wait_a_little()

    def _wait_a_little(self) -> None:
        self._ticks = True
        self._seen = self._turns
        self._alarm.set(TICK)

    def _rang(self, _mask: int) -> None:
        self._alarm.rang()
        self._ticks = False
        self._call_timers()
        if self._deferred.due:
            self._work(self._turns - self._seen <= 1)
        if self._timers:
            self._alarm.set(self._timers[0][0] - time.monotonic())

    def _work(self, idle: bool) -> None:
        """A slice of deferred work, and more of it in the next turn if nobody comes or it is urgent."""
        self._deferred.work(idle)
        self._works = self._deferred.due and (idle or self._deferred.urgent)
        if self._deferred.due and not self._works:
            self._wait_a_little()

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
