"""What a passed descriptor is, in words: short for a row, everything for the detail."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from vutrace.protocol.bits import bit_names
from vutrace.records import FdInfo, FdKind, Side
from vutrace.views.text import printable, size

# Linux, F_SEAL_*
SEALS = {0: "seal", 1: "shrink", 2: "grow", 3: "write", 4: "future write", 5: "exec"}


def identity(info: FdInfo) -> str:
    """What tells one descriptor from another: eventfd#11, memfd 256 MiB, socket:4711."""
    if info.kind is FdKind.EVENTFD:
        return "eventfd" if info.eventfd_id is None else f"eventfd#{info.eventfd_id}"
    if info.size is not None:
        return f"{info.kind} {size(info.size)}"
    return f"{info.kind}:{info.inode}" if info.inode else str(info.kind)


def short(infos: Sequence[FdInfo]) -> str:
    """All descriptors of a message for its row; equal ones are counted."""
    counted = [(text, len(list(group))) for text, group in groupby(map(identity, infos))]
    return ", ".join(text if count == 1 else f"{count} × {text}" for text, count in counted)


def facts(info: FdInfo, names: Mapping[Side, str]) -> Iterator[str]:
    """Everything that was recorded; `names` are the two processes'."""
    if info.name:
        yield f"name {printable(info.name)}"
    if info.size is not None:
        yield f"{info.size} bytes"
    if info.access:
        yield f"access {info.access}"
    if info.mapped:
        yield f"mapped {info.mapped} by its sender"
    if info.seals is not None:
        yield f"seals {', '.join(bit_names(info.seals, SEALS)) or 'none'}"
    if info.eventfd_count is not None:
        yield f"count {info.eventfd_count}"
    if info.device or info.inode:
        yield f"device:inode {info.device >> 8 & 0xFFF:x}:{info.device & 0xFF:x}:{info.inode}"
    if numbers := in_processes(info, names):
        yield numbers


def in_processes(info: FdInfo, names: Mapping[Side, str]) -> str:
    """The number that each process knows it by: qemu fd 31 = testpmd fd 26."""
    numbers = {Side.FRONTEND: info.frontend_fd, Side.BACKEND: info.backend_fd}
    return " = ".join(
        f"{names.get(side) or side} fd {number}" for side, number in numbers.items() if number is not None
    )
