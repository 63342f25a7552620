"""Feature bits and masks, and device status: the same number in each of the spaces that it may belong to."""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.protocol.bits import (
    DEVICE_STATUS,
    GPU_PROTOCOL_FEATURES,
    LEGACY_FEATURES,
    PROTOCOL_FEATURE_ALIASES,
    PROTOCOL_FEATURES,
    VIRTIO_FEATURE_ALIASES,
    VIRTIO_FEATURES,
    Bits,
    bit_numbers,
)
from vutrace.protocol.messages import TABLES
from vutrace.protocol.wire import FLAG_NAMES
from vutrace.views.annotated import ask_dissector
from vutrace.views.text import printable
from vutrace.views.tree import bit_lines

if TYPE_CHECKING:
    from vutrace.problems import Problem

Aliases = Mapping[int, tuple[str, ...]]

PREFIXES = re.compile(
    r"VHOST_USER_(GPU_)?PROTOCOL_F_|VIRTIO_\w+?_F_|VIRTIO_(RING_)?F_|VHOST_F_|VHOST_USER_F_|VIRTIO_CONFIG_S_"
)
BEGINNING = re.compile(r"VIRTIO_(\w+?)_F_")

# Masks that logs are full of, and whose they are.
KNOWN_MASKS = {
    0xCBF: "what DPDK's vhost-net offers, before STATUS",
    0x10CBF: "what DPDK's vhost-net offers, with STATUS",
    0x18CBF: "what DPDK's vhost-net offers since 2026, with CONFIGURE_MEM_SLOTS",
    0x18DBF: "the same with postcopy",
    0x1EBF: "what QEMU takes from SPDK's vhost-blk, before STATUS",
    0x11CBF: "what QEMU takes from SPDK's vhost-scsi",
}
# What a device status says as a whole.
STATUSES = {
    0x00: "reset",
    0x08: "FEATURES_OK alone: as QEMU sends it right behind SET_FEATURES",
    0x0B: "features agreed, the driver is not ready yet",
    0x0F: "the driver is up: the device may work",
}


# What a bit opens besides whole messages.
OPENS = {
    "LOG_SHMFD": "the descriptor of SET_LOG_BASE, and its reply",
    "REPLY_ACK": "the NEED_REPLY flag, on both channels",
    "REPLY": "nothing: it marks a message as the answer to the one of its number",
    "NEED_REPLY": "an answer that the message would not have: a u64, 0 is success; only with REPLY_ACK",
    "BACKEND_SEND_FD": "descriptors on the back-end channel",
    "XEN_MMAP": "memory regions of 40 bytes, with Xen's flags",
    "GET_VRING_BASE_SKIP_DRAIN": "a stop that does not wait for requests in flight",
    "GET_VRING_BASE_INFLIGHT": "GET_VRING_BASE may suspend requests instead of draining them",
    "GPA_ADDRESSES": "ring, region and IOTLB addresses are guest physical",
    "VHOST_USER_F_PROTOCOL_FEATURES": "protocol features; rings must be enabled with SET_VRING_ENABLE",
    "VHOST_F_LOG_ALL": "logging of dirty pages, into SET_LOG_BASE's area",
    "VIRTIO_F_RING_PACKED": "packed rings; SET_VRING_BASE and GET_VRING_BASE then hold two indexes",
}


LEGACY = "  note      legacy: only drivers from before virtio 1.0 use it"


@dataclass(frozen=True, slots=True)
class Space:
    """One of the meanings that a mask may have: `names` of its bits, and the messages that carry it."""

    words: str
    title: str
    names: tuple[Bits, ...]
    aliases: Aliases
    carriers: str
    legacy: Set[int] = frozenset()


def spaces(device: Device = UNKNOWN_DEVICE) -> list[Space]:
    """Every space of bits; with a device its own names are among the virtio features."""
    of = "" if device is UNKNOWN_DEVICE else f" of {device.name}"
    generic, own = VIRTIO_FEATURES, device.features
    return [
        Space("status", "device status", (DEVICE_STATUS,), {}, "SET_STATUS, GET_STATUS"),
        Space(
            "protocol",
            "protocol features",
            (PROTOCOL_FEATURES,),
            PROTOCOL_FEATURE_ALIASES,
            "GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES",
        ),
        Space(
            "features",
            f"virtio features{of}",
            (generic, own),
            VIRTIO_FEATURE_ALIASES,
            "GET_FEATURES, SET_FEATURES",
            LEGACY_FEATURES | device.legacy,
        ),
        Space("gpu", "GPU protocol features", (GPU_PROTOCOL_FEATURES,), {}, "GPU_GET_PROTOCOL_FEATURES"),
        Space("flags", "flags of a header", ({0: "version 1", **FLAG_NAMES},), {}, "every message"),
    ]


def mask(value: int, device: Device, wanted: str = "") -> Iterator[str]:
    """A mask in every space whose bits it could be, or in the one called `wanted`."""
    for space in spaces(device):
        if fits(value, space) if not wanted else space.words.startswith(wanted):
            yield f"{value:#x} as {space.title} ({space.carriers})"
            yield from remarks(value, space, device)
            yield from (
                f"  {line}" for line in bit_lines(value, None, space.names, space.aliases, space.legacy)
            )


def fits(value: int, space: Space) -> bool:
    """Whether a value is likely in a space; virtio features may always be meant."""
    if space.words == "features":
        return value > max(DEVICE_STATUS) or not value
    if space.words in ("gpu", "flags"):
        return False
    known = {bit for table in space.names for bit in table}
    return set(bit_numbers(value)) <= known


def remarks(value: int, space: Space, device: Device) -> Iterator[str]:
    """What is known of the whole mask."""
    if space.words == "protocol" and value in KNOWN_MASKS:
        yield f"  {KNOWN_MASKS[value]}"
    if space.words == "status" and value in STATUSES:
        yield f"  {STATUSES[value]}"
    if space.words == "features":
        yield from (f"  {line}" for line in noted(value, device))
        if device is UNKNOWN_DEVICE and any(bit < 24 or bit > 49 for bit in bit_numbers(value)):
            yield "  with --device NAME the device's own bits have names too"


def noted(features: int, device: Device) -> list[str]:
    """What the device's dissector notes about features, or what it raises."""
    nothing: list[str] = []
    problems: list[Problem] = []
    notes = ask_dissector(device, lambda: [*map(printable, device.notes(features))], nothing, problems)
    return notes + [printable(problem.text) for problem in problems]


def bit(number: int, device: Device, wanted: str = "") -> Iterator[str]:
    """One bit by its number, in every space that names it."""
    for space in spaces(device):
        if space.words.startswith(wanted):
            for table in space.names:
                if number in table:
                    yield from named(table[number], number, space)


def by_name(name: str, devices: Iterable[Device]) -> Iterator[str]:
    """Every bit called `name`, with or without its prefix, by an older name too."""
    wanted = short(name)
    for space in spaces():
        for number, known in {n: known for table in space.names for n, known in table.items()}.items():
            if wanted in {short(each) for each in (known, *space.aliases.get(number, ()))}:
                yield from named(known, number, space)
    for device in devices:
        for number, known in device.features.items():
            if wanted == short(known) and not other_device(name, known):
                yield f"{known}: bit {number} ({1 << number:#x}) of the virtio features of {device.name}"
                yield from [LEGACY] * (number in device.legacy)


def other_device(name: str, known: str) -> bool:
    """Whether a name has the prefix of a device, and not that of `known`."""
    said, have = BEGINNING.match(name.upper()), BEGINNING.match(known)
    return bool(said) and (not have or said[1] != have[1])  # type: ignore[index]


def short(name: str) -> str:
    """A bit's name without its prefix."""
    return PREFIXES.sub("", name.upper(), count=1)


def named(name: str, number: int, space: Space) -> Iterator[str]:
    """One bit in words: where it is, what it is called elsewhere, what it opens."""
    yield f"{name}: bit {number} ({1 << number:#x}) of the {space.title} ({space.carriers})"
    if also := space.aliases.get(number):
        yield f"  also      {', '.join(also)}"
    if number in space.legacy:
        yield LEGACY
    gated = [spec.name for table in TABLES.values() for spec in table.values() if spec.gate == name]
    if opened := [*gated, *([OPENS[name]] if name in OPENS else [])]:
        yield f"  opens     {', '.join(opened)}"
