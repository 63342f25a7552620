"""Every message table, found by channel, number or name."""

from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.gpu import GPU_MESSAGES
from vutrace.protocol.payloads import Blob
from vutrace.protocol.spec import MessageSpec, Table
from vutrace.records import Channel, Side

TABLES: dict[Channel, Table] = {
    Channel.MAIN: FRONTEND_MESSAGES,
    Channel.BACKEND: BACKEND_MESSAGES,
    Channel.GPU: GPU_MESSAGES,
}

# Who sends requests on a channel; replies go the other way.
REQUESTER: dict[Channel, Side] = {
    Channel.MAIN: Side.FRONTEND,
    Channel.BACKEND: Side.BACKEND,
    Channel.GPU: Side.BACKEND,
}


def sender_of(channel: Channel, reply: bool) -> Side:
    """The side that sends requests, or replies, on a channel."""
    return REQUESTER[channel].peer if reply else REQUESTER[channel]


PREFIX = "VHOST_USER_"


def unknown(number: int) -> MessageSpec:
    """The row of a number that no table has."""
    return MessageSpec(number, f"UNKNOWN({number})", (Blob,), (Blob,))


def heading(channel: Channel, spec: MessageSpec) -> str:
    """The spec's section for a message."""
    return spec.heading or PREFIX + spec.name


def find(name: str) -> list[tuple[Channel, MessageSpec]]:
    """Messages called `name`: with or without prefix, in either case, by alias, or by number."""
    wanted = name.upper().removeprefix(PREFIX)
    return [
        (channel, spec)
        for channel, messages in TABLES.items()
        for spec in messages.values()
        if wanted in (spec.name, str(spec.number), *spec.aliases)
    ]
