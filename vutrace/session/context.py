"""What is known of a session at one moment, as far as reading its messages needs it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.message import Message
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.quick import quick_replace

REPLY_ACK = bit("REPLY_ACK", PROTOCOL_FEATURES)
LOG_SHMFD = bit("LOG_SHMFD", PROTOCOL_FEATURES)
RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """The negotiation so far; None where it has not happened in this trace.

    `features` and `protocol_features` are the acknowledged masks, `offered` and `protocol_offered`
    the back-end's, `status` the device status. `queue_num` and `mem_slots` are the most queues and memory
    regions that the back-end takes; `postcopy` is 1 while pages are fetched on demand. `reason` says how the
    device was recognised, `weight` how surely.

    Sessions that negotiate the same have the same objects (`changed`), so that what follows from a message
    and a context can be kept under both.
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
    mem_slots: int | None = None
    postcopy: int = 0

    def has_protocol(self, mask: int) -> bool:
        """Whether all bits of `mask` are acknowledged protocol features."""
        return (self.protocol_features or 0) & mask == mask

    def has_feature(self, mask: int) -> bool:
        """Whether all bits of `mask` are acknowledged virtio features."""
        return (self.features or 0) & mask == mask


NOTHING_KNOWN = Context()
replaced = quick_replace(Context)


@lru_cache(4096)
def changed(context: Context, **changes: Any) -> Context:
    """The context with changes; the same object for the same."""
    return replaced(context, **changes)


def learn(context: Context, message: Message) -> Context:
    """The context after `message`."""
    told = message.spec.reply_learns if message.reply else message.spec.learns
    if told is None:
        return context
    value = message.number_in(told.field) if told.field else told.value
    if value is None or getattr(context, told.fact) == value:
        return context
    changes: dict[str, int] = {told.fact: value}
    return changed(context, **changes)


def unlearn(context: Context, message: Message, before: Context) -> Context:
    """The context without what `message`, which was refused, had told; `before` is the one before it."""
    told = message.spec.learns
    if told is None or context is before:
        return context
    changes: dict[str, int | None] = {told.fact: getattr(before, told.fact)}
    return changed(context, **changes)
