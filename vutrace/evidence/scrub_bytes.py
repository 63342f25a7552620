"""A message's bytes without what is private: found by how its fields are meant, replaced in place."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.evidence.replacements import Private, Replacements
from vutrace.protocol.layers import Layer, Listed, Nested, minimum, size_of, variant
from vutrace.protocol.payloads import Blob, Config
from vutrace.protocol.shows import DEC, Kind
from vutrace.protocol.wire import HEADER_SIZE
from vutrace.records import FrameFlag

KINDS = {
    Kind.MAC: Private.MACS,
    Kind.SECRET: Private.KEYS,
    Kind.UUID: Private.UUIDS,
    Kind.TEXT: Private.TEXTS,
    Kind.BYTES: Private.OPAQUE,
}
# Where the front-end has things: SET_VRING_ADDR's, a region's and the IOTLB's.
HOST_ADDRESSES = {"user_address", "descriptor", "used", "available"}
GUEST_ADDRESSES = {"guest_address", "log", "iova"}


class FieldPlace(NamedTuple):
    """A field in a payload: where it stands, its name and how it is meant."""

    start: int
    size: int
    name: str
    kind: Kind


class PayloadScrubber:
    """Scrubs messages. `alike`: guest addresses are the front-end's own (virtio-user), so both are moved."""

    def __init__(self, replacements: Replacements) -> None:
        self._replacements = replacements
        self.alike = False

    def note(self, message: Message) -> None:
        """Learn from a message, before any is scrubbed, whether guest addresses are the front-end's."""
        regions: Any = message.fields.get("regions") or [message.fields.get("region")]
        for region in regions if isinstance(regions, list) else ():
            if isinstance(region, dict) and region.get("guest_address"):
                self.alike |= region.get("guest_address") == region.get("user_address")

    def scrub(self, message: Message, device: Device) -> bytes:
        """The message's bytes."""
        data = bytearray(message.frame.data)
        if message.frame.flags & FrameFlag.RAW or len(data) < HEADER_SIZE:
            return self._replacements.bytes_of(Private.OPAQUE, bytes(data))
        order = "big" if message.frame.big_endian else "little"
        for place in places(message.layer, message.fields, 0):
            self._place(data, place, HEADER_SIZE + place.start, order)
        if message.layer is Config:
            self._config(data, message, device)
        if message.rest:
            start = len(data) - len(message.rest)
            data[start:] = self._replacements.bytes_of(Private.OPAQUE, bytes(data[start:]))
        return bytes(data)

    def _place(self, data: bytearray, place: FieldPlace, start: int, order: Any) -> None:
        end = start + place.size
        was = bytes(data[start:end])
        if place.name in HOST_ADDRESSES or (self.alike and place.name in GUEST_ADDRESSES):
            number = int.from_bytes(was, order)
            if number and number != (1 << 8 * place.size) - 1:
                data[start:end] = self._replacements.address(number).to_bytes(place.size, order)
        elif what := KINDS.get(place.kind):
            data[start:end] = self._replacements.bytes_of(what, was)

    def _config(self, data: bytearray, message: Message, device: Device) -> None:
        """Configuration space: its fields are the device's; those of one that nobody knows are opaque."""
        offset, size = message.number_in("offset"), message.number_in("size")
        space_start = HEADER_SIZE + size_of(Config)
        if offset is None or size is None or offset > 4096 or len(data) <= space_start:
            return
        space = bytes(offset) + bytes(data[space_start : space_start + size])
        layer = variant(device.config, space) if device.config else Blob
        for place in places(layer, decoded(layer, space), 0):
            begin, end = max(place.start, offset), min(place.start + place.size, len(space))
            private = place.kind is not Kind.BYTES or layer is Blob
            if begin < end and private and (what := KINDS.get(place.kind)):
                at = space_start + begin - offset
                data[at : at + end - begin] = self._replacements.bytes_of(what, space[begin:end])


def decoded(layer: type[Layer], space: bytes) -> dict[str, Any]:
    """The fields of configuration space, as far as they are there."""
    from vutrace.dissection.compiler import compile_layer

    return dict(compile_layer(layer)(space)[0])


def places(layer: type[Layer], fields: Any, start: int) -> Iterator[FieldPlace]:
    """Where each field of a layer stands, those of structures inside it among them."""
    for field in layer.fields_desc:
        value = fields.get(field.name)
        if isinstance(field, Nested):
            yield from places(field.layer, value or {}, start)
            start += size_of(field.layer)
        elif isinstance(field, Listed):
            for item in value or ():
                yield from places(field.layer, item, start)
                start += size_of(field.layer)
        else:
            size = len(value) if isinstance(value, bytes) else minimum(field)
            kind = getattr(field, "show", DEC).kind
            if value is not None:
                yield FieldPlace(start, size, field.name, kind)
            start += size
