"""A live reply beside the recorded one: what differs, field by field, and which of it may.

Addresses, indexes and handles are the peer's own to choose: where they differ, nothing is wrong.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit_names
from vutrace.protocol.layers import Layer, has_secrets, title, variant
from vutrace.protocol.shows import BYTES, DEC, Kind, Show, shown
from vutrace.protocol.spec import MessageSpec
from vutrace.records import FdKind

UNSEEN = {Kind.PAD, Kind.SECRET}
MASKS = {Kind.FEATURES, Kind.FLAGS}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not the same, in words; `own` says what it is when it may differ."""

    field: str
    recorded: str
    live: str
    own: str = ""


def differences(recorded: Message | None, live: Message | None, device: Device) -> Iterator[Difference]:
    """What differs between two replies; None stands for one that did not come."""
    if recorded is None or live is None:
        if recorded is not live:
            was, came = ("none" if reply is None else "one" for reply in (recorded, live))
            yield Difference("reply", was, came)
        return
    if recorded.flags != live.flags:
        yield Difference("flags", f"{recorded.flags:#x}", f"{live.flags:#x}")
    if recorded.layer is not live.layer:
        yield Difference("layout", title(recorded.layer), title(live.layer))
    old, new = values(recorded, device), values(live, device)
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield differing(recorded.spec, name, old.get(name), new.get(name), device)
    if kinds_of(recorded) != kinds_of(live):
        yield Difference("descriptors", kinds_of(recorded), kinds_of(live))


Shown = tuple[Any, Show]


def differing(
    spec: MessageSpec, name: str, old: Shown | None, new: Shown | None, device: Device
) -> Difference:
    """A field with two values, each None where it is not there."""
    show = (new or old or (0, DEC))[1]
    own = spec.own.get(name.rpartition(".")[2], "")
    if old and new and show.kind in MASKS:
        was, came = bits(old[0], new[0], show, device)
    else:
        was, came = ("none" if each is None else shown(show, each[0]) for each in (old, new))
    return Difference(name, was, came, own)


def bits(old: int, new: int, show: Show, device: Device) -> tuple[str, str]:
    """Two masks, each with the bits that only it has."""
    tables = (VIRTIO_FEATURES, device.features) if show.kind is Kind.FEATURES else (show.table,)
    only = (old & ~new, new & ~old)
    return (
        f"{old:#x} (with {' '.join(bit_names(only[0], *tables)) or 'no other'})",
        f"{new:#x} (with {' '.join(bit_names(only[1], *tables)) or 'no other'})",
    )


def values(message: Message, device: Device) -> dict[str, Shown]:
    """The fields by dotted name, those of configuration space among them; no padding, no secrets."""
    found = dict(leaves(message.layer, message.fields, ""))
    data = found.get("data")
    if data and data[1].kind is Kind.CONFIG and device.config and message.number_in("offset") == 0:
        del found["data"]
        layer = variant(device.config, data[0])
        found |= dict(leaves(layer, compile_layer(layer)(data[0])[0], "config."))
    if message.rest and not has_secrets(message.layer):
        found["rest"] = message.rest, BYTES
    return found


def leaves(layer: type[Layer], fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Shown]]:
    """Each plain value of a layer with how it is meant."""
    for field in layer.fields_desc:
        value, inner = fields.get(field.name), getattr(field, "layer", None)
        show = getattr(field, "show", DEC)
        if value is None or (isinstance(show, Show) and show.kind in UNSEEN):
            continue
        if inner is None:
            yield prefix + field.name, (value, show if isinstance(show, Show) else DEC)
            continue
        for place, item in enumerate(value if isinstance(value, list) else [value]):
            place_name = f"{field.name}[{place}]" if isinstance(value, list) else field.name
            yield from leaves(inner, item, f"{prefix}{place_name}.")


def kinds_of(message: Message) -> str:
    """What came along; which file backs a memory is nobody's business."""
    memory = {FdKind.MEMFD, FdKind.FILE, FdKind.HUGETLBFS}
    kinds = ["memory" if info.kind in memory else str(info.kind) for info in message.frame.fds]
    return ", ".join(kinds) or "none"
