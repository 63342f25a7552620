"""Fields of a message by the names that people write, and the numbers that names of bits stand for."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from vutrace.dissection.device import Device
from vutrace.errors import USAGE, VutraceError
from vutrace.protocol.bits import VIRTIO_FEATURES, Bits
from vutrace.protocol.layers import Layer, Listed, Nested
from vutrace.protocol.shows import DEC, Kind, Show

PREFIX = re.compile(r"^.*?_(?:F|S)_")
JOINED = re.compile(r"[|+]")
ANY = "*"


class MatchError(VutraceError):
    """What was written chooses nothing that there is; the text says what is wrong."""

    status = USAGE


def values_at(
    layer: type[Layer], fields: Mapping[str, Any], path: Sequence[str]
) -> Iterator[tuple[Any, Show]]:
    """The values at a path of names ("regions", "0", "size"), and how each is meant.

    Without a number they are those of every item.
    """
    name, *rest = path
    for each in layer.fields_desc:
        show = getattr(each, "show", DEC)
        if each.name in fields and each.name == name:
            yield from inside(each, fields[name], rest, show)
        elif each.name in fields and not rest and show.kind is Kind.PARTS:
            yield from ((part.of(fields[each.name]), DEC) for part in show.parts if part.name == name)


def inside(field: Any, value: Any, rest: Sequence[str], show: Show) -> Iterator[tuple[Any, Show]]:
    """What a path leads to from the value of one field."""
    if isinstance(value, list) and rest and (rest[0].isdecimal() or rest[0] == ANY):
        place, rest = rest[0], rest[1:]
        value = value if place == ANY else value[int(place) : int(place) + 1]
    for item in value if isinstance(value, list) else [value]:
        if isinstance(field, Nested | Listed):
            if rest and isinstance(item, dict):
                yield from values_at(field.layer, item, rest)
        elif not rest:
            yield item, show


def has_path(layer: type[Layer], path: Sequence[str]) -> bool:
    """Whether a layer has such a field."""
    name, *rest = path
    if rest and (rest[0].isdecimal() or rest[0] == ANY):
        rest = rest[1:]
    for each in layer.fields_desc:
        show = getattr(each, "show", DEC)
        if each.name == name:
            return has_path(each.layer, rest) if isinstance(each, Nested | Listed) and rest else not rest
        if not rest and show.kind is Kind.PARTS and any(part.name == name for part in show.parts):
            return True
    return False


def number_of(text: str, show: Show, devices: Iterable[Device]) -> int:
    """A number, in any base, or names of values or bits ("MRG_RXBUF|MQ"); MatchError."""
    total = 0
    for word in JOINED.split(text):
        total |= one_number(word, show, devices)
    return total


def one_number(word: str, show: Show, devices: Iterable[Device]) -> int:
    try:
        return int(word, 0)
    except ValueError:
        pass
    if show.kind is Kind.ENUM:
        for value, name in show.table.items():
            if word.lower() == name.lower():
                return value
    tables = [show.table]
    if show.kind is Kind.FEATURES:
        tables = [VIRTIO_FEATURES, *(device.features for device in devices)]
    bits = {number for table in tables for number in numbers_called(word, table)}
    if len(bits) != 1:
        raise MatchError(
            f"{word} is neither a number nor a name that the field has"
            if not bits
            else f"{word} is another bit for each kind of device: name it with --device"
        )
    return 1 << bits.pop()


def numbers_called(word: str, table: Bits) -> Iterator[int]:
    """The bits of that name, written with or without its prefix."""
    wanted = PREFIX.sub("", word.upper())
    for number, name in table.items():
        if PREFIX.sub("", name.upper()) == wanted:
            yield number
