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
from vutrace.rings.payload_kinds import NO_PAYLOAD, Payload
from vutrace.rings.session import SampledSession
from vutrace.rings.tally import Tally
from vutrace.rings.unread import UnreadError
from vutrace.rings.wire import ALIVE, MOST_BYTES, RIGHTS_ROOM, RingPackets, pack, pack_packets, unpack
from vutrace.session.tracker import Tracker
from vutrace.sockets.passed import descriptors

NICE = 5
GLANCE_NS = 10_000_000  # between looks at rings whose indexes go round
ALIVE_NS = 1_000_000_000
RINGS_AT_ONCE, COUNTED_AT_ONCE = 256, 32  # in one record, without and with the times of kicks and calls
PACKET_BYTES = 1024  # that a request may take in words
Place = tuple[int, int]
"""Connection and session."""


class Sampler:
    """Looks at all sessions every `interval_ns`; `peer` is the socket of who wants to know.

    `tally` is where kicks and calls are counted, if they are.
    """

    def __init__(
        self,
        peer: socket.socket,
        interval_ns: int,
        payload: Payload = NO_PAYLOAD,
        tally: Tally | None = None,
    ) -> None:
        self._peer, self._interval_ns, self._payload, self._tally = peer, interval_ns, payload, tally
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
            rings, log = session.looks(time.monotonic_ns()), session.log(time.monotonic_ns())
            most = COUNTED_AT_ONCE if self._tally else RINGS_AT_ONCE
            for first in range(0, max(len(rings), 1 if log else 0), most):
                part = tuple(rings[first : first + most])
                told = part, interval_ns, session.notices(part), None if first else log
                self._say(pack(sample_of(time.time_ns(), connection, number, *told)))
            for ring, link, kept, missed in session.kept():
                if kept or missed:
                    self._say_kept(RingPackets(time.time_ns(), connection, number, ring, link, missed, kept))

    def _say_kept(self, told: RingPackets) -> None:
        room = max(1, MOST_BYTES // 2 // max(PACKET_BYTES, self._payload.snaplen))
        for first in range(0, max(1, len(told.kept)), room):
            part = told.kept[first : first + room]
            self._say(pack_packets(told._replace(kept=part, missed=0 if first else told.missed)))

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
            session = self._sessions[place] = SampledSession(place, self._payload, tally=self._tally)
        if fds:
            record = replace(record, fds=session.holdings.add(record.fds, fds))
        session.feed(self._tracker.feed(record))


def main(peer: int, interval_ns: int, parent: int, payload: Payload, tally: int) -> None:
    """Run as the process that `vutrace.rings.child` starts."""
    os.nice(NICE)
    parent_ended = os.pidfd_open(parent)
    if os.getppid() != parent:
        return
    try:
        with socket.socket(fileno=peer) as sock:
            Sampler(sock, interval_ns, payload, Tally(tally) if tally >= 0 else None).run(parent_ended)
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody wants to know any more
    except Exception as error:
        sys.exit(f"vutrace: an error that should not happen, in the sampler: {error!r}")


if __name__ == "__main__":
    number, interval, started_by, bytes_kept, table, word = sys.argv[1:]
    main(int(number), int(interval), int(started_by), Payload(word, int(bytes_kept)), int(table))
