"""One case's connection as a front-end: what it sends, and the replies that are in order."""

import time
from collections import deque
from collections.abc import Iterable

from vutrace.conform.case import UnmetError
from vutrace.conform.guest import Guest
from vutrace.conform.log import CaseLog
from vutrace.conform.survey import Survey
from vutrace.conform.tested import TestedPeer
from vutrace.dissection.message import Message
from vutrace.peers.encode import SPECS, encode
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.layers import Layer
from vutrace.protocol.wire import NEED_REPLY, REPLY, VERSION
from vutrace.records import Channel, Side
from vutrace.replay.channel import LiveSession
from vutrace.replay.talk import Talk
from vutrace.sockets.framed import PeerError, close_all

ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
CLOSED = "the connection was closed"
PATIENCE = 10.0  # of a program that starts


class Speaker:
    """A front-end's side of a connection, what was negotiated on it, its guest.

    `features` and `protocol` are what was acknowledged, `aside` is what came over other channels. `needs` are
    the case's, which `hello` acknowledges besides the basic ones. A reply may take `timeout` seconds.
    """

    def __init__(
        self, target: TestedPeer, log: CaseLog, survey: Survey, needs: tuple[str, ...], timeout: float
    ) -> None:
        self.target, self.log, self.survey, self.needs, self.timeout = target, log, survey, needs, timeout
        self.guest = Guest()
        self.features = self.protocol = 0
        self.sessions = 0
        self.passed: list[int] = []
        self.aside: deque[Message] = deque()
        self._talk: Talk | None = None

    # Connections

    @property
    def talk(self) -> Talk:
        """The connection, made when it is first asked for."""
        if self._talk is None:
            self.connect()
        assert self._talk
        return self._talk

    @property
    def lost(self) -> bool:
        """Whether the peer has closed the connection."""
        return self._talk is not None and self._talk.closed

    def connect(self) -> None:
        """A new connection, in place of the one before."""
        self.disconnect()
        self.features = self.protocol = 0
        end = self.target.open(max(self.timeout, PATIENCE))
        self.sessions += 1
        session = LiveSession(0, self.sessions)
        self._talk = Talk(end, Side.FRONTEND, session, self.log, self.timeout, "conform")

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        if self._talk:
            self._talk.close()
            self._talk = None

    def failed_row(self) -> int:
        """The row of the message that was answered wrongly: our last."""
        return self.log.last_sent(Side.FRONTEND)

    def close(self) -> None:
        """The case is over."""
        self.disconnect()
        self.guest.close()

    # Messages

    def send(
        self,
        name: str,
        payload: Layer | bytes = b"",
        fds: Iterable[int] = (),
        *,
        flags: int = VERSION,
        need_reply: bool = False,
    ) -> None:
        """Send a message; UnmetError where the peer is gone already."""
        layer = p.Blob(data=payload) if isinstance(payload, bytes) else payload
        self.raw(encode(SPECS[name], flags | (NEED_REPLY if need_reply else 0), layer), fds)

    def raw(self, data: bytes, fds: Iterable[int] = ()) -> None:
        """Send bytes that need not be a message."""
        try:
            self.talk.send(Channel.MAIN, data, [*fds])
        except PeerError as error:
            raise UnmetError(f"{CLOSED} before that ({error})") from None

    def pieces(self, *pieces: bytes, pause: float = 0.002) -> None:
        """Send a message in pieces."""
        talk = self.talk
        for piece in pieces:
            talk.send_part(piece)
            time.sleep(pause)
        talk.sent(Channel.MAIN, b"".join(pieces))

    def next(self, wait: float | None = None) -> Message | None:
        """The next message of the main channel; None at its end, TimeoutError where none comes."""
        deadline = time.monotonic() + (self.timeout if wait is None else wait)
        while received := self.talk.receive(deadline):
            if received.message.channel is Channel.MAIN:
                for fd in received.fds:
                    self.guest.keep(fd)
                self.passed = received.fds
                return received.message
            close_all(received.fds)
            self.aside.append(received.message)
        return None

    def reply(self, name: str) -> Message:
        """The reply to what was just sent, in order; UnmetError where it is not."""
        try:
            message = self.next()
        except TimeoutError:
            raise UnmetError(f"nothing within {self.timeout:g} s") from None
        except PeerError as error:
            raise UnmetError(str(error)) from None
        if message is None:
            raise UnmetError(CLOSED)
        if not message.reply or message.request != SPECS[name].number:
            raise UnmetError(f"{described(message)} instead of the reply to {name}")
        if message.flags & ~NEED_REPLY != VERSION | REPLY:
            raise UnmetError(f"a reply with flags {message.flags:#x}")
        return message

    def ask(
        self, name: str, payload: Layer | bytes = b"", fds: Iterable[int] = (), need_reply: bool = False
    ) -> Message:
        """Send a request; its reply, which is in order."""
        self.send(name, payload, fds, need_reply=need_reply)
        message = self.reply(name)
        if message.problems:
            raise UnmetError("; ".join(map(str, message.problems)))
        return message

    def tell(self, name: str, payload: Layer | bytes = b"", fds: Iterable[int] = ()) -> None:
        """Send a request that has no reply of its own; where that can be acknowledged, it has to succeed."""
        if not self.protocol & ACK:
            return self.send(name, payload, fds)
        if status := self.ask(name, payload, fds, need_reply=True).number_in("status"):
            raise UnmetError(f"{name} was refused (status {status})")
        return None

    def number(self, name: str, field: str, payload: Layer | bytes = b"") -> int:
        """A number out of the reply to a request."""
        value = self.ask(name, payload).number_in(field)
        if value is None:
            raise UnmetError(f"a reply to {name} without {field}")
        return value


def described(message: Message) -> str:
    """A message in a few words."""
    kind = "a reply to" if message.reply else "a request"
    status = message.number_in("status")
    return f"{kind} {message.name}" + (f" (status {status})" if status is not None else "")
