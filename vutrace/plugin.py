"""Everything a device dissector is written with; see docs/writing-a-dissector.md.

from vutrace.plugin import Device, Layer, le16, le64, SECTORS

class Config(Layer):
    name = "blk config"
    fields_desc = [le64("capacity", SECTORS)]

DEVICE = Device("blk", number=2, features={9: "VIRTIO_BLK_F_FLUSH"}, config=Config)
"""

from vutrace.dissection.device import Device, Evidence
from vutrace.launch.options import SocketOption
from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import bit, bit_names
from vutrace.protocol.check import Breach, Check, Once, answers, asks
from vutrace.protocol.effects import Fact, Learns, MemoryEffect, Purpose, RingEffect
from vutrace.protocol.layers import (
    Array,
    Fixed,
    Layer,
    Listed,
    Nested,
    Tail,
    i32,
    i64,
    le16,
    le32,
    le64,
    mac,
    pad,
    sle32,
    u8,
    u16,
    u32,
    u64,
)
from vutrace.protocol.shows import (
    BYTES,
    DEC,
    FEATURES,
    HEX,
    MAC,
    RING,
    SECRET,
    SECTORS,
    SIZE,
    TEXT,
    UUID,
    enum,
    flags,
    parts,
    unit,
)
from vutrace.protocol.spec import FdRule, MessageSpec, ReplyRule, table
from vutrace.records import Channel, Side
from vutrace.rules.config import space_of
from vutrace.rules.look import number
from vutrace.rules.seen import History
from vutrace.session.row import Row

__all__ = [
    "BYTES",
    "DEC",
    "FEATURES",
    "HEX",
    "MAC",
    "RING",
    "SECRET",
    "SECTORS",
    "SIZE",
    "TEXT",
    "UUID",
    "Array",
    "Breach",
    "Channel",
    "Check",
    "Device",
    "Evidence",
    "Fact",
    "FdRule",
    "Fixed",
    "History",
    "Layer",
    "Learns",
    "Listed",
    "MemoryEffect",
    "MessageSpec",
    "Nested",
    "Once",
    "Purpose",
    "ReplyRule",
    "RingEffect",
    "Row",
    "Rule",
    "Severity",
    "Side",
    "SocketOption",
    "Tail",
    "answers",
    "asks",
    "bit",
    "bit_names",
    "enum",
    "flags",
    "i32",
    "i64",
    "le16",
    "le32",
    "le64",
    "mac",
    "number",
    "pad",
    "parts",
    "sle32",
    "space_of",
    "table",
    "u8",
    "u16",
    "u32",
    "u64",
    "unit",
]
