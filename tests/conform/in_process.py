"""The reference as what is tested: in this process, a thread for each connection."""

import contextlib
import os
import select
import socket
import threading

from conform.reference import Fault, Outcome, Reference
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.peers.connection import PeerConnection
from vutrace.protocol.wire import HEADER
from vutrace.records import Side
from vutrace.sockets.framed import PeerError, close_all

TestedPeer.__test__ = False  # type: ignore[attr-defined]


class InProcess(TestedPeer):
    """The reference as what is tested: a thread for each connection, dead for good when a fault kills it."""

    def __init__(
        self, fault: Fault | None = None, kinds: frozenset[str] = frozenset(), device: str = "blk"
    ) -> None:
        self.fault, self.kinds, self.device = fault, kinds, device
        self.dead = False
        self.leaked: list[int] = []
        self.threads: list[threading.Thread] = []

    def open(self, timeout: float) -> socket.socket:
        """A connection to a new device."""
        if self.dead or ("once" in self.kinds and self.threads):
            raise NotReachedError("it is gone")
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self.serve, args=(theirs,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return ours

    def crash(self, patience: float = 0.0) -> str:
        """Whether a fault killed it."""
        if patience:
            for thread in self.threads[-1:]:
                thread.join(patience)
        return "killed by SIGSEGV" if self.dead else ""

    def running(self) -> bool:
        """Until it died."""
        return not self.dead

    def rest(self) -> str:
        """All connections are over; it is alive again for the next case."""
        for thread in self.threads:
            thread.join(2)
        self.threads.clear()
        close_all(self.leaked)
        self.leaked.clear()
        dead, self.dead = self.dead, False
        return "killed by SIGSEGV" if dead else ""

    def serve(self, end: socket.socket) -> None:
        """One connection, to its end."""
        device = Reference(self.kinds, self.device)
        connection = PeerConnection(end, Side.FRONTEND)
        try:
            while self.turn(device, end, connection):
                pass
        except PeerError:
            self.dead |= "broken-off" in self.kinds
        except MemoryError:
            self.dead = True
        finally:
            connection.close()
            device.close()

    def turn(self, device: Reference, end: socket.socket, connection: PeerConnection) -> bool:
        """Whatever comes first: a message, a kick."""
        kicks = {queue.kick: queue for queue in device.queues if queue.kick >= 0}
        polls = any(queue.polls for queue in device.queues)
        channel = [device.channel.socket] if device.channel else []
        ready = select.select([end, *kicks, *channel], [], [], 0.001 if polls else None)[0]
        if any(each in ready for each in channel) and not device.hear():
            self.dead = True
            return False
        for fd in ready:
            if fd in kicks:
                with contextlib.suppress(OSError):
                    os.read(fd, 8)
        if end in ready and not self.message(device, end, connection):
            return False
        if device.loaded and "idle-when-loaded" in self.kinds:
            return True
        for queue in reversed(device.queues):  # what is sent comes back
            queue.serve()
        return True

    def message(self, device: Reference, end: socket.socket, connection: PeerConnection) -> bool:
        """One message; whether the connection goes on."""
        if "short-reads" in self.kinds:
            look = end.recv(4096, socket.MSG_PEEK)
            if 0 < len(look) < 12 or (len(look) >= 12 and len(look) < 12 + HEADER.unpack_from(look)[2]):
                return False
            if len(look) > 12 + HEADER.unpack_from(look)[2] if look else False:
                return False
        received = connection.receive("a request")
        if received is None:
            self.dead |= "closing-kills" in self.kinds
            return False
        message, fds = received.message, received.fds
        size = HEADER.unpack_from(message.frame.data)[2] if len(message.frame.data) >= 12 else 0
        out = device.handle(message, fds) if size <= 1 << 16 else Outcome(close=True, refused=True)
        if self.fault:
            self.fault(device, message, out)
        if "keeps-descriptors" in self.kinds:
            self.leaked += fds
        else:
            close_all(fds)
        if out.die:
            self.dead = True
            return False
        for reply in out.replies:
            with contextlib.suppress(PeerError):
                connection.send(reply, device.passing, "a reply")
            close_all(device.passing)
            device.passing = []
        later, device.later = device.later, lambda: None
        later()
        return not out.close
