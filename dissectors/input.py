"""virtio-input: its configuration space is a question (select, subsel) and one of several answers.

Source: virtio, "Input Device".
"""

from vutrace.plugin import HEX, SIZE, TEXT, Device, Evidence, Fixed, Layer, enum, le16, le32, pad, sle32, u8

SELECT = {
    0x00: "UNSET",
    0x01: "ID_NAME",
    0x02: "ID_SERIAL",
    0x03: "ID_DEVIDS",
    0x10: "PROP_BITS",
    0x11: "EV_BITS",
    0x12: "ABS_INFO",
}
# Linux, input-event-codes.h: for EV_BITS, subsel is an event type.
EVENT_TYPES = {
    0x00: "SYN",
    0x01: "KEY",
    0x02: "REL",
    0x03: "ABS",
    0x04: "MSC",
    0x05: "SW",
    0x11: "LED",
    0x12: "SND",
    0x14: "REP",
    0x15: "FF",
    0x16: "PWR",
    0x17: "FF_STATUS",
}
# Linux, input.h
BUS_TYPES = enum(
    {
        0x01: "PCI",
        0x03: "USB",
        0x05: "BLUETOOTH",
        0x06: "VIRTUAL",
        0x10: "ISA",
        0x11: "I8042",
        0x13: "RS232",
        0x18: "I2C",
        0x19: "HOST",
        0x1C: "SPI",
        0x1D: "RMI",
        0x1E: "CEC",
    }
)
RINGS = {0: "event", 1: "status"}


class Question(Layer):
    """What every answer begins with."""

    name = "input question"
    fields_desc = [u8("select", enum(SELECT)), u8("subsel"), u8("size", SIZE), pad(5, "reserved")]


class InputText(Layer):
    """The device's name or serial number."""

    name = "input text"
    marks = ("select", frozenset({0x01, 0x02}))
    fields_desc = [*Question.fields_desc, Fixed("string", 128, TEXT)]


class InputIds(Layer):
    """What the device is."""

    name = "input ids"
    marks = ("select", frozenset({0x03}))
    fields_desc = [
        *Question.fields_desc,
        le16("bustype", BUS_TYPES),
        le16("vendor", HEX),
        le16("product", HEX),
        le16("version", HEX),
        pad(120, "unused"),
    ]


class InputBits(Layer):
    """Which codes of an event type the device sends."""

    name = "input event bits"
    marks = ("select", frozenset({0x11}))
    fields_desc = [
        u8("select", enum(SELECT)),
        u8("subsel", enum(EVENT_TYPES)),
        *Question.fields_desc[2:],
        Fixed("bitmap", 128),
    ]


class InputAbsInfo(Layer):
    """The range of an absolute axis; subsel is its number."""

    name = "input axis"
    marks = ("select", frozenset({0x12}))
    fields_desc = [
        *Question.fields_desc,
        sle32("min"),
        sle32("max"),
        le32("fuzz"),
        le32("flat"),
        le32("res"),
        pad(108, "unused"),
    ]


class InputConfig(Layer):
    """virtio_input_config: what select asks for decides what the rest is; size 0 is "no answer"."""

    name = "input config"
    variants = (InputText, InputIds, InputBits, InputAbsInfo)
    fields_desc = [*Question.fields_desc, Fixed("bitmap", 128)]


def ring_name(index: int, _features: int) -> str:
    """Events to the guest, status (LEDs) from it."""
    return RINGS.get(index, f"q{index}")


DEVICE = Device(
    "input",
    number=18,
    config=InputConfig,
    ring_name=ring_name,
    evidence=Evidence(commands=(r"\bvhost-(user|device)-input\b", r"\bvirtio-id=18\b"), config_sizes=(136,)),
)
