"""What a model front-end knows of its device: what was negotiated, what the guest has, what it shares."""

import socket
from dataclasses import dataclass, field

from vutrace.peers.memory import GuestMemory, Notifiers
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit

MTU = 1 << 3  # VIRTIO_NET_F_MTU
MQ = 1 << 22  # VIRTIO_NET_F_MQ


class Channels:
    """The back-end channels: our ends, and the other end of the latest until it has been passed.

    Where a front-end passes one for each pair (QEMU up to 4.2), it keeps its ends of all; it is the
    back-end that closes the earlier.
    """

    def __init__(self) -> None:
        self._ours: list[socket.socket] = []
        self._theirs: list[socket.socket] = []

    def open(self) -> int:
        """A fresh pair; the descriptor to pass."""
        ours, theirs = socket.socketpair()
        self._ours.append(ours)
        self._theirs.append(theirs)
        return theirs.fileno()

    def passed(self) -> None:
        """The back-end has its end now."""
        self._theirs.pop().close()

    def latest(self) -> socket.socket | None:
        """Our end of the last one, if there is one."""
        return self._ours[-1] if self._ours else None

    def close(self) -> None:
        """Close what is open of them."""
        for end in (*self._ours, *self._theirs):
            end.close()
        self._ours.clear()
        self._theirs.clear()


@dataclass(slots=True)
class GuestDevice:
    """A network device with `pairs` queue pairs, of which the guest has `enabled`, or another.

    `wanted` and `protocol_wanted` are the bits that guest and front-end would acknowledge, `offered` and
    `protocol_offered` what the back-end said of itself, `acked` what the guest was granted. `before` is
    how many pairs were enabled before the last change. `bases` are the rings' next available indexes. Another
    device has `rings` instead of pairs, and asks for `queues`.
    """

    pairs: int
    enabled: int
    wanted: int
    protocol_wanted: int
    memory: GuestMemory
    mtu: int = 0
    notifiers: Notifiers = field(default_factory=Notifiers)
    channels: Channels = field(default_factory=Channels)
    before: int = 0
    offered: int = 0
    protocol_offered: int = 0
    acked: int = 0
    status: int = 0
    bases: dict[int, int] = field(default_factory=dict)
    regions_added: set[int] = field(default_factory=set)
    connections: int = 0
    running: bool = False
    rings: int = 0
    queues: int = 0

    @property
    def ring_count(self) -> int:
        """How many rings there are."""
        return self.rings or 2 * self.pairs

    @property
    def features(self) -> int:
        """What SET_FEATURES says: a device with one pair has no MQ to offer."""
        extra = (MQ if self.pairs > 1 else 0) | (MTU if self.mtu else 0)
        return (self.wanted & ~MQ | extra) & self.offered

    @property
    def protocol(self) -> int:
        """What SET_PROTOCOL_FEATURES says."""
        return self.protocol_wanted & self.protocol_offered

    @property
    def started(self) -> int:
        """How many pairs are started: all of them if the guest knows MQ, enabled or not."""
        return self.pairs if self.features & MQ else 1

    def has(self, gate: str) -> bool:
        """Whether the feature is there that opens a message; "" opens always."""
        if gate.startswith("VHOST_USER_F_"):
            return bool(self.offered & bit(gate, VIRTIO_FEATURES))
        if gate.startswith("VIRTIO_"):
            return bool(self.features & bit(gate, VIRTIO_FEATURES))
        return not gate or bool(self.protocol & bit(gate, PROTOCOL_FEATURES))

    def disconnected(self) -> None:
        """Forget what belongs to a connection; what the guest has is kept."""
        self.channels.close()
        self.protocol_offered = 0
        self.status = 0
        self.regions_added.clear()

    def close(self) -> None:
        """Give back every descriptor."""
        self.channels.close()
        self.notifiers.close()
        self.memory.close()
