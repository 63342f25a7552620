"""How a program is told of a vhost-user socket: a row for each way, by program, option and parameters."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vutrace.launch.parameters import Parameters, SingleValue, parameters
from vutrace.records import Side

ANY = "*"
ANY_PROGRAM = ".*"
ON = r"on|true|yes|1|server"
OFF = r"off|false|no|0"
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class ArgumentWord:
    """A word of a command line: its place, the option that it belongs to, and what stands before its value.

    `--option=value` is one word, `prefix` being "--option="; "" is the option of what stands behind none.
    """

    index: int
    option: str
    prefix: str
    text: str

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters that it has."""
        return parameters(self.text)


Wanted = Callable[[Parameters, Sequence[ArgumentWord]], bool]


def always(_word: Parameters, _words: Sequence[ArgumentWord]) -> bool:
    """For an option that nothing else of the command line decides about."""
    return True


@dataclass(frozen=True, slots=True)
class SocketOption:
    """One way in which a program is told of a vhost-user socket.

    `program` matches the program's name, `options` are without dashes (ANY: whichever, or none). `path` is
    the parameter that has the path, `fd` that of an inherited descriptor; "" where the word has no parameters
    (`whole`). The parameters must match `requires` (regular expressions). The program is `side`, and listens
    or not (`listens`), unless parameter `turned[0]` matches `turned[1]`, or one of the options `turned_by` is
    there. `wanted` decides by the other words. `numbered`: there may be several sockets, whose names end with
    a number.
    """

    program: str
    options: tuple[str, ...]
    side: Side
    listens: bool
    path: str | None = None
    fd: str | None = None
    requires: Mapping[str, str] = field(default_factory=dict)
    turned: tuple[str, str] | None = None
    turned_by: tuple[str, ...] = ()
    wanted: Wanted = always
    numbered: bool = False
    whole: bool = False

    def fits(self, program: str, word: ArgumentWord, words: Sequence[ArgumentWord]) -> bool:
        """Whether a word of a program's command line is told in this way."""
        if not re.match(rf"(?:{self.program})$", program) or not {word.option, ANY} & set(self.options):
            return False
        told = self.of(word)
        matches = (re.match(rf"(?:{pattern})$", told.get(key)) for key, pattern in self.requires.items())
        return all(matches) and self.wanted(told, words)

    def of(self, word: ArgumentWord) -> Parameters:
        """A word's parameters as this row reads them."""
        return SingleValue(word.text) if self.whole else word.parameters

    def listening(self, word: ArgumentWord, words: Sequence[ArgumentWord]) -> bool:
        """Whether the program listens."""
        turned = any(
            each.option in self.turned_by or each.text.lstrip("-") in self.turned_by for each in words
        )
        if self.turned:
            turned |= bool(re.match(rf"(?:{self.turned[1]})$", self.of(word).get(self.turned[0])))
        return self.listens is not turned


def argument_words(command: Sequence[str], begin: int) -> list[ArgumentWord]:
    """The words of a command line from number `begin` on, each with the option before it."""
    return list(walk(command, begin))


def flag(index: int, word: str) -> ArgumentWord:
    """An option without a value, or before one."""
    return ArgumentWord(index, "", "", word)


def walk(command: Sequence[str], begin: int) -> Iterator[ArgumentWord]:
    option = ""
    for index, word in enumerate(command[begin:], begin):
        if word.startswith("-") and word != "-":
            name, equals, value = word.partition("=")
            option = name.lstrip("-")
            yield ArgumentWord(index, option, name + equals, value) if equals else flag(index, word)
        else:
            yield ArgumentWord(index, option, "", word)
