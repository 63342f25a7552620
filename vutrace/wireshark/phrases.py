"""Templates as Lua: the functions of a message's words, for a plug-in that cannot call Python.

Each takes `v`, the values of the fields; `m`, the message; `c`, what is known of the session.
"""

from vutrace.protocol.layers import Layer
from vutrace.protocol.templates import ALL_BITS, Alternative, Condition, Joined, Placeholder, Template, parse
from vutrace.views.phrases import SPECIAL, field_at
from vutrace.wireshark.layers import Layers
from vutrace.wireshark.lua import Code, literal

Path = tuple[str, ...]


def function(words: str, layer: type[Layer], layers: Layers) -> Code:
    """The function of a template."""
    return Code(f"function(v, m, c) return {expression(parse(words), layer, (), layers)} end")


def expression(template: Template, layer: type[Layer], outer: Path, layers: Layers) -> str:
    """A text."""
    return " .. ".join(part_of(part, layer, outer, layers) for part in template) or '""'


def part_of(
    part: str | Placeholder | Alternative | Joined, layer: type[Layer], outer: Path, layers: Layers
) -> str:
    """A part of a text."""
    if isinstance(part, str):
        return literal(part)
    if isinstance(part, Placeholder):
        return value_of(part, layer, outer, layers)
    otherwise = expression(part.otherwise, layer, outer, layers)
    if isinstance(part, Alternative):
        return (
            f"({test_of(part.test, outer)} and {expression(part.then, layer, outer, layers)} or {otherwise})"
        )
    parts = ", ".join(expression(each, layer, outer, layers) for each in part.parts)
    return f"join_said({{ {parts} }}, {otherwise})"


def test_of(test: Condition, outer: Path) -> str:
    """A condition."""
    values = [place(outer, path) for path in test.paths]
    if test.equal is not None:
        return f"{values[0]} == {test.equal}"
    if test.negative:
        return f"is_negative({values[0]})"
    return "(" + " or ".join(f"has_any({value}, {bits(test.mask)})" for value in values) + ")"


def place(outer: Path, path: Path) -> str:
    """Where a value is."""
    if path in SPECIAL:
        return f"SPECIAL.{path[0]}(m, c)"
    return "".join(["v", *(f"[{literal(name)}]" for name in outer + path)])


def bits(mask: int) -> str:
    """A mask, nil for all bits."""
    return "nil" if mask == ALL_BITS else str(mask)


def value_of(value: Placeholder, layer: type[Layer], outer: Path, layers: Layers) -> str:
    """A field in words."""
    here = place(outer, value.path)
    if value.mask != ALL_BITS:
        here = f"masked({here}, {value.mask})"
    if value.path in SPECIAL:
        return f"FORMS.{value.form}({here}, {{ {arguments(value)} }})"
    field = field_at(layer, value.path)
    if field.inner and value.form:
        item = function(field.inner.words, field.inner, layers)
        return f"FORMS.{value.form}({here}, {{ {arguments(value)} }}, {item}, m, c)"
    if field.inner:
        return expression(parse(field.inner.words), field.inner, outer + value.path, layers)
    shown = shown_in(holder(layer, value.path), field.name, layers)
    if value.form:
        return f"FORMS.{value.form}({here}, {{ {arguments(value)} }}, {shown}, m, c)"
    return f"words_of({here}, {shown}, c)"


def shown_in(layer: type[Layer], name: str, layers: Layers) -> str:
    """Where the table of a field is."""
    place = [field.name for field in layer.fields_desc].index(name) + 1
    return f"LAYERS[{literal(layers.key(layer))}].fields[{place}]"


def holder(layer: type[Layer], path: Path) -> type[Layer]:
    """The structure that a path's last field is in."""
    return field_at(layer, path[:-1]).inner or layer if len(path) > 1 else layer


def arguments(value: Placeholder) -> str:
    """A form's arguments."""
    return ", ".join(map(literal, value.arguments))
