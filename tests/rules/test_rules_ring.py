"""Rules about rings: each with a trace that breaks it and nothing else, and with its lawful neighbours."""

import pytest
from kit.transcript import Line, back, closed, eventfd, front, protocol, socket, virtio
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
    hello,
    ids,
    instead,
    later,
    memory,
    ring,
    started,
    stop,
    without,
)

RUNS = [*started(), *end()]
INBAND = USUAL | protocol("INBAND_NOTIFICATIONS")
ENDIAN = USUAL | protocol("CROSS_ENDIAN")
MQ = 1 << 22
PACKED = virtio("VIRTIO_F_RING_PACKED")
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


def net(*lines: Line) -> list[Line]:
    """Two pairs of a network device."""
    taken = TAKEN | MQ
    rings = (line for index in range(4) for line in ring(index))
    return [*hello(offered=taken), *acknowledge(taken), *memory(), *rings, *lines, *end(0, 1, 2, 3)]


def ready() -> list[Line]:
    """A ring is set up by a driver that steps through the status."""
    steps = [front("SET_STATUS", status=value) for value in (1, 3, 11)]
    return [*hello(told=USUAL | protocol("STATUS")), *steps, *acknowledge(), *memory(), *ring()]


def call(index: int, number: int | None = None) -> Line:
    """A ring's call descriptor, or the word that there is none."""
    if number is None:
        return front("SET_VRING_CALL", u64=index | 0x100)
    return front("SET_VRING_CALL", u64=index, fds=[eventfd(number)])


# More rings than are kept: those that come then are nobody's.
CROWD = [front("SET_VRING_NUM", index=1000 + index, num=256) for index in range(1024)]
CASES = [
    Case(
        "ring.kick-before-base",
        [*without(started(told=INBAND), "SET_VRING_BASE"), front("VRING_KICK", index=0, num=0), *end()],
        RUNS,
    ),
    Case(
        "ring.beyond-queue-num",
        [*hello(queues=1), call(3), closed()],
        [*hello(queues=1), call(2), closed()],
        "net",
    ),
    Case(
        "ring.never-enabled",
        net(),
        net(*enable(0), *enable(1)),
        device="net",
        breaches=2,
        more=[[*hello(), *memory(), *ring(), *end()], [*hello(), *acknowledge(), call(0, 1), *end()]],
    ),
    Case(
        "ring.never-enabled",
        [*ready(), front("SET_STATUS", status=15), closed()],
        [*ready(), front("SET_STATUS", status=11), closed()],
        more=[[*hello(), *acknowledge(), *memory(), *later(ring(), 5), *later([closed()], 0.5)]],
    ),
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
        more=[
            packed(*ring(base=0x8000_8000), *enable(), *end()),
            [*hello(), front("SET_VRING_BASE", index=0, num=0x8000_8000), closed()],
        ],
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
        more=[[*hello(), front("SET_VRING_NUM", index=0, num=100), closed()]],
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
        more=[before(RUNS, "SET_VRING_ADDR", addresses(used=UVA + 0x3000))],
    ),
    Case(
        "ring.kick-replaced",
        [*started(), front("SET_VRING_KICK", u64=0, fds=[eventfd(300)]), *end()],
        [*started(), *stop(), *ring(), *end()],
        more=[
            [
                *without(started(told=INBAND), "SET_VRING_KICK"),
                front("VRING_KICK", index=0, num=0),
                front("SET_VRING_KICK", u64=0, fds=[eventfd(300)]),
                *end(),
            ]
        ],
    ),
    Case(
        "ring.call-replaced",
        [*started(), *(front("SET_VRING_CALL", u64=0, fds=[eventfd(n)]) for n in (300, 301)), *end()],
        [*started(), call(0, 100), *end()],
        more=[before(RUNS, "SET_VRING_KICK", call(0, 300)), [*started(), call(0), call(0, 300), *end()]],
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
        more=[[*started(), call(1, 300), *end()], [*started(), *enable(1, 0), *end()]],
    ),
    Case(
        "ring.no-call",
        [*without(started(), "SET_VRING_CALL"), *later([closed()], 1)],
        [*instead(started(), "SET_VRING_CALL", front("SET_VRING_CALL", u64=0x100)), *later([closed()], 1)],
        more=[[*without(started(), "SET_VRING_CALL"), *enable(0, 0), *later([closed()], 1)]],
    ),
]

# Addresses that are all multiples of 5, and one of them not of what it has to be.
FIVES = -(-UVA // 20) * 20
ODD = addresses(descriptor=UVA, used=FIVES + 8000, available=FIVES + 4105)
# What breaks several rules at once, or others than those here.
BLUE = [*hello(), *acknowledge(), *memory(), front("SET_VRING_KICK", u64=0, fds=[eventfd(200)])]
OTHERS = [
    ([*BLUE, closed()], ""),
    ([*hello(), front("SET_VRING_NUM", b"\0\0"), closed()], ""),
    ([*hello(), back("GET_VRING_BASE", index=5, num=0), closed()], ""),
    ([*instead(RUNS, "GET_VRING_BASE", back("GET_VRING_BASE", b"\0"), nth=1)], ""),
    ([*hello(queues=0), *acknowledge(), *memory(), *CROWD, *ring(), *enable(), *stop(), closed()], ""),
    ([*started(), front("GET_VRING_BASE", index=1), back("GET_VRING_BASE", b""), *end()], ""),
    ([*started(), *stop(base=5), front("SET_VRING_BASE", bytes(4)), closed()], ""),
    ([*hello(), *acknowledge(), *memory(), addresses(1), *ring(), *enable(), *end()], ""),  # a place at first
    ([*hello(), *acknowledge(), *memory(), front("SET_VRING_NUM", index=1, num=256), *stop(1), closed()], ""),
    ([*hello(), *acknowledge(), front("SET_VRING_ADDR", b"\0"), closed()], ""),
    ([*instead(RUNS, "SET_VRING_ADDR", ODD)], ""),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []


def test_a_kick_out_of_the_blue_lacks_everything() -> None:
    lacking = [f"ring.kick-before-{what}" for what in ("num", "addr", "base")]
    assert broken_rules(OTHERS[0][0]) == lacking


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (1, ["frame.payload-size"]),
        (2, ["reply.unasked"]),
        (3, ["frame.payload-size"]),
        (4, []),
        (5, ["frame.payload-size"]),
        (6, ["frame.payload-size"]),
        (7, []),
        (8, []),
        (9, ["frame.payload-size"]),
        (10, ["ring.misaligned"]),
    ],
)
def test_what_names_no_ring_that_is_known_breaks_no_rule_about_one(other: int, told: list[str]) -> None:
    assert broken_rules(OTHERS[other][0]) == told
