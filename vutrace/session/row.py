"""One line of a trace: a message or event, with how things stood before it and what it changed."""

from typing import NamedTuple

from vutrace.dissection.message import Message
from vutrace.problems import Problem
from vutrace.records import Event, Frame, FrameFlag, Lack, lacking
from vutrace.session.activity import Moved
from vutrace.session.context import Context
from vutrace.session.exchanges import Request
from vutrace.session.fd_ledger import Holding
from vutrace.session.memory import MemoryChange
from vutrace.session.phases import Phase
from vutrace.session.ring import RingChange
from vutrace.session.state import SessionState


class Changes(NamedTuple):
    """What a row changed: rings before and after, memory, descriptor slots that it filled.

    `asked` is the request of this row if it is to be answered; `refused` the request that this row, an
    acknowledgement with an error, undid. `moved` are the rings of a sample.
    """

    rings: tuple[RingChange, ...] = ()
    memory: MemoryChange | None = None
    fds: tuple[Holding, ...] = ()
    asked: Request | None = None
    refused: Request | None = None
    moved: tuple[Moved, ...] = ()


NOTHING = Changes()


class Row(NamedTuple):
    """A message or event in its place. A tuple, since there is one for each record.

    `number` counts from 1 over the capture; `since_first_ns` is nanoseconds since its first record.
    `context` is the negotiation before this row took effect on it; `state` is how everything stands after it,
    and goes on to change with the session's next row; `changes` is what lies between. `ring` is the vring
    that a message is about; an acknowledgement is about its request's. `request` is what a reply answers, if
    it is known. `barrier` marks a request (and its reply) that only waits for the one before it. `problems`
    are the message's own and the session's. `came` is what the sender said, where a rule of vutrace's changed
    it; all else is about what the receiver got.
    """

    number: int
    since_first_ns: int
    what: Message | Event
    context: Context
    state: SessionState
    changes: Changes = NOTHING
    ring: int | None = None
    ring_name: str = ""
    request: Request | None = None
    phase: Phase | None = None
    loop: str | None = None
    barrier: bool = False
    problems: tuple[Problem, ...] = ()
    came: Message | None = None

    @property
    def record(self) -> Frame | Event:
        """What was captured."""
        return self.what if isinstance(self.what, Event) else self.what.frame

    @property
    def connection(self) -> int:
        """The number of its connection."""
        return self.record.connection

    @property
    def session(self) -> int:
        """The number of its session on that connection."""
        return self.record.session

    @property
    def reply_to(self) -> int | None:
        """The row that a reply answers."""
        return self.request.number if self.request else None

    @property
    def latency_ns(self) -> int | None:
        """How long the answer took, in nanoseconds."""
        if self.request is None or not self.timed:
            return None
        return self.record.time_ns - self.request.time_ns

    @property
    def timed(self) -> bool:
        """Whether its time is known; that of an import may only give the order."""
        if isinstance(self.what, Event):
            return Lack.TIMES not in lacking(self.what)
        flags = self.what.frame.flags
        return not (flags and flags & FrameFlag.TIME_UNKNOWN)
