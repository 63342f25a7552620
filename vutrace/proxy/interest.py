"""Which messages rules are about, as the relay knows it: by the numbers of requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vutrace.records import Channel, Side

Way = tuple[Channel, Side]
Numbers = frozenset[int] | None
"""Request numbers, None for all."""
NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Interest:
    """Which messages the taps decide on, and which they are only told of."""

    asked: Mapping[Way, Numbers]
    told: Mapping[Way, Numbers] = field(default_factory=dict)
