"""What the taps do: the rules and scripts that were asked for, and which messages these are about."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

from vutrace.dissection.device import Device
from vutrace.dissection.dissector import Dissector
from vutrace.dissection.message import Message
from vutrace.dissection.registry import Registry, load
from vutrace.matching.matcher import Chooser, Matcher
from vutrace.matching.values import MatchError
from vutrace.proxy.interest import Numbers
from vutrace.records import Channel, Frame, Side
from vutrace.session.row import Row
from vutrace.tap.passing import PassingMessage
from vutrace.tap.rule import ActingRule, feature_masks, parse_rule, parse_rules
from vutrace.tap.script import ActingScript, load_script, where

Wanted = Mapping[str, Sequence[str] | str]
"""`rule`, `rules`, `scripts`, `mask_features`, `mask_protocol`, `intercept`, `device`, ..., `seed`."""
MIXED = 0x9E3779B9  # between the sessions of one seed


@dataclass(frozen=True, slots=True)
class Work:
    """Everything that acts, in the order in which it does."""

    registry: Registry
    devices: tuple[Device, ...]
    device: str
    rules: tuple[ActingRule, ...]
    scripts: tuple[ActingScript, ...]
    seed: int
    intercepts: bool = False

    @property
    def matchers(self) -> Iterator[Matcher]:
        """Of rules and scripts."""
        yield from (rule.matcher for rule in self.rules)
        yield from (script.matcher for script in self.scripts)

    def asked(self, channel: Channel, sender: Side) -> Numbers:
        """The messages of one direction to decide on; None for all."""
        return union(matcher.ways(channel, sender) for matcher in self.matchers)

    def told(self, channel: Channel, _sender: Side) -> Numbers:
        """Those that have to be told because something asks how things stand; None for all."""
        return None if self.scripts else union(matcher.heeds(channel) for matcher in self.matchers)


def union(each: Iterable[Numbers]) -> Numbers:
    """All of them; None, which is all there are, where one is."""
    all_of_them = list(each)
    known = [numbers for numbers in all_of_them if numbers is not None]
    return frozenset().union(*known) if len(known) == len(all_of_them) else None


def prepare(wanted: Wanted) -> Work:
    """What was asked for; MatchError, ScriptError, DissectorError with what is wrong with it."""
    registry = load([Path(file) for file in wanted.get("dissectors", ())])
    device = str(wanted.get("device", ""))
    devices = (registry.device(device),) if device else tuple(registry.devices)
    rules = [
        *feature_masks(str(wanted.get("mask_features", "")), str(wanted.get("mask_protocol", "")), devices)
    ]
    for file in wanted.get("rules", ()):
        rules += read_rules(file, registry, devices)
    rules += [parse_rule(text, registry, devices) for text in wanted.get("rule", ())]
    if intercept := str(wanted.get("intercept", "")):
        rules.append(
            replace(parse_rule(f"{intercept} : hold", registry, devices), name=f"--intercept {intercept}")
        )
    scripts = tuple(load_script(file, registry) for file in wanted.get("scripts", ()))
    seed = int(str(wanted.get("seed", "0")))
    return Work(registry, devices, device, tuple(rules), scripts, seed, bool(intercept))


def read_rules(file: str, registry: Registry, devices: Sequence[Device]) -> list[ActingRule]:
    try:
        text = Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MatchError(f"--rules {file}: {getattr(error, 'strerror', '') or error}") from None
    try:
        return list(parse_rules(text, registry, devices))
    except MatchError as error:
        raise MatchError(f"--rules {file}, {error}") from None


@dataclass(slots=True)
class Decision:
    """What was decided; `matched` are the places of the rules that chose the message."""

    message: PassingMessage
    matched: list[int]


class Decider:
    """Decides for one session."""

    def __init__(self, work: Work, connection: int, session: int) -> None:
        self._work = work
        self._choosers = [Chooser(rule.matcher) for rule in work.rules]
        self._scripts = [(script, Chooser(script.matcher)) for script in work.scripts]
        self._random = Random(work.seed ^ MIXED * (connection << 16 | session))

    def decide(self, row: Row, fds: Sequence[int]) -> Decision:
        """What becomes of the message of a row; what raises lets it pass, with a note."""
        message = PassingMessage(row, self._work.devices, fds, self._random)
        names, matched = [], []
        for place, (rule, chooser) in enumerate(zip(self._work.rules, self._choosers, strict=True)):
            if chooser.wants(row) and self._acts(message, rule):
                names.append(rule.name)
                matched.append(place)
        for script, chooser in self._scripts:
            if chooser.wants(row) and self._runs(message, script):
                names.append(script.name)
        message.rule = "; ".join(names)
        return Decision(message, matched)

    def _acts(self, message: PassingMessage, rule: ActingRule) -> bool:
        before = message.data
        try:
            rule.act(message)
        except Exception as error:
            message.reset()
            message.note(
                f"the rule '{rule.name}' cannot act on {message.words}: {error}; it passes as it came"
            )
        return not rule.quiet or message.data != before

    def _runs(self, message: PassingMessage, script: ActingScript) -> bool:
        try:
            script.message(message)
        except (Exception, SystemExit) as error:
            message.reset()
            told = (
                where(error, script.message.__code__.co_filename)
                if hasattr(script.message, "__code__")
                else repr(error)
            )
            message.note(f"{script.name} raised at {message.words}, {told}; it passes as it came")
            return False
        return not message.untouched


@cache
def dissector() -> Dissector:
    return Dissector()


def dissect(frame: Frame, data: bytes) -> Message:
    """The message that a frame would hold with other bytes."""
    return dissector()(replace(frame, data=data, wire_size=len(data)))


BIG_ENDIAN = sys.byteorder == "big"
