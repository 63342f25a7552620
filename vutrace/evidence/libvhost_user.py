"""What libvhost-user prints when it was built with debugging: every request, much of what is in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vutrace.evidence.errors import EvidenceError
from vutrace.evidence.stamps import stamp
from vutrace.evidence.told import Item, LogSession, ToldMessage, with_regions
from vutrace.protocol.frontend_messages import FRONTEND_MESSAGES
from vutrace.protocol.layers import Empty
from vutrace.protocol.messages import layers_of
from vutrace.records import Connection, FdInfo, FdKind, Lack

BEGIN = re.compile(r"=+ Vhost user message =+")
REQUEST = re.compile(r"Request: \w+ \((\d+)\)")
FLAGS, SIZE = re.compile(r"Flags: +0x([0-9a-f]+)"), re.compile(r"Size: +(\d+)")
FDS = re.compile(r"Fds:((?: -?\d+)+)")
U64 = re.compile(r"u64: 0x([0-9a-f]+)")
STATE = re.compile(r"State\.(index|num|enable): +(\d+)")
FIELD = re.compile(r"(\w+):? +(0x[0-9a-f]+|\d+)\s*$")
SOURCE = "libvhost-user's debug output"
LACKING = (Lack.REPLIES, Lack.BACKEND, Lack.END)
NOTHING = "no '================ Vhost user message ================' in it"
# How it calls the fields of structures, where it is not as the layers do.
CALLED = {
    "desc_user_addr": "descriptor",
    "used_user_addr": "used",
    "avail_user_addr": "available",
    "log_guest_addr": "log",
    "guest_phys_addr": "guest_address",
    "memory_size": "size",
    "userspace_addr": "user_address",
    "mmap_offset": "mmap_offset",
    "index": "index",
    "flags": "flags",
}
REGION = ("guest_address", "size", "user_address", "mmap_offset")


@dataclass(slots=True)
class Printed:
    """One request as it is printed, line by line."""

    time_ns: int | None
    number: int | None = None
    flags: int | None = None
    size: int | None = None
    fds: tuple[FdInfo, ...] = ()
    words: dict[str, int] = field(default_factory=dict)
    regions: list[dict[str, int]] = field(default_factory=list)
    u64: int | None = None


def read_libvhost_user(lines: Iterable[str]) -> Iterator[Item]:
    """The messages in libvhost-user's debug output; EvidenceError where there is none."""
    session, printed = LogSession(0, 1, SOURCE, LACKING), None
    for line in lines:
        if BEGIN.search(line):
            if printed is None:
                yield Connection(0, "unknown", "libvhost-user")
                yield session.opened(stamp(line), "; reconnects are not told apart")
            else:
                yield from messages_of(session, printed)
            printed = Printed(stamp(line))
        elif printed:
            take(printed, line)
    if printed is None:
        raise EvidenceError(NOTHING)
    yield from messages_of(session, printed)


def take(printed: Printed, line: str) -> None:
    """What one line says of a request."""
    if found := REQUEST.search(line):
        printed.number = int(found[1])
    elif found := FLAGS.search(line):
        printed.flags = int(found[1], 16)
    elif found := SIZE.search(line):
        printed.size = int(found[1])
    elif found := FDS.search(line):
        printed.fds = tuple(FdInfo(FdKind.UNKNOWN, backend_fd=int(each)) for each in found[1].split())
    elif found := U64.search(line):
        printed.u64 = int(found[1], 16)
    elif found := STATE.search(line):
        printed.words["index" if found[1] == "index" else "num"] = int(found[2])
    elif (found := FIELD.search(line)) and (name := CALLED.get(found[1])):
        take_field(printed, name, int(found[2], 16 if found[2].startswith("0x") else 10))


def take_field(printed: Printed, name: str, value: int) -> None:
    """A field of a structure: of a region, whose first it is, or of ring addresses."""
    if name == REGION[0]:
        printed.regions.append({})
    if name in REGION and printed.regions:
        printed.regions[-1].setdefault(name, value)
    else:
        printed.words.setdefault(name, value)


def messages_of(session: LogSession, printed: Printed) -> Iterator[Item]:
    """The request, and its reply where that is printed."""
    if printed.number is None:
        return
    row = FRONTEND_MESSAGES.get(printed.number)
    only_reply = row is not None and all(layer is Empty for layer in layers_of(row, reply=False))
    answer = {} if printed.u64 is None or not only_reply else word_of(printed, reply=True)
    yield session.frame(
        printed.time_ns,
        ToldMessage(
            printed.number,
            flags=printed.flags,
            size=printed.size,
            values={} if only_reply else values_of(printed),
            fds=printed.fds,
            replies=bool(answer),
        ),
    )
    if answer:
        yield session.frame(printed.time_ns, ToldMessage(printed.number, reply=True, values=answer, fds=()))


def values_of(printed: Printed) -> Mapping[str, Any]:
    """The fields of a request, as far as they were printed."""
    regions = [each for each in printed.regions if set(each) == set(REGION)]
    if regions and len(regions) == len(printed.regions):
        return with_regions(FRONTEND_MESSAGES.get(printed.number or 0), regions)
    return word_of(printed, reply=False) if printed.u64 is not None else printed.words


def word_of(printed: Printed, reply: bool) -> Mapping[str, Any]:
    """A payload that is one number, under the name that its layer gives it."""
    row = FRONTEND_MESSAGES.get(printed.number or 0)
    layers = layers_of(row, reply) if row else ()
    single = (each for each in layers if len(each.fields_desc) == 1)
    return next(({each.fields_desc[0].name: printed.u64} for each in single), {})
