"""The fields of a payload of which only some bytes are known: those alone that are known in full.

A structure, or a list of them, counts as one field.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from vutrace.dissection.decoder import Fields
from vutrace.dissection.layouts import Layouts
from vutrace.protocol.layers import Layer, Listed, Nested, minimum, size_of

Parts = Sequence[tuple[int, int]]


def partly(layouts: Layouts, payload: bytes, known: Parts) -> tuple[type[Layer], Fields]:
    """The layer that a payload is taken for, and its fields as far as they are known."""
    if not known:
        return layouts.first.layer, {}
    layer, fields, _, _ = layouts.read(payload)
    return layer, dict(known_fields(layer, fields, 0, known))


def known_fields(layer: type[Layer], fields: Fields, start: int, known: Parts) -> Iterator[tuple[str, Any]]:
    """Each field whose bytes are all known; of structures and lists the parts that are."""
    for field in layer.fields_desc:
        value = fields.get(field.name)
        if isinstance(field, Nested) and isinstance(value, dict):
            inner = dict(known_fields(field.layer, value, start, known))
            if len(inner) == len(value):
                yield field.name, inner
            start += size_of(field.layer)
        elif isinstance(field, Listed) and isinstance(value, list):
            size = size_of(field.layer)
            places: list[Any] = list(enumerate(value))
            items = [dict(known_fields(field.layer, item, start + size * at, known)) for at, item in places]
            if all(len(item) == len(inner) for item, (_, inner) in zip(items, places, strict=True)):
                yield field.name, items
            start += size * len(value)
        else:
            size = len(value) if isinstance(value, bytes) else minimum(field)
            if value is not None and is_known(start, size, known):
                yield field.name, value
            start += size


def is_known(start: int, size: int, known: Parts) -> bool:
    """Whether one known part has all the bytes."""
    return any(first <= start and start + size <= first + length for first, length in known)
