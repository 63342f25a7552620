"""Every message table, found by channel, number or name."""

from functools import cache

from vutrace.protocol import payloads
from vutrace.protocol.backend_messages import BACKEND_MESSAGES
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.gpu_messages import GPU_MESSAGES
from vutrace.protocol.layer import Empty, Layer
from vutrace.protocol.spec import MessageSpec, Payload, Table
from vutrace.records import Channel

TABLES: dict[Channel, Table] = {
    Channel.MAIN: FRONTEND_MESSAGES,
    Channel.BACKEND: BACKEND_MESSAGES,
    Channel.GPU: GPU_MESSAGES,
}

PREFIX = "VHOST_USER_"


def unknown(number: int) -> MessageSpec:
    """The row of a number that no table has."""
    return MessageSpec(number, f"UNKNOWN({number})", ("Blob",), ("Blob",))


def layers_of(spec: MessageSpec, reply: bool) -> tuple[type[Layer], ...]:
    """The layouts of a request, or of its reply; any reply may be the generic acknowledgement."""
    return (*resolve(spec.reply), payloads.Ack) if reply else resolve(spec.request)


@cache
def resolve(payload: Payload) -> tuple[type[Layer], ...]:
    """The layers that a row names; AttributeError for a name that no layer has."""
    known = {"Empty": Empty}
    return tuple(
        (known.get(layer) or getattr(payloads, layer)) if isinstance(layer, str) else layer
        for layer in payload
    )


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
