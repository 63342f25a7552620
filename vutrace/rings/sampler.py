"""The sampler: a process that gets descriptors, looks at rings, and tells what moves. It writes to nothing.

It may hang, crash or be killed: who started it notices, and no session does.
"""

import contextlib
import os
import select
import socket
import sys
import time
from dataclasses import replace

from vutrace.capture.errors import MalformedError
from vutrace.capture.pseudo_header import sample_of
from vutrace.dissection.registry import Registry
from vutrace.records import Event, Record
from vutrace.rings.session import SampledSession
from vutrace.rings.unread import UnreadError
from vutrace.rings.wire import ALIVE, MOST_BYTES, RIGHTS_ROOM, RingFrames, pack, pack_frames, unpack
from vutrace.session.tracker import Tracker
from vutrace.sockets.passed import descriptors

NICE = 5
GLANCE_NS = 10_000_000  # between looks at rings whose indexes go round
ALIVE_NS = 1_000_000_000
RINGS_AT_ONCE = 256  # in one record
SECOND_NS = 1_000_000_000
Place = tuple[int, int]
"""Connection and session."""


class Sampler:
    """Looks at all sessions every `interval_ns`; `peer` is the socket of who wants to know.

    `snaplen`: bytes of each frame that are wanted, 0 for none.
    """

    def __init__(self, peer: socket.socket, interval_ns: int, snaplen: int = 0) -> None:
        self._peer, self._interval_ns, self._snaplen = peer, interval_ns, snaplen
        self._tracker = Tracker(Registry({}))
        self._sessions: dict[Place, SampledSession] = {}
        self._looked_ns = time.monotonic_ns()

    def run(self, parent_ended: int) -> None:
        """Until the peer closes, or its process (a pidfd) ends."""
        poll = select.poll()
        poll.register(self._peer, select.POLLIN)
        poll.register(parent_ended, select.POLLIN)
        due = glance = alive = time.monotonic_ns()
        while True:
            now = time.monotonic_ns()
            if now >= due:
                self._look()
                due = max(due + self._interval_ns, now)
                glance = now + GLANCE_NS
            elif now >= glance:
                self._glance(now)
                glance = now + GLANCE_NS
            if now >= alive:
                self._say(ALIVE)
                alive = now + ALIVE_NS
            wait = min(due, glance if self._any_fast() else due, alive) - time.monotonic_ns()
            ready = [fd for fd, _ in poll.poll(max(0, wait) / 1e6)]
            if parent_ended in ready or (ready and not self._take()):
                return

    def _any_fast(self) -> bool:
        return any(session.fast() for session in self._sessions.values())

    def _glance(self, now_ns: int) -> None:
        for session in self._sessions.values():
            for watch in session.fast():
                with contextlib.suppress(UnreadError):
                    watch.glance(now_ns)

    def _look(self) -> None:
        now = time.monotonic_ns()
        interval_ns, self._looked_ns = now - self._looked_ns, now
        for (connection, number), session in self._sessions.items():
            rings = session.looks(time.monotonic_ns())
            for first in range(0, len(rings), RINGS_AT_ONCE):
                part = tuple(rings[first : first + RINGS_AT_ONCE])
                self._say(pack(sample_of(time.time_ns(), connection, number, part, interval_ns)))
            for ring, frames, missed in session.frames():
                if frames or missed:
                    self._say_frames(RingFrames(time.time_ns(), connection, number, ring, frames, missed))

    def _say_frames(self, told: RingFrames) -> None:
        room = max(1, MOST_BYTES // 2 // max(1, self._snaplen))
        for first in range(0, max(1, len(told.frames)), room):
            part = told.frames[first : first + room]
            self._say(pack_frames(told._replace(frames=part, missed=0 if first else told.missed)))

    def _say(self, data: bytes) -> None:
        self._peer.send(data)

    def _take(self) -> bool:
        """Take one record; False at the end."""
        data, ancillary, _, _ = self._peer.recvmsg(MOST_BYTES, RIGHTS_ROOM, socket.MSG_CMSG_CLOEXEC)
        fds = descriptors(ancillary)
        try:
            record = unpack(data)
        except MalformedError:
            record = None
        if record is None:
            for fd in fds:
                os.close(fd)
        else:
            self._feed(record, list(fds))
        return bool(data)

    def _feed(self, record: Record, fds: list[int]) -> None:
        place = record.connection, record.session
        if isinstance(record, Event):
            self._tracker.feed(record)
            if session := self._sessions.pop(place, None):
                session.close()
            return
        session = self._sessions.get(place)
        if session is None:
            session = self._sessions[place] = SampledSession(self._snaplen)
        if fds:
            record = replace(record, fds=session.holdings.add(record.fds, fds))
        session.feed(self._tracker.feed(record))


def main(peer: int, interval_ns: int, parent: int, snaplen: int) -> None:
    """Run as the process that `vutrace.rings.child` starts."""
    os.nice(NICE)
    parent_ended = os.pidfd_open(parent)
    if os.getppid() != parent:
        return
    try:
        with socket.socket(fileno=peer) as sock:
            Sampler(sock, interval_ns, snaplen).run(parent_ended)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody wants to know any more
    except Exception as error:
        sys.exit(f"vutrace: an error that should not happen, in the sampler: {error!r}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
