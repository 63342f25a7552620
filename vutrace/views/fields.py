"""How the fields of a layer are to be shown; also those of a plug-in that uses scapy's own fields."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from vutrace.protocol.layers import Array, Layer, Listed, Number, minimum
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
        inner, number = getattr(field, "layer", None), isinstance(field, Number | Array)
        yield FieldShow(field.name, show_of(field), inner, start, size, number)
        start = None if start is None or isinstance(field, Listed) or not size else start + size


def show_of(field: Any) -> Show:
    """A field's Show; for one of scapy's own, what its type suggests."""
    known = getattr(field, "show", None)
    if isinstance(known, Show):
        return known
    return BYTES if isinstance(field.default, bytes) else DEC


@cache
def secret_from(layer: type[Layer]) -> int | None:
    """The offset of the first secret in a layer, None when it has none."""
    starts = (field.start for field in shows_of(layer) if field.show.kind is Kind.SECRET)
    return next(starts, None)


@cache
def secret_bytes(layer: type[Layer]) -> frozenset[int]:
    """The offsets of a layer's secret bytes."""
    return frozenset(
        at
        for field in shows_of(layer)
        if field.show.kind is Kind.SECRET and field.start is not None
        for at in range(field.start, field.start + field.size)
    )
