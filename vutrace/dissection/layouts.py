"""Which of a message's known layouts a payload has: the first that its size fits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vutrace.dissection.compiler import compile_layer
from vutrace.dissection.decoder import Decoder, Fields
from vutrace.dissection.shapes import compilable, varies
from vutrace.protocol.layers import Layer, Listed, Tail, counted_fields, size_of
from vutrace.protocol.messages import layers_of
from vutrace.protocol.spec import FdRule, MessageSpec
from vutrace.protocol.wire import WIRES, sender_of
from vutrace.records import Channel, Side


@dataclass(frozen=True, slots=True)
class Layout:
    """One layer ready for use; `size` is None when the payload's length may vary.

    `other` is a layout of the same size, taken instead when its marks are found.
    """

    layer: type[Layer]
    decode: Decoder
    size: int | None
    counted: Listed | Tail | None
    other: "Layout | None" = None

    def fits(self, payload: bytes, fields: Fields, used: int) -> bool:
        """Whether the payload is exactly this layer: nothing missing, nothing left."""
        if used != len(payload):
            return False
        if self.counted is not None:
            items: Any = fields.get(self.counted.name)
            return items is not None and len(items) == fields[self.counted.count]
        if not compilable(self.layer):
            return True
        return len(fields) == len(self.layer.fields_desc) or not (payload or size_of(self.layer))

    @property
    def extent(self) -> str:
        """The sizes of a payload that varies, in words."""
        if self.counted is None:
            return f"{size_of(self.layer)} or more"
        item = f"{size_of(self.counted.layer)} × " if isinstance(self.counted, Listed) else ""
        return f"{size_of(self.layer)} + {item}{self.counted.count}"

    def read(self, payload: bytes) -> tuple[type[Layer], Fields, int]:
        """The layer, its fields and the bytes used; those of the other where its marks are found."""
        if self.other is not None and self.other.layer.marks is not None:
            fields, used = self.other.decode(payload)
            name, values = self.other.layer.marks
            if fields.get(name) in values:
                return self.other.layer, fields, used
        return self.layer, *self.decode(payload)


@dataclass(frozen=True, slots=True)
class Layouts:
    """The layouts of one message in one role: by size where that decides, else tried in order.

    `flags` are the flag words a message of this role may have, `sender` the side it comes from, `fds`
    how many descriptors it carries (None where its fields decide).
    """

    spec: MessageSpec
    by_size: Mapping[int, Layout]
    varying: tuple[Layout, ...]
    first: Layout
    flags: frozenset[int]
    sender: Side
    rule: FdRule
    fds: int | None

    def read(self, payload: bytes) -> tuple[type[Layer], Fields, int, bool]:
        """The layer taken, the fields, the bytes used, and whether it fits."""
        layout = self.by_size.get(len(payload))
        if layout is not None and layout.other is None:
            fields, used = layout.decode(payload)
            return layout.layer, fields, used, True
        if layout is not None:
            return *layout.read(payload), True
        for layout in self.varying:
            fields, used = layout.decode(payload)
            if layout.fits(payload, fields, used):
                return layout.layer, fields, used, True
        return *self.first.read(payload), False

    @property
    def sizes(self) -> str:
        """The sizes that would have fitted, in words."""
        words = [str(size) for size in sorted(self.by_size)]
        words += [layout.extent for layout in self.varying]
        return " or ".join(words)


def layout_of(layer: type[Layer], big_endian: bool) -> Layout:
    """A layer made ready."""
    size = None if varies(layer) or not compilable(layer) else size_of(layer)
    return Layout(layer, compile_layer(layer, big_endian), size, next(iter(counted_fields(layer)), None))


def sized(layouts: Iterable[Layout]) -> dict[int, Layout]:
    """Layouts by size; the first of a size leads, one with marks is its other."""
    by_size: dict[int, Layout] = {}
    for layout in layouts:
        if layout.size is None:
            continue
        leading = by_size.setdefault(layout.size, layout)
        if layout.layer.marks is not None and leading is not layout:
            by_size[layout.size] = replace(leading, other=layout)
    return by_size


def layouts_of(spec: MessageSpec, reply: bool, big_endian: bool, channel: Channel = Channel.MAIN) -> Layouts:
    """The layouts of a message as request or as reply; any reply may be the generic acknowledgement."""
    known = [layout_of(layer, big_endian) for layer in layers_of(spec, reply)]
    by_size, varying = sized(known), tuple(layout for layout in known if layout.size is None)
    rule = spec.reply_fds if reply else spec.fds
    return Layouts(
        spec,
        by_size,
        varying,
        known[0] if known[0].size is None else by_size[known[0].size],
        WIRES[channel].flags(reply),
        sender_of(channel, reply),
        rule,
        FIXED_FDS.get(rule),
    )


FIXED_FDS = {FdRule.NONE: 0, FdRule.ONE: 1}
