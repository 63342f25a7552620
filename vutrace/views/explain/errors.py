"""Finds the error texts of the programs that speak vhost-user in what somebody pasted."""

import re
from dataclasses import dataclass

from vutrace.views.explain.dpdk_errors import DPDK_ERRORS
from vutrace.views.explain.error_text import ErrorText
from vutrace.views.explain.other_errors import OTHER_ERRORS
from vutrace.views.explain.qemu_errors import QEMU_ERRORS

ERROR_TEXTS = (*QEMU_ERRORS, *DPDK_ERRORS, *OTHER_ERRORS)


@dataclass(frozen=True, slots=True)
class Match:
    """An error text that was found: where it began, and the pieces it has."""

    text: ErrorText
    start: int
    quote: str
    groups: dict[str, str]


def found_in(text: str) -> list[Match]:
    """Every error text in what was pasted, in its order; each kind once."""
    first = (
        (row, hit) for row in ERROR_TEXTS if (hit := re.search(row.pattern, text, re.IGNORECASE)) is not None
    )
    matches = [Match(row, hit.start(), hit[0].strip(), cleaned(hit)) for row, hit in first]
    kept = [match for match in matches if not any(covers(other, match) for other in matches)]
    return sorted(kept, key=lambda match: match.start)


def cleaned(hit: re.Match[str]) -> dict[str, str]:
    """The groups that took part."""
    return {name: value.strip() for name, value in hit.groupdict().items() if value}


def covers(one: Match, other: Match) -> bool:
    """Whether a match lies within another, longer one."""
    inside = one.start <= other.start and other.start + len(other.quote) <= one.start + len(one.quote)
    return one is not other and inside and len(one.quote) > len(other.quote)
