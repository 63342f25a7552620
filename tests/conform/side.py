"""The reference's end of the channels that it is given: misses, calls, what a GPU asks."""

import contextlib
import select
import socket
from collections.abc import Set

from vutrace.peers.encode import encode
from vutrace.protocol import payloads as p
from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.gpu_messages import GPU_MESSAGES
from vutrace.protocol.layers import Empty, Layer
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, VERSION

ASK = {spec.name: spec for table in (BACKEND_MESSAGES, GPU_MESSAGES) for spec in table.values()}
PATIENCE = 0.3
LARGEST = 1 << 16
GPU_FEATURES = 0b1


class EndOfChannel:
    """One channel, until either closes it; `kinds` are its faults."""

    def __init__(self, fd: int, kinds: Set[str]) -> None:
        self.socket, self.kinds = socket.socket(fileno=fd), kinds

    def say(self, name: str, payload: Layer, need_reply: bool = False) -> None:
        """A request."""
        flags = VERSION | (NEED_REPLY if need_reply else 0)
        with contextlib.suppress(OSError):
            self.socket.sendall(encode(ASK[name], flags, payload))

    def ask(self, name: str, payload: Layer) -> bytes:
        """A request and what it is answered with, if that comes."""
        self.say(name, payload)
        if not select.select([self.socket], [], [], PATIENCE)[0]:
            return b""
        return self.socket.recv(LARGEST)[HEADER_SIZE:]

    def miss(self, address: int) -> None:
        self.say("BACKEND_IOTLB_MSG", p.Iotlb(iova=address, type=1, permission=3, size=1))

    def call(self, index: int) -> None:
        waits = "never-waits" not in self.kinds
        self.say("BACKEND_VRING_CALL", p.VringState(index=index), need_reply=waits)

    def hear(self) -> str:
        """What came: `answer`, `garbage`, or the `end`."""
        data = self.socket.recv(LARGEST)
        if not data:
            return "end"
        return "garbage" if HEADER.unpack_from(data)[2] > LARGEST else "answer"

    def negotiate(self) -> None:
        """A GPU's beginning: what the front-end can do, and what of that is used."""
        if "gpu-silent" in self.kinds:
            return
        first = "GPU_GET_DISPLAY_INFO" if "gpu-rash" in self.kinds else "GPU_GET_PROTOCOL_FEATURES"
        told = int.from_bytes(self.ask(first, Empty()), "little")
        taken = GPU_FEATURES if "gpu-greedy" in self.kinds else GPU_FEATURES & told
        taken |= (1 << 40) if "gpu-greedier" in self.kinds else 0
        self.say("GPU_SET_PROTOCOL_FEATURES", p.GpuProtocolFeatures(protocol_features=taken))

    def close(self) -> None:
        self.socket.close()
