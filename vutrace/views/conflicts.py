"""Numbers and layouts that mean different things to different programs: which one it is here, and why."""

from collections.abc import Callable, Mapping

from vutrace.dissection.message import Message
from vutrace.problems import Problem, Rule, Severity
from vutrace.protocol import payloads as p
from vutrace.protocol.bits import PROTOCOL_FEATURES, bit
from vutrace.session.context import Context

SHMEM, GPA_ADDRESSES = bit("SHMEM", PROTOCOL_FEATURES), bit("GPA_ADDRESSES", PROTOCOL_FEATURES)
XEN_MMAP, SHARED_OBJECT = bit("XEN_MMAP", PROTOCOL_FEATURES), bit("SHARED_OBJECT", PROTOCOL_FEATURES)
SHMEM_GATE, SHARED_GATE = "SHMEM", "SHARED_OBJECT"

BIT_21 = Rule(
    "negotiation.bit-21-is-shmem",
    Severity.INFO,
    "Protocol features",
    "protocol feature bit 21 means SHMEM here, as in rust-vmm up to 0.16, and not GPA_ADDRESSES",
)
BIT_17 = Rule(
    "negotiation.bit-17-is-shared-object",
    Severity.INFO,
    "Protocol features",
    "protocol feature bit 17 means SHARED_OBJECT here, as in QEMU before it moved to 18, and not XEN_MMAP",
)
SKIP_DRAIN = Rule(
    "ring.base-as-request-44",
    Severity.INFO,
    "Front-end message types",
    "request 44 is GET_VRING_BASE_SKIP_DRAIN here, as in yc-libvhost-server: it has 8 bytes",
)
OLD_CRYPTO = Rule(
    "device.old-crypto-session",
    Severity.INFO,
    "VHOST_USER_CREATE_CRYPTO_SESSION",
    "the layout of QEMU before 8.1: it has 632 bytes",
)
EARLY_CRYPTO = Rule(
    "device.early-crypto-session",
    Severity.INFO,
    "VHOST_USER_CREATE_CRYPTO_SESSION",
    "the layout of QEMU before 7.1: it has 632 bytes, and op_code before cipher_alg",
)
OLD_LAYOUTS = (p.OldCryptoSession, p.EarlyCryptoSession)
# The rules of notes, each with what tells that it is meant.
CONFLICTS: Mapping[Rule, Callable[[Message, Context], bool]] = {
    BIT_21: lambda message, context: (
        message.spec.gate == SHMEM_GATE
        and context.has_protocol(GPA_ADDRESSES)
        and not context.has_protocol(SHMEM)
    ),
    BIT_17: lambda message, context: (
        message.spec.gate == SHARED_GATE
        and context.has_protocol(XEN_MMAP)
        and not context.has_protocol(SHARED_OBJECT)
    ),
    SKIP_DRAIN: lambda message, context: (
        message.spec.gate == SHMEM_GATE and message.layer in (p.VringState, p.VringBase)
    ),
    OLD_CRYPTO: lambda message, context: message.layer is p.OldCryptoSession,
    EARLY_CRYPTO: lambda message, context: message.layer is p.EarlyCryptoSession,
}


def is_ambiguous(message: Message) -> bool:
    """Whether a conflict may concern a message."""
    return message.spec.gate in (SHMEM_GATE, SHARED_GATE) or message.layer in OLD_LAYOUTS


def conflict_notes(message: Message, context: Context) -> tuple[Problem, ...]:
    """What is to be said of a message whose number or layout has two meanings."""
    return tuple(rule.problem(rule.means) for rule, told in CONFLICTS.items() if told(message, context))
