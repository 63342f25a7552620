"""A model front-end: a virtual machine's side of vhost-user, with real memory and real eventfds."""

import contextlib
import socket
import time
from typing import Self

from vutrace.dissection.checks import number
from vutrace.dissection.message import Message
from vutrace.peers.connection import PeerConnection
from vutrace.peers.device import GuestDevice
from vutrace.peers.memory import GuestMemory
from vutrace.peers.script import PlannedRequest, script
from vutrace.peers.steps import Profile
from vutrace.protocol.wire import REPLY, VERSION
from vutrace.records import Side
from vutrace.sockets.framed import PeerError, close_all

TIMEOUT = 5.0
RETRY = 0.05


class FrontEnd:
    """Plays a profile against a back-end; each method is one thing that a VMM, its guest or its user does.

    `pairs` queue pairs are configured, the guest has `enabled` of them; another device than net has `rings`
    instead, and asks the back-end for `queues`. A reply that is wrong or does not come within `timeout`
    seconds raises PeerError, and so does a back-end that goes away.
    """

    def __init__(
        self,
        profile: Profile,
        pairs: int = 1,
        enabled: int = 1,
        timeout: float = TIMEOUT,
        mtu: int = 0,
        rings: int = 0,
        queues: int = 0,
    ) -> None:
        self.profile = profile
        self.device = GuestDevice(
            pairs=pairs,
            enabled=enabled,
            wanted=profile.features,
            protocol_wanted=profile.protocol_features,
            memory=GuestMemory(rings or 2 * pairs, profile.guest_address, profile.user_address),
            mtu=mtu,
            rings=rings,
            queues=queues,
        )
        self.sent = 0  # messages on this connection
        self._timeout = timeout
        self._connection: PeerConnection | None = None

    def connect(self, path: str) -> None:
        """Reach the back-end at `path`, waiting for it to listen, and initialise."""
        self._open(reach(path, self._timeout))
        self._play("connect")

    def attach(self, end: socket.socket) -> None:
        """Initialise over a connected socket."""
        self._open(end)
        self._play("connect")

    def accept(self, listener: socket.socket) -> None:
        """Initialise with the back-end that connects to `listener`."""
        listener.settimeout(self._timeout)
        try:
            self.attach(listener.accept()[0])
        except TimeoutError:
            raise PeerError(f"no back-end connected within {self._timeout:g} s") from None

    def write_features(self) -> None:
        """The guest's driver writes the features it has chosen."""
        self._play("features")

    def start(self) -> None:
        """The guest's driver is ready (DRIVER_OK)."""
        self._play("start")
        self.device.running = True

    def change_pairs(self, enabled: int) -> None:
        """The guest uses `enabled` pairs from now on, as after `ethtool -L eth0 combined N`."""
        self.device.before, self.device.enabled = self.device.enabled, enabled
        self._play("pairs")

    def stop(self) -> None:
        """The device stops; the guest's rings keep their place."""
        self._play("stop")
        self.device.running = False

    def reset(self) -> None:
        """The guest resets the device: one pair, rings from their beginning."""
        self.device.enabled = 1
        self._play("reset")
        self.device.running = False
        self.device.acked = 0
        self.device.bases.clear()

    def wait_lost(self, timeout: float = TIMEOUT) -> None:
        """Wait until the back-end has closed the connection."""
        received = self._connected.receive("the end of the connection", timeout)
        if received:
            raise PeerError(f"the back-end sent {received.message.name} out of turn")
        self._connected.wait_gone(timeout)
        self.disconnect()

    def reconnect(self, path: str) -> None:
        """A back-end is there again, at `path`."""
        self.resume(reach(path, self._timeout))

    def resume(self, end: socket.socket) -> None:
        """Take up over a new connection where the guest, who noticed nothing, still is."""
        self.disconnect()
        self._open(end)
        for phase in self.profile.again if self.device.running else ("connect",):
            self._play(phase)

    def disconnect(self) -> None:
        """Close the connection; the guest goes on."""
        if self._connection:
            self._connection.close()
            self._connection = None
            self.device.disconnected()

    def close(self) -> None:
        """The end of the virtual machine."""
        self.disconnect()
        self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _connected(self) -> PeerConnection:
        if self._connection is None:
            raise PeerError("the front-end is not connected")
        return self._connection

    def _open(self, end: socket.socket) -> None:
        self._connection = PeerConnection(end, Side.BACKEND, self._timeout)
        self.sent = 0

    def _play(self, phase: str) -> None:
        steps = script(self.profile, phase, self.device)
        reply = None
        with contextlib.suppress(StopIteration):
            while True:
                reply = self._exchange(steps.send(reply))
        if phase == "connect":
            self.device.connections += 1

    def _exchange(self, request: PlannedRequest) -> Message | None:
        connection, name = self._connected, request.spec.name
        connection.send(request.data, request.fds, name)
        self.sent += 1
        if not request.answered:
            return None
        received = connection.receive(f"the reply to {name}", self._timeout)
        if received is None:
            raise PeerError(f"the back-end closed the connection instead of answering {name}")
        close_all(received.fds)
        check(request, received.message)
        return received.message


def check(request: PlannedRequest, reply: Message) -> None:
    name = request.spec.name
    if reply.request != request.spec.number or reply.flags != VERSION | REPLY:
        raise PeerError(f"{name} was answered with {reply.name}, flags {reply.flags:#x}")
    if reply.problems:
        raise PeerError(f"the reply to {name} is wrong: {'; '.join(map(str, reply.problems))}")
    if request.acknowledged and (status := number(reply.fields, "status")):
        raise PeerError(f"the back-end refused {name} (status {status})")


def reach(path: str, timeout: float) -> socket.socket:
    """A connection to `path`; a back-end that does not listen yet is waited for."""
    deadline = time.monotonic() + timeout
    while True:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.connect(path)
            return end
        except (FileNotFoundError, ConnectionRefusedError) as error:
            end.close()
            if time.monotonic() > deadline:
                raise PeerError(f"{path}: no back-end within {timeout:g} s: {error.strerror}") from None
            time.sleep(RETRY)
