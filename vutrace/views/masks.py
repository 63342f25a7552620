"""Feature masks in a row: what is offered, and what of an offer was not taken."""

from collections.abc import Callable, Iterable

from vutrace.dissection.device import Device
from vutrace.protocol.bits import PROTOCOL_FEATURES, VIRTIO_FEATURES, bit_names
from vutrace.protocol.shows import Show
from vutrace.views.text import feature_names

Names = Callable[[int], list[str]]

NAMES_SHOWN = 8
GENERIC = sum(1 << bit for bit in VIRTIO_FEATURES)


def virtio_names(device: Device) -> Names:
    """Short names of virtio bits; the generic ones, which change the protocol itself, come first."""

    def names(mask: int) -> list[str]:
        ordered = feature_names(mask & GENERIC, device) + feature_names(mask & ~GENERIC, device)
        return [name.partition("_F_")[2] or name for name in ordered]

    return names


def flag_names(show: Show) -> Names:
    """Names of the bits that a field shows."""
    return lambda mask: bit_names(mask, show.table)


def protocol_names(mask: int) -> list[str]:
    """Names of protocol features."""
    return bit_names(mask, PROTOCOL_FEATURES)


def few(names: Iterable[str], limit: int = NAMES_SHOWN) -> str:
    """The first names, and how many more there are."""
    known = list(names)
    more = f"+{len(known) - limit}" if len(known) > limit else ""
    return " ".join([*known[:limit], *filter(None, [more])])


def offer(mask: int, before: int | None, names: Names) -> str:
    """What a back-end offers; an offer that was made before is not told again."""
    if mask == before:
        return f"{mask:#x} as before"
    return f"{mask:#x} {few(names(mask))}".rstrip()


def choice(mask: int, before: int | None, offered: int | None, names: Names, *, tell_taken: bool) -> str:
    """What a front-end takes of an offer: `-` is left, `+` was never offered."""
    if mask == before:
        return f"{mask:#x} as before"
    taken = few(names(mask)) if tell_taken or offered is None else ""
    if offered is None:
        return f"{mask:#x} {taken}".rstrip()
    left = few("-" + name for name in names(offered & ~mask))
    extra = few(f"+{name} (not offered)" for name in names(mask & ~offered))
    return " ".join(filter(None, [f"{mask:#x}", taken, left or "(all offered)", extra]))
