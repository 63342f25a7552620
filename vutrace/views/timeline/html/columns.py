"""The rows of a session as columns of integers; texts by their place in a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from vutrace.dissection.message import Message
from vutrace.records import Channel, Event, EventKind, Sample, Side
from vutrace.session.lanes import KINDS as RING_KINDS
from vutrace.session.lanes import kind_of
from vutrace.session.model import SessionTimeline
from vutrace.views.annotated import AnnotatedRow
from vutrace.views.changes import row_words
from vutrace.views.descriptors import short
from vutrace.views.hexdump import hidden_bytes
from vutrace.views.notes import notes_of
from vutrace.views.samples import sample_words
from vutrace.views.text import printable
from vutrace.views.tree import Tree

ONCE, DEVICE, REPLY, EVENT = "once", "device", "reply", "event"
KINDS = [*dict.fromkeys(RING_KINDS.values()), "enable 1", "other", ONCE, DEVICE, REPLY, EVENT]
FROM_BACKEND, NEED_REPLY, PROBLEM, ON_BACKEND, ON_GPU = 1, 2, 4, 8, 16
CHANNELS: Mapping[Channel, int] = {Channel.MAIN: 0, Channel.BACKEND: ON_BACKEND, Channel.GPU: ON_GPU}
BYTES_KEPT = 1024  # of a message: a picture of the GPU channel has millions

# `request` is how many rows ago the request of a reply was, 0 for none; `latency` nanoseconds.
COLUMNS = (
    "number", "time", "kind", "flags", "ring", "name", "words", "fds", "tree", "bytes", "size",
    "request", "latency",
)  # fmt: skip
STEPS = frozenset({"number", "time"})  # told as the difference from the row before


class Texts:
    """Texts, each once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {"": 0}

    def place(self, text: str) -> int:
        """Where `text` stands in `all`."""
        return self.places.setdefault(text, len(self.places))

    @property
    def all(self) -> list[str]:
        """The table."""
        return list(self.places)


class Columns:
    """Collects the rows of one session."""

    def __init__(self, session: SessionTimeline, texts: Texts) -> None:
        self.texts, self.tree = texts, Tree()
        self.rings = {lane.ring.index for lane in session.rings}
        self.once = {mark.row for phase in session.phases for mark in phase.once_marks}
        self.lines: list[tuple[int, ...]] = []
        self._left_out: set[int] = set()

    def add(self, shown: AnnotatedRow) -> bool:
        """Take a row; False for one about a ring that is not drawn, and for the reply to it."""
        row, what = shown.row, shown.row.what
        if isinstance(what, Event):
            words = sample_words(row) if isinstance(what, Sample) else printable(what.text)
            flags = PROBLEM * (what.kind is EventKind.ERROR)
            self.lines.append(self.line(shown, EVENT, flags, -1, what.kind, words))
            return True
        ring = -1 if what.ring is None else what.ring
        if (ring >= 0 and ring not in self.rings) or row.reply_to in self._left_out:
            self._left_out.add(row.number)
            return False
        words = printable(row_words(shown, what))
        flags = FROM_BACKEND * (what.frame.sender is Side.BACKEND) | NEED_REPLY * what.need_reply
        flags |= CHANNELS[what.channel]
        self.lines.append(self.line(shown, self.kind(row.number, what), flags, ring, what.name, words))
        return True

    def kind(self, number: int, message: Message) -> str:
        """What a message is drawn as."""
        if message.reply:
            return REPLY
        if message.ring is not None:
            return kind_of(message)
        return ONCE if number in self.once else DEVICE

    def line(
        self, shown: AnnotatedRow, kind: str, flags: int, ring: int, name: str, words: str
    ) -> tuple[int, ...]:
        """The row's place in each column."""
        row, place = shown.row, self.texts.place
        message = None if isinstance(row.what, Event) else row.what
        return (
            row.number,
            row.since_first_ns,
            KINDS.index(kind),
            flags | PROBLEM * bool(shown.problems),
            ring,
            place(printable(name)),
            place(words),
            place(short(message.frame.fds) if message else ""),
            place("\n".join(self.details(shown))),
            place(digits(message) if message else ""),
            message.size if message else 0,
            row.number - row.reply_to if row.reply_to else 0,
            row.latency_ns or 0,
        )

    def details(self, shown: AnnotatedRow) -> Iterator[str]:
        """What `vutrace show -V` has below the row."""
        yield from (f"= {note}" for note in notes_of(shown))
        yield from self.tree.lines(shown)

    def data(self) -> dict[str, list[Any]]:
        columns = zip(*self.lines, strict=True) if self.lines else [()] * len(COLUMNS)
        return {
            name: steps(column) if name in STEPS else list(column)
            for name, column in zip(COLUMNS, columns, strict=True)
        }


def steps(column: tuple[int, ...]) -> list[int]:
    """Each as its difference from the one before."""
    return [value - before for before, value in zip((0, *column), column, strict=False)]


def digits(message: Message) -> str:
    """A message's bytes in hex, secret ones starred out; of a long one the beginning."""
    data = message.frame.data[:BYTES_KEPT]
    hidden = hidden_bytes(message)
    if not hidden:
        return data.hex()
    return "".join("**" if at in hidden else f"{byte:02x}" for at, byte in enumerate(data))
