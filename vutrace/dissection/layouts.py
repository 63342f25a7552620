"""Which of a message's known layouts a payload has: the first that its size fits."""

from collections.abc import Mapping
from dataclasses import dataclass

from vutrace.dissection.compiler import Decoder, Fields, compile_layer
from vutrace.protocol.layers import Layer, Listed, Tail, size_of
from vutrace.protocol.payloads import Ack
from vutrace.protocol.spec import MessageSpec, Payload


@dataclass(frozen=True, slots=True)
class Layout:
    """One layer ready for use; `size` is None when the payload's length may vary."""

    layer: type[Layer]
    decode: Decoder
    size: int | None
    listed: Listed | None

    def fits(self, payload: bytes, fields: Fields, used: int) -> bool:
        """Whether the payload is exactly this layer: nothing missing, nothing left."""
        if used != len(payload) or len(fields) != len(self.layer.fields_desc):
            return False
        return self.listed is None or len(fields[self.listed.name]) == fields[self.listed.count]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Layouts:
    """The layouts of one message in one role: by size where that decides, else tried in order."""

    spec: MessageSpec
    by_size: Mapping[int, Layout]
    varying: tuple[Layout, ...]
    first: Layout

    def read(self, payload: bytes) -> tuple[Layout, Fields, int, bool]:
        """The layout taken, the fields, the bytes used, and whether it fits."""
        layout = self.by_size.get(len(payload))
        if layout is not None:
            fields, used = layout.decode(payload)
            return layout, fields, used, True
        for layout in self.varying:
            fields, used = layout.decode(payload)
            if layout.fits(payload, fields, used):
                return layout, fields, used, True
        fields, used = self.first.decode(payload)
        return self.first, fields, used, False

    @property
    def sizes(self) -> str:
        """The sizes that would have fitted, in words."""
        words = [str(size) for size in sorted(self.by_size)]
        words += [f"{size_of(layout.layer)} or more" for layout in self.varying]
        return " or ".join(words)


def layout_of(layer: type[Layer], big_endian: bool) -> Layout:
    """A layer made ready."""
    listed = next((field for field in layer.fields_desc if isinstance(field, Listed)), None)
    varies = any(isinstance(field, Tail | Listed) or not field.sz for field in layer.fields_desc)
    size = None if varies else size_of(layer)
    return Layout(layer, compile_layer(layer, big_endian), size, listed)


def layouts_of(spec: MessageSpec, reply: bool, big_endian: bool) -> Layouts:
    """The layouts of a message as request or as reply; any reply may be the generic acknowledgement."""
    layers: Payload = (*spec.reply, Ack) if reply else spec.request
    known = [layout_of(layer, big_endian) for layer in layers]
    by_size: dict[int, Layout] = {}
    for layout in known:
        if layout.size is not None:
            by_size.setdefault(layout.size, layout)
    return Layouts(spec, by_size, tuple(item for item in known if item.size is None), known[0])
