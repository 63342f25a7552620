"""What is said of one vring."""

from vutrace.protocol.layers import Layer, u32, u64
from vutrace.protocol.shows import HEX, RING, SIZE, VRING_BASE, enum, flags, parts

RING_WITH_FD = parts(index=0xFF, nofd=0x100)
RING_OR_NONE = "ring {u64&0xff:number}[u64&0x100? NOFD]"


class VringState(Layer):
    """A ring index and a number ("A vring state description")."""

    name = "vring state"
    words = "ring {index}"
    fields_desc = [u32("index", RING), u32("num")]


class VringBase(Layer):
    """A ring index and its next available index ("A vring descriptor index…")."""

    name = "vring base"
    words = "ring {index}: {num}"
    fields_desc = [u32("index", RING), u32("num", VRING_BASE)]


class VringEnable(Layer):
    """SET_VRING_ENABLE's payload: num is 1 or 0."""

    name = "vring enable"
    words = "ring {index}: {num}"
    fields_desc = [u32("index", RING), u32("num", enum({0: "disable", 1: "enable"}))]


class VringEndian(Layer):
    """SET_VRING_ENDIAN's payload."""

    name = "vring endianness"
    words = "ring {index}: {num}"
    fields_desc = [u32("index", RING), u32("num", enum({0: "little-endian", 1: "big-endian"}))]


class VringFd(Layer):
    """A ring index in bits 0-7, and bit 8 when no descriptor comes along (KICK, CALL, ERR)."""

    name = "vring fd"
    words = RING_OR_NONE
    fields_desc = [u64("u64", RING_WITH_FD)]


class VringAddr(Layer):
    """Where a ring lies ("A vring address description"); `used` comes before `available`."""

    name = "vring address"
    words = (
        "ring {index}: desc {descriptor:address} avail {available:address} used {used:address}"
        "[flags&1? log {log:address}]"
    )
    fields_desc = [
        u32("index", RING),
        u32("flags", flags({0: "VHOST_VRING_F_LOG"})),
        u64("descriptor", HEX),
        u64("used", HEX),
        u64("available", HEX),
        u64("log", HEX),
    ]


class Area(Layer):
    """The spec's "Vring area description": where a ring's doorbell can be mapped."""

    name = "vring area"
    words = RING_OR_NONE.replace("]", "|: {size:size} at offset {offset:address}]")
    fields_desc = [u64("u64", RING_WITH_FD), u64("size", SIZE), u64("offset", HEX)]
