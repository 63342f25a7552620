"""Which device a session is about, when nobody said so, and why we think so.

The wire does not name the device. What speaks for one, strongest first: the user's word, a peer's
command line, a message only that device uses, the size of its configuration space, its feature bits.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vutrace.dissection.device import Device
from vutrace.dissection.message import Message
from vutrace.records import Event
from vutrace.session.context import Context


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
            context = replace(context, device=guess.device, reason=guess.reason, weight=guess.weight)
    return context


def from_user(device: Device) -> Guess:
    """The user named it."""
    return Guess(device, "named with --device", SAID)


def from_event(event: Event, devices: Iterable[Device], socket: str) -> Iterator[Guess]:
    """What the peers' command lines say of `socket`."""
    for side in ("frontend", "backend"):
        words = relevant(event.attributes.get(f"{side}_command", ""), socket)
        for device in devices:
            for pattern in device.evidence.commands:
                if found := re.search(pattern, words):
                    yield Guess(device, f"the {side}'s command line has '{found[0]}'", COMMAND)


def relevant(command: str, socket: str) -> str:
    """The words of a command line that speak of the traced socket.

    QEMU may have many devices: of its command only what hangs on the chardev of our socket counts.
    """
    words = split(command)
    chardevs = [word for word in words if word.startswith("socket,") and socket and socket in word]
    ids = {found[1] for word in chardevs if (found := re.search(r"\bid=([^,]+)", word))}
    if not ids:
        return "" if any(word.startswith("socket,") for word in words) else command
    linked = [word for word in words if any(f"chardev={name}" in word.split(",") for name in ids)]
    return " ".join(linked)


def split(command: str) -> list[str]:
    """The words of a command line, whatever its quoting."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def from_message(message: Message, devices: Iterable[Device]) -> Iterator[Guess]:
    """What a message itself says: its name, a configuration space's size, the offered features."""
    offered = message.number_in("features") if message.name == "GET_FEATURES" and message.reply else None
    config = message.number_in("size") if message.name == "GET_CONFIG" else None
    for device in devices:
        evidence = device.evidence
        if message.name in evidence.messages:
            yield Guess(device, f"only {device.name} uses {message.name}", MESSAGE)
        if config and config in evidence.config_sizes:
            yield Guess(device, f"a configuration space of {config} bytes", CONFIG_SIZE)
        if offered is not None and evidence.features and speaks_for(offered, device):
            yield Guess(device, f"features {evidence.features:#x} are offered", FEATURES)


def speaks_for(offered: int, device: Device) -> bool:
    """Whether an offered mask looks like this device's."""
    evidence = device.evidence
    return offered & evidence.features == evidence.features and not offered & evidence.without
