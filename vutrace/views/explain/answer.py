"""`vutrace explain WHAT`: finds out what WHAT is, and says it."""

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.registry import Registry
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES
from vutrace.protocol.messages import PREFIX, TABLES
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.views.explain import facts, masks
from vutrace.views.explain.errors import Match, found_in
from vutrace.views.text import printable

NUMBER = re.compile(
    r"(?:(?P<space>status|protocol|features?|virtio|gpu)\s*[:=]?\s*)?(?P<bit>bit\s*)?(?P<value>0x[0-9a-f]+|\d+)",
    re.I,
)
SPACES = {"virtio": "features", "feature": "features"}
LINE_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What WHAT is in lines, and the messages it is about; no lines when nobody knows."""

    lines: list[str]
    messages: frozenset[str] = frozenset()


class Explainer:
    """Knows the tables, the installed devices' messages and features, and other people's error texts."""

    def __init__(self, registry: Registry, device: str = "") -> None:
        self.devices = registry.devices
        self.device: Device = registry.device(device) if device else UNKNOWN_DEVICE
        extra = registry.messages
        self.tables = {channel: {**rows, **extra.get(channel, {})} for channel, rows in TABLES.items()}

    def answer(self, what: str) -> Answer:
        """Everything that WHAT may mean: a number, a name, or a text with errors in it."""
        what = what.strip()
        number = NUMBER.fullmatch(what)
        if number and (number["space"] or number["bit"] or number["value"].lower().startswith("0x")):
            return Answer(list(self.number(number)))
        return self.named(what) or self.errors(what)

    def number(self, number: re.Match[str]) -> Iterator[str]:
        """A mask, a bit or a status."""
        value, space = integer(number["value"]), (number["space"] or "").lower()
        wanted = SPACES.get(space, space)
        yield from (masks.bit if number["bit"] else masks.mask)(value, self.device, wanted)

    def named(self, name: str) -> Answer | None:
        """Messages and feature bits of that name or number; None when there are none."""
        messages = list(self.find(name))
        lines = [line for channel, spec in messages for line in [*facts.message(channel, spec), ""]]
        if not name.isdigit():
            devices = self.devices if self.device is UNKNOWN_DEVICE else [self.device]
            lines += masks.by_name(name, devices)
        return Answer(trimmed(lines), frozenset(spec.name for _, spec in messages)) if lines else None

    def find(self, name: str) -> Iterator[tuple[Channel, MessageSpec]]:
        """Messages by name, alias or number, those of plug-ins among them."""
        wanted = name.upper().removeprefix(PREFIX)
        for channel, rows in self.tables.items():
            for spec in rows.values():
                if wanted in (spec.name, str(spec.number), *spec.aliases):
                    yield channel, spec

    def errors(self, text: str) -> Answer:
        """The errors in a pasted text; the first is nearest to the cause."""
        matches = found_in(text)
        lines: list[str] = []
        if len(matches) > 1:
            lines.append(f"{len(matches)} kinds of errors; the first is nearest to the cause")
        for match in matches:
            lines += [*self.error(match), ""]
        specs = dict.fromkeys(
            (channel, spec.number) for match in matches[:1] for channel, spec in self.about(match)
        )
        for channel, number in specs:
            lines += facts.message(channel, self.tables[channel][number])
        names = frozenset(self.tables[channel][number].name for channel, number in specs)
        return Answer(trimmed(lines), names)

    def about(self, match: Match) -> list[tuple[Channel, MessageSpec]]:
        """The message that an error is about."""
        name = match.groups.get("request") or match.text.message
        channel = Channel(match.text.channel)
        found = list(self.find(name)) or list(self.find(f"SET_{name}")) if name else []
        return [each for each in found if each[0] is channel]

    def error(self, match: Match) -> Iterator[str]:
        """One error: who says it, what it means, where to look."""
        name = next((spec.name for _, spec in self.about(match)), match.groups.get("request", "a request"))
        yield f"{match.text.who}: {printable(match.quote)[:LINE_SHOWN]}"
        yield f"  means     {match.text.means.format_map(match.groups | {'name': name})}"
        if code := match.groups.get("errno"):
            yield f"  errno     {errno_words(int(code))}"
        if mask := match.groups.get("mask"):
            yield from (f"  {line}" for line in self.mask(mask, match))
        if match.text.look:
            yield f"  look at   {match.text.look}"

    def mask(self, text: str, match: Match) -> Iterator[str]:
        """The mask in an error text, in the space that the text speaks of."""
        value = integer(text)
        protocol = "protocol" in match.quote.lower()
        yield from masks.mask(value, self.device, "protocol" if protocol else "features")

    def like(self, what: str) -> list[str]:
        """Names that look like WHAT."""
        names = [spec.name for rows in self.tables.values() for spec in rows.values()]
        names += [*PROTOCOL_FEATURES.values(), *VIRTIO_FEATURES.values()]
        names += [name for device in self.devices for name in device.features.values()]
        return get_close_matches(what.upper().removeprefix(PREFIX), names, 3)


def integer(text: str) -> int:
    """A number in decimal, or in hex where it cannot be decimal."""
    return int(text) if text.isdecimal() else int(text, 16)


def errno_words(code: int) -> str:
    """An errno by name."""
    return f"{errno.errorcode.get(code, 'unknown')} ({code}): {os.strerror(code)}"


def trimmed(lines: list[str]) -> list[str]:
    """Lines without an empty one at the end."""
    return lines[:-1] if lines and not lines[-1] else lines
