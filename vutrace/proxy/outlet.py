"""The far end of one direction: sends, keeps what is not taken yet, and tells the end."""

import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence

from vutrace.sockets.passed import Ancillary, Passed, rights

SEND = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
# Later, perhaps. ETOOMANYREFS: the receiver has too many descriptors waiting and has to read first.
LATER = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS}


class Outlet:
    """Sends to `sink`.

    `queue`: what it did not take yet. `done`: it was told the end, or takes nothing any more, which is
    `refused`; `why` is the system's reason. `undelivered` counts bytes. `on_change` is called when the queue
    was empty and is not, or the other way round, and when `done` changes. `send_plain` and `send_rights` are
    the socket's own, for who spares the call of `attempt`.
    """

    def __init__(self, sink: socket.socket, on_change: Callable[[], None]) -> None:
        self._sink = sink
        self.send_plain, self.send_rights = sink.send, sink.sendmsg
        self._on_change = on_change
        self._ending = False
        self.queue: deque[tuple[memoryview, Sequence[Passed]]] = deque()
        self.done = False
        self.refused = False
        self.undelivered = 0
        self.why = ""

    def attempt(self, data: bytes | memoryview, ancillary: Ancillary) -> int:
        """Bytes that went out at once, nothing being queued; with the first of them the descriptors did."""
        try:
            if ancillary:
                return self.send_rights((data,), ancillary, SEND)
            return self.send_plain(data, SEND)
        except OSError as error:
            return self.failed(error)

    def failed(self, error: OSError) -> int:
        """What an attempt comes to that raised `error`: nothing sent, and refused if it is for good."""
        if error.errno not in LATER:
            self._refuse(error)
        return 0

    def settle(self, data: bytes | memoryview, fds: Sequence[Passed], sent: int) -> None:
        """After `attempt` sent so much of `data`: let go of the descriptors, queue the rest without them."""
        if sent or self.done:
            for passed in fds:
                passed.forwarded()
            fds = ()
        if sent < len(data):
            self._keep(memoryview(data)[sent:], fds)

    def send(self, data: bytes | memoryview, fds: Sequence[Passed]) -> None:
        """Send behind whatever is queued."""
        waits = self.queue or self.done
        self.settle(data, fds, 0 if waits else self.attempt(data, rights(fds)))

    def _keep(self, rest: memoryview, fds: Sequence[Passed]) -> None:
        if self.done:
            self.undelivered += len(rest)
            return
        self.queue.append((rest, fds))
        if len(self.queue) == 1:
            self._on_change()

    def drain(self) -> None:
        """Send what is queued; called when the sink is writable."""
        while self.queue:
            data, fds = self.queue[0]
            sent = self.attempt(data, rights(fds))
            if not self.queue:  # it was refused
                return
            if sent:
                for passed in fds:
                    passed.forwarded()
                self.queue[0] = data[sent:], ()
            if sent < len(data):
                return
            self.queue.popleft()
        if self._ending:
            self._end()
        self._on_change()

    def end(self) -> None:
        """Nothing more will come: the sink is told after the queue."""
        self._ending = True
        if not self.queue and not self.done:
            self._end()

    def _end(self) -> None:
        self.done = True
        shut(self._sink, socket.SHUT_WR)

    def _refuse(self, error: OSError) -> None:
        self.refused = True
        self.why = error.strerror or str(error)
        self.close()
        self._on_change()

    def close(self) -> None:
        """Send nothing any more; what is queued is lost."""
        self.done = True
        while self.queue:
            self.settle(*self.queue.popleft(), 0)


def shut(end: socket.socket, how: int) -> None:
    """Shut one direction of a socket that may be gone already."""
    with contextlib.suppress(OSError):
        end.shutdown(how)
