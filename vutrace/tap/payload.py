"""Other values in a message: through the scapy layer of its payload, or in its header."""

from collections.abc import Sequence
from typing import Any

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.matching.values import MatchError, number_of
from vutrace.protocol.layers import Fixed, Layer, Tail, in_order
from vutrace.protocol.messages import layers_of
from vutrace.protocol.shows import DEC, HEX, Kind
from vutrace.protocol.wire import HEADER, HEADER_SIZE, NEED_REPLY, REPLY, VERSION

SIGNS = ("|=", "-=", "+=", "=")
HEADER_FIELDS = ("request", "flags", "size")


def combined(before: int, sign: str, value: int) -> int:
    """What a sign makes of a value: `|=` sets bits, `-=` clears bits, `+=` adds."""
    match sign:
        case "|=":
            return before | value
        case "-=":
            return before & ~value
        case "+=":
            return before + value
    return value


def with_field(message: Message, sign: str, path: str, text: str, devices: Sequence[Device]) -> bytes:
    """The message's bytes with another value in one field; MatchError where it has no such field or value."""
    data = message.frame.data
    names = path.split(".")
    if names[0] == "header" and len(names) == 2 and names[1] in HEADER_FIELDS:
        return with_header(data, names[1], sign, number_of(text, HEX, devices))
    if path == "need_reply":
        flags = HEADER.unpack_from(data)[1]
        wanted = flags | NEED_REPLY if number_of(text, DEC, devices) else flags & ~NEED_REPLY
        return with_header(data, "flags", "=", wanted)
    packet = packet_of(message)
    put(packet, names, sign, text, devices)
    payload = bytes(packet) + message.rest
    request, flags, _ = HEADER.unpack_from(data)
    return HEADER.pack(request, flags, len(payload)) + payload


def with_header(data: bytes, name: str, sign: str, value: int) -> bytes:
    """Another number in the header, whatever the rest says."""
    numbers = list(HEADER.unpack_from(data))
    at = HEADER_FIELDS.index(name)
    numbers[at] = combined(numbers[at], sign, value) & 0xFFFFFFFF
    return HEADER.pack(*numbers) + data[HEADER_SIZE:]


def packet_of(message: Message) -> Layer:
    """The payload as its scapy layer, without what scapy keeps of the bytes."""
    packet = in_order(message.layer, message.frame.big_endian)(message.payload)
    packet.remove_payload()
    forget_bytes(packet)
    return packet


def forget_bytes(packet: Any) -> None:
    """Have a layer made from its fields, and those inside it."""
    packet.raw_packet_cache = None
    for value in packet.fields.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Layer):
                forget_bytes(each)


def put(packet: Any, names: Sequence[str], sign: str, text: str, devices: Sequence[Device]) -> None:
    """Another value at a path ("regions", "0", "size"); without a number in all items."""
    name, *rest = names
    for each in packet.fields_desc:
        show = getattr(each, "show", DEC)
        if each.name == name:
            value = packet.fields.get(name, each.default)
            if isinstance(value, list) and rest:
                items = value[int(rest[0]) : int(rest[0]) + 1] if rest[0].isdecimal() else value
                inner = rest[1:] if rest[0].isdecimal() or rest[0] == "*" else rest
                for item in items:
                    put(item, inner, sign, text, devices)
            elif isinstance(value, Layer):
                put(value, rest, sign, text, devices)
            elif isinstance(each, Fixed | Tail):
                packet.setfieldval(name, bytes.fromhex(text.replace(":", "")))
            else:
                number = combined(value, sign, number_of(text, show, devices))
                packet.setfieldval(name, number & (1 << each.sz * 8) - 1)
            return
        if show.kind is Kind.PARTS and not rest:
            for part in show.parts:
                if part.name == name:
                    word = packet.getfieldval(each.name)
                    value = combined(part.of(word), sign, number_of(text, DEC, devices))
                    packet.setfieldval(
                        each.name, word & ~part.mask | value * (part.mask & -part.mask) & part.mask
                    )
                    return
    raise MatchError(f"there is no field '{name}'")


def resized(data: bytes, size: int) -> bytes:
    """With a payload of so many bytes: cut, or with zeros behind."""
    payload = data[HEADER_SIZE : HEADER_SIZE + size]
    payload += bytes(size - len(payload))
    request, flags, _ = HEADER.unpack_from(data)
    return HEADER.pack(request, flags, size) + payload


def answer_to(message: Message, values: Sequence[tuple[str, str]], devices: Sequence[Device]) -> bytes:
    """A made-up reply, of the first layout that has the fields; without any an acknowledgement."""
    layers = layers_of(message.spec, reply=True)
    wanted = [path.split(".")[0] for path, _ in values]
    if not wanted:
        layers = layers[-1:]
    for layer in layers:
        if all(any(each.name == name for each in layer.fields_desc) for name in wanted):
            packet = in_order(layer, message.frame.big_endian)()
            for path, text in values:
                put(packet, path.split("."), "=", text, devices)
            payload = bytes(packet)
            return HEADER.pack(message.request, VERSION | REPLY, len(payload)) + payload
    raise MatchError(f"no reply to {message.name} has the fields {', '.join(wanted)}")
