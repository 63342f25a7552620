"""A socket of packets with descriptors in the relay's loop: nothing waits for who does not read."""

import socket
from collections import deque
from collections.abc import Callable

from vutrace.framing import MAX_FDS
from vutrace.proxy.loop import READ, WRITE, EventLoop
from vutrace.sockets.passed import FD_SIZE, Ancillary

PACKET = 1 << 20
ROOM = socket.CMSG_SPACE(MAX_FDS * FD_SIZE)
TAKE = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class PacketSocket:
    """`take` is given what comes, `gone` is called when nothing more can, after which it is closed."""

    def __init__(
        self,
        loop: EventLoop,
        end: socket.socket,
        take: Callable[[bytes, Ancillary], object],
        gone: Callable[[], object],
    ) -> None:
        self._loop, self._end, self._take, self._gone = loop, end, take, gone
        self._packets: deque[tuple[bytes, Ancillary]] = deque()
        self._mask = READ
        self.alive = True
        end.setblocking(False)
        loop.watch(end.fileno(), READ, self._ready, self._others)

    @property
    def queued(self) -> int:
        """How many packets wait."""
        return len(self._packets)

    def put(self, packet: bytes, ancillary: Ancillary = ()) -> None:
        """Send it, with descriptors that stay open until it is answered."""
        if self.alive:
            self._packets.append((packet, ancillary))
            self._drain()

    def close(self) -> None:
        """Nothing more is said."""
        if self.alive:
            self.alive = False
            self._loop.forget(self._end.fileno())
            self._end.close()

    def _drain(self) -> None:
        try:
            while self._packets:
                packet, ancillary = self._packets[0]
                self._end.sendmsg([packet], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                self._packets.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._over()
            return
        mask = READ | (WRITE if self._packets else 0)
        if mask != self._mask:
            self._mask = mask
            self._loop.change(self._end.fileno(), mask)

    def _over(self) -> None:
        self.close()
        self._gone()

    def _others(self, mask: int) -> None:
        if mask & WRITE:
            self._drain()
        if mask & ~WRITE and self.alive:
            self._ready()

    def _ready(self) -> None:
        while self.alive:
            try:
                packet, ancillary, _, _ = self._end.recvmsg(PACKET, ROOM, TAKE)
            except BlockingIOError:
                break
            except OSError:
                packet, ancillary = b"", []
            if packet:
                self._take(packet, ancillary)
            else:
                self._over()
