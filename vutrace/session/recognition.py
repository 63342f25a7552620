"""Which device a session is about, when nobody said so, and why we think so.

The wire does not name the device. What speaks for one, strongest first: the user's word, a peer's
command line, a message only that device uses, the size of its configuration space, its feature bits.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.message import Message
from vutrace.protocol.bits import VIRTIO_FEATURES, bit_names
from vutrace.protocol.effects import Fact
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.messages import layers_of
from vutrace.protocol.payloads import Config
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Connection, Event
from vutrace.session.command_line import paths_in, relevant
from vutrace.session.context import Context, changed


@dataclass(frozen=True, slots=True)
class Guess:
    """A device, what speaks for it, and how much that weighs."""

    device: Device
    reason: str
    weight: int


SAID, COMMAND, MESSAGE, CONFIG_SIZE, FEATURES = 5, 4, 3, 2, 1


def adopt(context: Context, guesses: Iterable[Guess]) -> Context:
    """The context with the best of the guesses, if it weighs more than what was believed."""
    for guess in guesses:
        if guess.weight > context.weight:
            context = changed(context, device=guess.device, reason=guess.reason, weight=guess.weight)
    return context


def from_user(device: Device) -> Guess:
    """The user named it."""
    return Guess(device, "named with --device", SAID)


def from_event(
    event: Event, devices: Iterable[Device], endpoints: Connection | None, weight: int = 0
) -> Iterator[Guess]:
    """What was said when it was captured, and the command lines of the peers about the traced sockets.

    Only what weighs more than `weight` is looked for.
    """
    said = event.attributes.get("device")
    yield from (
        Guess(device, "named when it was captured", SAID) for device in devices if device.name == said
    )
    for side, path in paths_in(event.attributes, endpoints).items() if weight < COMMAND else ():
        device, found = device_said(relevant(event.attributes.get(f"{side}_command", ""), path), devices)
        if found:
            yield Guess(device, f"the {side.words}'s command line has '{found}'", COMMAND)


def device_said(words: str, devices: Iterable[Device]) -> tuple[Device, str]:
    """The first device that a command line's words name, and those that do; "" for none."""
    for device in devices:
        for pattern in device.evidence.commands:
            if found := said_in(words, pattern):
                return device, found
    return UNKNOWN_DEVICE, ""


@lru_cache(4096)  # the same two peers come back in every session
def said_in(words: str, pattern: str) -> str:
    """What of the words matches the pattern; "" for nothing."""
    found = re.search(pattern, words)
    return found[0] if found else ""


def from_message(message: Message, devices: Iterable[Device]) -> Iterator[Guess]:
    """What a message itself says: its name, a configuration space's size, the offered features."""
    told = message.spec.tells(Fact.OFFERED, message.reply)
    offered = message.number_in("features") if told and message.reply else None
    config = message.number_in("size") if message.layer is Config else None
    for device in devices:
        evidence = device.evidence
        if message.name in evidence.messages:
            yield Guess(device, by_message(device, message.name), MESSAGE)
        if config and config in evidence.config_sizes:
            yield Guess(device, by_config(config), CONFIG_SIZE)
        if offered is not None and evidence.features and speaks_for(offered, device):
            yield Guess(device, by_features(device), FEATURES)


def by_message(device: Device, name: str) -> str:
    """Why a message's name tells a device."""
    return f"only {device.name} uses {name}"


def by_config(size: int) -> str:
    """Why a configuration space tells one."""
    return f"a configuration space of {size} bytes"


def by_features(device: Device) -> str:
    """Why an offer tells one."""
    return f"{' '.join(bit_names(device.evidence.features, device.features, VIRTIO_FEATURES))} offered"


def telling(devices: Iterable[Device]) -> frozenset[str]:
    """The names of the messages from which `from_message` may tell anything."""
    general = {
        row.name for row in FRONTEND_MESSAGES.values() if row.tells(Fact.OFFERED, True) or brings_config(row)
    }
    return frozenset(general.union(*(device.evidence.messages for device in devices)))


def brings_config(row: MessageSpec) -> bool:
    """Whether a message's reply is configuration space."""
    return Config in layers_of(row, reply=True)


def speaks_for(offered: int, device: Device) -> bool:
    """Whether an offered mask looks like this device's."""
    evidence = device.evidence
    return offered & evidence.features == evidence.features and not offered & evidence.without
