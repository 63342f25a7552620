"""What a GAP record tells of the messages that are missing: its attributes, written and read here alone."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from vutrace.records import Channel, Event, Side

ATTRIBUTE = re.compile(r"missing (\w+) (\w+) request (-?\d+)")
OTHERS = "missing others"


class MissingKind(NamedTuple):
    """A kind of message: the channel, who sent it, and its number; all empty for what is not told apart."""

    channel: str
    sender: str
    request: int

    def __str__(self) -> str:
        return f"{self.sender} {self.channel} request {self.request}" if self.sender else "others"


def attributes_of(kinds: Mapping[MissingKind, int]) -> dict[str, str]:
    """How many of each kind are missing, as attributes."""
    return {f"missing {kind}": str(count) for kind, count in kinds.items()}


def missing(event: Event) -> Counter[tuple[Channel, Side, int] | None]:
    """How many messages of each kind are missing; None for those that are not told apart."""
    counts: Counter[tuple[Channel, Side, int] | None] = Counter()
    for name, count in event.attributes.items():
        if found := ATTRIBUTE.fullmatch(name):
            sender, channel, request = found.groups()
            counts[Channel(channel), Side(sender), int(request)] += int(count)
        elif name == OTHERS:
            counts[None] += int(count)
    return counts
