"""The bytes in the buffers of a chain."""

from collections.abc import Iterable

from vutrace.rings.chain import WRITE, Chain, Descriptor
from vutrace.rings.payload import AnyForm


def buffers(chain: Chain, writable: bool) -> list[Descriptor]:
    """Those that the device may write, or those that it may only read."""
    return [each for each in chain.buffers if bool(each.flags & WRITE) is writable]


def gather(form: AnyForm, found: Iterable[Descriptor], size: int, skip: int = 0) -> bytes:
    """The `size` bytes of some buffers after the first `skip`, or fewer. Raises UnreadError."""
    parts: list[bytes] = []
    for each in found:
        begin = min(skip, each.length)
        skip -= begin
        length = min(each.length - begin, size)
        if length > 0:
            parts.append(form.guest(each.address + begin, length))
            size -= length
    return b"".join(parts)
