"""The templates of a message's words: what they may say, and that every one of ours can be said."""

import pytest

from vutrace.dissection.registry import load
from vutrace.protocol.layers import Layer
from vutrace.protocol.messages import TABLES, layers_of
from vutrace.protocol.templates import Alternative, Condition, Joined, Placeholder, parse
from vutrace.views.phrases import phrase
from vutrace.wireshark.tables import tables


def test_a_field_stands_in_braces_with_its_bits_and_form() -> None:
    assert parse("ring {u64&0xff:number} of {a.b:count queue pair}") == (
        "ring ",
        Placeholder(("u64",), 0xFF, "number", ()),
        " of ",
        Placeholder(("a", "b"), -1, "count", ("queue", "pair")),
    )


def test_conditions_nest() -> None:
    inner = Alternative(Condition((("y",),), equal=3), ("three",), ())
    assert parse("[x,z&0x1?yes|[y=3?three]]") == (
        Alternative(Condition((("x",), ("z",)), mask=1), ("yes",), (inner,)),
    )


def test_parts_are_joined_or_none_is_said() -> None:
    part = Alternative(Condition((("a",),), negative=True), ("below",), ())
    assert parse("<[a<0?below];b|none>") == (Joined(((part,), ("b",)), ("none",)),)


@pytest.mark.parametrize("text", ["[a?b", "<a;b", "<a|b", "{a"])
def test_a_missing_bracket_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def templates() -> list[tuple[str, type[Layer]]]:
    """Every template of the message tables, with the layer whose fields it names."""
    specs = [spec for table in TABLES.values() for spec in table.values()]
    layers = {layer for spec in specs for reply in (False, True) for layer in layers_of(spec, reply)}
    ours = {(layer.words, layer) for layer in layers if layer.words}
    ours |= {(spec.words, layers_of(spec, False)[0]) for spec in specs if spec.words}
    return sorted(ours, key=lambda pair: (pair[1].__name__, pair[0]))


@pytest.mark.parametrize(("words", "layer"), templates(), ids=lambda part: getattr(part, "__name__", None))
def test_every_template_names_fields_that_its_layer_has(words: str, layer: type[Layer]) -> None:
    assert callable(phrase(layer, words))


def test_the_plug_in_has_a_function_for_every_template() -> None:
    made = tables(load())
    functions = [entry["words"] for entry in made["LAYERS"].values() if "words" in entry]  # type: ignore
    assert len(functions) > 30
    assert all(function.startswith("function(v, m, c) return ") for function in functions)
