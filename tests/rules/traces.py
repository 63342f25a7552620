"""Lawful traces in pieces, and small edits: what the rules are tested with.

A trace that breaks a rule is a lawful one with an edit; the lawful neighbour is the same without it, or with
the nearest edit that is allowed.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from kit.transcript import (
    Line,
    ask,
    closed,
    connection,
    eventfd,
    front,
    lookup,
    memfd,
    opened,
    protocol,
    script,
    table,
    virtio,
)

from vutrace.dissection.registry import load
from vutrace.problems import Problem
from vutrace.records import Frame
from vutrace.rules.judge import Judge
from vutrace.rules.profiles import DeviationProfile
from vutrace.session.tracker import Tracker

Lines = list[Line]
MIB = 1 << 20
GPA, UVA, RAM = 0, 0x7F00_0000_0000, 256 * MIB
SIZE = 256
REGISTRY = load()


TAKEN = virtio("VIRTIO_F_VERSION_1", "VHOST_USER_F_PROTOCOL_FEATURES")
OFFERED = TAKEN | virtio("VHOST_F_LOG_ALL")
USUAL = protocol("MQ", "LOG_SHMFD", "REPLY_ACK", "BACKEND_REQ", "BACKEND_SEND_FD")


def hello(offered: int = OFFERED, told: int = USUAL, taken: int | None = None, queues: int = 4) -> Lines:
    """Two ends find out what the other can do."""
    return [
        opened(),
        *ask("GET_FEATURES", {"features": offered}),
        *ask("GET_PROTOCOL_FEATURES", {"protocol_features": told}),
        front("SET_PROTOCOL_FEATURES", protocol_features=told if taken is None else taken),
        *ask("GET_QUEUE_NUM", {"queue_num": queues}),
        front("SET_OWNER"),
    ]


def acknowledge(taken: int = TAKEN) -> Lines:
    """The driver's features."""
    return [front("SET_FEATURES", features=taken)]


def memory(*regions: tuple[int, int, int], file_size: int | None = None) -> Lines:
    """A memory table of (guest address, size, user address), each with a file of its own size."""
    told = regions or ((GPA, RAM, UVA),)
    fds = [memfd(size if file_size is None else file_size, 2001 + i) for i, (_, size, _) in enumerate(told)]
    return [front("SET_MEM_TABLE", table(*told), fds=fds)]


def addresses(ring: int = 0, base: int = UVA, **changed: int) -> Line:
    """Where a ring lies; `changed` fields are other than usual."""
    place = base + ring * 0x10000
    told = {"descriptor": place, "used": place + 0x2000, "available": place + 0x1000, "flags": 0, "log": 0}
    return front("SET_VRING_ADDR", index=ring, **{**told, **changed})


def ring(index: int = 0, base: int = 0, size: int = SIZE) -> Lines:
    """A ring is set up and started."""
    return [
        front("SET_VRING_NUM", index=index, num=size),
        front("SET_VRING_BASE", index=index, num=base),
        addresses(index),
        front("SET_VRING_CALL", u64=index, fds=[eventfd(100 + index)]),
        front("SET_VRING_KICK", u64=index, fds=[eventfd(200 + index)]),
    ]


def enable(index: int = 0, num: int = 1) -> Lines:
    """A ring is switched."""
    return [front("SET_VRING_ENABLE", index=index, num=num)]


def stop(index: int = 0, base: int = 0) -> Lines:
    """A ring is stopped."""
    return ask("GET_VRING_BASE", {"index": index, "num": base}, index=index, num=0)


def started(**how: object) -> Lines:
    """From the first message to a ring that runs; `how` is for `hello`."""
    taken = how.pop("acknowledged", TAKEN)
    assert isinstance(taken, int)
    return [*hello(**how), *acknowledge(taken), *memory(), *ring(), *enable()]  # type: ignore[arg-type]


def end(*indexes: int) -> Lines:
    """The rings are stopped, and the front-end leaves."""
    return [*(line for index in indexes or (0,) for line in stop(index)), closed()]


# Edits


def is_called(line: Line, name: str, nth: list[int]) -> bool:
    """Whether it is a message of that name; counts `nth` down."""
    record = line.record
    if not isinstance(record, Frame):
        return False
    channel, spec = lookup(name, None)
    if record.channel is not channel or struct.unpack("<I", record.data[:4])[0] != spec.number:
        return False
    nth[0] -= 1
    return nth[0] < 0


def at(lines: Sequence[Line], name: str, nth: int = 0) -> int:
    """Where the nth message of that name is."""
    left = [nth]
    return next(place for place, line in enumerate(lines) if is_called(line, name, left))


def without(lines: Sequence[Line], name: str, nth: int = 0) -> Lines:
    """The trace without the nth message of that name."""
    place = at(lines, name, nth)
    return [*lines[:place], *lines[place + 1 :]]


def instead(lines: Sequence[Line], name: str, *new: Line, nth: int = 0) -> Lines:
    """The trace with others in place of the nth message of that name."""
    place = at(lines, name, nth)
    return [*lines[:place], *new, *lines[place + 1 :]]


def before(lines: Sequence[Line], name: str, *new: Line, nth: int = 0) -> Lines:
    """The trace with messages before the nth of that name."""
    place = at(lines, name, nth)
    return [*lines[:place], *new, *lines[place:]]


def later(lines: Sequence[Line], seconds: float) -> Lines:
    """The same, so much later than what came before."""
    first, *rest = lines
    return [replace(first, after_ns=int(seconds * 1e9)), *rest]


# Judging


@dataclass(frozen=True)
class Case:
    """A rule with a trace that breaks it and nothing else, and lawful neighbours that break nothing.

    `device` is what is traced, `breaches` how often the trace breaks the rule.
    """

    rule: str
    broken: Lines
    lawful: Lines
    device: str = ""
    breaches: int = 1
    more: list[Lines] = field(default_factory=list)


def problems(
    lines: Iterable[Line], device: str = "", profile: str = "strict", sessions: Sequence[Iterable[Line]] = ()
) -> list[Problem]:
    """Everything that is found in a session, and in those that follow on its connection."""
    judge, tracker = Judge(DeviationProfile(profile)), Tracker(REGISTRY, device)
    records = [connection(), *script(*lines)]
    for number, further in enumerate(sessions, 2):
        records += script(*further, session=number, start_ns=1_700_000_100_000_000_000)
    rows = [*judge.rows(tracker.rows(records)), *judge.end()]
    # The traces break off where their rule is broken or not: how they end is no matter of theirs.
    return [problem for row in rows for problem in row.problems if problem.rule.group != "end"]


def broken_rules(lines: Iterable[Line], device: str = "") -> list[str]:
    """The names of the rules that a session breaks, each time that it does."""
    return [problem.name for problem in problems(lines, device)]


def ids(cases: Iterable[Case]) -> list[str]:
    """Names for a parametrised test."""
    return [case.rule for case in cases]
