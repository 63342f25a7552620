"""A device's `ring_name` function as data, for a plug-in that cannot call Python.

The function is asked for every ring and for the feature bits that make a difference; what it says is
condensed to words such as "rx%d", "tx%d" in turn, and the names that do not follow them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from vutrace.dissection.device import Device
from vutrace.protocol.bits import VIRTIO_FEATURES

RINGS = 256  # a ring is told by 8 bits in KICK, CALL and ERR
MOST_BITS = 4
SAMPLE = 60


@dataclass(frozen=True, slots=True)
class Names:
    """Ring `i` is `exact[i]`, else `words[(i - shift) % len(words)]` with its number filled in."""

    words: tuple[str, ...]
    shift: int
    exact: dict[int, str]

    def of(self, ring: int) -> str:
        """The name of a ring."""
        if ring in self.exact:
            return self.exact[ring]
        number, turn = divmod(ring - self.shift, len(self.words))
        return self.words[turn].replace("%d", str(number))


def names_of(device: Device) -> tuple[list[int], list[Names]]:
    """The feature bits that change names, and the names for each combination of them.

    Combinations count in binary, the first bit lowest; more than four such bits are not looked at.
    """
    bits = list(telling_bits(device))[:MOST_BITS]
    masks = [sum(1 << bit for bit, on in zip(bits, reversed(ons), strict=True) if on) for ons in turns(bits)]
    return bits, [condense([ask(device, ring, mask) for ring in range(RINGS)]) for mask in masks]


def turns(bits: list[int]) -> Iterator[tuple[int, ...]]:
    """Every combination of on and off, in binary order."""
    return product((0, 1), repeat=len(bits))


def ask(device: Device, ring: int, features: int) -> str:
    """The device's word; the plain name where it fails."""
    try:
        return str(device.ring_name(ring, features))
    except Exception:  # a plug-in may raise anything
        return f"q{ring}"


def telling_bits(device: Device) -> Iterator[int]:
    """The feature bits that change a name, alone or among all others."""
    known = sorted({*device.features, *VIRTIO_FEATURES})
    for base in (0, sum(1 << bit for bit in known)):
        plain = [ask(device, ring, base) for ring in range(RINGS)]
        changed = [
            bit for bit in known if [ask(device, ring, base ^ 1 << bit) for ring in range(RINGS)] != plain
        ]
        if changed:
            yield from changed
            return


def condense(names: list[str]) -> Names:
    """The shortest description of a list of names that is right for each of them."""
    found = [guess(names, period, shift) for period in range(1, 5) for shift in range(4)]
    return min(found, key=lambda guessed: len(guessed.exact))


def guess(names: list[str], period: int, shift: int) -> Names:
    """Words read off a stretch of the names, and what does not follow them."""
    first = shift + period * SAMPLE
    words = tuple(name.replace(str(SAMPLE), "%d", 1) for name in names[first : first + period])
    blank = Names(words, shift, {})
    return Names(words, shift, {ring: name for ring, name in enumerate(names) if name != blank.of(ring)})
