"""Descriptors that a rule makes, by the word that asks for them."""

import os
from collections.abc import Callable, Mapping

from vutrace.matching.values import MatchError

PAGE = os.sysconf("SC_PAGE_SIZE")


def dead_eventfd(_original: int) -> int:
    """An eventfd that nobody else has: what is written to it reaches nobody."""
    return os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)


def smaller(original: int) -> int:
    """Memory of half the size, and at least a page less."""
    size = os.fstat(original).st_size if original >= 0 else 2 * PAGE
    return memory(max(0, min(size // 2, size - PAGE)) // PAGE * PAGE)


def unmappable(original: int) -> int:
    """Memory of the same size that may only be written to: no mapping of it succeeds."""
    fd = memory(os.fstat(original).st_size if original >= 0 else PAGE)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def closed_pipe(_original: int) -> int:
    """The end of a pipe whose other end is closed."""
    reads, writes = os.pipe2(os.O_CLOEXEC)
    os.close(reads)
    return writes


def null(_original: int) -> int:
    """/dev/null."""
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def memory(size: int) -> int:
    """Memory of so many bytes, all zero."""
    fd = os.memfd_create("vutrace", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


KINDS: Mapping[str, Callable[[int], int]] = {
    "dead-eventfd": dead_eventfd,
    "smaller": smaller,
    "unmappable": unmappable,
    "closed-pipe": closed_pipe,
    "null": null,
}


def make(kind: str, original: int = -1) -> int:
    """A descriptor of that kind, made after the one that it replaces; MatchError for another word."""
    if kind not in KINDS:
        raise MatchError(f"no descriptor is called '{kind}'; there are {', '.join(KINDS)}")
    return KINDS[kind](original)
