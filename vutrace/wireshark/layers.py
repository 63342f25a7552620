"""Layers as tables for the Lua dissector: what each field is, how it is shown, its filter name."""

from collections.abc import Iterator, Mapping
from struct import calcsize
from typing import Any

from vutrace.dissection.layouts import layout_of
from vutrace.dissection.shapes import code_of, compilable, is_stock_number, sign_of
from vutrace.protocol.layers import (
    Array,
    Fixed,
    Layer,
    Listed,
    Nested,
    Number,
    Tail,
    counted_fields,
    has_secrets,
    number_at,
    size_of,
    title,
)
from vutrace.protocol.shows import Kind, Show
from vutrace.views.fields import show_of
from vutrace.wireshark import names
from vutrace.wireshark.lua import Value

Entry = dict[str, Value]


class Layers:
    """Collects the layers that messages and devices use; `tables` is by filter prefix."""

    def __init__(self) -> None:
        self.tables: dict[str, Entry] = {}
        self._keys: dict[type[Layer], str] = {}

    def add(self, layer: type[Layer], prefix: str) -> str:
        """The key of a layer, which is described at its first use; `prefix` is what it should be."""
        if layer in self._keys:
            return self._keys[layer]
        key = self._free(prefix)
        self._keys[layer] = key
        self.tables[key] = {}  # holds its place among the layers, which are in order of use
        self.tables[key] = self._describe(layer, key)
        return key

    def key(self, layer: type[Layer]) -> str:
        """The key of a layer that was added."""
        return self._keys[layer]

    def described(self) -> Iterator[tuple[type[Layer], Entry]]:
        """Every layer with its table."""
        return ((layer, self.tables[key]) for layer, key in self._keys.items())

    def _free(self, prefix: str) -> str:
        key, number = prefix, 1
        while key in self.tables:
            number += 1
            key = f"{prefix}_{number}"
        return key

    def _describe(self, layer: type[Layer], key: str) -> Entry:
        known = compilable(layer)
        return {
            "title": title(layer),
            "size": layout_of(layer, False).size,
            "least": size_of(layer) if known else 0,
            "opaque": None if known else True,
            "counted": counted(layer) if known else None,
            "marks": marks(layer),
            "secrets": has_secrets(layer) or None,
            "fields": [self._field(field, key) | rank(layer, field) for field in layer.fields_desc if known],
            "variants": [self.add(each, variant(each, key)) for each in layer.variants] or None,
        }

    def _field(self, field: Any, key: str) -> Entry:
        entry: Entry = {"name": field.name, "filter": names.abbreviation(key, field.name)}
        if isinstance(field, Nested | Listed):
            device = key.split(".")[1] if key.count(".") > 1 else ""
            inner = self.add(field.layer, self._inner(field.layer, key, device))
            counted = {"counted_by": field.count} if isinstance(field, Listed) else {}
            if counted:
                return entry | {"type": "listed", "layer": inner} | counted
            return entry | {"type": "nested", "layer": inner, "width": size_of(field.layer)}
        show = show_of(field)
        found = shape(field, show.kind)
        return entry | found | meaning(show, 8 * calcsize(f"={found.get('code', '')}"))

    def _inner(self, layer: type[Layer], key: str, device: str) -> str:
        if device == "config":
            return f"{key}.{names.structure(layer)}"
        return names.prefix(layer, device)


def rank(layer: type[Layer], field: Any) -> Entry:
    """Where in a row a field of a configuration space comes."""
    named = [*layer.glance, *(each.name for each in layer.fields_desc if each.name not in layer.glance)]
    return {"rank": named.index(field.name)}


def counted(layer: type[Layer]) -> int | None:
    """The place, from 1, of the field whose length another one says."""
    fields = counted_fields(layer)
    return layer.fields_desc.index(fields[-1]) + 1 if fields else None


def variant(layer: type[Layer], key: str) -> str:
    """What the fields of a union's variant begin with."""
    return f"{key}.{names.structure(layer)}"


def marks(layer: type[Layer]) -> Entry | None:
    """What tells a layout from others of its size, or a variant of a union: a field, where, its values."""
    if layer.marks is None:
        return None
    start, field = number_at(layer, layer.marks[0])
    values = dict.fromkeys(sorted(layer.marks[1]), True)
    return {"name": field.name, "start": start, "code": field.code, "values": values}


def shape(field: Any, kind: Kind) -> Entry:
    """Where a field's bytes are, how many (of all that follow: none), and what they make."""
    if isinstance(field, Number):
        return number(field.code, field.order or None)
    if is_stock_number(field):
        return number(code_of(field), sign_of(field, False))
    if isinstance(field, Array):
        width = field.count * calcsize("=" + field.code)
        return {"type": "array", "code": field.code, "count": field.count, "width": width}
    if isinstance(field, Fixed):
        return {"type": "text" if kind is Kind.TEXT else "fixed", "width": field.sz}
    assert isinstance(field, Tail)
    return {"type": "text" if kind is Kind.TEXT else "tail", "counted_by": field.count or None}


def number(code: str, order: str | None) -> Entry:
    """A number of a struct code, of the host's byte order or its own."""
    return {"type": "number", "code": code, "order": order, "width": calcsize("=" + code)}


def meaning(show: Show, width: int) -> Entry:
    """How a field is shown, whose number has so many bits."""
    entry: Entry = {"kind": show.kind.name.lower()}
    if show.kind is Kind.FLAGS:
        entry["bits"] = bits(show.table, width)
    elif show.kind is Kind.ENUM:
        entry["enum"] = dict(show.table)
    elif show.kind is Kind.PARTS:
        entry["parts"] = [{"name": part.name, "mask": part.mask} for part in show.parts]
    if show.unit:
        entry |= {"unit": show.unit, "factor": show.factor}
    return entry


def bits(table: Mapping[int, str], width: int, named: Mapping[int, str] | None = None) -> list[Value]:
    """A bit table in bit order: `{bit, name, part of the filter name}`, the last for what `named` names."""
    named = table if named is None else named
    return [
        [bit, table.get(bit, f"bit {bit}"), names.word(named[bit]) if bit in named else None]
        for bit in range(width)
    ]
