"""One thread, one epoll: who is ready, whose time has come, and what is left to do when nobody is."""

import heapq
import itertools
import os
import select
import time
from collections.abc import Callable
from typing import Protocol

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
GONE = select.EPOLLHUP | select.EPOLLERR
MANY = 32  # events taken at once: keeps the array that epoll_wait fills small
SELDOM = 16  # turns of a busy loop between two looks at the clock
IDLE = 0.001  # seconds without an event before deferred work begins; epoll counts in milliseconds


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

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._stopped = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch(self._wake, READ, lambda _mask: None)

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
        return timer

    def stop(self) -> None:
        """Leave `run` soon; from any thread or signal handler."""
        self._stopped = True
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def run(self, deferred: Deferred) -> None:
        """Serve until `stop`."""
        poll, handlers = self._epoll.poll, self._handlers
        turn, timeout = 0, 0.0
        while not self._stopped:
            events = poll(timeout, MANY)
            for fd, mask in events:
                handler = handlers.get(fd)  # an earlier event of this turn may have closed it
                if handler:
                    handler(mask)
            turn += 1
            if not events or deferred.urgent or turn % SELDOM == 0:
                timeout = self._keep_house(deferred, not events)
            else:
                timeout = IDLE

    def _keep_house(self, deferred: Deferred, idle: bool) -> float:
        self._call_timers()
        if deferred.due:
            deferred.work(idle)
            if deferred.due:
                return 0.0 if idle else IDLE
        return self._patience()

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1.0

    def _call_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            call = heapq.heappop(self._timers)[2].call
            if call:
                call()

    def close(self) -> None:
        """Close the epoll; what it watched stays open."""
        self._epoll.close()
        wake, self._wake = self._wake, -1
        os.close(wake)
