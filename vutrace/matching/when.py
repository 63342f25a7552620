"""Which of the messages that match are meant, as `strace --inject` writes it: FIRST[..LAST][+[STEP]]."""

import re
from dataclasses import dataclass

from vutrace.matching.values import MatchError

WORDS = {"first": "1", "every": "1+"}
WRITTEN = re.compile(r"(?P<first>\d+)?(?P<to>\.\.(?P<last>\d+)?)?(?P<plus>\+(?P<step>\d+)?)?")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The `first`, each `step`-th behind it, up to the `last` (0: without end)."""

    first: int = 1
    last: int = 0
    step: int = 1

    def chooses(self, count: int) -> bool:
        """Whether the one with that number, from 1, is meant."""
        within = self.first <= count and (not self.last or count <= self.last)
        return within and (count - self.first) % self.step == 0


EVERY = Occurrence()


def parse_when(text: str) -> Occurrence:
    """`first`, `every`, `3`, `3+`, `3+2`, `2..5`, `..5`; MatchError."""
    found = WRITTEN.fullmatch(WORDS.get(text, text))
    if not text or not found or not (found["first"] or found["to"]):
        raise MatchError(f"when={text}: first, every, 3, 3+, 3+2, 2..5 or ..5 is what it takes")
    first, step = int(found["first"] or 1), int(found["step"] or 1)
    alone = not found["to"] and not found["plus"]
    last = int(found["last"] or 0) or (first if alone else 0)
    if not first or not step or (last and last < first):
        raise MatchError(f"when={text} never comes: messages are counted from 1")
    return Occurrence(first, last, step)
