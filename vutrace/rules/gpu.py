"""The GPU channel (vhost-user-gpu.rst)."""

from collections.abc import Iterator

from vutrace.problems import Rule, Severity
from vutrace.protocol.bits import GPU_PROTOCOL_FEATURES
from vutrace.protocol.check import Check
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.rules.look import message_of
from vutrace.rules.seen import History
from vutrace.session.row import Row

BITS = {name: 1 << number for number, name in GPU_PROTOCOL_FEATURES.items()}


def gated(spec: MessageSpec, _channel: Channel, reply: bool) -> bool:
    """Requests that need a feature of the GPU channel."""
    return not reply and spec.gate in BITS


def gate_closed(row: Row, seen: History) -> Iterator[str]:
    """A message without its feature."""
    gate = message_of(row).spec.gate
    if not (seen.gpu_features or 0) & BITS[gate]:
        yield f"needs the GPU protocol feature {gate}, which was not acknowledged"


CHECKS = (
    Check(
        Rule(
            "gpu.gate-closed",
            Severity.ERROR,
            "GPU protocol features",
            "The front-end may not know the message, and close the channel: the display freezes.",
            "Acknowledge the feature with GPU_SET_PROTOCOL_FEATURES first.",
        ),
        gated,
        gate_closed,
    ),
)
