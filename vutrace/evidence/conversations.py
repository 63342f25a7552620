"""Bytes that somebody saw pass on sockets, as connections, events and messages.

Nobody says which sockets speak vhost-user, nor which end was watched: the first header on each tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from vutrace.evidence.strace_words import Handed, Socket
from vutrace.framing import FramedMessage, Framer
from vutrace.protocol.messages import TABLES
from vutrace.protocol.wire import HEADER_SIZE, LITTLE, VHOST_USER
from vutrace.records import (
    LACKS,
    Channel,
    Connection,
    Event,
    EventKind,
    FdInfo,
    FdKind,
    Frame,
    FrameFlag,
    Lack,
    Record,
    Side,
)
from vutrace.sockets.passed import PASSED_BY

Item = Connection | Record
UNKNOWN_END = "unknown"
LONGEST = 64 * 1024
LAST_TIME = 1 << 64  # what a capture has room for
IN_THE_MIDDLE = "it begins in the middle, what came before is not known"


@dataclass(frozen=True, slots=True)
class SeenBytes:
    """What one call sent or received: bytes, and how many more of which only the number is known.

    `time_ns` is None where nobody noted it; `pid` is 0 where nobody knows the process.
    """

    time_ns: int | None
    socket: Socket
    sent: bool
    data: bytes
    missing: int = 0
    fds: tuple[Handed, ...] = ()
    fds_lost: bool = False
    pid: int = 0


@dataclass(slots=True)
class Watched:
    """One end of a socket: whose it is, and the framing of both directions.

    `read` counts bytes of each direction, `unknown` are the places of those that are not known. `children`
    are the channels that were passed over it.
    """

    side: Side
    channel: Channel
    connection: int
    session: int
    framers: dict[bool, Framer[Handed]]
    read: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    unknown: dict[bool, list[tuple[int, int]]] = field(default_factory=lambda: {True: [], False: []})
    children: list["Watched"] = field(default_factory=list)
    closed: bool = False

    def sender(self, sent: bool) -> Side:
        """Who a direction's bytes are from."""
        return self.side if sent else self.side.peer


class Conversations:
    """Takes pieces in order, gives what they complete. `source` says what they are from, in a word or two.

    `flags` are what the source never knows. `found` counts the messages.
    """

    def __init__(self, source: str, flags: FrameFlag = FrameFlag.NONE, lacks: tuple[Lack, ...] = ()) -> None:
        self.source, self._flags, self._lacks = source, flags, lacks
        self.found = 0
        self._watched: dict[str, Watched] = {}
        self._peers: set[str] = set()
        self._new: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._sessions: dict[int, int] = {}
        self._passed: dict[str, tuple[Channel, Watched]] = {}
        self._paths: dict[str, str] = {}
        self._clock = 0

    def began(self, socket: Socket) -> None:
        """A socket was made, or connected: what it has to say comes from the beginning."""
        self._new.add(socket.own)
        self._watched.pop(socket.own, None)
        if socket.path:
            self._paths[socket.own] = socket.path

    def ended(self, time_ns: int | None, socket: Socket, by_us: bool) -> Iterator[Item]:
        """A socket was closed, by the end that was watched or by the other."""
        watched = self._watched.pop(socket.own, None)
        self._paths.pop(socket.own, None)
        self._new.discard(socket.own)
        if watched and not watched.closed:
            watched.closed = True
            yield self._close(self._time(time_ns), watched, watched.sender(by_us))

    def take(self, piece: SeenBytes) -> Iterator[Item]:
        """What a piece completes; nothing where it is not of a vhost-user socket."""
        if piece.socket.own in self._peers:  # the other end was watched, too: each message once
            return
        watched, time_ns = self._watched.get(piece.socket.own), self._time(piece.time_ns)
        if watched is None:
            watched = self._begin(piece)
            if watched is None:
                return
            yield from self._announce(piece, watched, time_ns)
        for message in self._frame(piece, watched):
            frame = self._made(piece, message, watched, time_ns)
            self.found += 1
            yield frame
            yield from self._adopt(frame, message.fds, watched)

    def _begin(self, piece: SeenBytes) -> Watched | None:
        """The stream that a first piece begins; None where it is no header."""
        own, peer = piece.socket.own, piece.socket.peer
        channel, parent = self._passed.get(own, (Channel.MAIN, None))
        header = header_of(piece.data, channel)
        if header is None:
            return None
        reply = bool(header[1] & VHOST_USER.reply)
        if parent:
            side, connection, session = parent.side, parent.connection, parent.session
        else:
            side = Side.FRONTEND if piece.sent is not reply else Side.BACKEND
            connection = self._number(self._name(piece))
            session = self._sessions[connection] = self._sessions.get(connection, 0) + 1
        made = Watched(side, channel, connection, session, {way: Framer(channel) for way in (True, False)})
        self._watched[own] = made
        if parent:
            parent.children.append(made)
        if peer:
            self._peers.add(peer)
        return made

    def _name(self, piece: SeenBytes) -> str:
        return piece.socket.path or self._paths.get(piece.socket.own, "") or f"socket {piece.socket.own}"

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _announce(self, piece: SeenBytes, watched: Watched, time_ns: int) -> Iterator[Item]:
        """The connection where it is new, and how the session begins."""
        if watched.channel is not Channel.MAIN:
            return
        name = self._name(piece)
        if watched.session == 1:
            ends = {watched.side: f"{self.source} {piece.pid or ''}".strip(), watched.side.peer: name}
            yield Connection(watched.connection, ends[Side.FRONTEND], ends[Side.BACKEND])
        whole = piece.socket.own in self._new
        who = f"of the {watched.side.words}" + f", process {piece.pid}" * bool(piece.pid)
        text = f"session {watched.session}, made from {self.source} {who}" + f"; {IN_THE_MIDDLE}" * (
            not whole
        )
        attributes = {"source": self.source}
        attributes |= {f"{watched.side}_pid": str(piece.pid)} if piece.pid else {}
        attributes |= {LACKS: ", ".join(self._lacks)} if self._lacks else {}
        yield self._event(time_ns, watched, EventKind.OPEN if whole else EventKind.NOTE, text, attributes)

    def _event(
        self,
        time_ns: int,
        watched: Watched,
        kind: EventKind,
        text: str,
        attributes: dict[str, str] | None = None,
        sender: Side | None = None,
    ) -> Event:
        return Event(
            time_ns,
            watched.connection,
            watched.session,
            kind,
            text,
            watched.channel,
            sender,
            attributes or {},
        )

    def _close(self, time_ns: int, watched: Watched, who: Side) -> Event:
        for child in watched.children:
            child.closed = True
        return self._event(time_ns, watched, EventKind.CLOSE, f"the {who.words} closed", {}, who)

    def _frame(self, piece: SeenBytes, watched: Watched) -> Iterator[FramedMessage[Handed]]:
        """The messages that a piece completes; what is missing of it stands as zeros, noted as unknown."""
        framer, sent = watched.framers[piece.sent], piece.sent
        if piece.missing:
            start = watched.read[sent] + len(piece.data)
            watched.unknown[sent].append((start, start + piece.missing))
        data, fds, lost = piece.data + bytes(piece.missing), piece.fds, piece.fds_lost
        while data or fds:
            size = framer.wants() or len(data)
            parts = framer.feed(data[:size], fds, lost)
            watched.read[sent] += len(data[:size])
            data, fds, lost = data[size:], (), False
            yield from (part.message for part in parts if part.message)

    def _made(
        self, piece: SeenBytes, message: FramedMessage[Handed], watched: Watched, time_ns: int
    ) -> Frame:
        flags = message.flags | self._flags
        if piece.time_ns is None:
            flags |= FrameFlag.TIME_UNKNOWN
        start = watched.read[piece.sent] - message.wire_size
        known = known_parts(start, message.wire_size, watched.unknown[piece.sent])
        if known is not None:
            flags |= FrameFlag.PAYLOAD_UNKNOWN
        later = [part for part in watched.unknown[piece.sent] if part[1] > start + message.wire_size]
        watched.unknown[piece.sent] = later
        return Frame(
            time_ns,
            watched.connection,
            watched.session,
            watched.channel,
            watched.sender(piece.sent),
            message.data,
            tuple(numbered(handed, watched.side) for handed in message.fds),
            flags,
            message.wire_size,
            known=known or (),
        )

    def _adopt(self, frame: Frame, fds: tuple[Handed, ...], watched: Watched) -> Iterator[Item]:
        """A message that passes a socket begins another channel."""
        request, flags = LITTLE.unpack_from(frame.data)[:2] if len(frame.data) >= HEADER_SIZE else (0, 0)
        row = TABLES[frame.channel].get(request)
        if row is None or not row.passes or flags & VHOST_USER.reply:
            return
        for handed in fds:
            if handed.info.kind is FdKind.SOCKET:
                for inode in filter(None, (str(handed.info.inode or ""), handed.peer)):
                    self._passed[inode] = row.passes, watched
                opened = self._event(frame.time_ns, watched, EventKind.OPEN, PASSED_BY[row.passes])
                yield replace(opened, channel=row.passes)

    def _time(self, time_ns: int | None) -> int:
        """A time; where nobody noted it, the next microsecond, so that the order is kept."""
        known = time_ns is not None and 0 <= time_ns < LAST_TIME
        self._clock = time_ns if known and time_ns is not None else self._clock + 1000
        return self._clock


def header_of(data: bytes, channel: Channel) -> tuple[int, int, int] | None:
    """The header at the beginning of `data`; None where it cannot be one."""
    if len(data) < HEADER_SIZE:
        return None
    request, flags, size = LITTLE.unpack_from(data)
    if channel is Channel.GPU:
        return (request, flags, size) if request in TABLES[channel] else None
    sound = VHOST_USER.is_sound(flags) and size <= LONGEST
    return (request, flags, size) if sound and request in TABLES[channel] else None


def known_parts(start: int, size: int, unknown: list[tuple[int, int]]) -> tuple[tuple[int, int], ...] | None:
    """The parts of a payload that are known, of a message at `start`; None where all of it is."""
    begin, end = start + HEADER_SIZE, start + size
    gaps = sorted(
        (max(begin, first), min(end, last)) for first, last in unknown if first < end and last > begin
    )
    if not gaps:
        return None
    edges = [begin, *chain(*gaps), end]
    parts = zip(edges[::2], edges[1::2], strict=True)
    return tuple((first - begin, last - first) for first, last in parts if last > first)


def numbered(handed: Handed, side: Side) -> FdInfo:
    """A descriptor with its number in the process of `side`."""
    if handed.number >= 1 << 31:
        return handed.info
    if side is Side.FRONTEND:
        return replace(handed.info, frontend_fd=handed.number)
    return replace(handed.info, backend_fd=handed.number)
