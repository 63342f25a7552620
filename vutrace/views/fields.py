"""How the fields of a layer are to be shown; also those of a plug-in that uses scapy's own fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from vutrace.dissection.shapes import KNOWN, is_number
from vutrace.protocol.layers import Array, Layer, Listed, minimum
from vutrace.protocol.shows import BYTES, DEC, Kind, Show


@dataclass(frozen=True, slots=True)
class FieldShow:
    """One field: `inner` is the layer of a nested structure or of a list's items, None for a value.

    `start` is its offset in the layer in bytes, None behind one of varying size. `number` tells that
    the value is one integer, or several.
    """

    name: str
    show: Show
    inner: type[Layer] | None
    start: int | None
    size: int
    number: bool


@cache
def shows_of(layer: type[Layer]) -> tuple[FieldShow, ...]:
    """The fields of a layer, in order."""
    return tuple(walk(layer))


def walk(layer: type[Layer]) -> Iterator[FieldShow]:
    """The fields, with their offsets as far as they are fixed."""
    start: int | None = 0
    for field in layer.fields_desc:
        size = minimum(field)
        inner, number = getattr(field, "layer", None), isinstance(field, Array) or is_number(field)
        yield FieldShow(field.name, show_of(field), inner, start, size, number)
        # Others of scapy's own may be of any size.
        fixed = is_number(field) or (isinstance(field, KNOWN) and not isinstance(field, Listed))
        start = start + size if start is not None and fixed and size else None


def show_of(field: Any) -> Show:
    """A field's Show; for one of scapy's own, what its type suggests."""
    known = getattr(field, "show", None)
    if isinstance(known, Show):
        return known
    return BYTES if isinstance(field.default, bytes) else DEC


Span = tuple[int, int | None]


@cache
def secret_spans(layer: type[Layer]) -> tuple[Span, ...]:
    """Where a layer's secret bytes are, from and to; no end where what follows is of varying size."""
    return tuple(spans(layer))


def spans(layer: type[Layer]) -> Iterator[Span]:
    """The secrets of its own fields, and those of the structures in it."""
    known = 0  # the last offset that is fixed
    for field in shows_of(layer):
        fixed = field.start is not None and field.size > 0
        known = field.start if field.start is not None else known
        if field.show.kind is Kind.SECRET:
            yield known, known + field.size if fixed else None
        elif field.inner:
            for start, stop in secret_spans(field.inner):
                yield known + start if fixed else known, known + stop if fixed and stop else None
