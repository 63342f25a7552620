"""What was recorded, to be asserted on."""

import shutil
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from vutrace.capture import read
from vutrace.diff.compare import Pairing, pairings
from vutrace.diff.sections import Account, accounts
from vutrace.diff.text import same, text
from vutrace.dissection.message import Message
from vutrace.dissection.registry import Registry, load
from vutrace.problems import Problem
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit
from vutrace.rules.findings import Choice
from vutrace.rules.judge import Judge
from vutrace.session.ring import Ring
from vutrace.session.ring_states import RingState
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.rows import Rows
from vutrace.views.timeline.formats import FORMATS, DrawingOptions

QUIET = 0.08  # a record is in the file within 10 ms of its message
PATIENCE = 2.0
LAST_ROWS = 12


class TracedRing:
    """A ring as it stands: `running` is started and enabled."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring

    @property
    def running(self) -> bool:
        """Started and enabled."""
        return self.ring.state is RingState.RUNNING

    @property
    def started(self) -> bool:
        """Kicked, and not stopped since."""
        return self.ring.state.started

    @property
    def enabled(self) -> bool:
        """Enabled, by a message or because nothing else was negotiated."""
        return self.ring.state.enabled

    def __repr__(self) -> str:
        return f"<ring {self.ring.index}: {self.ring.state}>"


class Trace:
    """A capture as it is now; what is asked is read once, when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def settle(self) -> None:
        """Wait until what has passed is in the file."""
        deadline, size, since = time.monotonic() + PATIENCE, -1, 0.0
        while time.monotonic() < deadline:
            now = self.path.stat().st_size if self.path.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET:
                return
            time.sleep(QUIET / 8)

    @cached_property
    def rows(self) -> list[Row]:
        """Everything, judged by the rules of `check`."""
        self.settle()
        judge = Judge()
        tracked = self._tracker.rows(read(self.path))
        return [*map(judge.judge, tracked), *judge.end()]

    @cached_property
    def _tracker(self) -> Tracker:
        return Tracker(registry())

    @property
    def messages(self) -> list[str]:
        """The names of the requests, in order."""
        whats = (row.what for row in self.rows)
        return [what.name for what in whats if isinstance(what, Message) and not what.reply]

    @property
    def rings(self) -> dict[int, TracedRing]:
        """The rings of the last session by index, as they stood when it ended or stand now."""
        return {ring.index: TracedRing(ring) for ring in self.rows[-1].state.rings.values()}

    def negotiated(self, name: str) -> bool:
        """Whether a feature is acknowledged in the last session: `MQ`, `VIRTIO_F_VERSION_1`, `MRG_RXBUF`.

        KeyError for a name that no feature has. A device's own may go without VIRTIO_NET_F_ or the like.
        """
        context = self.rows[-1].state.context
        if name in PROTOCOL_FEATURES.values():
            return context.has_protocol(bit(name, PROTOCOL_FEATURES))
        names = {**context.device.features, **VIRTIO_FEATURES}
        for number, known in names.items():
            if name in (known, known.partition("_F_")[2]):
                return context.has_feature(1 << number)
        raise KeyError(name)

    @property
    def findings(self) -> list[str]:
        """What `check` finds that is a warning or worse, one line each."""
        choice = Choice()
        return [
            f"[{row.number}] {problem.name}: {problem}"
            for row in self.rows
            for problem in unique(row.problems)
            if choice.takes(problem)
        ]

    def accounts(self) -> list[Account]:
        """The sessions as `diff` compares them."""
        self.settle()
        tracker = Tracker(registry())
        return accounts(tracker.rows(read(self.path)), tracker.connections)

    def timeline(self) -> str:
        """The timeline as text, and the last rows."""
        drawn = timeline(iter(self.rows), self._tracker.connections)
        pieces = FORMATS["text"].render(drawn, DrawingOptions(lambda: self.rows))
        last = [Rows().line(AnnotatedRow(row)) for row in self.rows[-LAST_ROWS:]]
        return "\n".join(["".join(map(str, pieces)), *last])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Golden):
            return NotImplemented
        if other.update:
            self.settle()
            other.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path, other.path)
        return other.path.exists() and same(other.pairings(self))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<trace {self.path}>"


class Golden:
    """A capture that is kept with the tests; `update`: it takes the place of what it is compared with."""

    def __init__(self, path: Path, update: bool = False) -> None:
        self.path, self.update = path, update

    def pairings(self, trace: Trace) -> list[Pairing]:
        """The sessions of both, and what differs."""
        return pairings(Trace(self.path).accounts(), trace.accounts())

    def differences(self, trace: Trace) -> Iterator[str]:
        """What differs, in words."""
        if not self.path.exists():
            yield "it does not exist; pytest --update-golden keeps what is recorded now"
            return
        yield from text(self.pairings(trace), lambda row: Rows().line(AnnotatedRow(row)))
        yield "if it is to be so: pytest --update-golden"

    def __repr__(self) -> str:
        return f"<golden {self.path}>"


def unique(problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """Each problem of a row once."""
    return iter(dict.fromkeys(problems))


def registry() -> Registry:
    """The dissectors that are installed."""
    return load()
