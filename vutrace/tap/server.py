"""The process that makes the taps: all that takes time is loaded once, then each session gets a fork of it.

    python -m vutrace.tap.server FD

FD is its end of the relay's control socket (SOCK_SEQPACKET). First comes what is asked for; the answer is
("ready", names of rules, [asked], [told]) or ("error", text). Then ("session", connection, session) with a
socket, and ("over", connection, session).
"""

import marshal
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from vutrace.errors import VutraceError
from vutrace.proxy.interest import Numbers
from vutrace.records import Channel, Side
from vutrace.tap.console import Console
from vutrace.tap.session import SessionLoop
from vutrace.tap.work import Wanted, Work, prepare

OVER_SECONDS = 1.0  # that a tap has after its session
PACKET = 1 << 20


class TapServer:
    """Makes the taps that are asked for on `control`, until that is closed."""

    def __init__(self, control: socket.socket, work: Work) -> None:
        self._control, self._work = control, work
        self._console = Console() if work.intercepts else None
        self._pids: dict[tuple[int, int], int] = {}
        self._due: list[tuple[float, int]] = []

    def serve(self) -> None:
        """Until the relay is gone."""
        poll, typed = select.poll(), self._console.fd if self._console else -1
        poll.register(self._control, select.POLLIN)
        if typed >= 0:
            poll.register(typed, select.POLLIN)
        watched: dict[int, tuple[int, int]] = {}
        while True:
            known = self._console.sockets() if self._console else {}
            for fd in watched.keys() - known.keys():
                poll.unregister(fd)
            for fd in known.keys() - watched.keys():
                poll.register(fd, select.POLLIN)
            watched = known
            for fd, _ in poll.poll(100 if self._pids else None):
                if fd == self._control.fileno() and not self._hear():
                    return self._end()
                if self._console and fd in watched:
                    self._console.hear(watched[fd])
                if self._console and fd == typed and not self._console.read():
                    poll.unregister(typed)
            self._reap()

    def _hear(self) -> bool:
        packet, fds, _, _ = socket.recv_fds(self._control, PACKET, 1)
        if not packet:
            return False
        what, connection, session = marshal.loads(packet)
        if what == "session":
            self._begin(socket.socket(fileno=fds[0]), connection, session)
        elif pid := self._pids.get((connection, session)):
            self._due.append((time.monotonic() + OVER_SECONDS, pid))
        return True

    def _begin(self, end: socket.socket, connection: int, session: int) -> None:
        ours, hands = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if not pid:
            self._control.close()
            ours.close()
            serve_session(end, self._work, connection, session, hands if self._console else None)
        end.close()
        hands.close()
        if self._console:
            self._console.join((connection, session), ours)
        else:
            ours.close()
        self._pids[connection, session] = pid

    def _reap(self) -> None:
        for place, pid in list(self._pids.items()):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._pids[place]
        alive, now = set(self._pids.values()), time.monotonic()
        for due, pid in self._due:
            if due <= now and pid in alive:
                os.kill(pid, signal.SIGKILL)
        self._due = [(due, pid) for due, pid in self._due if pid in alive and due > now]

    def _end(self) -> None:
        until = time.monotonic() + OVER_SECONDS / 2
        while self._pids and time.monotonic() < until:
            time.sleep(0.01)
            self._reap()
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)


def serve_session(
    end: socket.socket, work: Work, connection: int, session: int, hands: socket.socket | None
) -> NoReturn:
    status = 1
    try:
        SessionLoop(end, work, connection, session, hands).serve()
        status = 0
    finally:
        sys.stdout.flush()
        os._exit(status)


def ways(of: Callable[[Channel, Side], Numbers]) -> Iterator[tuple[str, str, list[int] | None]]:
    """What is to be decided on, or told of, in each direction."""
    for channel in Channel:
        for sender in Side:
            numbers = of(channel, sender)
            yield str(channel), str(sender), None if numbers is None else sorted(numbers)


def main() -> None:
    """Serve the relay."""
    for number in (signal.SIGINT, signal.SIGHUP):  # the relay ends, and we with it
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    wanted: Wanted = marshal.loads(control.recv(PACKET))
    try:
        work = prepare(wanted)
    except VutraceError as error:
        control.send(marshal.dumps(("error", str(error))))
        return
    names = [rule.name for rule in work.rules]
    control.send(marshal.dumps(("ready", names, list(ways(work.asked)), list(ways(work.told)))))
    TapServer(control, work).serve()


if __name__ == "__main__":
    main()
