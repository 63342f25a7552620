"""What is known of each connection while its session lives: a capture may have any number of them."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 1024  # connections whose sessions are over


class Living(dict[int, T], Generic[T]):
    """By connection. What is `over` is let go of when there is much of it: who comes back then is new."""

    def __init__(self, over: Callable[[T], bool]) -> None:
        super().__init__()
        self._over, self._room = over, KEPT

    def begin(self, connection: int, value: T) -> T:
        """A session begins."""
        self[connection] = value
        if len(self) > self._room:
            for each in [each for each, known in self.items() if self._over(known)]:
                del self[each]
            self._room = max(KEPT, 2 * len(self))
        return value
