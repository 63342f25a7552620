"""What several rules ask of a row."""

from collections.abc import Mapping

from vutrace.dissection.message import Message
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit, bit_names
from vutrace.protocol.check import Only
from vutrace.records import FrameFlag
from vutrace.session.context import Context
from vutrace.session.ring import Ring
from vutrace.session.row import Row

PROTOCOL_BIT = bit("VHOST_USER_F_PROTOCOL_FEATURES", VIRTIO_FEATURES)
LOG_ALL = bit("VHOST_F_LOG_ALL", VIRTIO_FEATURES)
RING_PACKED = bit("VIRTIO_F_RING_PACKED", VIRTIO_FEATURES)
ACCESS_PLATFORM = bit("VIRTIO_F_ACCESS_PLATFORM", VIRTIO_FEATURES)
VERSION_1 = bit("VIRTIO_F_VERSION_1", VIRTIO_FEATURES)


def message_of(row: Row) -> Message:
    """The row's message: rules about messages are asked about nothing else."""
    assert isinstance(row.what, Message)
    return row.what


def number(row: Row, field: str) -> int:
    """A numeric field of the row's message, 0 where it is missing."""
    value = message_of(row).fields.get(field)
    return value if isinstance(value, int) else 0


def has(row: Row, field: str) -> bool:
    """Whether the row's message is long enough to have a field."""
    return field in message_of(row).fields


def lost_some(row: Row) -> bool:
    """Whether descriptors came with the row's message that nobody got."""
    return bool(message_of(row).frame.flags & FrameFlag.FDS_LOST)


def above(field: str, most: int = 0) -> Only:
    """Messages whose numeric field is above `most`."""
    return lambda message: (message.number_in(field) or 0) > most


def ring_after(row: Row) -> Ring | None:
    """The ring that the row's message is about, as it is now."""
    return row.state.rings.by_index.get(row.ring) if row.ring is not None else None


def ring_before(row: Row) -> Ring | None:
    """The same ring before the message; None where the message is the first that names it."""
    for change in row.changes.rings:
        if change.after.index == row.ring:
            return change.before
    return ring_after(row)


def rings_before(row: Row) -> Mapping[int, Ring]:
    """All rings as they were before the row."""
    changed = {change.after.index: change.before for change in row.changes.rings if change.before}
    return {**row.state.rings.by_index, **changed}


def starts(row: Row) -> bool:
    """Whether the row started its ring."""
    before, after = ring_before(row), ring_after(row)
    return bool(after and after.state.started and not (before and before.state.started))


def protocol_names(mask: int) -> str:
    """Protocol features by name."""
    return ", ".join(bit_names(mask, PROTOCOL_FEATURES))


def feature_names(mask: int, context: Context) -> str:
    """Virtio features by name, the device's among them."""
    return ", ".join(bit_names(mask, VIRTIO_FEATURES, context.device.features))


def packed(context: Context) -> bool:
    """Whether rings are packed."""
    return context.has_feature(RING_PACKED)


def span_text(start: int, end: int) -> str:
    """A range of addresses, as people read it."""
    return f"{start:#x}–{end - 1:#x}"
