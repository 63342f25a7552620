"""The same trouble again and again is one line, and then a count of it."""

import time
from collections.abc import Callable

EVERY_SECONDS = 10.0


class Repeats:
    """Says a text the first time, and later how often it would have been said: `say` gets text and count."""

    def __init__(self, say: Callable[[str, int], None], every: float = EVERY_SECONDS) -> None:
        self._say = say
        self._every = every
        self._text = ""
        self._more = 0
        self._since = 0.0

    def tell(self, text: str) -> None:
        """It happened."""
        now = time.monotonic()
        if text != self._text:
            self.over()
            self._text, self._since = text, now
            self._say(text, 1)
            return
        self._more += 1
        if now - self._since >= self._every:
            self._count(now)

    def over(self) -> None:
        """It does not happen any more: what was counted is said."""
        self._count(time.monotonic())
        self._text = ""

    def _count(self, now: float) -> None:
        if self._more:
            tries = "try" if self._more == 1 else "tries"
            self._say(f"{self._text}: {self._more:,} more {tries} in {now - self._since:.1f} s", self._more)
        self._more, self._since = 0, now
