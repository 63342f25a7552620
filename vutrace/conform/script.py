"""What a back-end of ours offers to a front-end under test, and what it does otherwise than a good one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vutrace.peers import DPDK_22_11, Offer
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit

if TYPE_CHECKING:
    from vutrace.conform.stand import Stand

PROTOCOL_OFFERED = (
    "MQ",
    "LOG_SHMFD",
    "RARP",
    "REPLY_ACK",
    "MTU",
    "BACKEND_REQ",
    "CONFIG",
    "BACKEND_SEND_FD",
    "HOST_NOTIFIER",
    "RESET_DEVICE",
    "CONFIGURE_MEM_SLOTS",
    "STATUS",
    "SHARED_OBJECT",
)
WHOLE_PROTOCOL = sum(bit(name, PROTOCOL_FEATURES) for name in PROTOCOL_OFFERED)
COMMON = sum(
    bit(name, VIRTIO_FEATURES)
    for name in ("VIRTIO_F_VERSION_1", "VHOST_USER_F_PROTOCOL_FEATURES", "VIRTIO_F_INDIRECT_DESC")
)
SECTORS, CONTEXT = 2048, 3
SPACE = 60
OTHER = Offer(COMMON, WHOLE_PROTOCOL, queue_pairs=4, config=bytes(SPACE))
OFFERS: Mapping[str, Offer] = {
    "net": replace(DPDK_22_11, protocol_features=WHOLE_PROTOCOL),
    "blk": replace(OTHER, queue_pairs=1, config=SECTORS.to_bytes(8, "little").ljust(SPACE, b"\0")),
    "vsock": replace(OTHER, config=CONTEXT.to_bytes(8, "little")),
}


@dataclass(frozen=True, slots=True)
class StandScript:
    """What our back-end does otherwise than a good one.

    `refuses` are answered with an error where they ask for an acknowledgement, `ends_at` ends the connection
    instead of the answer, `delays` are seconds before it, `alters` makes another answer of the right one.
    `protocol` and `features` are masks of what is offered, `queues` the number of queues. `sessions`: how
    often a front-end is waited for. `then` is done once nothing comes any longer.
    """

    refuses: str = ""
    ends_at: str = ""
    delays: Mapping[str, float] = field(default_factory=dict)
    alters: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    protocol: int = -1
    features: int = -1
    queues: int = 0
    sessions: int = 1
    then: Callable[["Stand"], None] | None = None

    def offer(self, whole: Offer) -> Offer:
        """What is offered of everything."""
        return replace(
            whole,
            features=whole.features & self.features,
            protocol_features=whole.protocol_features & self.protocol,
            queue_pairs=self.queues or whole.queue_pairs,
        )

    def waits_for(self) -> set[str]:
        """The messages at which something is done otherwise: without them, nothing is found out."""
        return {*self.delays, *self.alters, *filter(None, (self.refuses, self.ends_at))}


GOOD = StandScript()
"""Nothing is done otherwise."""
