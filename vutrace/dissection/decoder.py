"""What a decoder is, and the one that scapy makes of a layer: slow, and right by definition."""

from collections.abc import Callable
from typing import Any

from scapy.packet import Packet

from vutrace.protocol.layers import Layer, Value, in_order

Fields = dict[str, Value]
Decoder = Callable[[bytes], tuple[Fields, int]]


def scapy_decoder(layer: type[Layer], big_endian: bool = False) -> Decoder:
    """A function from payload bytes to (fields that are whole, bytes they took); it never raises."""
    ordered = in_order(layer, big_endian)

    def decode(data: bytes) -> tuple[Fields, int]:
        if not data:  # scapy would answer with default values
            return {}, 0
        try:
            packet = ordered(data)
            return plain(packet), len(packet.raw_packet_cache or b"")
        except Exception:  # a plug-in's layer may raise anything on hostile bytes
            return {}, 0

    return decode


def plain(packet: Packet) -> Fields:
    """A scapy packet's fields as numbers, bytes, lists and dicts."""
    return {name: plain_value(value) for name, value in packet.fields.items()}


def plain_value(value: Any) -> Any:
    """One scapy value without scapy; a type that is only scapy's own becomes a number or text."""
    if isinstance(value, Packet):
        return plain(value)
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, int | bytes | str):
        return value
    return int(value) if hasattr(value, "__int__") else str(value)
