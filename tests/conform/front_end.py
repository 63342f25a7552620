"""A model of QEMU as a front-end under test, with one fault at a time."""

import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from vutrace.conform.tested import TestedPeer
from vutrace.dissection.message import Message
from vutrace.errors import VutraceError
from vutrace.peers import PROFILES, FrontEnd
from vutrace.peers.encode import SPECS, encode_request
from vutrace.peers.script import PlannedRequest
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, REPLY, VERSION

PATIENCE, WATCHED = 1.0, 5.0
CONFIG_CHANGE, OBJECT_REMOVE, OBJECT_LOOKUP = 2, 7, 8
LARGEST = 1 << 16
PLAYED = replace(
    PROFILES["qemu-11"],
    protocol_features=PROFILES["qemu-11"].protocol_features | bit("CONFIG", PROTOCOL_FEATURES),
    acknowledged=PROFILES["qemu-11"].acknowledged
    | {"SET_VRING_ADDR", "SET_FEATURES", "SET_VRING_ENABLE", "ADD_MEM_REG", "NET_SET_MTU"},
)

Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class FrontEndFault:
    """What a front-end does wrong, and at which message (`at`).

    `change` makes another message of it, `instead` is sent before it, `gives_up` are the seconds after which
    it ends the connection, `rash` is sent before the answer has come, `dies` at whatever goes wrong there.
    `again` is sent first on every connection but the first; `over_channel` is what it does about its channel.
    """

    at: str = ""
    change: Change | None = None
    instead: bytes = b""
    gives_up: float = 0.0
    rash: bytes = b""
    dies: bool = False
    again: bytes = b""
    over_channel: str = ""


def acknowledges(message: str, mask: int) -> FrontEndFault:
    """A feature that was not offered is acknowledged."""

    def change(data: bytes) -> bytes:
        value = int.from_bytes(data[HEADER_SIZE:], "little") | mask
        return data[:HEADER_SIZE] + value.to_bytes(8, "little")

    return FrontEndFault(message, change)


class FaultyFrontEnd(FrontEnd):
    """QEMU's messages, but for the fault."""

    fault = FrontEndFault()
    died = reached = alone = False

    def _exchange(self, request: PlannedRequest) -> Message | None:
        name, fault = request.spec.name, self.fault
        if name != fault.at:
            return super()._exchange(request)
        self.reached = True
        if fault.gives_up:
            self._connected.send(request.data, request.fds, name)
            time.sleep(fault.gives_up)
            raise VutraceError("it gives up")
        if fault.rash:
            self._connected.send(request.data, request.fds, name)
            self._connected.send(fault.rash, (), "the next")
            request = replace(request, data=fault.rash)
        if fault.instead:
            self._connected.send(fault.instead, (), "a message of its own")
        if fault.change:
            request = replace(request, data=fault.change(request.data))
        return super()._exchange(request)

    def watch(self, end: socket.socket, seconds: float) -> None:
        """Answer what comes over the back-end channel."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ours = [] if self.alone else [self.device.channels.latest() or end]
            ready = select.select([end, *ours], [], [], left)[0]
            if not all(self.hear(channel) for channel in ready if channel is not end) or end in ready:
                return

    def hear(self, channel: socket.socket) -> bool:
        """One request over the channel; whether the connection goes on."""
        data, fault = channel.recv(LARGEST), self.fault.over_channel
        if fault == "dies" or (fault == "dies-at-end" and not data):
            self.died = True
            return False
        self.alone = not data
        if not data:
            return fault != "closes"
        number, flags, _ = HEADER.unpack_from(data)
        if number == CONFIG_CHANGE and fault != "careless":
            asked = p.Config(offset=0, size=8, data=bytes(8))
            self._exchange(
                PlannedRequest(SPECS["GET_CONFIG"], encode_request(SPECS["GET_CONFIG"], asked), (), True)
            )
        if (flags & NEED_REPLY and fault != "deaf") or fault == "talks":
            found = fault == "finds-all" or number not in (OBJECT_REMOVE, OBJECT_LOOKUP)
            channel.sendall(
                HEADER.pack(number, VERSION | REPLY, 8) + (0 if found else 1).to_bytes(8, "little")
            )
        return fault != "closes"


class ModelFrontEnd(TestedPeer):
    """A model front-end for each connection; `stops` ends what it has begun."""

    __test__ = False

    def __init__(self, fault: FrontEndFault, stops: bool = False) -> None:
        self.fault, self.stops = fault, stops
        self.dead, self.connections = False, 0
        self.threads: list[threading.Thread] = []

    def open(self, timeout: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self.play, args=(theirs,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return ours

    def play(self, end: socket.socket) -> None:
        """A start, as far as the back-end lets it come; then what its guest and its channel bring."""
        self.connections += 1
        with FaultyFrontEnd(PLAYED, 1, timeout=PATIENCE, mtu=1500) as frontend:
            frontend.fault = self.fault
            try:
                if self.connections > 1:
                    end.sendall(self.fault.again)
                frontend.attach(end)
                frontend.write_features()
                frontend.start()
                if self.stops:
                    frontend.stop()
                frontend.watch(end, WATCHED)
            except (VutraceError, OSError):
                self.dead |= self.fault.dies and frontend.reached
            self.dead |= frontend.died

    def crash(self, patience: float = 0.0) -> str:
        for thread in self.threads[-1:]:
            thread.join(patience)
        return "killed by SIGABRT" if self.dead else ""

    def rest(self) -> str:
        for thread in self.threads:
            thread.join(2)
        self.threads.clear()
        return "killed by SIGABRT" if self.dead else ""
