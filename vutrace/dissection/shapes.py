"""Which layers the compiler knows its way in, and what their fields are to `struct`.

Of scapy's own fields, which a plug-in may use, it knows the plain numbers; any other makes it leave the
whole layer to scapy.
"""

import re
from typing import Any

from scapy.fields import Field

from vutrace.protocol.layers import Array, Fixed, Layer, Listed, Nested, Number, Tail

KNOWN = (Number, Fixed, Tail, Array, Nested, Listed)
STOCK_NUMBER = re.compile("[<>!][BHIQbhiq]")
HOOKS = ("pre_dissect", "do_dissect", "take", "post_dissect", "dissect", "__init__")


def compilable(layer: type[Layer]) -> bool:
    """Whether `layer` is made of our fields alone, in ways that a decoder can follow."""
    seen: set[str] = set()
    for field in layer.fields_desc:
        sound = known(field)
        if isinstance(field, Nested):
            sound &= compilable(field.layer) and not varies(field.layer)
        if isinstance(field, Listed):
            sound &= field.count in seen
        if not sound:
            return False
        seen |= {field.name} if is_number(field) else set()
    return all(getattr(layer, hook) is getattr(Layer, hook) for hook in HOOKS)


def known(field: Any) -> bool:
    """Whether a decoder can do with a field what scapy does."""
    return type(field) in KNOWN or is_stock_number(field)


def is_number(field: Any) -> bool:
    """Whether a field is one integer."""
    return isinstance(field, Number) or is_stock_number(field)


def is_stock_number(field: Any) -> bool:
    """Whether a field of scapy's own is one integer, in a byte order that it names itself."""
    reads = [getattr(type(field), name, None) for name in ("getfield", "m2i")]
    return reads == [Field.getfield, Field.m2i] and bool(STOCK_NUMBER.fullmatch(field.fmt))


def varies(layer: type[Layer]) -> bool:
    """Whether payloads of this layer may differ in size."""
    return any(
        not known(field)
        or isinstance(field, Tail | Listed)
        or (isinstance(field, Nested) and varies(field.layer))
        for field in layer.fields_desc
    )


def sign_of(field: Any, big_endian: bool) -> str:
    """struct's byte-order sign of a plain field; "" for one that needs a step of its own."""
    if is_stock_number(field):
        return "<" if field.fmt[0] == "<" else ">"
    if isinstance(field, Number | Fixed):
        return getattr(field, "order", "") or (">" if big_endian else "<")
    return ""


def code_of(field: Any) -> str:
    """struct's code of a plain field."""
    if isinstance(field, Fixed):
        return f"{field.sz}s"
    return str(field.fmt[-1])
