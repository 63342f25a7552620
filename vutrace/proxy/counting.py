"""`proxy --count-kicks`: eventfds of ours go on in place of those that were passed, so that all is counted.

The relay only hands them out. A process of its own (`rings.counter`) passes on what is written to them;
should it end or hang, the next one goes on where it was.
"""

import contextlib
import errno
import os
import socket
import subprocess
import sys
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.wire import HEADER, HEADER_SIZE
from vutrace.proxy.loop import READ, WRITE, EventLoop
from vutrace.rings.counter import ALIVE, ORDER
from vutrace.rings.tally import FILE_SIZE, ROLES, SLOTS, SlotOwner
from vutrace.sockets.inspect import eventfd_id, read_fdinfo
from vutrace.sockets.passed import Ancillary, Passed

MODULE = "vutrace.rings.counter"
COUNTED = {row.number: ROLES.index(row.role) for row in FRONTEND_MESSAGES.values() if row.role in ROLES}
RING = 0xFF  # of their payload: the ring
START_SECONDS, PATIENCE_SECONDS = 20.0, 3.0  # until the process says its first word, and between two
NOBODY = SlotOwner(0, 0, 0, 0, 0, -1)
Key = tuple[int, int, int, int]
"""Connection, session, ring, and the number of a role."""


@dataclass(slots=True)
class Counted:
    """An eventfd that was passed, by its eventfd-id, the one that went on, and where it is counted."""

    key: Key
    identity: int
    passed: int
    ours: int
    slot: int

    @property
    def ends(self) -> tuple[int, int]:
        """The one that is read, and the one that is written."""
        return (self.passed, self.ours) if self.key[3] == 0 else (self.ours, self.passed)


class Counting:
    """Has eventfds counted. `table` is the memory of a `rings.tally.Tally`. Raises OSError.

    `tell` gets lines for the user.
    """

    requests = frozenset(COUNTED)

    def __init__(self, loop: EventLoop, tell: Callable[[str], None]) -> None:
        self._loop, self._tell = loop, tell
        self.table = os.memfd_create("vutrace-kicks", os.MFD_CLOEXEC)
        os.ftruncate(self.table, FILE_SIZE)
        self._counted: dict[Key, Counted] = {}
        self._free = deque(range(SLOTS))
        self._orders: dict[int, Counted | None] = {}  # those that wait, by slot; None: nothing more to count
        self._start()

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            fds = theirs.fileno(), self.table
            words = [sys.executable, "-m", MODULE, *map(str, fds)]
            self._process = subprocess.Popen(
                words, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0
            )
        self._loop.watch(self._socket.fileno(), READ, self._listen, lambda _: self._listen())
        self._patience = self._loop.later(START_SECONDS, self._restart)

    # What is passed.

    def substitute(
        self, connection: int, session: int, data: bytes, fds: Sequence[Passed]
    ) -> Sequence[Passed]:
        """The descriptors to pass on instead of a message's; the same where they cannot be counted."""
        if len(fds) != 1 or len(data) < HEADER_SIZE + 8:
            return fds
        request = HEADER.unpack_from(data)[0]
        ring = int.from_bytes(data[HEADER_SIZE : HEADER_SIZE + 8], sys.byteorder) & RING
        try:
            ours = self._ours((connection, session, ring, COUNTED[request]), fds[0].fd)
        except OSError as error:
            self._tell(f"an eventfd of ring {ring} is not counted: {error.strerror or error}")
            return fds
        if ours is None:
            return fds
        fds[0].forwarded()
        return [Passed(ours, keep, recorded=True)]

    def _ours(self, key: Key, fd: int) -> int | None:
        """What is passed on instead of `fd`; None where that is no eventfd. Raises OSError."""
        identity = eventfd_id(read_fdinfo(f"/proc/self/fdinfo/{fd}"))
        before = self._counted.get(key)
        if before and before.identity == identity:
            return before.ours
        if identity < 0:
            self._forget(key)
            return None
        known = (None if key[3] else self._kicked_by(key, identity)) or self._new(key, identity, fd)
        self._forget(key, goes_on=before is not None and before.slot == known.slot)
        self._counted[key] = known
        return known.ours

    def _kicked_by(self, key: Key, identity: int) -> Counted | None:
        """The eventfd where it kicks another ring of the session already: only one may read it."""
        known = (each for each in self._counted.values() if each.identity == identity)
        return next((each for each in known if each.key[:2] == key[:2] and each.key[3] == key[3]), None)

    def _new(self, key: Key, identity: int, fd: int) -> Counted:
        """Have another eventfd counted: where that of before was, so that it counts on."""
        before = self._counted.get(key)
        goes_on = before is not None and before.key == key and not self._is_shared(before)
        if not goes_on and not self._free:
            raise OSError(errno.ENOSPC, f"{SLOTS} are counted already")
        ours = eventfd_like(fd)
        try:
            copy = os.dup(fd)
        except OSError:
            os.close(ours)
            raise
        slot = before.slot if before and goes_on else self._free.popleft()
        new = Counted(key, identity, copy, ours, slot)
        self._order(slot, new)
        return new

    def _is_shared(self, known: Counted) -> bool:
        return sum(each is known for each in self._counted.values()) > 1

    def over(self, connection: int, session: int) -> None:
        """A session has ended."""
        for key in [key for key in self._counted if key[:2] == (connection, session)]:
            self._forget(key)

    def _forget(self, key: Key, goes_on: bool = False) -> None:
        """What a ring had is not counted any more; `goes_on`: another one is in its slot."""
        known = self._counted.get(key)
        if known is None or self._is_shared(known):
            self._counted.pop(key, None)
            return
        del self._counted[key]
        if not goes_on:
            self._order(known.slot, None)
            self._free.append(known.slot)
        os.close(known.passed)
        os.close(known.ours)

    # The process.

    def _order(self, slot: int, what: Counted | None, lost: bool = False) -> None:
        if self._orders or not self._sent(slot, what, lost):
            self._orders[slot] = what
            self._loop.change(self._socket.fileno(), READ | WRITE)

    def _sent(self, slot: int, what: Counted | None, lost: bool = False) -> bool:
        owner = SlotOwner(*what.key, os.getpid(), what.ours) if what else NOBODY
        fds = what.ends if what else ()
        try:
            self._socket.sendmsg([ORDER.pack(slot, lost, *owner)], control(fds))
        except BlockingIOError:
            return False
        except OSError:  # it has ended, which is seen when it is read from; all is told to the next
            return True
        return True

    def _listen(self) -> None:
        try:
            said = self._socket.recv(1 << 10)
        except BlockingIOError:
            said = ALIVE  # it takes orders
        except OSError:
            said = b""
        if not said:
            self._restart()
            return
        self._patience.cancel()
        self._patience = self._loop.later(PATIENCE_SECONDS, self._restart)
        while self._orders:
            slot, what = next(iter(self._orders.items()))
            if not self._sent(slot, what):
                return
            del self._orders[slot]
        self._loop.change(self._socket.fileno(), READ)

    def _restart(self) -> None:
        """It ended, or hangs: start another one, and tell it everything."""
        self._patience.cancel()
        self._end()
        self._tell("the process that counts kicks did not answer or has ended; another one goes on")
        self._start()
        self._orders = {}
        for known in {each.slot: each for each in self._counted.values()}.values():
            self._order(known.slot, known, lost=True)

    def _end(self) -> None:
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)

    def close(self) -> None:
        """End it; what was passed is of no use any more."""
        self._patience.cancel()
        self._end()
        os.close(self.table)


def keep(_fd: int) -> None:
    """What went on is still needed here."""


def eventfd_like(fd: int) -> int:
    """An eventfd that waits, or does not, as another one."""
    flags = os.EFD_CLOEXEC | (0 if os.get_blocking(fd) else os.EFD_NONBLOCK)
    return os.eventfd(0, flags)


def control(fds: Sequence[int]) -> Ancillary:
    """The control message that passes them."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", fds).tobytes())] if fds else []
