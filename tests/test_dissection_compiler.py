"""The compiled decoders and scapy itself give the same fields, in both byte orders, whatever the bytes."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.strategies import all_layers, contents, packed
from scapy.fields import (
    BitField,
    ByteEnumField,
    ByteField,
    ConditionalField,
    FieldLenField,
    FlagsField,
    IntField,
    IPField,
    LEIntField,
    LELongField,
    LEShortField,
    MACField,
    PacketListField,
    ScalingField,
    SignedByteField,
    StrFixedLenField,
    StrLenField,
    X3BytesField,
    XShortField,
)

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.decoder import scapy_decoder
from vutrace.dissection.shapes import compilable
from vutrace.plugin import Fixed, Layer, Listed, Nested, Tail, i32, le32, u8, u16, u32, u64

LAYERS = all_layers()
IDS = [f"{layer.__module__.split('.')[-1]}-{layer.__name__}" for layer in LAYERS]
ORDERS = pytest.mark.parametrize("big_endian", [False, True], ids=["little-endian", "big-endian"])


@ORDERS
@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_valid_payloads_decode_to_what_was_packed(layer: type[Layer], big_endian: bool, data: Any) -> None:
    values = data.draw(contents(layer))
    payload = packed(layer, values, big_endian)
    whole = (values, len(payload)) if payload else ({}, 0)
    assert compile_layer(layer, big_endian)(payload) == whole
    assert scapy_decoder(layer, big_endian)(payload) == whole


@ORDERS
@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_hostile_payloads_decode_alike(layer: type[Layer], big_endian: bool, data: Any) -> None:
    payload = packed(layer, data.draw(contents(layer)), big_endian)
    cut = payload[: data.draw(st.integers(0, len(payload)))] + data.draw(st.binary(max_size=40))
    assert compile_layer(layer, big_endian)(cut) == scapy_decoder(layer, big_endian)(cut)


@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
def test_every_layer_of_ours_is_compiled(layer: type[Layer]) -> None:
    assert compilable(layer)


class Item(Layer):
    fields_desc = [u16("first"), le32("second")]


class Named(Layer):
    fields_desc = [u8("length"), Tail("name")]


class Stock(Layer):
    """Fields of scapy's own, as a plug-in may use them."""

    fields_desc = [
        ByteField("kind", 0),
        ConditionalField(IntField("extra", 0), lambda packet: packet.kind & 1),
        BitField("high", 0, 4),
        BitField("low", 0, 4),
        FlagsField("marks", 0, 8, ["A", "B"]),
        ConditionalField(MACField("mac", None), lambda packet: packet.kind & 2),
        IPField("address", "0.0.0.0"),
        u32("ours"),
        FieldLenField("length", None, fmt="B", length_of="text"),
        StrLenField("text", b"", length_from=lambda packet: packet.length),
        LEShortField("short", 0),
        PacketListField("items", [], Item, count_from=lambda packet: packet.low),
    ]


class Odd(Layer):
    """A condition that raises, half a byte, and a string that may be short."""

    fields_desc = [
        BitField("nibble", 0, 4),
        ConditionalField(XShortField("never", 0), lambda packet: packet.missing),
        StrFixedLenField("tail", b"", length=8),
    ]


class Doubled(Fixed):
    """A field of ours with another meaning: the compiler must not take it for its parent."""

    def getfield(self, pkt: Any, s: bytes) -> tuple[bytes, bytes]:
        return s[self.sz :], s[: self.sz] * 2


class Subclassed(Layer):
    fields_desc = [u8("a"), Doubled("twice", 3), u64("b")]


class Open(Layer):
    """A structure of varying size inside another one takes all that is left."""

    fields_desc = [u8("a"), Nested("named", Named), u8("never")]


class Counted(Layer):
    """A count that may be negative, and one that no field has."""

    fields_desc = [i32("count"), Listed("items", Item, "count"), Listed("lost", Item, "missing")]


class Own(Layer):
    """A layer that dissects itself, badly."""

    fields_desc = [u32("value")]

    def do_dissect(self, s: bytes) -> bytes:
        raise RuntimeError("hostile bytes")


class Plain(Layer):
    """scapy's own fields that are plain numbers, each in the byte order that it names."""

    fields_desc = [
        ByteField("byte", 0),
        LEIntField("little", 0),
        u16("ours"),
        XShortField("short", 0),
        SignedByteField("signed", 0),
        ByteEnumField("choice", 0, {1: "one"}),
        LELongField("long", 0),
        FieldLenField("count", 0, fmt="H", count_of="items"),
        Listed("items", Item, "count"),
    ]


class Scaled(Layer):
    """A number that scapy makes another of, and one of three bytes."""

    fields_desc = [ScalingField("scaled", 0, scaling=4, fmt="H"), X3BytesField("three", 0)]


PLUGIN_LAYERS = [Stock, Odd, Subclassed, Open, Counted, Own, Scaled]


@ORDERS
@pytest.mark.parametrize("layer", [*PLUGIN_LAYERS, Plain], ids=lambda layer: layer.__name__)
@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=64))
@example(payload=b"")
@example(payload=b"\xff" * 64)
@example(payload=bytes(64))
def test_a_plugins_own_fields_are_what_scapy_reads_and_never_raise(
    layer: type[Layer], big_endian: bool, payload: bytes
) -> None:
    fields, used = compile_layer(layer, big_endian)(payload)
    assert (fields, used) == scapy_decoder(layer, big_endian)(payload)
    assert 0 <= used <= len(payload)
    assert is_plain(fields)


def is_plain(value: Any) -> bool:
    """Whether a value is made of what JSON and the views know."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_plain(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return type(value) in (int, bytes, str)


def test_conditional_fields_are_there_only_when_their_condition_holds() -> None:
    with_extra = bytes([1]) + bytes(4) + b"\x12\x03" + bytes(4) + bytes(4) + b"\x02ab" + bytes(2)
    fields, _ = compile_layer(Stock)(with_extra + bytes(12))
    assert fields["extra"] == 0
    assert "mac" not in fields
    assert (fields["high"], fields["low"], fields["marks"], fields["text"]) == (1, 2, 3, b"ab")
    assert fields["items"] == [{"first": 0, "second": 0}] * 2
    assert "extra" not in compile_layer(Stock)(bytes(32))[0]


def test_scapys_plain_numbers_are_compiled() -> None:
    assert compilable(Plain)


def test_what_cannot_be_followed_is_not_compiled() -> None:
    assert not any(compilable(layer) for layer in PLUGIN_LAYERS)


def test_items_without_a_size_are_refused_when_the_layer_is_written() -> None:
    with pytest.raises(ValueError, match="without a size"):
        Listed("items", Layer, "count")
