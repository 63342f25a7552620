"""Ranges of versions, in the words in which implementations and deviations tell them."""

import re
from typing import NamedTuple

Version = tuple[int, ...]
FIRST: Version = ()
LAST: Version = (1 << 30,)
RANGE = re.compile(r"(?:(up to|before) )?([\d.]+)?(?: to ([\d.]+))?( or later)?$")


class VersionRange(NamedTuple):
    """From `first` to `last`; with `open_end` that is the first one that is not in it."""

    first: Version = FIRST
    last: Version = LAST
    open_end: bool = False

    def meets(self, other: "VersionRange") -> bool:
        """Whether a version may be in both."""
        return self.begins_in(other) and other.begins_in(self)

    def begins_in(self, other: "VersionRange") -> bool:
        """Whether the first version is not behind another range."""
        return self.first < other.last or (self.first == other.last and not other.open_end)


def range_of(words: str) -> VersionRange:
    """The range in words: "7.2", "5.1 to 7.0", "9.2 or later", "up to 7.1", "before 20.08"; "" is any."""
    found = RANGE.match(words)
    if not found or not found[2]:
        return VersionRange()
    how, version, last, later = found[1], parsed(found[2]), found[3], found[4]
    if how:
        return VersionRange(last=version, open_end=how == "before")
    return VersionRange(version, parsed(last) if last else LAST if later else version)


def parsed(version: str) -> Version:
    """The numbers of a version."""
    return tuple(map(int, version.strip(".").split(".")))
