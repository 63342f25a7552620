"""A relay in this process, and what two peers need to talk through it."""

import array
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vutrace.capture import read
from vutrace.proxy.relay import LiveView, Options, Relay
from vutrace.records import Connection, Event, EventKind, Frame
from vutrace.sockets.endpoints import How, parse_endpoint

SECONDS = 10.0
Record = Frame | Event


def message(request: int, payload: bytes = b"", flags: int = 1) -> bytes:
    """Header and payload."""
    return struct.pack("=III", request, flags, len(payload)) + payload


def send(peer: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """All of it; the descriptors with its first byte."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sent = peer.sendmsg([data], rights)
    if sent < len(data):
        peer.sendall(data[sent:])


def receive(peer: socket.socket, size: int) -> tuple[bytes, list[int]]:
    """Exactly `size` bytes (less at the end), and the descriptors that came with them."""
    data, fds = b"", array.array("i")
    while len(data) < size:
        more, ancillary, flags, _ = peer.recvmsg(size - len(data), 4096, socket.MSG_CMSG_CLOEXEC)
        assert not flags & socket.MSG_CTRUNC
        for _, _, rights in ancillary:
            fds.frombytes(rights)
        if not more:
            break
        data += more
    return data, fds.tolist()


def receive_message(peer: socket.socket) -> tuple[bytes, list[int]]:
    """One message; b"" at the end."""
    header, fds = receive(peer, 12)
    if len(header) < 12:
        return header, fds
    payload, more = receive(peer, struct.unpack("=III", header)[2])
    return header + payload, fds + more


def wait_for(what: Callable[[], object]) -> None:
    """Until it is true."""
    until = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.005)


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)


def open_fds() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def settled_fds() -> int:
    """The same, once it has not changed for a while: the recording process opens some of its own accord."""
    last, since = open_fds(), time.monotonic()
    while time.monotonic() - since < 0.4:
        time.sleep(0.02)
        if (now := open_fds()) != last:
            last, since = now, time.monotonic()
    return last


class Lab:
    """A running relay between `front` and `back` (paths below `place`), which records into `capture`.

    By default it listens on `front` and connects to `back`, where `listener` is a back-end's.
    """

    def __init__(
        self,
        place: Path,
        pairs: Sequence[tuple[str, str]] = (("front", "back"),),
        listen: bool = True,
        **options: object,
    ) -> None:
        self.place = place
        self.capture = place / "capture.pcapng"
        self.listener = self.listening("back") if listen else None
        endpoints = [
            (parse_endpoint(self._placed(front), How.LISTEN), parse_endpoint(self._placed(back), How.CONNECT))
            for front, back in pairs
        ]
        settings = {"write": str(self.capture), "show": LiveView.NOTHING, **options}
        self.relay = Relay(Options(endpoints, **settings))  # type: ignore[arg-type]
        self.status: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.status = self.relay.run()

    def _placed(self, endpoint: str) -> str:
        word, colon, name = endpoint.rpartition(":")
        return endpoint if word == "fd" else f"{word}{colon}{self.place / name}"

    def listening(self, name: str) -> socket.socket:
        """A peer that listens."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.place / name))
        listener.listen(16)
        listener.settimeout(SECONDS)
        return listener

    def connect(self, name: str = "front") -> socket.socket:
        """A peer that connects."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(SECONDS)
        peer.connect(str(self.place / name))
        return peer

    def accept(self, listener: socket.socket | None = None) -> socket.socket:
        """What the relay connected to a listening peer."""
        listener = listener or self.listener
        assert listener
        peer = listener.accept()[0]
        peer.settimeout(SECONDS)
        return peer

    def session(self) -> tuple[socket.socket, socket.socket]:
        """A front-end and a back-end that are connected through the relay."""
        front = self.connect()
        return front, self.accept()

    def items(self) -> list[Connection | Record]:
        """What is in the capture now."""
        return list(read(self.capture))

    def stop(self) -> list[Record]:
        """Stop the relay; the records."""
        self.relay.stop()
        return self.ended()

    def ended(self) -> list[Record]:
        """Wait until it has stopped on its own; the records."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self.listener:
            self.listener.close()
        return [item for item in self.items() if not isinstance(item, Connection)]


def frames(records: Sequence[Record]) -> list[Frame]:
    """The messages."""
    return [record for record in records if isinstance(record, Frame)]


def events(records: Sequence[Record], kind: EventKind | None = None) -> list[Event]:
    """The events, of one kind."""
    return [record for record in records if isinstance(record, Event) and kind in (None, record.kind)]
