"""The words that profiles are written in: steps, loops over pairs and rings, and conditions.

A profile says which messages a front-end sends, in which order. What it need not say, because the
message tables know it: a message whose feature is missing is not sent (`gate`), and QEMU sends some
only for the first queue pair (`once`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from vutrace.peers.device import Device


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk through the steps is: at a queue pair, at a ring (by its index in the device)."""

    pair: int = 0
    ring: int = 0


Selector = Callable[[Device, Place], Iterator[Place]]
Condition = Callable[[Device, Place], bool]


def always(device: Device, place: Place) -> bool:
    """No condition."""
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """One message, if `when` holds.

    `value` is the number it carries where that is not the device's own to say; `fd` what the eventfd is for.
    """

    message: str
    value: int | None = None
    fd: str = ""
    when: Condition = always


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps for each place that `over` selects."""

    over: Selector
    items: "Items"


Item: TypeAlias = "str | Step | Loop"
Items: TypeAlias = "tuple[Item, ...]"


def each(over: Selector, *items: Item) -> Loop:
    """A loop; a message's name alone is a plain step."""
    return Loop(over, items)


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


def walk(items: Items, device: Device, place: Place = Place()) -> Iterator[tuple[Step, Place]]:
    """The steps in order; conditions are asked when their turn comes, after the replies before."""
    for item in items:
        if isinstance(item, Loop):
            for inner in item.over(device, place):
                yield from walk(item.items, device, inner)
            continue
        step = Step(item) if isinstance(item, str) else item
        if step.when(device, place):
            yield step, place


# Selectors


def _pairs(*numbers: int) -> Iterator[Place]:
    return (Place(pair, 2 * pair) for pair in range(*numbers))


def all_pairs(device: Device, place: Place) -> Iterator[Place]:
    """Every pair that is configured."""
    return _pairs(device.pairs)


def first_pair(device: Device, place: Place) -> Iterator[Place]:
    """The first pair."""
    return _pairs(1)


def started_pairs(device: Device, place: Place) -> Iterator[Place]:
    """Every pair that is started with the device."""
    return _pairs(device.started)


def enabled_pairs(device: Device, place: Place) -> Iterator[Place]:
    """The pairs that the guest has."""
    return _pairs(device.enabled)


def further_pairs(device: Device, place: Place) -> Iterator[Place]:
    """The enabled pairs but the first."""
    return _pairs(1, device.enabled)


def changed_pairs(device: Device, place: Place) -> Iterator[Place]:
    """The pairs that the last change turned on or off."""
    return _pairs(*sorted((device.before, device.enabled)))


def rings(device: Device, place: Place) -> Iterator[Place]:
    """The pair's receive ring and its transmit ring."""
    return (Place(place.pair, 2 * place.pair + side) for side in (0, 1))


def receive_rings(device: Device, place: Place) -> Iterator[Place]:
    """The receive rings of all pairs."""
    return _pairs(device.pairs)


def transmit_rings(device: Device, place: Place) -> Iterator[Place]:
    """The transmit rings of all pairs."""
    return (Place(pair, 2 * pair + 1) for pair in range(device.pairs))


# Conditions


def enabled(device: Device, place: Place) -> bool:
    """The pair is one that the guest has."""
    return place.pair < device.enabled


def last_pair(device: Device, place: Place) -> bool:
    """The pair is the last that is started."""
    return place.pair == device.started - 1


def with_mtu(device: Device, place: Place) -> bool:
    """The user gave the device an MTU."""
    return bool(device.mtu)


def with_table(device: Device, place: Place) -> bool:
    """Memory is told as a table."""
    return not device.has("CONFIGURE_MEM_SLOTS")


def with_new_region(device: Device, place: Place) -> bool:
    """The memory region has not been added for this pair."""
    return place.pair not in device.regions_added


def first_connection(device: Device, place: Place) -> bool:
    """The device was never connected before."""
    return device.connections == 0


def without_status(bits: int) -> Condition:
    """The back-end's status lacks one of `bits`."""
    return lambda device, place: device.status & bits != bits
