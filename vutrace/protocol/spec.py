"""What a row of a message table says: what the message looks like, and what it does.

Nothing here loads scapy, so that the relay can read the rows: they name their layers, and
`messages.layers_of` finds them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from vutrace.protocol.effects import Fact, Learns, MemoryEffect, Purpose, RingEffect
from vutrace.protocol.wire import NOFD
from vutrace.records import Channel

if TYPE_CHECKING:
    from vutrace.protocol.layer import Layer


class ReplyRule(Enum):
    """When a request is answered ("Communication", "VHOST_USER_PROTOCOL_F_REPLY_ACK")."""

    ALWAYS = "always"
    ACK = "with NEED_REPLY, when REPLY_ACK is negotiated"
    LOG = "always when LOG_SHMFD is negotiated"
    ACK_OR_POSTCOPY = "with NEED_REPLY; a table of back-end addresses in postcopy"
    NEVER = "never"


class FdRule(Enum):
    """How many descriptors a message carries."""

    NONE = "none"
    ONE = "1"
    AT_MOST_ONE = "0 or 1"
    PER_REGION = "1 per region"  # a table, or the single region of ADD_MEM_REG
    UNLESS_NOFD = "1, or none with NOFD"
    IF_MAPPED = "1, none when mmap_size is 0"
    IF_OK = "1 when the value is 0"
    IF_SHOWN = "1, none when width and height are 0"


@dataclass(frozen=True, slots=True)
class FdCount:
    """The least and the most descriptors of a rule: `then` where one of `fields` has a bit of `mask`, else
    `otherwise`; with `per_region` as many as the payload describes regions.
    """

    otherwise: tuple[int, int]
    fields: tuple[str, ...] = ()
    mask: int = -1
    then: tuple[int, int] = (0, 0)
    per_region: bool = False


FD_COUNTS: Mapping[FdRule, FdCount] = {
    FdRule.NONE: FdCount((0, 0)),
    FdRule.ONE: FdCount((1, 1)),
    FdRule.AT_MOST_ONE: FdCount((0, 1)),
    FdRule.PER_REGION: FdCount((0, 0), per_region=True),
    FdRule.UNLESS_NOFD: FdCount((1, 1), ("u64",), NOFD, (0, 0)),
    FdRule.IF_MAPPED: FdCount((0, 0), ("mmap_size",), then=(1, 1)),
    FdRule.IF_OK: FdCount((1, 1), ("status",), then=(0, 0)),
    FdRule.IF_SHOWN: FdCount((0, 0), ("width", "height"), then=(1, 1)),
}

Payload = tuple["type[Layer] | str", ...]
NOTHING: Payload = ("Empty",)


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message of one channel.

    What it looks like: `request` and `reply` are the layouts seen in the wild, the spec's own first, each a
    layer or the name of one in `protocol.payloads`; an empty `reply` means that only the generic
    acknowledgement exists. `gate` is the protocol feature (or VIRTIO_… feature) without which it may not be
    sent. `once` is the QEMU version since which its vhost-user code sends the message once per device
    instead of once per queue pair. `ring` tells that the payload names a vring. `heading` is the section of
    vhost-user.rst (or vhost-user-gpu.rst). `words` is the template of what matters in the request (see
    templates.py) where its layers' own do not say it.

    What it does: `purpose` is its part in the course of a device, `effect` what it does to the ring that it
    names (or to all), `memory` what it does to the memory map. `learns` and `reply_learns` are what the
    request and its reply tell. `role` and `reply_role` say what their descriptors are for, and `passes` is
    the channel whose socket it hands over. `fenced`: front-ends without REPLY_ACK wait for its effect by
    asking for the features. `publishes`: it makes a shared object known (True), or takes it back (False).

    What makes it the same as another: `key` is the field whose value makes one message another, `question`
    are the fields that make one question another, `own` the fields whose value is the replying peer's to
    choose, each with what it is; `unset` are fields that some senders leave uninitialised.
    """

    number: int
    name: str
    request: Payload = NOTHING
    reply: Payload = ()
    rule: ReplyRule = ReplyRule.ACK
    fds: FdRule = FdRule.NONE
    reply_fds: FdRule = FdRule.NONE
    gate: str = ""
    ring: bool = False
    once: str = ""
    since: str = ""
    aliases: tuple[str, ...] = ()
    heading: str = ""
    note: str = ""
    words: str = ""
    purpose: Purpose | None = None
    effect: RingEffect | None = None
    memory: MemoryEffect | None = None
    learns: Learns | None = None
    reply_learns: Learns | None = None
    role: str = ""
    reply_role: str = ""
    passes: Channel | None = None
    fenced: bool = False
    publishes: bool | None = None
    key: str = ""
    question: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    def tells(self, fact: Fact, reply: bool) -> bool:
        """Whether the request, or its reply, tells this fact."""
        told = self.reply_learns if reply else self.learns
        return told is not None and told.fact is fact


Table = Mapping[int, MessageSpec]


def table(*rows: MessageSpec) -> Table:
    """A message table by number."""
    return {row.number: row for row in rows}


def missing_columns(row: MessageSpec, channel: Channel) -> list[str]:
    """The columns that a row of ours must fill and does not."""
    wanted = {
        "purpose": channel is Channel.MAIN,
        "effect": row.ring,
        "role": row.fds is not FdRule.NONE,
        "reply_role": row.reply_fds is not FdRule.NONE,
    }
    return [column for column, needed in wanted.items() if needed and not getattr(row, column)]
