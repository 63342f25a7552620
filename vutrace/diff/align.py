"""Two courses side by side: what one has and the other has not, what says something else, what moved."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import NamedTuple

from vutrace.diff.tokens import Fact, Token

# How often it comes in a row is the interrupts' doing: a guest masks and unmasks them.
UNCOUNTED = "SET_VRING_CALL"
NAMED = 12  # steps of a stretch that are told by name
LONG = 5000  # steps from which on difflib may take frequent ones for noise, else it takes too long


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference of two courses: what stands in A and in B, in words; "" where nothing stands.

    `row_a` and `row_b` are where; the row before, where one has nothing (None at the very beginning).
    """

    what: str
    a: Fact
    b: Fact
    row_a: int | None
    row_b: int | None


def edits(a: Sequence[Token], b: Sequence[Token]) -> Iterator[Edit]:
    """The differences in order."""
    a, b = folded(a), folded(b)
    gone: list[Lone] = []
    come: list[Lone] = []
    for tag, a1, a2, b1, b2 in opcodes([each.key for each in a], [each.key for each in b]):
        if tag == "equal":
            for old, new in zip(a[a1:a2], b[b1:b2], strict=True):
                yield from told(old, new)
            continue
        gone += [Lone(place, b1) for place in range(a1, a2) if not a[place].mark]
        come += [Lone(place, a1) for place in range(b1, b2) if not b[place].mark]
    yield from moves(a, b, gone, come)
    for first, last in stretches(gone):
        yield Edit(words(a, first, last), "sent", "", a[first.place].row, row_before(b, first.missing))
    for first, last in stretches(come):
        yield Edit(words(b, first, last), "", "sent", row_before(a, first.missing), b[first.place].row)


def opcodes(a: list[str], b: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """As difflib's: what is equal, and what is not. What both begin and end with is cheap."""
    shorter = min(len(a), len(b))
    head = next((place for place in range(shorter) if a[place] != b[place]), shorter)
    rest = shorter - head
    tail = next((place for place in range(rest) if a[-1 - place] != b[-1 - place]), rest)
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    yield "equal", 0, head, 0, head
    matcher = SequenceMatcher(None, inner_a, inner_b, autojunk=max(len(inner_a), len(inner_b)) > LONG)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        yield tag, head + a1, head + a2, head + b1, head + b2
    yield "equal", len(a) - tail, len(a), len(b) - tail, len(b)


def folded(tokens: Sequence[Token]) -> list[Token]:
    """Equal neighbours as one."""
    found: list[Token] = []
    for token in tokens:
        last = found[-1] if found else None
        if last and (last.key, last.facts, last.mark) == (token.key, token.facts, token.mark):
            found[-1] = replace(last, count=last.count + token.count)
        else:
            found.append(token)
    return found


def told(old: Token, new: Token) -> Iterator[Edit]:
    """What two steps of one kind say differently."""
    for name in [*old.facts, *(name for name in new.facts if name not in old.facts)]:
        a, b = old.facts.get(name, ""), new.facts.get(name, "")
        # where no reply came, that alone is the difference
        if a != b and not (name.startswith("reply ") and "none" in (old.facts["reply"], new.facts["reply"])):
            yield Edit(f"{old.key}: {name}", a, b, old.row, new.row)
    yield from counts([old], [new])


def counts(a: Sequence[Token], b: Sequence[Token]) -> Iterator[Edit]:
    """Steps that followed each other more often in one."""
    for old, new in zip(a, b, strict=True):
        if old.count != new.count and old.key != UNCOUNTED and not old.mark:
            yield Edit(old.key, times(old.count), times(new.count), old.row, new.row)


def times(count: int) -> str:
    """How often in a row."""
    return "once" if count == 1 else f"{count} times in a row"


class Lone(NamedTuple):
    """A step that one course has at `place`, and where in the other it is missing."""

    place: int
    missing: int


def moves(a: list[Token], b: list[Token], gone: list[Lone], come: list[Lone]) -> Iterator[Edit]:
    """Take out of both lists the steps that both courses have, at different places."""
    places = defaultdict[str, deque[Lone]](deque)
    for lone in come:
        places[b[lone.place].key].append(lone)
    pairs = [(lone, places[key].popleft()) for lone in gone if places[key := a[lone.place].key]]
    moved, found = {old for old, _ in pairs}, {new for _, new in pairs}
    gone[:] = [lone for lone in gone if lone not in moved]
    come[:] = [lone for lone in come if lone not in found]
    for lone, twin in pairs:
        old, new = a[lone.place], b[twin.place]
        yield Edit(f"place of {old.key}", where(a, lone.place), where(b, twin.place), old.row, new.row)
        yield from told(old, new)


def stretches(lones: list[Lone]) -> Iterator[tuple[Lone, Lone]]:
    """The first and last of those that follow each other."""
    first = last = None
    for lone in lones:
        if first is None or last is None or lone.missing != last.missing:
            if first and last:
                yield first, last
            first = lone
        last = lone
    if first and last:
        yield first, last


def words(tokens: list[Token], first: Lone, last: Lone) -> str:
    """Steps in one line."""
    told = [
        token.key if token.count == 1 else f"{token.key} × {token.count}"
        for token in tokens[first.place : last.place + 1]
        if not token.mark
    ]
    more = [f"… {len(told) - NAMED} more"] if len(told) > NAMED else []
    return ", ".join(told[:NAMED] + more)


def where(tokens: list[Token], place: int) -> str:
    """What stands around a step."""
    before = tokens[place - 1].key if place else "the beginning"
    after = tokens[place + 1].key if place + 1 < len(tokens) else "the end"
    return f"between {before} and {after}"


def row_before(tokens: list[Token], place: int) -> int | None:
    """The row of the step before `place`."""
    return tokens[place - 1].row if place else None
