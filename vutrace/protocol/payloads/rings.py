"""What is said of one vring."""

from vutrace.protocol.layers import Layer, u32, u64
from vutrace.protocol.shows import HEX, RING, SIZE, VRING_BASE, enum, flags, parts

RING_WITH_FD = parts(index=0xFF, nofd=0x100)


class VringState(Layer):
    """A ring index and a number ("A vring state description")."""

    name = "vring state"
    fields_desc = [u32("index", RING), u32("num")]


class VringBase(Layer):
    """A ring index and its next available index ("A vring descriptor index…")."""

    name = "vring base"
    fields_desc = [u32("index", RING), u32("num", VRING_BASE)]


class VringEnable(Layer):
    """SET_VRING_ENABLE's payload: num is 1 or 0."""

    name = "vring enable"
    fields_desc = [u32("index", RING), u32("num", enum({0: "disable", 1: "enable"}))]


class VringEndian(Layer):
    """SET_VRING_ENDIAN's payload."""

    name = "vring endianness"
    fields_desc = [u32("index", RING), u32("num", enum({0: "little-endian", 1: "big-endian"}))]


class VringFd(Layer):
    """A ring index in bits 0-7, and bit 8 when no descriptor comes along (KICK, CALL, ERR)."""

    name = "vring fd"
    fields_desc = [u64("u64", RING_WITH_FD)]


class VringAddr(Layer):
    """Where a ring lies ("A vring address description"); `used` comes before `available`."""

    name = "vring address"
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
    fields_desc = [u64("u64", RING_WITH_FD), u64("size", SIZE), u64("offset", HEX)]
