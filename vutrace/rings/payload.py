"""What came back through a ring since the last look: a sample, taken while its buffers last.

Nothing keeps a driver from using a buffer anew as soon as it has it back: what is read may be newer than its
place, or nonsense. What could not be read is counted.
"""

from typing import NamedTuple, Protocol

from vutrace.rings.chain import Chain
from vutrace.rings.packed import PackedForm
from vutrace.rings.split import SplitForm
from vutrace.rings.unread import UnreadError
from vutrace.session.context import Context

MOST = 64  # of one ring in one look
AnyForm = SplitForm | PackedForm


class KeptPacket(NamedTuple):
    """A packet: its first bytes, and how many it had."""

    data: bytes
    size: int


class KeptRequest(NamedTuple):
    """A request and how it was answered: in words, and as named facts."""

    text: str
    facts: dict[str, str]


Kept = KeptPacket | KeptRequest


class PayloadKind(Protocol):
    """How what a kind of device does is read from its chains. `link` is the link type of its packets."""

    link: int

    def learn(self, context: Context) -> None:
        """Take what was negotiated."""

    def read(self, form: AnyForm, chain: Chain, written: int) -> Kept | None:
        """What a chain held, to which the device wrote so many bytes. Raises UnreadError."""


class PayloadReader:
    """Reads what went through one ring."""

    def __init__(self, kind: PayloadKind) -> None:
        self.kind = kind
        self._kept: list[Kept] = []
        self._missed = 0

    def take(self, form: AnyForm, first: int, count: int) -> None:
        """Read the latest of what came back from used index `first` on: its buffers are the freshest."""
        fresh = min(count, form.size, MOST - len(self._kept))
        self._missed += count - fresh
        try:
            found = form.returned(first, count, fresh) if fresh else []
        except UnreadError:
            self._missed += fresh
            return
        for head, written in found:
            kept = None if head is None else self._read(form, head, written)
            if kept:
                self._kept.append(kept)
            else:
                self._missed += 1

    def _read(self, form: AnyForm, head: int, written: int) -> Kept | None:
        try:
            chain = form.chain(head)
            return self.kind.read(form, chain, written) if chain.whole else None
        except UnreadError:
            return None

    def drain(self) -> tuple[list[Kept], int]:
        """What was kept since the last time, and how many were missed."""
        found, self._kept = (self._kept, self._missed), []
        self._missed = 0
        return found
