"""A list that keeps its two ends: what a long capture may grow to is bounded, and what is gone is counted."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

CONNECTIONS_KEPT = 1024  # of a capture, where it is drawn: the first ones


class Ends(Generic[T]):
    """The first `keep` items and the latest `keep`; `omitted` were between them."""

    def __init__(self, keep: int) -> None:
        self.keep, self.omitted = keep, 0
        self._head: list[T] = []
        self._tail: deque[T] = deque()

    def append(self, item: T) -> None:
        """Add an item at the end."""
        if len(self._head) < self.keep:
            self._head.append(item)
            return
        self._tail.append(item)
        if len(self._tail) > self.keep:
            self._tail.popleft()
            self.omitted += 1

    def pop(self) -> T:
        """Take the last item back; IndexError when there is none."""
        return self._tail.pop() if self._tail else self._head.pop()

    @property
    def last(self) -> T | None:
        """The last item."""
        return self._tail[-1] if self._tail else self._head[-1] if self._head else None

    @property
    def cut(self) -> int:
        """How many items stand before the gap."""
        return len(self._head)

    def __iter__(self) -> Iterator[T]:
        yield from self._head
        yield from self._tail

    def __len__(self) -> int:
        return len(self._head) + len(self._tail)
