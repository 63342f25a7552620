"""Results that are kept, since the same short messages come again and again, within bounds of memory."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

LIMIT = 4096
LONGEST = 128
"""Bytes of a message whose results are worth keeping: longer ones are rare, and may be of any size."""


class Kept(dict[K, V]):
    """A dict of at most `LIMIT` items; it begins anew when a stream of ever new messages fills it."""

    def keep(self, key: K, value: V) -> V:
        """The value, which is there from now on."""
        if len(self) >= LIMIT:
            self.clear()
        self[key] = value
        return value
