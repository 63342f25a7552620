"""What stands for what in a scrubbed capture: the same always for the same, and nothing tells it back."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum


class Private(StrEnum):
    """What is replaced, by the word that `--keep` takes."""

    PATHS = "paths"
    NAMES = "names"  # of processes that nobody else has
    ARGUMENTS = "arguments"  # of command lines, but for options, numbers and what is in vutrace's tables
    MACS = "macs"
    ADDRESSES = "addresses"  # where the front-end has the guest's memory
    KEYS = "keys"
    UUIDS = "uuids"
    TEXTS = "texts"  # tags and serials in configuration space
    OPAQUE = "opaque"  # bytes that nobody can read: of unknown messages, pictures, what lies behind a payload


Value = str | bytes | int
WORDS = {Private.PATHS: "part", Private.NAMES: "program", Private.ARGUMENTS: "word"}
LOCAL_MAC = b"\x02"  # locally administered
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Replaced:
    """One value that was replaced, and how often."""

    what: Private
    was: Value
    by: Value
    count: int

    @property
    def line(self) -> str:
        """For the list: what it was and what it is now. A key is not written out."""
        if self.what in (Private.KEYS, Private.OPAQUE) and isinstance(self.was, bytes):
            return f"{self.what:<10} {len(self.was)} bytes ({self.count} times)"
        return f"{self.what:<10} {shown(self.was)} -> {shown(self.by)} ({self.count} times)"


class Replacements:
    """Gives each private value another of its kind and size; `keep` are the kinds that stay as they are."""

    def __init__(self, keep: Collection[Private] = ()) -> None:
        self.keep = frozenset(keep)
        self._salt = os.urandom(16)
        self._known: dict[tuple[Private, Value], Value] = {}
        self._counts: Counter[tuple[Private, Value]] = Counter()
        self._numbers: Counter[Private] = Counter()
        self.shift: int | None = None

    def word(self, what: Private, was: str) -> str:
        """A name for a name."""
        return str(self._get(what, was, lambda: f"{WORDS[what]}{self._next(what)}"))

    def bytes_of(self, what: Private, was: bytes) -> bytes:
        """Bytes for bytes, as many; zeros are nothing and stay."""
        if not was.strip(b"\0"):
            return was
        made = self._get(what, was, lambda: self._made(what, was))
        assert isinstance(made, bytes)
        return made

    def address(self, was: int) -> int:
        """An address in the front-end: all are moved alike, so that what lies where stays true."""
        if self.shift is None:
            self.shift = moved(was, int.from_bytes(self._salt[:4], "little"))
        made = self._get(Private.ADDRESSES, was, lambda: (was + (self.shift or 0)) & 0xFFFFFFFFFFFFFFFF)
        assert isinstance(made, int)
        return made

    def count_anew(self) -> None:
        """Forget how often values came, and not what stands for them."""
        self._counts.clear()

    def replaced(self) -> list[Replaced]:
        """All that was replaced, kind by kind, in the order in which it came."""
        order = list(Private)
        found = (
            Replaced(what, was, by, self._counts[what, was])
            for (what, was), by in self._known.items()
            if was != by
        )
        return sorted(found, key=lambda each: order.index(each.what))

    def _get(self, what: Private, was: Value, make: Callable[[], Value]) -> Value:
        if what in self.keep or not was:
            return was
        self._counts[what, was] += 1
        if (what, was) not in self._known:
            self._known[what, was] = make()
        return self._known[what, was]

    def _next(self, what: Private) -> int:
        self._numbers[what] += 1
        return self._numbers[what]

    def _made(self, what: Private, was: bytes) -> bytes:
        if what is Private.MACS:
            return LOCAL_MAC + self._next(what).to_bytes(len(was) - 1, "big")
        if what is Private.TEXTS:
            text = f"text{self._next(what)}".encode()
            length = len(was.rstrip(b"\0"))
            return (text if len(text) <= length else b"x" * length).ljust(len(was), b"\0")
        return hashlib.shake_256(self._salt + was).digest(len(was))


def moved(address: int, random: int) -> int:
    """By how much addresses are moved: whole gigabytes, so that how they are aligned stays true."""
    gigabyte = 1 << 30
    target = 0x400000000000 + (random & 0xFFF) * gigabyte
    return target - address // gigabyte * gigabyte + (gigabyte if target == address else 0)


def shown(value: Value) -> str:
    """A value for the list."""
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, bytes):
        printable = value.rstrip(b"\0")
        text = printable.decode() if printable.isascii() and printable.decode().isprintable() else value.hex()
        return text[:SHOWN]
    return value[:SHOWN]
