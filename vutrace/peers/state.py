"""What a model back-end knows of its device: what was negotiated, mapped and handed over, ring by ring."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from vutrace.errors import PEER, VutraceError
from vutrace.peers.ring import BackEndRing, MappedRegions
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit

READY = "virtio is now ready for processing"
STOPPED = "the device is stopped"

FIRST_PAIR = (0, 1)
DRIVER_OK = 4


@dataclass(frozen=True, slots=True)
class Offer:
    """What a back-end says of itself; `config` is the device's configuration space, if it serves one."""

    features: int
    protocol_features: int
    queue_pairs: int
    config: bytes = b""


class RefusedError(VutraceError):
    """A message that cannot be carried out; the text says why."""

    status = PEER


@dataclass(slots=True)
class State:
    """A device's state; `tell` gets a line when it becomes ready or stops. `channel` is -1 without one."""

    offer: Offer
    tell: Callable[[str], None]
    features: int = 0
    protocol: int = 0
    status: int = 0
    ready: bool = False
    channel: int = -1
    memory: MappedRegions = field(default_factory=MappedRegions)
    rings: dict[int, BackEndRing] = field(default_factory=dict)

    def ring(self, index: int) -> BackEndRing:
        """A ring; it exists from the first message on that names it. RefusedError beyond the last."""
        if index >= 2 * self.offer.queue_pairs:
            raise RefusedError(f"there is no ring {index}")
        return self.rings.setdefault(index, BackEndRing(index))

    def drop_rings_beyond_first_pair(self) -> None:
        """Forget them with what they hold."""
        for index in [index for index in self.rings if index not in FIRST_PAIR]:
            self.rings.pop(index).stop()

    def look_whether_ready(self) -> None:
        """Become ready when the first pair is, and the driver too if it says so (virtio_is_ready)."""
        if self.ready or not all(index in self.rings and self.rings[index].ready for index in FIRST_PAIR):
            return
        with_status = self.protocol & bit("STATUS", PROTOCOL_FEATURES)
        if not with_status or self.status & DRIVER_OK:
            self.ready = True
            self.tell(READY)

    def stop(self) -> None:
        """Stop the whole device, if it runs."""
        if self.ready:
            self.ready = False
            self.tell(STOPPED)

    def keep_channel(self, fd: int) -> None:
        """Take over the back-end channel's socket in place of the earlier."""
        if self.channel >= 0:
            os.close(self.channel)
        self.channel = fd

    def forget(self) -> None:
        """Back to nothing: give back all that was handed over."""
        self.stop()
        for ring in self.rings.values():
            ring.stop()
        self.rings.clear()
        self.memory.clear()
        self.keep_channel(-1)
        self.features = self.protocol = self.status = 0
