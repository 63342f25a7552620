"""`SET_VRING_KICK ring=1 when=2+`: words, all of which must hold, to a `Matcher`.

NAME,NAME            messages, by name, alias or number; * is any
request reply need-reply running stopped
from=frontend channel=backend connection=B session=2+ ring=1,rx0 phase=start after=NAME fds=1 when=first
FIELD=VALUE          also != < > <= >= & (all these bits) !& (none of them)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vutrace.dissection.registry import Registry
from vutrace.matching.matcher import COMPARISONS, FieldTest, Matcher
from vutrace.matching.names import messages_called
from vutrace.matching.values import MatchError, has_path, number_of
from vutrace.matching.when import parse_when
from vutrace.protocol.layers import Layer
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.shows import DEC
from vutrace.records import Channel, Side
from vutrace.session.phases import Phase

SIGN = re.compile("|".join(map(re.escape, COMPARISONS)))
FLAGS: Mapping[str, dict[str, bool]] = {
    "request": {"reply": False},
    "reply": {"reply": True},
    "need-reply": {"need_reply": True},
    "running": {"running": True},
    "stopped": {"running": False},
}
SIDES = {**{str(side): side for side in Side}, **{side.words: side for side in Side}}


def parse_match(text: str, registry: Registry, devices: Sequence[Any] = ()) -> Matcher:
    """The matcher that `text` writes; MatchError or UnknownMessageError with what is wrong."""
    words = Words(registry)
    for word in text.split():
        words.take(word)
    matcher = replace(words.matcher, devices=tuple(devices or registry.devices))
    for test in matcher.fields:
        check(test, matcher, registry)
    return matcher


class Words:
    """Takes word after word."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.matcher = Matcher()

    def take(self, word: str) -> None:
        """One more condition."""
        sign = SIGN.search(word)
        if word == "*":
            return
        if word in FLAGS:
            self._set(**FLAGS[word])
        elif not sign:
            self._set(messages=self.matcher.messages | self._messages(word))
        elif sign.group() == "=" and word[: sign.start()] in KEYS:
            self._set(**KEYS[word[: sign.start()]](self, word[sign.end() :]))
        else:
            path = tuple(word[: sign.start()].removeprefix("fields.").split("."))
            if not all(path) or not word[sign.end() :]:
                raise MatchError(f"'{word}': a field, a sign and a value are needed")
            test = FieldTest(path, sign.group(), word[sign.end() :])
            self._set(fields=(*self.matcher.fields, test))

    def _set(self, **changes: Any) -> None:
        self.matcher = replace(self.matcher, **changes)

    def _messages(self, text: str) -> frozenset[tuple[Channel, int]]:
        return messages_called(text.split(","), self._registry)

    def sender(self, text: str) -> dict[str, Any]:
        """Which side `from=` names."""
        return {"sender": one_of("from", text, SIDES)}

    def ring(self, text: str) -> dict[str, Any]:
        """`ring=`: indexes and names."""
        words = text.split(",")
        return {
            "rings": frozenset(int(each) for each in words if each.isdecimal()),
            "ring_names": frozenset(each for each in words if not each.isdecimal()),
        }

    def connection(self, text: str) -> dict[str, Any]:
        """`connection=`: a letter."""
        number = 0
        for letter in text.upper():
            number = number * 26 + ord(letter) - ord("A") + 1
        if not text.isalpha() or not text.isascii():
            raise MatchError(f"connection={text}: a letter is needed, as rows have it")
        return {"connection": number - 1}

    def fds(self, text: str) -> dict[str, Any]:
        """`fds=`: how many."""
        if not text.isdecimal():
            raise MatchError(f"fds={text}: a number of descriptors is needed")
        return {"fds": int(text)}


KEYS: Mapping[str, Callable[[Words, str], dict[str, Any]]] = {
    "from": Words.sender,
    "channel": lambda _, text: {"channel": one_of("channel", text, {str(each): each for each in Channel})},
    "ring": Words.ring,
    "connection": Words.connection,
    "session": lambda _, text: {"session": parse_when(text)},
    "phase": lambda _, text: {
        "phases": frozenset(one_of("phase", each, {str(p): p for p in Phase}) for each in text.split(","))
    },
    "after": lambda words, text: {"after": words._messages(text)},
    "fds": Words.fds,
    "when": lambda _, text: {"when": parse_when(text)},
}


def one_of(key: str, text: str, known: Mapping[str, Any]) -> Any:
    """What `text` names; MatchError."""
    if text not in known:
        raise MatchError(f"{key}={text}: one of {', '.join(known)} is needed")
    return known[text]


def layers_chosen(matcher: Matcher, registry: Registry) -> list[type[Layer]]:
    """The layouts that the messages which a matcher chooses may have."""
    rows = [
        (channel, spec)
        for channel, table in TABLES.items()
        for spec in {**table, **registry.messages.get(channel, {})}.values()
        if not matcher.messages or (channel, spec.number) in matcher.messages
    ]
    ways = (False, True) if matcher.reply is None else (matcher.reply,)
    return [layer for _, spec in rows for reply in ways for layer in layers_of(spec, reply)]


def check(test: FieldTest, matcher: Matcher, registry: Registry) -> None:
    """MatchError where no message that is chosen has the field, or the value is none."""
    layers = [layer for layer in layers_chosen(matcher, registry) if has_path(layer, test.path)]
    if not layers:
        names = {each.name for layer in layers_chosen(matcher, registry) for each in layer.fields_desc}
        known = f"; there are {', '.join(sorted(names))}" if matcher.messages and names else ""
        raise MatchError(f"no message that is chosen has a field '{'.'.join(test.path)}'{known}")
    shows = [show_at(layer, test.path) for layer in layers]
    failures = []
    for show in shows:
        try:
            number_of(test.text, show, matcher.devices)
            return
        except MatchError as error:
            failures.append(error)
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", test.text):
        raise failures[0]


def show_at(layer: type[Layer], path: Sequence[str]) -> Any:
    """How the field at a path is meant."""
    name, *rest = [each for each in path if not each.isdecimal() and each != "*"]
    each: Any
    for each in layer.fields_desc:
        if each.name == name:
            return show_at(each.layer, rest) if rest else getattr(each, "show", DEC)
    return DEC
