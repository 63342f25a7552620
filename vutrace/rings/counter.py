"""The counting process: passes on what is written to eventfds, and counts it.

It gets orders over a SEQPACKET socket, each with an eventfd to read and one to write, which are its own. What
stands in an eventfd stays there should it end, for who comes after it. It loads little: others wait for it.
"""

import contextlib
import mmap
import os
import select
import socket
import struct
import sys
import time
from array import array
from collections import deque

from vutrace.rings.tally import FILE_SIZE, KEPT, ROLES, SLOT, SLOT_SIZE, TIME, SlotOwner

ORDER = struct.Struct("=i?iIHHii")  # slot, whether one may have been lost, then a SlotOwner
ROOM = socket.CMSG_SPACE(2 * 4)
ALIVE_SECONDS = 0.5  # between two words that it is there
GRACE_SECONDS = 1.0  # for which an eventfd that was replaced is still listened to
MOST = 1 << 32  # of one write: no eventfd is told more in earnest, and it has room for that
COUNT = struct.Struct("=Q")
ALIVE = b"."
PLACE = 4  # the first of a SlotOwner, which say whose it is


class CountedPair:
    """An eventfd that is read, and the one that its receiver knows, which is written."""

    def __init__(self, source: int, sink: int, slot: int) -> None:
        self.source, self.sink, self.slot = source, sink, slot
        self._buffer = bytearray(COUNT.size)
        self._room = select.poll()
        self._room.register(sink, select.POLLOUT)

    def move(self) -> int:
        """Pass on what stands in the source, and tell how much that was; never waits."""
        try:
            os.preadv(self.source, [self._buffer], -1, os.RWF_NOWAIT)
        except BlockingIOError:  # somebody else has read it
            return 0
        count: int = COUNT.unpack(self._buffer)[0]
        self.put(min(count, MOST))
        return count

    def put(self, count: int) -> None:
        """Tell the sink, unless that is full: its receiver has not looked, and will."""
        if self._room.poll(0):
            os.write(self.sink, COUNT.pack(count))

    def close(self) -> None:
        """Let go of both."""
        os.close(self.source)
        os.close(self.sink)


class Counter:
    """Counts until there are no more orders; `table` is the memory of a Tally."""

    def __init__(self, orders: socket.socket, table: int) -> None:
        self._orders = orders
        self._table = mmap.mmap(table, FILE_SIZE)
        self._epoll = select.epoll()
        self._epoll.register(orders, select.EPOLLIN)
        self._by_source: dict[int, CountedPair] = {}
        self._by_slot: dict[int, CountedPair] = {}
        self._leaving: deque[tuple[float, CountedPair]] = deque()

    def run(self) -> None:
        """Pass on, count, and say now and then that it is there."""
        due = 0.0
        while True:
            for fd, _ in self._epoll.poll(ALIVE_SECONDS):
                if pair := self._by_source.get(fd):
                    self._count(pair)
                elif fd == self._orders.fileno() and not self._obey():
                    return
            if (now := time.monotonic()) >= due:
                due = now + ALIVE_SECONDS
                self._orders.send(ALIVE)
                self._forget(now)

    def _count(self, pair: CountedPair) -> None:
        count = pair.move()
        if not count:
            return
        start = pair.slot * SLOT_SIZE
        *owner, total, turns = SLOT.unpack_from(self._table, start)
        place = start + SLOT.size + turns % KEPT * TIME.size
        TIME.pack_into(self._table, place, time.time_ns(), total + count)
        SLOT.pack_into(self._table, start, *owner, total + count, turns + 1)

    def _obey(self) -> bool:
        """Take an order; False where there are no more."""
        data, ancillary, _, _ = self._orders.recvmsg(ORDER.size, ROOM, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        slot, lost, *owner = ORDER.unpack(data)
        fds = array("i", b"".join(each[2] for each in ancillary))
        if pair := self._by_slot.pop(slot, None):
            self._replace(pair, SlotOwner._make(owner))
        if len(fds) == 2:
            self._begin(CountedPair(fds[0], fds[1], slot), SlotOwner._make(owner), lost)
        else:
            SLOT.pack_into(self._table, slot * SLOT_SIZE, *owner, 0, 0)
        return True

    def _replace(self, pair: CountedPair, owner: SlotOwner) -> None:
        # A back-end may call once more before it reads the message. A driver's eventfd is another session's
        # by now, perhaps: what stands in it is left to that.
        if owner.process and ROLES[owner.role] == "call":
            self._leaving.append((time.monotonic() + GRACE_SECONDS, pair))
        else:
            self._end(pair)

    def _begin(self, pair: CountedPair, owner: SlotOwner, lost: bool) -> None:
        start = pair.slot * SLOT_SIZE
        known = SLOT.unpack_from(self._table, start)
        goes_on = known[:PLACE] == owner[:PLACE]
        SLOT.pack_into(self._table, start, *owner, *(known[len(owner) :] if goes_on else (0, 0)))
        self._by_slot[pair.slot] = self._by_source[pair.source] = pair
        if lost:  # one for nothing does no harm
            pair.put(1)
        self._epoll.register(pair.source, select.EPOLLIN)

    def _forget(self, now: float) -> None:
        while self._leaving and self._leaving[0][0] <= now:
            pair = self._leaving.popleft()[1]
            self._count(pair)
            self._end(pair)

    def _end(self, pair: CountedPair) -> None:
        self._epoll.unregister(pair.source)
        del self._by_source[pair.source]
        pair.close()


def main(orders: int, table: int) -> None:
    """Run as the process that `vutrace.proxy.counting` starts."""
    gone = contextlib.suppress(BrokenPipeError, ConnectionResetError)  # is who started it
    with gone, socket.socket(fileno=orders) as sock:
        Counter(sock, table).run()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
