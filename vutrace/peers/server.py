"""The back-end's sockets: listens like a server or connects like a client, one thread per connection."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Self

from vutrace.peers.backend import DPDK_22_11, BackEnd
from vutrace.peers.backend_profiles import DPDK, BackEndProfile
from vutrace.peers.connection import PeerConnection, ReceivedMessage
from vutrace.peers.state import Offer, RefusedError
from vutrace.records import Side
from vutrace.sockets.framed import PeerError, close_all

CLOSED = "the front-end closed the connection"

RETRY = 0.1
JOIN = 5.0


class Journal:
    """What a back-end logs and how many messages it has handled, for whoever waits for either.

    `tell` gets each line, too.
    """

    def __init__(self, tell: Callable[[str], None] = lambda line: None) -> None:
        self.lines: list[str] = []
        self._tell = tell
        self.handled = 0
        self._grown = threading.Condition()

    def add(self, line: str) -> None:
        """Log a line."""
        with self._grown:
            self.lines.append(line)
            self._tell(line)
            self._grown.notify_all()

    def count(self) -> None:
        """One more message is handled, and answered if that was due."""
        with self._grown:
            self.handled += 1
            self._grown.notify_all()

    def wait(self, line: str, timeout: float, count: int = 1) -> None:
        """Wait until `line` was logged `count` times, at most `timeout` seconds; else PeerError."""
        self._wait(lambda: self.lines.count(line) >= count, timeout, f"logged '{line}'")

    def wait_handled(self, messages: int, timeout: float) -> None:
        """Wait until so many messages are handled, at most `timeout` seconds; else PeerError."""
        self._wait(lambda: self.handled >= messages, timeout, f"read {messages} messages")

    def _wait(self, seen: Callable[[], bool], timeout: float, what: str) -> None:
        with self._grown:
            if not self._grown.wait_for(seen, timeout):
                state = f"it read {self.handled} and logged {self.lines}"
                raise PeerError(f"the back-end has not {what} within {timeout:g} s; {state}")


def serve(connection: PeerConnection, offer: Offer, journal: Journal, habits: BackEndProfile = DPDK) -> None:
    """Be a device for one connection, until it ends."""
    backend = BackEnd(offer, journal.add, habits)
    try:
        while received := connection.receive("a request"):
            answer(backend, connection, received)
            journal.count()
        journal.add(CLOSED)
    except (PeerError, RefusedError) as error:
        journal.add(str(error))
    finally:
        backend.close()
        connection.close()


def answer(backend: BackEnd, connection: PeerConnection, received: ReceivedMessage) -> None:
    try:
        reply = backend.handle(received.message, received.fds)
    finally:
        close_all(received.fds)
    if reply is not None:
        connection.send(reply, (), f"the reply to {received.message.name}")


class Server:
    """A model back-end at a path, from `start` to `stop`; every connection is a device of its own.

    It listens there, or as `client` connects and connects again. `stop` cuts the connections off, as the
    end of a process would. OSError where it cannot listen.
    """

    def __init__(
        self,
        path: str,
        offer: Offer = DPDK_22_11,
        client: bool = False,
        habits: BackEndProfile = DPDK,
        journal: Journal | None = None,
    ) -> None:
        self.journal, self._habits = journal or Journal(), habits
        self._path = path
        self._offer = offer
        self._client = client
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._connections: list[PeerConnection] = []
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Be there from now on."""
        if self._client:
            return self._run(self._connect_again)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self._path)
        self._listener.listen()
        return self._run(self._accept, self._listener)

    def stop(self) -> None:
        """Be gone at once."""
        self._stopping.set()
        if self._listener:
            # shutdown wakes the thread that accepts, closing alone does not
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            os.unlink(self._path)
        for connection in self._connections:
            connection.hang_up()
        for thread in self._threads:
            thread.join(JOIN)

    def connection(self, end: socket.socket) -> PeerConnection:
        """What a connection is read and written with; a test may want another."""
        return PeerConnection(end, Side.FRONTEND)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                self._run(self._serve, listener.accept()[0])

    def _connect_again(self) -> None:
        while not self._stopping.is_set():
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                end.connect(self._path)
            except OSError:
                end.close()
            else:
                self._serve(end)
            self._stopping.wait(RETRY)

    def _serve(self, end: socket.socket) -> None:
        connection = self.connection(end)
        self._connections.append(connection)
        if self._stopping.is_set():
            connection.hang_up()
        serve(connection, self._offer, self.journal, self._habits)
        self._connections.remove(connection)
