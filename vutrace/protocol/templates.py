"""What matters in a message as a template: the words of a layer, or of a row, with its fields filled in.

    ring {index}: desc {descriptor:address}[flags&1? log {log:address}]

`{field}` is the field as it is shown everywhere, `{field:form}` in another form, `{field&mask:form}` a part
of it; `{outer.inner}` is a field of a structure. `[test?words|else]` are words under a condition: `a,b` (one
of them is not 0), `a&mask`, `a=number`, `a<0`. `<one;two|none>` are the parts that are not empty, with commas
between them. Beside the fields there are `reply` (it is one), `pairs` (the device's rings come in pairs) and
`behind` (the bytes on the wire behind the structure).

Views make Python of a template, the Wireshark plug-in Lua. Nothing here loads scapy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

REPLY, PAIRS, BEHIND = "reply", "pairs", "behind"
ALL_BITS = -1


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A field, or the bits of `mask` of it, in a form with its arguments; the form "" is the field's own."""

    path: tuple[str, ...]
    mask: int
    form: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether one of the fields has a bit of `mask`, or is `equal` to a number, or `negative`."""

    paths: tuple[tuple[str, ...], ...]
    mask: int = ALL_BITS
    equal: int | None = None
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Alternative:
    """Words under a condition, and those without it."""

    test: Condition
    then: "Template"
    otherwise: "Template"


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts of which some may be empty, with commas between the others, or the words where all are."""

    parts: tuple["Template", ...]
    otherwise: "Template"


Template: TypeAlias = "tuple[str | Placeholder | Alternative | Joined, ...]"


@cache
def parse(text: str) -> Template:
    """The template that a text writes; ValueError where a bracket is missing."""
    template, at = read(text, 0, "")
    if at < len(text):
        raise ValueError(f"{text!r}: nothing opens what ends at {at}")
    return template


def read(text: str, at: int, ends: str) -> tuple[Template, int]:
    """What stands from `at` to the first of `ends`, and where that is."""
    found: list[str | Placeholder | Alternative | Joined] = []
    while at < len(text) and text[at] not in ends:
        part, at = OPENING.get(text[at], read_literal)(text, at)
        last = found[-1] if found else None
        if isinstance(part, str) and isinstance(last, str):
            found[-1] = last + part
        else:
            found.append(part)
    if ends and at == len(text):
        raise ValueError(f"{text!r}: one of {ends!r} is missing")
    return tuple(found), at


def read_literal(text: str, at: int) -> tuple[str, int]:
    """One character as it is."""
    return text[at], at + 1


def read_value(text: str, at: int) -> tuple[Placeholder, int]:
    """A field in braces."""
    end = text.index("}", at)
    name, _, form = text[at + 1 : end].partition(":")
    path, _, mask = name.partition("&")
    word, *arguments = form.split(" ")
    return Placeholder(path_of(path), int(mask, 0) if mask else ALL_BITS, word, tuple(arguments)), end + 1


def read_alternative(text: str, at: int) -> tuple[Alternative, int]:
    """Words under a condition in brackets."""
    end = text.index("?", at)
    then, at_end = read(text, end + 1, "|]")
    otherwise: Template = ()
    if text[at_end] == "|":
        otherwise, at_end = read(text, at_end + 1, "]")
    return Alternative(test_of(text[at + 1 : end]), then, otherwise), at_end + 1


def read_joined(text: str, at: int) -> tuple[Joined, int]:
    """Parts between angle brackets."""
    parts: list[Template] = []
    while text[at] != "|":
        part, at = read(text, at + 1, ";|")
        parts.append(part)
    otherwise, at = read(text, at + 1, ">")
    return Joined(tuple(parts), otherwise), at + 1


Part: TypeAlias = str | Placeholder | Alternative | Joined
OPENING: Mapping[str, Callable[[str, int], tuple[Part, int]]] = {
    "{": read_value,
    "[": read_alternative,
    "<": read_joined,
}


def test_of(text: str) -> Condition:
    """A condition."""
    if text.endswith("<0"):
        return Condition((path_of(text[:-2]),), negative=True)
    name, equals, number = text.partition("=")
    if equals:
        return Condition((path_of(name),), equal=int(number, 0))
    names, _, mask = text.partition("&")
    return Condition(tuple(map(path_of, names.split(","))), int(mask, 0) if mask else ALL_BITS)


def path_of(text: str) -> tuple[str, ...]:
    """The fields from the message inwards."""
    return tuple(text.split("."))
