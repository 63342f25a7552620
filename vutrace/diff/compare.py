"""Two accounts of a session compared, section by section; equal differences of several rings are one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import median

from vutrace.diff.align import Edit, EditKind, edits
from vutrace.diff.sections import LAST, PHASES, SHAPES, Account, Section
from vutrace.diff.tokens import MOVED, FactText

Found = tuple[str, EditKind, str, str, FactText, FactText]
"""What makes two differences the same: the subject, and the edit but for its rows."""

LATE_RATIO, LATE_NS = 2.0, 100_000
# Where a back-end, or the last record, says how far a ring has come.
INDEXES = {"reply num", "base"}


@dataclass(slots=True)
class Change:
    """One difference, where it was found first; `rings` have it, `count` is how often."""

    subject: str
    edit: Edit
    rings: dict[str, None] = field(default_factory=dict)
    count: int = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The rings that have it, in order."""
        return tuple(self.rings)

    @property
    def what(self) -> str:
        """What differs, in words."""
        match self.edit.kind:
            case EditKind.SAYS:
                return f"{self.edit.step}: {self.edit.fact}"
            case EditKind.MOVED:
                return f"place of {self.edit.step}"
            case _:
                return self.edit.step


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two sessions and what differs between them; one is None where the other has no counterpart."""

    a: Account | None
    b: Account | None
    changes: list[Change]


def compare(a: Account, b: Account, latency: bool = False, indexes: bool = False) -> list[Change]:
    """What differs, first difference first; what the traffic decides only on request."""
    found: dict[Found, Change] = {}
    for mine, theirs in pair_sections(a, b):
        section = mine or theirs
        assert section
        for edit in edits(mine.tokens if mine else (), theirs.tokens if theirs else ()):
            note(found, section, edit)
    changes = [change for change in found.values() if indexes or not of_traffic(change)]
    if all(change.subject == PHASES for change in changes):
        # Where every section is the same, loops that are not tell only how independent rings interleave.
        changes = [change for change in changes if change.edit.fact not in SHAPES]
    if latency:
        changes += latencies(a.latencies, b.latencies)
    return sorted(changes, key=lambda change: place(change, a.first, b.first))


def of_traffic(change: Change) -> bool:
    """Whether it is only that a ring has moved in one of them."""
    edit = change.edit
    return edit.fact in INDEXES and {edit.a, edit.b} <= MOVED


def pairings(
    a: list[Account], b: list[Account], latency: bool = False, indexes: bool = False
) -> list[Pairing]:
    """Sessions in order, each with its counterpart."""
    return [
        Pairing(mine, theirs, compare(mine, theirs, latency, indexes) if mine and theirs else [])
        for mine, theirs in zip_longest(a, b)
    ]


def pair_sections(a: Account, b: Account) -> Iterator[tuple[Section | None, Section | None]]:
    """The sections of both by what they are about."""
    mine, theirs = ({(each.subject, each.ring): each for each in account.sections} for account in (a, b))
    for key in [*mine, *(key for key in theirs if key not in mine)]:
        yield mine.get(key), theirs.get(key)


def note(found: dict[Found, Change], section: Section, edit: Edit) -> None:
    """Add a difference, or count it with one that says the same."""
    key = section.subject, edit.kind, edit.step, edit.fact, edit.a, edit.b
    known = found.get(key)
    if known is None:
        known = found[key] = Change(section.subject, edit, count=0)
    known.count += 1
    if section.name:
        known.rings[section.name] = None


def place(change: Change, first_a: int, first_b: int) -> tuple[bool, int, int]:
    """Where a difference stands: how far into the session that comes to it earlier; summaries come last."""
    steps = ((change.edit.row_a, first_a), (change.edit.row_b, first_b))
    since = [row - first for row, first in steps if row is not None] or [0]
    return change.subject in LAST, min(since), max(since)


def latencies(a: Mapping[str, list[int]], b: Mapping[str, list[int]]) -> Iterator[Change]:
    """Replies that took at least twice as long in one, by the median."""
    for name in a.keys() & b.keys():
        old, new = median(a[name]), median(b[name])
        if abs(old - new) > LATE_NS and max(old, new) > LATE_RATIO * min(old, new):
            took = milliseconds(old), milliseconds(new)
            yield Change("latency", Edit(EditKind.SAYS, name, None, None, "median", *took))


def milliseconds(nanoseconds: float) -> str:
    """A time in words."""
    return f"{nanoseconds / 1e6:.3f} ms"
