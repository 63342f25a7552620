"""Two sections side by side: what one has and the other has not, what says something else, what moved."""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from vutrace.diff.tokens import FactText, Token

NAMED = 12  # steps of a stretch that are told by name
WORK = 1_000_000  # pairs of equal steps up to which two sections are laid side by side as wholes
WINDOW = 200  # steps of each that are, where it would be more
CROSSINGS = 200  # marks of a section for which it is told what crossed them

Opcode = tuple[str, int, int, int, int]
"""As difflib has them: what it is, from and to in A, from and to in B."""


class EditKind(Enum):
    """How two sections differ."""

    SAYS = "says something else"
    MOVED = "stands elsewhere"
    ONLY_A = "is in A only"
    ONLY_B = "is in B only"


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference of two sections: of which step or steps, and what A and B say of its `fact`.

    `row_a` and `row_b` are where; the row before, where one has nothing (None at the very beginning).
    """

    kind: EditKind
    step: str
    row_a: int | None
    row_b: int | None
    fact: str = ""
    a: FactText = ""
    b: FactText = ""


def edits(a: Sequence[Token], b: Sequence[Token]) -> Iterator[Edit]:
    """The differences in order."""
    a, b = countable(a), countable(b)
    gone: list[Unmatched] = []
    come: list[Unmatched] = []
    for tag, a1, a2, b1, b2 in opcodes([each.key for each in a], [each.key for each in b]):
        if tag == "equal":
            for old, new in zip(a[a1:a2], b[b1:b2], strict=True):
                yield from fact_edits(old, new)
            continue
        gone += [Unmatched(place, b1, a[place]) for place in range(a1, a2)]
        come += [Unmatched(place, a1, b[place]) for place in range(b1, b2)]
    if not gone and not come:
        return
    shared_a, shared_b = common_places(a, gone), common_places(b, come)
    pairs = take_moved(gone, come)
    yield from moves(a, b, [pair for pair in pairs if not pair[0].token.mark])
    marks = [pair for pair in pairs if pair[0].token.mark]
    yield from crossings(a, b, marks, (shared_a, shared_b))
    for first, last in stretches(gone):
        only = step_names(a[first.place : last.place + 1])
        yield Edit(EditKind.ONLY_A, only, first.token.row, row_before(b, first.missing))
    for first, last in stretches(come):
        only = step_names(b[first.place : last.place + 1])
        yield Edit(EditKind.ONLY_B, only, row_before(a, first.missing), first.token.row)


def opcodes(a: list[str], b: list[str]) -> Iterator[Opcode]:
    """As difflib's: what is equal, and what is not. What both begin and end with is cheap."""
    shorter = min(len(a), len(b))
    head = next((place for place in range(shorter) if a[place] != b[place]), shorter)
    rest = shorter - head
    tail = next((place for place in range(rest) if a[-1 - place] != b[-1 - place]), rest)
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    yield "equal", 0, head, 0, head
    if inner_a or inner_b:
        for tag, a1, a2, b1, b2 in aligned(inner_a, inner_b):
            yield tag, head + a1, head + a2, head + b1, head + b2
    yield "equal", len(a) - tail, len(a), len(b) - tail, len(b)


def aligned(a: list[str], b: list[str]) -> Iterator[Opcode]:
    """difflib's opcodes; of sections that it would take too long for, a window's after another.

    A window ends with the last step that both have in it, from which on the next one goes.
    """
    counts = Counter(a), Counter(b)
    whole = sum(count * counts[1][key] for key, count in counts[0].items()) <= WORK
    size = max(len(a), len(b)) if whole else WINDOW
    at, bt = 0, 0
    while at < len(a) or bt < len(b):
        window = a[at : at + size], b[bt : bt + size]
        codes = SequenceMatcher(None, *window, autojunk=False).get_opcodes()
        if (at + size < len(a) or bt + size < len(b)) and len(codes) > 1 and codes[-1][0] != "equal":
            codes.pop()
        for tag, a1, a2, b1, b2 in codes:
            yield tag, at + a1, at + a2, bt + b1, bt + b2
        at, bt = at + codes[-1][2], bt + codes[-1][4]


def countable(tokens: Sequence[Token]) -> list[Token]:
    """Without the repetitions that mean nothing."""
    found: list[Token] = []
    for token in tokens:
        repeats = found and (found[-1].key, found[-1].facts) == (token.key, token.facts)
        if not repeats or token.counted:
            found.append(token)
    return found


def fact_edits(old: Token, new: Token) -> Iterator[Edit]:
    """What two steps of one kind say differently; where no reply came, that alone is the difference."""
    facts_a, facts_b = dict(old.facts), dict(new.facts)
    if old.reply and new.reply:
        facts_a |= old.reply
        facts_b |= new.reply
    for name in facts_a | facts_b:
        a, b = facts_a.get(name, ""), facts_b.get(name, "")
        if a != b:
            yield Edit(EditKind.SAYS, old.key, old.row_of(name), new.row_of(name), name, a, b)


class Unmatched(NamedTuple):
    """A step that one section has at `place`, and where in the other it is missing."""

    place: int
    missing: int
    token: Token


Pair = tuple[Unmatched, Unmatched]
"""A step of A and the same one of B, at different places."""


def take_moved(gone: list[Unmatched], come: list[Unmatched]) -> list[Pair]:
    """Take the steps that both sections have, at different places, out of both lists."""
    waiting = defaultdict[str, deque[Unmatched]](deque)
    for each in come:
        waiting[each.token.key].append(each)
    pairs = [(each, waiting[key].popleft()) for each in gone if waiting[key := each.token.key]]
    moved, found = {old.place for old, _ in pairs}, {new.place for _, new in pairs}
    gone[:] = [each for each in gone if each.place not in moved and not each.token.mark]
    come[:] = [each for each in come if each.place not in found and not each.token.mark]
    return pairs


def moves(a: list[Token], b: list[Token], pairs: list[Pair]) -> Iterator[Edit]:
    """Steps that stand elsewhere; those that moved together are told together."""
    for run in group_moves(pairs):
        yield move_edit(a, b, [old.place for old, _ in run], [new.place for _, new in run])
        for old, new in run:
            yield from fact_edits(old.token, new.token)


def move_edit(a: list[Token], b: list[Token], old: list[int], new: list[int]) -> Edit:
    """Steps that stand at one place of A and at another of B."""
    step, places = step_names(a[place] for place in old), (neighbours(a, old), neighbours(b, new))
    return Edit(EditKind.MOVED, step, a[old[0]].row, b[new[0]].row, "place", *places)


def common_places(tokens: list[Token], unmatched: list[Unmatched]) -> list[int]:
    """Where the steps are that both sections have side by side."""
    alone = {each.place for each in unmatched}
    return [place for place, token in enumerate(tokens) if not token.mark and place not in alone]


def crossings(
    a: list[Token], b: list[Token], marks: list[Pair], shared_places: tuple[list[int], list[int]]
) -> Iterator[Edit]:
    """Steps that stand on the other side of a mark.

    Where one section has a mark more often, it is not known which is which; the mark's own section tells it.
    """
    counts = [Counter(token.key for token in tokens) for tokens in (a, b)]
    for old, new in marks[:CROSSINGS]:
        here = between(shared_places[0], old.place, new.missing)
        there = between(shared_places[1], new.place, old.missing)
        if here and there and counts[0][old.token.key] == counts[1][old.token.key]:
            yield move_edit(a, b, here, there)
    if more := marks[CROSSINGS:]:
        words, (old, new) = f"{len(more)} more stand elsewhere", more[0]
        yield Edit(EditKind.SAYS, "the device", old.token.row, new.token.row, "its steps", words, words)


def between(found: list[int], mark: int, other: int) -> list[int]:
    """Those from a mark to the place where another section has it; `found` is in order."""
    return found[bisect_left(found, min(mark, other)) : bisect_left(found, max(mark, other))]


def group_moves(pairs: list[Pair]) -> Iterator[list[Pair]]:
    """Those that moved as one: side by side before and after."""
    run: list[Pair] = []
    for old, new in pairs:
        if run and (run[-1][0].place + 1, run[-1][1].place + 1) != (old.place, new.place):
            yield run
            run = []
        run.append((old, new))
    if run:
        yield run


def stretches(unmatched: list[Unmatched]) -> Iterator[tuple[Unmatched, Unmatched]]:
    """The first and last of those that follow each other."""
    first = last = None
    for each in unmatched:
        if first is None or last is None or each.missing != last.missing:
            if first and last:
                yield first, last
            first = each
        last = each
    if first and last:
        yield first, last


def step_names(tokens: Iterable[Token]) -> str:
    """Steps in one line; equal ones that follow each other are counted."""
    keys = [token.key for token in tokens if not token.mark]
    runs = [(key, len(list(equal))) for key, equal in groupby(keys)]
    named = [key if count == 1 else f"{key} × {count}" for key, count in runs]
    more = [f"… {len(keys) - sum(count for _, count in runs[:NAMED])} more"] if len(runs) > NAMED else []
    return ", ".join(named[:NAMED] + more)


def neighbours(tokens: list[Token], steps: list[int]) -> str:
    """What stands around steps."""
    first, last = steps[0], steps[-1]
    before = tokens[first - 1].key if first else "the beginning"
    after = tokens[last + 1].key if last + 1 < len(tokens) else "the end"
    return f"between {before} and {after}"


def row_before(tokens: list[Token], place: int) -> int | None:
    """The row of the step before `place`."""
    return tokens[place - 1].row if place else None
