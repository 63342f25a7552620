"""Two model peers over a socketpair, with every message written down as a line of text.

    > SET_VRING_ENABLE need-reply ring 0 = 1
    < SET_VRING_ENABLE

The same lines are read out of captures of real programs, so that the two can be compared.
"""

import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from vutrace.capture import read
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.peers import DPDK_22_11, PROFILES, FrontEnd, Journal, Offer, PeerConnection, Server, serve
from vutrace.peers.connection import ReceivedMessage
from vutrace.records import Channel, Frame, Side

CAPTURES = Path(__file__).parents[2] / "captures"
GOLDEN = Path(__file__).parents[1] / "golden" / "peers"
TIMEOUT = 5.0

# The fields by which two messages of one name may differ that matters here.
VALUES = {
    "SET_VRING_BASE": "num",
    "SET_VRING_ENABLE": "num",
    "SET_STATUS": "status",
    "GET_STATUS": "status",
}

dissect = Dissector()


def line(message: Message) -> str:
    """A message in a line."""
    words = [">" if message.frame.sender is Side.FRONTEND else "<", message.name]
    words += ["need-reply"] * message.need_reply
    words += [f"ring {message.ring}"] * (message.ring is not None and not message.reply)
    value = message.fields.get(VALUES.get(message.name, ""))
    words += [f"= {value}"] * (value is not None and not (message.reply and message.name.startswith("SET")))
    return " ".join(words)


def captured(path: Path, session: int = 1) -> list[str]:
    """The main channel of one session of a capture."""
    return [
        line(dissect(item))
        for item in read(path)
        if isinstance(item, Frame) and item.channel is Channel.MAIN and item.session == session
    ]


Seen = tuple[str, int, int]  # sender, request and flags: what QEMU's trace tells of a message


class Tap(PeerConnection):
    """A back-end's connection that writes down what passes."""

    def __init__(self, end: socket.socket, lines: list[str], seen: list[Seen]) -> None:
        super().__init__(end, Side.FRONTEND)
        self.lines = lines
        self.seen = seen

    def note(self, message: Message) -> None:
        self.lines.append(line(message))
        self.seen.append((str(message.frame.sender), message.request, message.flags))

    def send(self, data: bytes, fds: Iterable[int], what: str) -> None:
        frame = Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, data, wire_size=len(data))
        self.note(dissect(frame))
        super().send(data, fds, what)

    def receive(self, what: str, timeout: float | None = None) -> ReceivedMessage | None:
        received = super().receive(what, timeout)
        if received:
            self.note(received.message)
        return received


class Watched(Server):
    """A back-end at a path that writes down what passes on its connections, one after the other."""

    def __init__(self, path: str, offer: Offer = DPDK_22_11) -> None:
        super().__init__(path, offer)
        self.lines: list[str] = []
        self.seen: list[Seen] = []

    def connection(self, end: socket.socket) -> PeerConnection:
        return Tap(end, self.lines, self.seen)


class Stage:
    """A model front-end, connected to one model back-end after the other."""

    def __init__(self, profile: str, pairs: int = 1, offer: Offer = DPDK_22_11) -> None:
        self.frontend = FrontEnd(PROFILES[profile], pairs, timeout=TIMEOUT)
        self.offer = offer
        self.lines: list[str] = []
        self.journal = Journal()
        self._threads: list[threading.Thread] = []

    def backend(self) -> socket.socket:
        """A fresh back-end; the front-end's end of the connection to it."""
        ours, theirs = socket.socketpair()
        tap = Tap(theirs, self.lines, [])
        thread = threading.Thread(target=serve, args=(tap, self.offer, self.journal))
        thread.start()
        self._threads.append(thread)
        return ours

    def lose(self) -> int:
        """The connection breaks; how many messages have passed by then."""
        self.frontend.disconnect()
        self._join()
        return len(self.lines)

    def end(self) -> list[str]:
        """Close, and wait until the back-end has seen all of it."""
        self.frontend.close()
        self._join()
        return self.lines

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()


Act = Callable[[FrontEnd], None]


def played(profile: str, pairs: int, *acts: Act, offer: Offer = DPDK_22_11) -> list[str]:
    """What passes when a front-end of `profile` connects and does `acts`."""
    stage = Stage(profile, pairs, offer)
    try:
        stage.frontend.attach(stage.backend())
        for act in acts:
            act(stage.frontend)
    finally:
        stage.end()
    return stage.lines


def change(pairs: int) -> Act:
    """`ethtool -L eth0 combined PAIRS` in the guest."""
    return lambda frontend: frontend.change_pairs(pairs)
