"""vhost-user for scapy: build, send, dissect, fuzz; `rdpcap` of a vutrace capture gives these layers.

    from vutrace.scapy import VhostUser, SetVringAddr
    bytes(VhostUser() / SetVringAddr(index=1, descriptor=0x1000))

A class for every message, called like it (SET_VRING_ADDR is SetVringAddr, its reply SetVringAddrReply);
a further layout of a message has the structure's name behind: SetMemTableXenMemoryTable. `VhostUser`,
`VhostUserBackend` and `VhostUserGpu` are the headers on the three channels. See docs/wireshark.md.
"""

import struct
from typing import Any, ClassVar

from scapy.config import conf
from scapy.fields import StrField
from scapy.packet import Packet

from vutrace.capture.blocks import EXPORT_TAGS, WIRESHARK_UPPER_PDU
from vutrace.capture.errors import MalformedError
from vutrace.capture.pseudo_header import FIXED, decode
from vutrace.dissection.layouts import layouts_of
from vutrace.dissection.registry import load
from vutrace.protocol.layers import Layer, Number, in_order, u32
from vutrace.protocol.messages import TABLES, layers_of, unknown
from vutrace.protocol.shows import DEC, enum, flags
from vutrace.protocol.spec import MessageSpec, Table
from vutrace.protocol.wire import FLAG_NAMES, HEADER_SIZE, REPLY, VERSION
from vutrace.records import Channel, Record

Key = tuple[Channel, int, bool, type[Layer]]

MESSAGES: dict[Channel, Table] = {
    channel: {**TABLES[channel], **vendor} for channel, vendor in load().messages.items()
}
CLASSES: dict[Key, type[Layer]] = {}
LENGTH_AT = 8
TAG = struct.Struct(">HH")
IN_PSEUDO_HEADER = struct.Struct("<I")


class Header(Layer):
    """A message's 12 bytes; `size` is that of the payload unless it is given."""

    channel: ClassVar[Channel] = Channel.MAIN

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """The payload is as long as the header says."""
        return s[: self.size], s[self.size :]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """The layout that vutrace takes."""
        reply = bool(self.flags & REPLY)
        spec = MESSAGES[self.channel].get(self.request) or unknown(self.request)
        layer = layouts_of(spec, reply, self.big_endian).read(payload)[0]
        found = CLASSES.get((self.channel, self.request, reply, layer), layer)
        return in_order(found, self.big_endian)

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill the size in."""
        if "size" not in self.fields:
            size = struct.pack(">I" if self.big_endian else "<I", len(pay))
            pkt = pkt[: HEADER_SIZE - len(size)] + size
        return pkt + pay


def header_fields(channel: Channel) -> list[Any]:
    """Request, flags and size; the GPU channel has no version in the flags."""
    names = {number: spec.name for number, spec in MESSAGES[channel].items()}
    version = 0 if channel is Channel.GPU else VERSION
    known = flags({**FLAG_NAMES, 0: "VERSION_1"} if version else FLAG_NAMES)
    return [u32("request", enum(names)), Number("flags", "I", "", known, version), u32("size", DEC)]


class VhostUser(Header):
    """A message on the main channel."""

    name = "vhost-user"
    fields_desc = header_fields(Channel.MAIN)


class VhostUserBackend(Header):
    """A message on the back-end channel."""

    name = "vhost-user back-end channel"
    channel = Channel.BACKEND
    fields_desc = header_fields(Channel.BACKEND)


class VhostUserGpu(Header):
    """A message on the GPU channel."""

    name = "vhost-user GPU channel"
    channel = Channel.GPU
    fields_desc = header_fields(Channel.GPU)


HEADERS: dict[Channel, type[Header]] = {
    each.channel: each for each in (VhostUser, VhostUserBackend, VhostUserGpu)
}


class UpperPdu(Packet):
    """A packet of a vutrace capture: Wireshark's tags, the pseudo-header, the message."""

    name = "vutrace record"
    fields_desc = [StrField("tags", EXPORT_TAGS), StrField("header", b"")]

    def do_dissect(self, s: bytes) -> bytes:
        """Split off the tags and the pseudo-header; other packets are payload as a whole."""
        start = after_tags(s)
        if start is None or s[start : start + 4] != b"VUTR":
            self.fields |= {"tags": b"", "header": b""}
            return s
        end = start + IN_PSEUDO_HEADER.unpack_from(s, start + LENGTH_AT)[0]
        self.fields |= {"tags": s[:start], "header": s[start:end]}
        return s[end:]

    @property
    def record(self) -> Record | None:
        """The record: connection, session, channel, sender, descriptors; None for other packets."""
        data = self.header + bytes(self.payload)
        try:
            number = struct.unpack_from("<I", data, 12)[0]
            return decode(data, 0, len(data), int(self.time * 1_000_000_000), {number: number})
        except (MalformedError, struct.error):
            return None

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """The header of the record's channel, in the byte order of the traced host."""
        if len(self.header) < FIXED.size or len(payload) < HEADER_SIZE:
            return conf.raw_layer
        header = HEADERS[{1: Channel.MAIN, 2: Channel.BACKEND}.get(self.header[6], Channel.GPU)]
        return in_order(header, self.header[22] == 1)


def after_tags(data: bytes) -> int | None:
    """Where the PDU starts; None when the tags do not end."""
    at: int = 0
    while len(data) - at >= TAG.size:
        tag, length = TAG.unpack_from(data, at)
        at += 4 + length + (-length & 3)
        if tag == 0:
            return at
    return None


def camel(name: str) -> str:
    """SET_VRING_ADDR is SetVringAddr."""
    return "".join(word.capitalize() for word in name.split("_"))


def message_class(
    channel: Channel, spec: MessageSpec, reply: bool, layer: type[Layer], first: bool
) -> type[Layer]:
    """The class of a message in one layout; a header in front of it gets its number and role."""
    title = camel(spec.name) + ("Reply" if reply else "") + ("" if first else layer.__name__)
    header = HEADERS[channel]
    given = {"request": spec.number} | ({"flags": REPLY | (channel is not Channel.GPU)} if reply else {})
    words = {"name": spec.name + (" reply" if reply else ""), "overload_fields": {header: given}}
    return type(
        title, (layer,), {**words, "__doc__": f"{spec.name}: {layer.__doc__}", "__module__": __name__}
    )


def make_classes() -> dict[str, type[Layer]]:
    """The classes of all messages, by name."""
    made: dict[str, type[Layer]] = {}
    for channel, table in MESSAGES.items():
        for spec in table.values():
            for reply in (False, True):
                layers = layers_of(spec, reply)
                for layer in dict.fromkeys(layers):
                    each = message_class(channel, spec, reply, layer, layer is layers[0])
                    CLASSES[channel, spec.number, reply, layer] = made[each.__name__] = each
    return made


MESSAGE_CLASSES = make_classes()
globals().update(MESSAGE_CLASSES)
conf.l2types.register(WIRESHARK_UPPER_PDU, UpperPdu)

__all__ = ["UpperPdu", "VhostUser", "VhostUserBackend", "VhostUserGpu", *MESSAGE_CLASSES]


def __getattr__(name: str) -> type[Layer]:
    raise AttributeError(f"no message has the class {name}")
