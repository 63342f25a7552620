"""The header of a message, one value for each of the two formats, and the words of a payload that go with it.

Framing, the relay, dissection, the Wireshark plug-in and the tests take every such fact from here. Nothing
here loads scapy. Sources: vhost-user.rst, "Header"; vhost-user-gpu.rst, "Wire format".
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from vutrace.records import Channel, Side

HEADER = struct.Struct("=III")
"""Request, flags, size: in the byte order of this host."""
LITTLE, BIG = struct.Struct("<III"), struct.Struct(">III")
HEADER_SIZE = HEADER.size
NOFD = 0x100
"""In a payload that names a ring by eight bits: no descriptor comes along."""
RING_MASK = 0xFF


@dataclass(frozen=True, slots=True)
class Wire:
    """One header format: what its flag word and its size may be.

    `version` stands in the bits of `version_mask`; `need_reply` is 0 where nobody can ask for a reply.
    `limit` is the most bytes that a payload can have. `marked` tells that the REPLY flag tells requests
    from replies; where it does not, the sender does.
    """

    version_mask: int
    version: int
    reply: int
    need_reply: int
    limit: int
    marked: bool = True

    @property
    def known(self) -> int:
        """Every bit that has a meaning."""
        return self.version_mask | self.reply | self.need_reply

    def flags(self, reply: bool) -> frozenset[int]:
        """The flag words that a request, or a reply, may have."""
        plain = self.version | (self.reply if reply else 0)
        return frozenset({plain, plain | self.need_reply})

    def is_sound(self, flags: int) -> bool:
        """Whether a flag word has the version, and nothing that is unknown."""
        return flags & ~(self.reply | self.need_reply) & 0xFFFFFFFF == self.version


VHOST_USER = Wire(version_mask=0x3, version=0x1, reply=0x4, need_reply=0x8, limit=256 << 20)
# An 8K update is 133 MB. QEMU's vhost-user-gpu leaves the flags of its updates as they were in memory
# (contrib/vhost-user-gpu, vg_resource_flush).
VHOST_USER_GPU = Wire(version_mask=0, version=0, reply=0x4, need_reply=0, limit=1 << 30, marked=False)

WIRES: Mapping[Channel, Wire] = {
    Channel.MAIN: VHOST_USER,
    Channel.BACKEND: VHOST_USER,
    Channel.GPU: VHOST_USER_GPU,
}
REQUESTER: Mapping[Channel, Side] = {
    Channel.MAIN: Side.FRONTEND,
    Channel.BACKEND: Side.BACKEND,
    Channel.GPU: Side.BACKEND,
}
"""Who sends requests on a channel; replies go the other way."""
VERSION, REPLY, NEED_REPLY = VHOST_USER.version, VHOST_USER.reply, VHOST_USER.need_reply
FLAG_NAMES: Mapping[int, str] = {2: "REPLY", 3: "NEED_REPLY"}


def sender_of(channel: Channel, reply: bool) -> Side:
    """The side that sends requests, or replies, on a channel."""
    return REQUESTER[channel].peer if reply else REQUESTER[channel]


def is_reply(channel: Channel, sender: Side, flags: int) -> bool:
    """Whether a header with these flags answers a request."""
    wire = WIRES[channel]
    return bool(flags & wire.reply) if wire.marked else sender is not REQUESTER[channel]
