"""The words that profiles are written in: steps, loops over pairs and rings, and conditions.

A profile says which messages a front-end sends, in which order. What it need not say, because the
message tables know it: a message whose feature is missing is not sent (`gate`), and QEMU sends some
only for the first queue pair (`once`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vutrace.peers.device import GuestDevice


@dataclass(frozen=True, slots=True)
class Position:
    """Where a walk through the steps is: at a queue pair, at a ring (by its index in the device)."""

    pair: int = 0
    ring: int = 0


Selector = Callable[[GuestDevice, Position], Iterator[Position]]
Condition = Callable[[GuestDevice, Position], bool]


def always(device: GuestDevice, place: Position) -> bool:
    """No condition."""
    return True


@dataclass(frozen=True, slots=True)
class MessageStep:
    """One message, if `when` holds.

    `value` is the number it carries where that is not the device's own to say; `fd` what the eventfd is for.
    """

    message: str
    value: int | None = None
    fd: str = ""
    when: Condition = always


@dataclass(frozen=True, slots=True)
class Repeat:
    """Steps for each place that `over` selects."""

    over: Selector
    items: "Items"


Item: TypeAlias = "str | MessageStep | Repeat"
Items: TypeAlias = "tuple[Item, ...]"


def each(over: Selector, *items: Item) -> Repeat:
    """A loop; a message's name alone is a plain step."""
    return Repeat(over, items)


@dataclass(frozen=True, slots=True)
class Profile:
    """A front-end program of one version.

    `qemu` is the version whose once-per-device filter holds, None for a front-end without one. `features`
    and `protocol_features` are the most that guest and front-end acknowledge. `acknowledged` are the
    messages sent with NEED_REPLY; those in `barriers` are followed by GET_FEATURES where REPLY_ACK is
    missing. A guest sees its memory at `guest_address`, the front-end at `user_address`. `again` are the
    phases of a reconnect while the driver is running.
    """

    name: str
    qemu: tuple[int, ...] | None
    features: int
    protocol_features: int
    acknowledged: frozenset[str]
    phases: Mapping[str, Items]
    barriers: frozenset[str] = frozenset()
    guest_address: int = 0
    user_address: int = 0x7F00_0000_0000
    again: tuple[str, ...] = ("connect", "start")


def walk(
    items: Items, device: GuestDevice, place: Position = Position()
) -> Iterator[tuple[MessageStep, Position]]:
    """The steps in order; conditions are asked when their turn comes, after the replies before."""
    for item in items:
        if isinstance(item, Repeat):
            for inner in item.over(device, place):
                yield from walk(item.items, device, inner)
            continue
        step = MessageStep(item) if isinstance(item, str) else item
        if step.when(device, place):
            yield step, place


# Selectors


def pairs(*numbers: int) -> Iterator[Position]:
    return (Position(pair, 2 * pair) for pair in range(*numbers))


def all_pairs(device: GuestDevice, place: Position) -> Iterator[Position]:
    """Every pair that is configured."""
    return pairs(device.pairs)


def first_pair(device: GuestDevice, place: Position) -> Iterator[Position]:
    return pairs(1)


def started_pairs(device: GuestDevice, place: Position) -> Iterator[Position]:
    """Every pair that is started with the device."""
    return pairs(device.started)


def enabled_pairs(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The pairs that the guest has."""
    return pairs(device.enabled)


def further_pairs(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The enabled pairs but the first."""
    return pairs(1, device.enabled)


def changed_pairs(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The pairs that the last change turned on or off."""
    return pairs(*sorted((device.before, device.enabled)))


def rings(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The pair's receive ring and its transmit ring."""
    return (Position(place.pair, 2 * place.pair + side) for side in (0, 1))


def receive_rings(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The receive rings of all pairs."""
    return pairs(device.pairs)


def all_rings(device: GuestDevice, place: Position) -> Iterator[Position]:
    """Every ring in the order of its number."""
    return (Position(ring // 2, ring) for ring in range(2 * device.pairs))


def device_rings(device: GuestDevice, place: Position) -> Iterator[Position]:
    """Every ring of a device without pairs."""
    return (Position(0, ring) for ring in range(device.ring_count))


def transmit_rings(device: GuestDevice, place: Position) -> Iterator[Position]:
    """The transmit rings of all pairs."""
    return (Position(pair, 2 * pair + 1) for pair in range(device.pairs))


# Conditions


def enabled(device: GuestDevice, place: Position) -> bool:
    """The pair is one that the guest has."""
    return place.pair < device.enabled


def last_pair(device: GuestDevice, place: Position) -> bool:
    """The pair is the last that is started."""
    return place.pair == device.started - 1


def with_mtu(device: GuestDevice, place: Position) -> bool:
    """The user gave the device an MTU."""
    return bool(device.mtu)


def with_table(device: GuestDevice, place: Position) -> bool:
    """Memory is told as a table."""
    return not device.has("CONFIGURE_MEM_SLOTS")


def with_new_region(device: GuestDevice, place: Position) -> bool:
    """The memory region has not been added for this pair."""
    return place.pair not in device.regions_added


def first_connection(device: GuestDevice, place: Position) -> bool:
    """The device was never connected before."""
    return device.connections == 0


def first_connection_made(device: GuestDevice, place: Position) -> bool:
    """The device has been connected once: this is no reconnect."""
    return device.connections == 1


def without_status(bits: int) -> Condition:
    """The back-end's status lacks one of `bits`."""
    return lambda device, place: device.status & bits != bits
