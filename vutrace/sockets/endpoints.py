"""Where the two sides are: endpoints as words, and the sockets that they stand for."""

import contextlib
import errno
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vutrace.errors import PEER, VutraceError
from vutrace.sockets.address import address_of, identity, is_abstract, listen_at
from vutrace.sockets.process import credentials

SO_ACCEPTCONN = getattr(socket, "SO_ACCEPTCONN", 30)
ANYBODY = 0o006  # the bits of a mode that let every user connect


class EndpointError(VutraceError):
    """A socket that cannot be had; the text is for the user."""

    status = PEER


class How(StrEnum):
    """The way to reach a peer."""

    LISTEN = "listen"
    CONNECT = "connect"
    FD = "fd"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a pair: a path or @NAME to listen on or to connect to, or an inherited descriptor."""

    how: How
    path: str = ""
    fd: int = -1

    def __str__(self) -> str:
        return f"{self.how}:{self.fd if self.how is How.FD else self.path}"


OVER_NETWORK = ("tcp", "tcp4", "tcp6", "udp", "vsock", "inet", "inet6")


def unnamed(path: str, text: str) -> str:
    """The path behind unix:, without the options that QEMU writes behind commas."""
    path = path.partition(",")[0]
    if not path.removeprefix("@"):
        raise ValueError(f"'{text}' names no path")
    return path


def parse_endpoint(text: str, default: How) -> Endpoint:
    """An endpoint from PATH, @NAME, listen:PATH, connect:PATH or fd:N; ValueError where it is none.

    unix: before a path, as QEMU and OVS have it, is none of it.
    """
    word, colon, rest = text.partition(":")
    if word in OVER_NETWORK and colon:
        raise ValueError(
            f"'{text}': vhost-user passes descriptors, which only a Unix socket can: a PATH is needed"
        )
    if word == "unix" and colon:
        return Endpoint(default, path=unnamed(rest, text))
    if word in (How.LISTEN, How.CONNECT):
        rest = rest.removeprefix("unix:")
    if not colon or word not in tuple(How):
        word, rest = default, text
    if not rest.removeprefix("@"):
        raise ValueError(f"'{text}' names no {'descriptor' if word == How.FD else 'path'}")
    if word != How.FD:
        return Endpoint(How(word), path=rest)
    if not rest.isdecimal():
        raise ValueError(f"'{text}': fd: takes a descriptor number")
    return Endpoint(How.FD, fd=int(rest))


class Source(ABC):
    """Where connections of one side come from.

    `ready`: a connection can be asked for. `pressing`: somebody is there already and waits for us.
    `spent`: no further connection will come. `listener` is the socket to watch for arrivals, if any.
    `rank`: the lower is taken first, because it may fail or because it can be had again.
    """

    rank = 0

    ready = False
    pressing = False
    spent = False
    listener: socket.socket | None = None

    def arrived(self) -> None:  # noqa: B027
        """The listener became readable."""

    @abstractmethod
    def take(self) -> socket.socket:
        """The next connection; OSError when there is none to be had."""

    def close(self) -> None:  # noqa: B027
        """Give back what it holds."""


class Listening(Source):
    """Accepts on a socket of its own, or on an inherited one."""

    rank = 1

    def __init__(self, listener: socket.socket, path: str = "") -> None:
        listener.setblocking(False)  # somebody else may share it and accept first
        self.listener: socket.socket = listener
        self._path = path
        self._identity = identity(path) if path else None

    def arrived(self) -> None:
        self.ready = self.pressing = True

    def take(self) -> socket.socket:
        self.ready = self.pressing = False
        return self.listener.accept()[0]

    def close(self) -> None:
        self.listener.close()
        # Only what it made itself: the path may hold somebody else's socket by now.
        if self._identity and identity(self._path) == self._identity:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


class ListeningByName(Listening):
    """Accepts at a name, which has no mode: root and this user alone, unless `mode` lets everybody."""

    def __init__(self, listener: socket.socket, mode: int) -> None:
        super().__init__(listener)
        self._open = bool(mode & ANYBODY)

    def take(self) -> socket.socket:
        peer = super().take()
        user = credentials(peer)[1]
        if self._open or user in (0, os.geteuid()):
            return peer
        peer.close()
        text = f"a process of user {user} was turned away (--socket-mode 666 lets everybody connect)"
        raise OSError(errno.ECONNREFUSED, text)


class Connecting(Source):
    """Connects to a path or name, each time anew."""

    ready = True

    def __init__(self, path: str) -> None:
        self._address = address_of(path)

    def take(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.setblocking(False)  # a full backlog would block the relay
            peer.connect(self._address)
        except OSError:
            peer.close()
            raise
        return peer


class Given(Source):
    """An inherited descriptor that is connected already: good for one session."""

    rank = 2
    ready = True
    pressing = True

    def __init__(self, peer: socket.socket) -> None:
        self._peer: socket.socket | None = peer

    def take(self) -> socket.socket:
        if self._peer is None:
            raise OSError(errno.ENOTCONN, "the inherited connection is used up")
        peer, self._peer = self._peer, None
        self.ready = self.pressing = False
        self.spent = True
        return peer

    def close(self) -> None:
        if self._peer:
            self._peer.close()


def open_source(endpoint: Endpoint, mode: int = 0o600) -> Source:
    """The source of an endpoint, listening at once where it listens; raises EndpointError."""
    try:
        match endpoint.how:
            case How.LISTEN:
                listener = listen_at(endpoint.path, mode)
                if is_abstract(endpoint.path):
                    return ListeningByName(listener, mode)
                return Listening(listener, endpoint.path)
            case How.CONNECT:
                return Connecting(endpoint.path)
            case How.FD:
                return inherit(endpoint.fd)
    except OSError as error:
        raise EndpointError(f"{endpoint}: {error.strerror or error}") from None


def open_pairs(pairs: Sequence[tuple[Endpoint, Endpoint]], mode: int = 0o600) -> list[tuple[Source, Source]]:
    """The sources of all pairs, front-end's first, or none of them; raises EndpointError."""
    opened: list[Source] = []
    try:
        opened += (open_source(endpoint, mode) for pair in pairs for endpoint in pair)
    except EndpointError:
        for source in opened:
            source.close()
        raise
    return list(zip(opened[0::2], opened[1::2], strict=True))


def inherit(fd: int) -> Source:
    inherited = socket.socket(fileno=fd)
    if inherited.family != socket.AF_UNIX or inherited.type != socket.SOCK_STREAM:
        inherited.detach()
        raise OSError(errno.EPROTOTYPE, "not a Unix stream socket")
    inherited.set_inheritable(False)
    if inherited.getsockopt(socket.SOL_SOCKET, SO_ACCEPTCONN):
        return Listening(inherited)
    return Given(inherited)
