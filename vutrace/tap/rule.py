"""A rule: which messages, and what is done to them. `MATCH : ACTION; ACTION`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vutrace.dissection.device import Device
from vutrace.dissection.registry import Registry
from vutrace.errors import VutraceError
from vutrace.matching.grammar import parse_match
from vutrace.matching.matcher import Matcher, Number
from vutrace.matching.values import MatchError, number_of
from vutrace.protocol.bits import PROTOCOL_FEATURES
from vutrace.protocol.effects import Fact
from vutrace.protocol.messages import TABLES
from vutrace.protocol.shows import FEATURES, Show, flags
from vutrace.records import Channel
from vutrace.tap.actions import Action, parse_action
from vutrace.tap.passing import PassingMessage


@dataclass(frozen=True, slots=True)
class ActingRule:
    """A rule; its `name` is how it was written. `quiet`: it matches only where it changes something."""

    name: str
    matcher: Matcher
    actions: tuple[Action, ...]
    quiet: bool = False

    def act(self, message: PassingMessage) -> None:
        """Do all that it says."""
        for action in self.actions:
            action(message)


def parse_rule(text: str, registry: Registry, devices: Sequence[Device]) -> ActingRule:
    """The rule that is written; MatchError with what is wrong and where."""
    name = " ".join(text.split())
    chosen, colon, done = text.partition(":")
    try:
        if not colon:
            raise MatchError("MATCH : ACTION is needed")
        matcher = parse_match(chosen, registry, devices)
        actions = [parse_action(each) for each in done.split(";") if each.strip()]
        if not actions:
            raise MatchError("an action is needed behind the colon")
        for word, _ in actions:
            matcher = SAFE.get(word, unchanged)(matcher)
    except VutraceError as error:
        raise MatchError(f"rule '{name}': {error}") from None
    return ActingRule(name, matcher, tuple(action for _, action in actions))


def unchanged(matcher: Matcher) -> Matcher:
    """Nothing is to be minded."""
    return matcher


def droppable(matcher: Matcher) -> Matcher:
    """Only what is named may be kept from one who waits for it; a reply only where `reply` is written."""
    if not matcher.messages:
        raise MatchError("drop: the messages must be named, since somebody may wait for them")
    return replace(matcher, reply=bool(matcher.reply))


def answerable(matcher: Matcher) -> Matcher:
    """Only requests are answered."""
    if matcher.reply:
        raise MatchError("answer: a reply cannot be answered")
    return replace(matcher, reply=False)


SAFE = {"drop": droppable, "answer": answerable}


def parse_rules(text: str, registry: Registry, devices: Sequence[Device]) -> Iterator[ActingRule]:
    """The rules of a file: one a line, # begins a comment; MatchError with the line."""
    for number, line in enumerate(text.splitlines(), 1):
        written = line.split("#", 1)[0].strip()
        if written:
            try:
                yield parse_rule(written, registry, devices)
            except MatchError as error:
                raise MatchError(f"line {number}: {error}") from None


def mask_rules(
    option: str, text: str, offer: Fact, taken: Fact, show: Show, devices: Sequence[Device]
) -> Iterator[ActingRule]:
    """Rules that take features out of every offer, and out of what is acknowledged; MatchError."""
    mask = 0
    for word in text.split(","):
        try:
            mask |= number_of(word.removeprefix("-"), show, devices)
        except MatchError as error:
            raise MatchError(f"{option} {text}: {error}") from None
    for fact, reply in ((offer, True), (taken, False)):
        for number, field in telling(fact, reply):
            matcher = Matcher(frozenset({number}), reply=reply, devices=tuple(devices))
            yield ActingRule(f"{option} {text}", matcher, (clears(field, mask),), quiet=True)


def clears(field: str, mask: int) -> Action:
    """Takes bits away, where they are set."""

    def act(message: PassingMessage) -> None:
        value = message.fields.get(field)
        if isinstance(value, int) and value & mask:
            message.set(field, str(mask), "-=")

    return act


def telling(fact: Fact, reply: bool) -> Iterator[tuple[Number, str]]:
    """The messages that tell a fact on the main channel, and their fields."""
    for spec in TABLES[Channel.MAIN].values():
        told = spec.reply_learns if reply else spec.learns
        if told and told.fact is fact and told.field:
            yield (Channel.MAIN, spec.number), told.field


def feature_masks(features: str, protocol: str, devices: Sequence[Device]) -> Iterator[ActingRule]:
    """The rules of --mask-features and --mask-protocol."""
    if features:
        yield from mask_rules("--mask-features", features, Fact.OFFERED, Fact.FEATURES, FEATURES, devices)
    if protocol:
        show = flags(PROTOCOL_FEATURES)
        facts = Fact.PROTOCOL_OFFERED, Fact.PROTOCOL_FEATURES
        yield from mask_rules("--mask-protocol", protocol, *facts, show, devices)
