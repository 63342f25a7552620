"""What a row of a message table says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from vutrace.protocol.layers import Empty, Layer

HEADER_SIZE = 12
VERSION_MASK = 0x3
VERSION = 0x1
REPLY = 0x4
NEED_REPLY = 0x8
KNOWN_FLAGS = VERSION_MASK | REPLY | NEED_REPLY

FLAG_NAMES: Mapping[int, str] = {2: "REPLY", 3: "NEED_REPLY"}


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


Payload = tuple[type[Layer], ...]
NOTHING: Payload = (Empty,)


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message of one channel.

    `request` and `reply` are the layouts seen in the wild, the spec's own first; an empty `reply`
    means that only the generic acknowledgement exists. `gate` is the protocol feature (or VIRTIO_…
    feature) without which it may not be sent. `once` is the QEMU version since which its vhost-user
    code sends the message once per device instead of once per queue pair. `ring` tells that the
    payload names a vring. `heading` is the section of vhost-user.rst (or vhost-user-gpu.rst).
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


Table = Mapping[int, MessageSpec]


def table(*rows: MessageSpec) -> Table:
    """A message table by number."""
    return {row.number: row for row in rows}
