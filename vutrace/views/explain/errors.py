"""Finds the error texts of the programs that speak vhost-user in what somebody pasted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vutrace.views.explain.dpdk_errors import DPDK_ERRORS
from vutrace.views.explain.error_text import ErrorText
from vutrace.views.explain.libvhost_user_errors import LIBVHOST_USER_ERRORS
from vutrace.views.explain.ovs_errors import OVS_ERRORS
from vutrace.views.explain.qemu_errors import QEMU_ERRORS
from vutrace.views.explain.rust_errors import RUST_ERRORS
from vutrace.views.explain.spdk_errors import SPDK_ERRORS
from vutrace.views.explain.system_errors import SYSTEM_ERRORS
from vutrace.views.explain.virtio_user_errors import VIRTIO_USER_ERRORS

ERROR_TEXTS = (
    *QEMU_ERRORS,
    *LIBVHOST_USER_ERRORS,
    *DPDK_ERRORS,
    *OVS_ERRORS,
    *VIRTIO_USER_ERRORS,
    *RUST_ERRORS,
    *SPDK_ERRORS,
)


@dataclass(frozen=True, slots=True)
class Match:
    """An error text that was found: its place among the rows, where it began, in which line, its pieces."""

    text: ErrorText
    rank: int
    start: int
    line: int
    quote: str
    groups: dict[str, str]


def found_in(text: str) -> list[Match]:
    """Every error text in what was pasted, in its order, each kind once; else what the system said."""
    return matches(text, ERROR_TEXTS) or matches(text, SYSTEM_ERRORS)


def matches(text: str, rows: Iterable[ErrorText]) -> list[Match]:
    """The rows that are found, without those that are only a part of another."""
    hits = ((rank, row, re.search(row.pattern, text, re.IGNORECASE)) for rank, row in enumerate(rows))
    found = [match_of(rank, row, hit) for rank, row, hit in hits if hit]
    kept = [match for match in found if not any(covers(other, match) for other in found)]
    return sorted(kept, key=lambda match: (match.line, match.text.wraps, match.start))


def match_of(rank: int, row: ErrorText, hit: re.Match[str]) -> Match:
    """What was found of a row."""
    line = hit.string.count("\n", 0, hit.start())
    return Match(row, rank, hit.start(), line, hit[0].strip(), cleaned(hit))


def cleaned(hit: re.Match[str]) -> dict[str, str]:
    """The groups that took part."""
    return {name: value.strip() for name, value in hit.groupdict().items() if value}


def covers(one: Match, other: Match) -> bool:
    """Whether a match lies within another; of two of the same extent the earlier row counts."""
    inside = one.start <= other.start and other.start + len(other.quote) <= one.start + len(one.quote)
    return inside and (len(one.quote), -one.rank) > (len(other.quote), -other.rank)
