"""Numbers and layouts that mean different things to different programs: which one it is here, and why."""

from collections.abc import Callable
from dataclasses import dataclass

from vutrace.dissection.message import Message
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.session.context import Context

SHMEM, GPA_ADDRESSES = bit("SHMEM", PROTOCOL_FEATURES), bit("GPA_ADDRESSES", PROTOCOL_FEATURES)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One conflict: `messages` it may concern, how it is told, and what to say then."""

    messages: frozenset[str]
    told: Callable[[Message, Context], bool]
    text: str


CONFLICTS = (
    Conflict(
        frozenset({"GET_SHMEM_CONFIG", "BACKEND_SHMEM_MAP", "BACKEND_SHMEM_UNMAP"}),
        lambda message, context: context.has_protocol(GPA_ADDRESSES) and not context.has_protocol(SHMEM),
        "protocol feature bit 21 means SHMEM here, as in rust-vmm up to 0.16, and not GPA_ADDRESSES",
    ),
    Conflict(
        frozenset({"GET_SHMEM_CONFIG"}),
        lambda message, context: message.layer in (p.VringState, p.VringBase),
        "request 44 is GET_VRING_BASE_SKIP_DRAIN here, as in yc-libvhost-server: it has 8 bytes",
    ),
    Conflict(
        frozenset({"CREATE_CRYPTO_SESSION"}),
        lambda message, context: message.layer is p.OldCryptoSession,
        "the layout of QEMU before 8.1: it has 632 bytes",
    ),
)
CONCERNED = frozenset().union(*(conflict.messages for conflict in CONFLICTS))


def conflict_notes(message: Message, context: Context) -> tuple[str, ...]:
    """What is to be said of a message whose number or layout has two meanings."""
    return tuple(
        conflict.text
        for conflict in CONFLICTS
        if message.name in conflict.messages and conflict.told(message, context)
    )
