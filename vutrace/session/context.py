"""What is known of a session at one moment, as far as reading its messages needs it."""

from dataclasses import dataclass, replace

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.message import Message
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.records import Channel

REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
LOG_SHMFD = bit("LOG_SHMFD", PROTOCOL_FEATURES)
RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)


@dataclass(frozen=True, slots=True)
class Context:
    """The negotiation so far; None where it has not happened in this trace.

    `features` and `protocol_features` are the acknowledged masks, `offered` and `protocol_offered`
    the back-end's. `reason` says how the device was recognised, `weight` how surely.
    """

    device: Device = UNKNOWN_DEVICE
    reason: str = ""
    weight: int = 0
    offered: int | None = None
    features: int | None = None
    protocol_offered: int | None = None
    protocol_features: int | None = None
    status: int | None = None
    queue_num: int | None = None
    postcopy: bool = False

    def has_protocol(self, mask: int) -> bool:
        """Whether all bits of `mask` are acknowledged protocol features."""
        return (self.protocol_features or 0) & mask == mask

    def has_feature(self, mask: int) -> bool:
        """Whether all bits of `mask` are acknowledged virtio features."""
        return (self.features or 0) & mask == mask


# (message name, is a reply) -> (context attribute, payload field)
LEARNT: dict[tuple[str, bool], tuple[str, str]] = {
    ("GET_FEATURES", True): ("offered", "features"),
    ("SET_FEATURES", False): ("features", "features"),
    ("GET_PROTOCOL_FEATURES", True): ("protocol_offered", "protocol_features"),
    ("SET_PROTOCOL_FEATURES", False): ("protocol_features", "protocol_features"),
    ("GET_QUEUE_NUM", True): ("queue_num", "queue_num"),
    ("SET_STATUS", False): ("status", "status"),
    ("GET_STATUS", True): ("status", "status"),
}
POSTCOPY = {"POSTCOPY_LISTEN": True, "POSTCOPY_END": False}


def learn(context: Context, message: Message) -> Context:
    """The context after `message`."""
    if message.channel is not Channel.MAIN:
        return context
    if message.name in POSTCOPY and not message.reply:
        return replace(context, postcopy=POSTCOPY[message.name])
    attribute, field = LEARNT.get((message.name, message.reply), ("", ""))
    value = message.number_in(field) if attribute else None
    if value is None or getattr(context, attribute) == value:
        return context
    changes: dict[str, int] = {attribute: value}
    return replace(context, **changes)  # type: ignore[arg-type]
