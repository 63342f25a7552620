"""The timeline as values: connections, sessions, phases with their loops, rings with spans and marks.

Everything is drawn from these. Rows are numbers as in `vutrace show`; times are nanoseconds since the
capture's first record. Sequences that would grow with the capture are bounded: what was left out is
counted next to them, never silently gone.
"""

from dataclasses import dataclass
from enum import Enum

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.protocol.effects import RingEffect
from vutrace.records import Channel, Side
from vutrace.session.acted import ActedRow
from vutrace.session.activity import Moved
from vutrace.session.fd_ledger import Holding
from vutrace.session.memory import MemoryChange, Region
from vutrace.session.negotiation import Round
from vutrace.session.phases import Phase
from vutrace.session.ring import Ring


@dataclass(frozen=True, slots=True)
class Step:
    """A message within an iteration, sent `count` times in a row.

    `ring` counts from the iteration's first ring, None for a message about the device. `value` is
    SET_VRING_ENABLE's 0 or 1. `once` tells a message that front-ends send once per device
    (`MessageSpec.once`) and that came once in its phase.
    """

    name: str
    ring: int | None = None
    value: int | None = None
    count: int = 1
    once: bool = False


class Oddity(Enum):
    """In what way an iteration is not as most of its siblings."""

    MORE = "also"
    LESS = "without"
    ORDER = "in another order"


@dataclass(frozen=True, slots=True)
class Anomaly:
    """What is out of the ordinary in an iteration, in words.

    Something went wrong at `row`, or the iteration differs from its siblings: then `oddity` says how.
    """

    text: str
    row: int | None = None
    oddity: Oddity | None = None

    def __str__(self) -> str:
        return self.text if self.row is None else f"[{self.row}] {self.text}"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Messages of a phase outside its loops; `anomalies` say what went wrong."""

    first: int
    last: int
    steps: tuple[Step, ...]
    anomalies: tuple[Anomaly, ...] = ()


@dataclass(frozen=True, slots=True)
class Iteration:
    """One turn of a loop: of queue pair `pair`, or of `ring` where rings do not come in pairs.

    `rings` are those it is about. `anomalies` say what sets it apart from most of its siblings, and
    what went wrong in it.
    """

    pair: int | None
    ring: int | None
    rings: tuple[int, ...]
    first: int
    last: int
    steps: tuple[Step, ...]
    anomalies: tuple[Anomaly, ...] = ()

    @property
    def messages(self) -> list[str]:
        """The names as they were sent."""
        return [step.name for step in self.steps for _ in range(step.count)]


@dataclass(frozen=True, slots=True)
class Loop:
    """The same for several queue pairs (or rings), one after the other.

    `repeats` equal passes followed each other; the iterations are those of the first, up to `last`.
    """

    name: str
    iterations: tuple[Iteration, ...]
    last: int
    repeats: int = 1

    @property
    def count(self) -> int:
        """The iterations of one pass."""
        return len(self.iterations)

    @property
    def first(self) -> int:
        """Its first row."""
        return self.iterations[0].first


Part = Sequence | Loop


@dataclass(frozen=True, slots=True)
class Mark:
    """A message about a ring, or `count` of one kind up to row `last`; see `lanes.KINDS`.

    `effect` is what the (first) message does to the ring.
    """

    kind: str
    name: str
    row: int
    time_ns: int
    last: int
    count: int = 1
    effect: RingEffect | None = None

    @property
    def first(self) -> int:
        """Its first row."""
        return self.row


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A phase from its first row to its last; both are None where the device ran without a message.

    `parts` are its loops and what stood between them, in order, `parts_omitted` of them left out.
    `messages` counts the requests, `once_marks` are those that were sent once per device.
    """

    phase: Phase
    first: int | None
    last: int | None
    start_ns: int
    end_ns: int
    parts: tuple[Part, ...] = ()
    parts_omitted: int = 0
    messages: int = 0
    once_marks: tuple[Mark, ...] = ()

    @property
    def loops(self) -> list[Loop]:
        """The loops alone."""
        return [part for part in self.parts if isinstance(part, Loop)]

    @property
    def once(self) -> list[str]:
        """The names of what was sent once per device."""
        return [mark.name for mark in self.once_marks]


@dataclass(frozen=True, slots=True)
class Span:
    """A ring's state from row `first` on: a `RingState`, or "configured" (set up and not started).

    `rule` says why. `changes` is above 1 where a span stands for many that were too short to keep.
    """

    state: str
    start_ns: int
    end_ns: int
    first: int
    rule: str = ""
    changes: int = 1


@dataclass(frozen=True, slots=True)
class RingLane:
    """What happened to one ring; `ring` is how it stood when the session (or the capture) ended.

    `samples` are what moved in it, where somebody looked.
    """

    ring: Ring
    pair: int | None
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    samples: tuple[Moved, ...] = ()

    @property
    def moved(self) -> Moved | None:
        """What moved last."""
        return self.samples[-1] if self.samples else None


@dataclass(frozen=True, slots=True)
class Owing:
    """A request that `debtor` never answered."""

    row: int
    name: str
    channel: str
    debtor: Side


@dataclass(frozen=True, slots=True)
class SideMessages:
    """Requests of one name on a socket that was passed on: `count` of them, in rows `first` to `last`."""

    channel: Channel
    name: str
    sender: Side
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Omitted:
    """How much of each sequence of a session was left out, to bound what a long capture may grow to.

    `rings` counts messages about rings beyond those that are kept, `memory` regions, `fds` descriptors.
    """

    rings: int = 0
    rounds: int = 0
    memory: int = 0
    memory_changes: int = 0
    fds: int = 0
    owing: int = 0
    side_channels: int = 0


@dataclass(frozen=True, slots=True)
class SessionTimeline:
    """One session: from connect to close, or as far as the capture goes (`closed` is False).

    `closed_by` is the side that closed it, None where vutrace did; `side_channels` are requests elsewhere.

    `rows` counts its records, `problems` the rows with something wrong. `phases_omitted` phases were
    left out between `phases[phases_cut - 1]` and `phases[phases_cut]`, `omitted` of the
    other sequences. `kind` has the names of the device's features. `acted` are the messages that rules of
    vutrace's acted on, the first and the last of them. `partial`: the source of an import did not know all of
    it; `timed`: times are known, and not only the order.
    """

    number: int
    device: str
    device_reason: str
    first: int
    last: int
    start_ns: int
    end_ns: int
    closed: bool
    rows: int
    problems: int
    phases: tuple[PhaseSpan, ...]
    rings: tuple[RingLane, ...]
    rounds: tuple[Round, ...]
    barriers: int
    memory: tuple[Region, ...]
    memory_changes: tuple[MemoryChange, ...]
    fds: tuple[Holding, ...]
    fds_received: int
    owing: tuple[Owing, ...]
    status: int | None
    phases_omitted: int = 0
    phases_cut: int = 0
    kind: Device = UNKNOWN_DEVICE
    closed_by: Side | None = None
    partial: bool = False
    timed: bool = True
    side_channels: tuple[SideMessages, ...] = ()
    omitted: Omitted = Omitted()
    acted: tuple[ActedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectionTimeline:
    """All sessions of one connection; `sessions_omitted` were left out after the first ones."""

    number: int
    frontend: str
    backend: str
    sessions: tuple[SessionTimeline, ...]
    sessions_omitted: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """A whole capture; `first_ns` is the time of its first record, in ns since the epoch. After the first
    connections, `connections_omitted` were left out.
    """

    connections: tuple[ConnectionTimeline, ...]
    rows: int
    first_ns: int
    connections_omitted: int = 0
