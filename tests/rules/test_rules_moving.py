"""Rules about rings in memory, as samples show them."""

import pytest
from kit.transcript import Line, front
from traces import Case, broken_rules, ids, instead, started, stop

from vutrace.capture.pseudo_header import sample_of
from vutrace.records import DirtyLog, RingSample, SampleFlag

KNOWN = SampleFlag.INDEXES | SampleFlag.KICKS
REQUEST = KNOWN | SampleFlag.CHAIN | SampleFlag.REQUEST
POLLS, SLEEPS = 1, 0  # flags of the used ring


def look(after_s: float = 0.1, flags: int = KNOWN, **fields: int) -> Line:
    """A sample of ring 0."""
    ring = RingSample(0, int(flags), **{"size": 256, **fields})
    return Line(sample_of(0, 0, 1, (ring,), 100_000_000), int(after_s * 1e9))


def waiting(kicks: int, device_flags: int, seconds: float = 1.2, flags: int = REQUEST) -> list[Line]:
    """A request that waits so long."""
    known = {"available": 5, "used": 3, "in_flight": 2, "used_total": 3, "available_total": 5}
    told = {**known, "kicks": kicks, "device_flags": device_flags}
    return [*started(), look(flags=flags, **told), look(seconds, flags, age_ms=int(seconds * 1000), **told)]


def beginning(base: int, available: int) -> list[Line]:
    """A ring that begins at `base`, whose driver is elsewhere; the device polls, and takes nothing."""
    told = {"available": available, "in_flight": available, "device_flags": SLEEPS}
    lines = instead(started(), "SET_VRING_BASE", front("SET_VRING_BASE", index=0, num=base))
    seconds = 1.2 if available < base < 0x8000 else 0.5
    return [*lines, look(flags=REQUEST, **told), look(seconds, REQUEST, age_ms=int(seconds * 1000), **told)]


def leak(used: int, age_ms: int = 12_000) -> list[Line]:
    """A request that waits while others come back, or do not."""
    known = {"in_flight": 1, "head": 7, "length": 3, "readable": 16, "device_flags": POLLS}
    first = look(flags=REQUEST, available=2, used=1, used_total=1, **known)
    return [
        *started(),
        first,
        look(11.9, REQUEST, available=used + 1, used=used, used_total=used, age_ms=age_ms, **known),
    ]


def flagged(flag: int, **fields: int) -> list[Line]:
    """One look at a ring."""
    return [*started(), look(flags=KNOWN | flag, **fields)]


def logged(unwritten_ms: int) -> list[Line]:
    """A look at the log of dirty pages."""
    log = DirtyLog(4096, 0, unwritten_ms)
    return [*started(), Line(sample_of(0, 0, 1, (), 100_000_000, log=log), 100_000_000)]


CASES = [
    Case(
        "ring.call-missing",
        flagged(SampleFlag.COUNTED | SampleFlag.UNCALLED, used=1, uncalled_ms=1200),
        flagged(SampleFlag.COUNTED | SampleFlag.UNCALLED, used=1, uncalled_ms=200),
        more=[flagged(SampleFlag.COUNTED, used=1)],
    ),
    Case(
        "ring.inflight-differs",
        flagged(
            SampleFlag.MARKED | SampleFlag.MARKS_DIFFER, marked=2, marked_used=7, used=9, differs_ms=1200
        ),
        flagged(SampleFlag.MARKED | SampleFlag.MARKS_DIFFER, marked=2, marked_used=7, used=9, differs_ms=200),
        more=[flagged(SampleFlag.MARKED, marked=2, in_flight=2)],
    ),
    Case("migration.log-not-written", logged(2500), logged(1500)),
    Case(
        "ring.kick-not-taken",
        waiting(kicks=3, device_flags=SLEEPS),
        waiting(kicks=0, device_flags=SLEEPS, seconds=0.5),
        more=[waiting(kicks=3, device_flags=SLEEPS, flags=KNOWN | SampleFlag.CHAIN)],  # room for the device
    ),
    Case(
        "ring.stuck",
        waiting(kicks=3, device_flags=POLLS),  # DPDK polls, and never reads its kicks
        waiting(kicks=3, device_flags=POLLS, seconds=0.5),
        more=[
            waiting(kicks=0, device_flags=SLEEPS, flags=KNOWN | SampleFlag.CHAIN),
            [*started(), *stop(), *waiting(0, SLEEPS)[len(started()) :]],
        ],
    ),
    Case("ring.chain-lost", leak(used=900), leak(used=900, age_ms=8_000)),
    Case("ring.used-beyond-available", flagged(SampleFlag.BEYOND, used=2), flagged(0, available=2, used=2)),
    Case(
        "ring.index-jumped",
        flagged(SampleFlag.JUMPED, available=900, in_flight=900),
        flagged(0, available=900, used=644, in_flight=256),
    ),
    Case(
        "ring.chain-without-end",
        flagged(SampleFlag.CHAIN | SampleFlag.BROKEN_CHAIN),
        flagged(SampleFlag.CHAIN),
    ),
    Case("ring.memory-gone", flagged(SampleFlag.UNREADABLE), flagged(0)),
    Case(
        "ring.begins-beyond-driver",
        beginning(500, 3),
        beginning(0, 3),
        more=[beginning(2, 3), beginning(0xFFF0, 3), [*beginning(500, 3)[:-1]]],
    ),
    Case(
        "ring.base-behind-used",
        [*flagged(0, available=100, used=100, used_total=100), *stop(base=99)],
        [*flagged(0, available=100, used=100, used_total=100), *stop(base=100)],
        more=[
            [*flagged(0, available=0xFFFE, used=0xFFFE), *stop(base=5)],
            [*flagged(SampleFlag.PACKED, available=100, used=100), *stop(base=5)],
        ],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_the_rule_is_broken_and_only_it(case: Case) -> None:
    assert broken_rules(case.broken) == [case.rule]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_nothing(case: Case) -> None:
    for lines in (case.lawful, *case.more):
        assert broken_rules(lines) == []


def test_what_is_stuck_is_told_once_for_each_ring() -> None:
    again = [*waiting(0, POLLS), *waiting(0, POLLS)[len(started()) :]]
    assert broken_rules(again) == ["ring.stuck"]
