"""Templates made into functions: the words of a message from its fields and what is known of the session."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from vutrace.dissection.message import Message
from vutrace.protocol.layers import Layer, size_of
from vutrace.protocol.shows import Kind, Show
from vutrace.protocol.templates import (
    ALL_BITS,
    BEHIND,
    PAIRS,
    REPLY,
    Alternative,
    Condition,
    Joined,
    Placeholder,
    Template,
    parse,
)
from vutrace.session.context import Context
from vutrace.views.fields import FieldShow, shows_of
from vutrace.views.masks import Names, choice, flag_names, offer, virtio_names
from vutrace.views.text import address, count, fourcc, plain, size, status, text_of

Fields = Mapping[str, Any]
Phrase = Callable[[Message, Fields, Context], str]
Getter = Callable[[Message, Fields, Context], Any]
Path = tuple[str, ...]

ITEMS_SHOWN = 3
WORD = (1 << 64) - 1


@cache
def phrase(layer: type[Layer], words: str) -> Phrase:
    """The function of a template for a layer whose fields are whole."""
    return phrase_of(parse(words), layer, ())


def phrase_of(template: Template, layer: type[Layer], outer: Path) -> Phrase:
    """The function of a template for the structure at `outer`."""
    parts = [part_of(part, layer, outer) for part in template]
    if len(parts) == 1:
        return parts[0]
    return lambda message, fields, context: "".join([part(message, fields, context) for part in parts])


def part_of(part: str | Placeholder | Alternative | Joined, layer: type[Layer], outer: Path) -> Phrase:
    """The function of one part."""
    match part:
        case str():
            return lambda message, fields, context: part
        case Placeholder():
            return value_of(part, layer, outer)
        case Alternative():
            return alternative_of(part, layer, outer)
    return joined_of(part, layer, outer)


def alternative_of(part: Alternative, layer: type[Layer], outer: Path) -> Phrase:
    """Words under a condition."""
    test = test_of(part.test, layer, outer)
    then, otherwise = phrase_of(part.then, layer, outer), phrase_of(part.otherwise, layer, outer)
    return lambda message, fields, context: (then if test(message, fields, context) else otherwise)(
        message, fields, context
    )


def joined_of(part: Joined, layer: type[Layer], outer: Path) -> Phrase:
    """The parts that say something."""
    parts, otherwise = (
        [phrase_of(each, layer, outer) for each in part.parts],
        phrase_of(part.otherwise, layer, outer),
    )

    def words(message: Message, fields: Fields, context: Context) -> str:
        said = [each(message, fields, context) for each in parts]
        return ", ".join(filter(None, said)) or otherwise(message, fields, context)

    return words


def test_of(test: Condition, layer: type[Layer], outer: Path) -> Getter:
    """The function of a condition."""
    getters = [getter(layer, outer, path) for path in test.paths]
    if test.equal is not None:
        return lambda message, fields, context: getters[0](message, fields, context) == test.equal
    if test.negative:
        return lambda message, fields, context: getters[0](message, fields, context) < 0
    return lambda message, fields, context: any(get(message, fields, context) & test.mask for get in getters)


def getter(layer: type[Layer], outer: Path, path: Path) -> Getter:
    """The function that finds a value, of the message where it is no field."""
    if path in SPECIAL:
        return partial(SPECIAL[path], layer)
    *structures, last = outer + path

    def get(_message: Message, fields: Fields, _context: Context) -> Any:
        for name in structures:
            fields = fields[name]
        return fields[last]

    return get


SPECIAL: Mapping[Path, Callable[[type[Layer], Message, Fields, Context], Any]] = {
    (REPLY,): lambda layer, message, fields, context: message.reply,
    (PAIRS,): lambda layer, message, fields, context: context.device.pairs,
    (BEHIND,): lambda layer, message, fields, context: max(0, message.size - size_of(layer)),
}


def value_of(value: Placeholder, layer: type[Layer], outer: Path) -> Phrase:
    """A field in the form that is asked for."""
    get = getter(layer, outer, value.path)
    if value.form == "table":
        return table_of(value, get, field_at(layer, value.path))
    if value.form:
        form = FORMS[value.form]
        show = DEC if value.path in SPECIAL else field_at(layer, value.path).show
        return lambda message, fields, context: form(
            masked(get(message, fields, context), value.mask), value.arguments, message, context, show
        )
    field = field_at(layer, value.path)
    if field.inner:
        return phrase_of(parse(field.inner.words), field.inner, outer + value.path)
    return lambda message, fields, context: text_of(get(message, fields, context), field.show, context)


DEC = Show()


def masked(value: Any, mask: int) -> Any:
    """The bits of a mask; any value where it has all."""
    return value if mask == ALL_BITS else value & mask


def field_at(layer: type[Layer], path: Path) -> FieldShow:
    """The field that a path leads to."""
    name, *inner = path
    field = next(each for each in shows_of(layer) if each.name == name)
    return field_at(field.inner, tuple(inner)) if inner and field.inner else field


def table_of(value: Placeholder, get: Getter, field: FieldShow) -> Phrase:
    """A list of structures: how many, the sum of a field, the first of them."""
    noun, summed = value.arguments
    assert field.inner is not None
    item = phrase(field.inner, field.inner.words)

    def words(message: Message, fields: Fields, context: Context) -> str:
        items: Sequence[Fields] = get(message, fields, context)
        if not items:
            return f"no {noun}"
        first = ", ".join(item(message, each, context) for each in items[:ITEMS_SHOWN])
        if len(items) == 1:
            return f"1 {noun}, {first}"
        more = f", {len(items) - ITEMS_SHOWN} more" if len(items) > ITEMS_SHOWN else ""
        return f"{count(len(items), noun)}, {size(sum(each[summed] for each in items))}: {first}{more}"

    return words


def sizes(value: Any, arguments: Sequence[str]) -> str:
    """The sizes of an array that are not 0, each with its place."""
    known = (f"{arguments[0]} {place}: {size(each)}" for place, each in enumerate(value) if each)
    return ", ".join(known) or "no region"


def mask(value: int, arguments: Sequence[str], message: Message, context: Context, show: Show) -> str:
    """A feature mask: what is offered in a reply; in a request what is taken of that.

    The arguments are the facts of the session that hold the last offer and the last choice.
    """
    offered, taken = (getattr(context, fact) for fact in arguments)
    virtio = show.kind is Kind.FEATURES
    names: Names = virtio_names(context.device) if virtio else flag_names(show)
    if message.reply:
        return offer(value, offered, names)
    return choice(value, taken, offered, names, tell_taken=not virtio)


Form = Callable[[Any, Sequence[str], Message, Context, Show], str]
FORMS: Mapping[str, Form] = {
    "number": lambda value, *_: plain(value),
    "hex": lambda value, *_: f"{value:#x}",
    "address": lambda value, *_: address(value),
    "size": lambda value, *_: size(value),
    "status": lambda value, *_: status(value & WORD),
    "fourcc": lambda value, *_: fourcc(value),
    "count": lambda value, arguments, *_: count(value, " ".join(arguments)),
    "sizes": lambda value, arguments, *_: sizes(value, arguments),
    "mask": mask,
}
