"""A message that waits for what its session's tap decides, and what becomes of its descriptors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vutrace.framing import FramedMessage
from vutrace.sockets.passed import Passed

if TYPE_CHECKING:
    from vutrace.proxy.tapped import TappedFlow


@dataclass(slots=True)
class Held:
    """A message that waits. `out` and `out_fds` are what went of what takes its place, `copies` how often."""

    number: int
    flow: "TappedFlow"
    came_ns: int
    message: FramedMessage[Passed]
    out: bytes = b""
    out_fds: list[Passed] = field(default_factory=list)
    copies: int = 0
    told: bool = False  # the tap has said that it is to wait
    rule: str = ""


def is_new(passed: Passed) -> bool:
    """Whether a descriptor did not come with the message."""
    return isinstance(passed, Fresh)


class Fresh(Passed):
    """A descriptor that a rule made."""

    __slots__ = ()


def discard(fds: Sequence[Passed]) -> None:
    """They go nowhere."""
    for passed in fds:
        passed.recorded = True
        passed.forwarded()
