"""`vutrace explain WHAT`: finds out what WHAT is, and says it."""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from vutrace.dissection.device import UNKNOWN_DEVICE, Device
from vutrace.dissection.registry import Registry
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES
from vutrace.protocol.messages import PREFIX, TABLES
from vutrace.protocol.spec import MessageSpec
from vutrace.records import Channel
from vutrace.rules.catalogue import rules
from vutrace.views.explain import facts, masks
from vutrace.views.explain.devices import device
from vutrace.views.explain.errors import Match, found_in
from vutrace.views.findings.pages import explained
from vutrace.views.text import flag_words, printable

NUMBER = re.compile(
    r"(?:(?P<space>status|protocol|features?|virtio|gpu|flags)\s*[:=]?\s*)?(?P<bit>bit\s*)?"
    r"(?P<value>0x[0-9a-f]+|\d+)",
    re.I,
)
REQUEST = re.compile(r"(?:original\s+)?(?:req(?:uest)?|msg|message)\s*[:=#]?\s*(\d+)", re.I)
WORD = re.compile(r"[A-Za-z]\w+")
CALLERS = re.compile(r"(?:VHOST_USER|VIRTIO_USER|VHOST|VU)_")
SPACES = {"virtio": "features", "feature": "features"}
LINE_SHOWN = 100
SPOKEN_OF = 3


@dataclass(frozen=True, slots=True)
class Explanation:
    """What WHAT is in lines, and the messages it is about; no lines when nobody knows."""

    lines: list[str]
    messages: frozenset[str] = frozenset()


class Explainer:
    """Knows the tables, the installed devices' messages and features, and other people's error texts."""

    def __init__(self, registry: Registry, device: str = "") -> None:
        self.devices = registry.devices
        self.device: Device = registry.device(device) if device else UNKNOWN_DEVICE
        self.rules = rules(registry.devices)
        extra = registry.messages
        self.tables = {channel: {**rows, **extra.get(channel, {})} for channel, rows in TABLES.items()}

    def answer(self, what: str) -> Explanation:
        """Everything that WHAT may mean: a number, a name, a text with errors in it, or with names."""
        what = what.strip()
        ways = (self.number, self.named, self.errors, self.decimal, self.spoken_of)
        answers = (way(what) for way in ways)
        return next((answer for answer in answers if answer.lines), Explanation([]))

    def number(self, what: str) -> Explanation:
        """A mask, a bit or a status, if it is said that it is one, or in hex."""
        number = NUMBER.fullmatch(what)
        if not number or not (number["space"] or number["bit"] or number["value"].lower().startswith("0x")):
            return Explanation([])
        value, space = integer(number["value"]), (number["space"] or "").lower()
        one = number["bit"] or (space == "feature" and number["value"].isdecimal())
        return Explanation(
            list((masks.bit if one else masks.mask)(value, self.device, SPACES.get(space, space)))
        )

    def decimal(self, what: str) -> Explanation:
        """A decimal number that no message has is a mask."""
        return Explanation(list(masks.mask(int(what), self.device)) if what.isdecimal() else [])

    def spoken_of(self, text: str) -> Explanation:
        """The messages that a text names, where nothing else is known of it."""
        words = [CALLERS.sub("", canonical(word)) for word in WORD.findall(text)]
        names = [word for word in words if "_" in word] + REQUEST.findall(text)
        found = {spec.name: (channel, spec) for name in names for channel, spec in self.find(name)}
        if not found:
            return Explanation([])
        lines = [f"nothing is known of this text; it speaks of {', '.join(found)}"]
        for channel, spec in [*found.values()][:SPOKEN_OF]:
            lines += ["", *facts.message(channel, spec)]
        return Explanation(lines, frozenset(found))

    def named(self, name: str) -> Explanation:
        """Messages, devices and feature bits of that name or number."""
        request = REQUEST.fullmatch(name)
        name = request[1] if request else name
        messages = list(self.find(name))
        lines = [line for channel, spec in messages for line in [*facts.message(channel, spec), ""]]
        for each in self.devices:
            lines += [*device(each), ""] if each.name == name.lower() else []
        if name.lower() in self.rules:
            lines += [*explained(self.rules[name.lower()]), ""]
        if not name.isdigit():
            devices = self.devices if self.device is UNKNOWN_DEVICE else [self.device]
            lines += masks.by_name(name, devices)
        return Explanation(trimmed(lines), frozenset(spec.name for _, spec in messages))

    def find(self, name: str) -> Iterator[tuple[Channel, MessageSpec]]:
        """Messages by name, alias or number, those of plug-ins among them."""
        wanted = canonical(name)
        for channel, rows in self.tables.items():
            for spec in rows.values():
                if wanted in (spec.name, str(spec.number), *spec.aliases):
                    yield channel, spec

    def errors(self, text: str) -> Explanation:
        """The errors in a pasted text; the first is nearest to the cause."""
        matches = found_in(text)
        lines: list[str] = []
        if len(matches) > 1:
            lines.append(f"{len(matches)} kinds of errors; the first is nearest to the cause")
        for match in matches:
            lines += [*self.error(match), ""]
        specs = self.about(cause(matches)) if matches else []
        for channel, spec in specs:
            lines += facts.message(channel, spec)
        return Explanation(trimmed(lines), frozenset(spec.name for _, spec in specs))

    def about(self, match: Match) -> list[tuple[Channel, MessageSpec]]:
        """The message that an error is about."""
        name = match.groups.get("request") or match.text.message
        channel = Channel(match.text.channel)
        found = list(self.find(f"SET_{name}")) or list(self.find(name)) if name else []
        return [each for each in found if each[0] is channel]

    def error(self, match: Match) -> Iterator[str]:
        """One error: who says it, what it means, where to look."""
        name = next((spec.name for _, spec in self.about(match)), match.groups.get("request", "a request"))
        yield f"{match.text.who}: {printable(match.quote)[:LINE_SHOWN]}"
        yield f"  means     {match.text.means.format_map(match.groups | {'name': name})}"
        if code := match.groups.get("errno"):
            yield f"  errno     {errno_words(int(code))}"
        if flags := match.groups.get("flags"):
            yield f"  flags     {flags}: {flag_words(integer(flags))}"
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
        close = get_close_matches(what.upper().removeprefix(PREFIX), names, 3)
        return close or get_close_matches(what.lower(), self.rules, 3)


def cause(matches: Sequence[Match]) -> Match:
    """The error to tell more of: in the first line that has one, that which names a message."""
    first = [match for match in matches if match.line == matches[0].line]
    return next((match for match in first if "request" in match.groups), first[0])


def canonical(name: str) -> str:
    """A message's name as the tables have it: SetVringCall and vhost_user_set_vring_call, too."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace(" ", "_"))
    return snake.upper().removeprefix(PREFIX)


def integer(text: str) -> int:
    """A number in decimal, or in hex where it cannot be decimal."""
    return int(text) if text.isdecimal() else int(text, 16)


def errno_words(code: int) -> str:
    """An errno by name."""
    return f"{errno.errorcode.get(code, 'unknown')} ({code}): {os.strerror(code)}"


def trimmed(lines: list[str]) -> list[str]:
    """Lines without an empty one at the end."""
    return lines[:-1] if lines and not lines[-1] else lines
