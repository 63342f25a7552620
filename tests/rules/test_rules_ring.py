"""Rules about rings: each with a trace that breaks it and nothing else, and with its lawful neighbours."""

import pytest
from traces import (
    TAKEN,
    USUAL,
    UVA,
    Case,
    acknowledge,
    addresses,
    before,
    broken_rules,
    enable,
    end,
    features,
    hello,
    ids,
    instead,
    later,
    memory,
    protocol,
    ring,
    started,
    stop,
    without,
)
from transcript import Line, back, closed, eventfd, front, socket

RUNS = [*started(), *end()]
INBAND = USUAL | protocol("INBAND_NOTIFICATIONS")
ENDIAN = USUAL | protocol("CROSS_ENDIAN")
PACKED = features("VIRTIO_F_RING_PACKED")
CHANNEL = front("SET_BACKEND_REQ_FD", fds=[socket(77)])


def packed(*lines: Line) -> list[Line]:
    """A session with packed rings."""
    return [*hello(offered=TAKEN | PACKED), *acknowledge(TAKEN | PACKED), *memory(), *lines]


def again(base: int, returned: int) -> list[Line]:
    """A ring that stops at `returned` and goes on at `base`."""
    return [*started(), *stop(base=returned), *ring(base=base), *end()]


def driver_area(offset: int) -> list[Line]:
    """A ring with its driver area somewhere."""
    return [*instead(ring(), "SET_VRING_ADDR", addresses(available=UVA + offset)), *enable(), *end()]


CASES = [
    Case("ring.kick-before-num", without(RUNS, "SET_VRING_NUM"), RUNS),
    Case("ring.kick-before-addr", without(RUNS, "SET_VRING_ADDR"), RUNS),
    Case(
        "ring.kick-before-base",
        without(RUNS, "SET_VRING_BASE"),
        [*started(told=INBAND), front("VRING_KICK", index=0, num=0), *end()],
    ),
    Case(
        "ring.set-while-running",
        before(RUNS, "GET_VRING_BASE", front("SET_VRING_BASE", index=0, num=3)),
        before(RUNS, "SET_VRING_KICK", front("SET_VRING_BASE", index=0, num=3)),
    ),
    Case(
        "ring.unknown-bits",
        instead(RUNS, "SET_VRING_CALL", front("SET_VRING_CALL", u64=0x200, fds=[eventfd(100)])),
        instead(RUNS, "SET_VRING_CALL", front("SET_VRING_CALL", u64=0x100)),
    ),
    Case(
        "ring.beyond-queue-num",
        [*started(queues=1), *ring(1), *enable(1), *end(0, 1)],
        [*started(queues=2), *ring(1), *enable(1), *end(0, 1)],
        device="blk",
    ),
    Case(
        "ring.beyond-queue-num",
        [*started(queues=1), *ring(2), *enable(2), *end(0, 2)],
        [*started(queues=1), *ring(1), *enable(1), *end(0, 1)],
    ),
    Case("ring.enable-value", [*started(), *enable(0, 2), *end()], [*started(), *enable(0, 0), *end()]),
    Case(
        "ring.enable-before-features",
        [*hello(), *enable(), *enable(), *acknowledge(), *memory(), *ring(), *end()],
        [*hello(), *acknowledge(), *enable(), *memory(), *ring(), *end()],
    ),
    Case(
        "ring.stop-value",
        instead(RUNS, "GET_VRING_BASE", front("GET_VRING_BASE", index=0, num=7)),
        RUNS,
    ),
    Case(
        "ring.notice-value",
        [*started(told=INBAND), front("VRING_KICK", index=0, num=1), *end()],
        [*started(told=INBAND), front("VRING_KICK", index=0, num=0), *end()],
    ),
    Case(
        "ring.notice-value",
        [*started(told=INBAND), CHANNEL, back("BACKEND_VRING_CALL", index=0, num=1), *end()],
        [*started(told=INBAND), CHANNEL, back("BACKEND_VRING_CALL", index=0, num=0), *end()],
    ),
    Case(
        "ring.base-of-another",
        instead(RUNS, "GET_VRING_BASE", back("GET_VRING_BASE", index=1, num=0), nth=1),
        RUNS,
    ),
    Case(
        "ring.base-too-wide",
        [*hello(), *acknowledge(), *memory(), *ring(base=0x8000_8000), *enable(), *end()],
        [*hello(), *acknowledge(), *memory(), *ring(base=0xFFFF), *enable(), *end()],
        more=[packed(*ring(base=0x8000_8000), *enable(), *end())],
    ),
    Case(
        "ring.base-too-wide", [*started(), *stop(base=0x1_0000), closed()], [*started(), *stop(base=0xFFFF)]
    ),
    Case("ring.base-differs", again(6, 7), again(7, 7)),
    Case("ring.base-restarts", again(0, 7), again(0, 0)),
    Case(
        "ring.endian-value",
        before([*started(told=ENDIAN), *end()], "SET_VRING_KICK", front("SET_VRING_ENDIAN", index=0, num=2)),
        before([*started(told=ENDIAN), *end()], "SET_VRING_KICK", front("SET_VRING_ENDIAN", index=0, num=1)),
    ),
    Case(
        "ring.endian-late",
        [*started(told=ENDIAN), front("SET_VRING_ENDIAN", index=0, num=1), *end()],
        before([*started(told=ENDIAN), *end()], "SET_VRING_KICK", front("SET_VRING_ENDIAN", index=0, num=0)),
    ),
    Case(
        "ring.size-invalid",
        [*hello(), *acknowledge(), *memory(), *ring(size=100), *enable(), *end()],
        packed(*ring(size=100), *enable(), *end()),
    ),
    Case(
        "ring.size-invalid",
        before(RUNS, "SET_VRING_NUM", front("SET_VRING_NUM", index=0, num=65536)),
        before(RUNS, "SET_VRING_NUM", front("SET_VRING_NUM", index=0, num=32768)),
    ),
    Case(
        "ring.size-invalid",
        before(RUNS, "SET_VRING_NUM", front("SET_VRING_NUM", index=0, num=0)),
        before(RUNS, "SET_VRING_NUM", front("SET_VRING_NUM", index=0, num=1)),
    ),
    Case(
        "ring.misaligned",
        instead(RUNS, "SET_VRING_ADDR", addresses(descriptor=UVA + 8)),
        instead(RUNS, "SET_VRING_ADDR", addresses(available=UVA + 0x1002)),
        more=[
            packed(*instead(ring(), "SET_VRING_ADDR", addresses(available=UVA + 0x1004)), *enable(), *end())
        ],
    ),
    Case(
        "ring.misaligned",
        packed(*driver_area(0x1002)),
        instead(RUNS, "SET_VRING_ADDR", addresses(used=UVA + 0x2004)),
    ),
    Case(
        "ring.misaligned",
        instead(RUNS, "SET_VRING_ADDR", addresses(used=UVA + 0x2002)),
        instead(RUNS, "SET_VRING_ADDR", addresses(descriptor=UVA + 16)),
    ),
    Case(
        "ring.moved-while-running",
        [*started(), addresses(used=UVA + 0x3000), *end()],
        [*started(), addresses(log=0x1000), *end()],
    ),
    Case(
        "ring.kick-replaced",
        [*started(), front("SET_VRING_KICK", u64=0, fds=[eventfd(300)]), *end()],
        [*started(), *stop(), *ring(), *end()],
    ),
    Case(
        "ring.call-replaced",
        [*started(), *(front("SET_VRING_CALL", u64=0, fds=[eventfd(n)]) for n in (300, 301)), *end()],
        [*started(), front("SET_VRING_CALL", u64=0, fds=[eventfd(100)]), *end()],
    ),
    Case(
        "ring.never-enabled",
        [*hello(), *acknowledge(), *memory(), *ring(), *end()],
        [*hello(), *acknowledge(), *memory(), *ring(), *enable(0, 0), *end()],
        more=[[*hello(), *acknowledge(), *memory(), *ring(), closed()]],  # the end comes too soon to tell
    ),
    Case(
        "ring.never-enabled",
        [*hello(), *acknowledge(), *memory(), *ring(), *later([closed()], 1)],
        [*hello(), *acknowledge(), *memory(), *ring(), *later([closed()], 0.5)],
    ),
    Case(
        "ring.never-started",
        [*started(), *enable(1), *end()],
        [*hello(), *acknowledge(), *enable(1), closed()],
    ),
    Case(
        "ring.no-call",
        [*without(started(), "SET_VRING_CALL"), *later([closed()], 1)],
        [*instead(started(), "SET_VRING_CALL", front("SET_VRING_CALL", u64=0x100)), *later([closed()], 1)],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []
