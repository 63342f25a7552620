"""The rules that our dissectors bring, with a trace that breaks each and its lawful neighbours."""

import struct
from dataclasses import replace

import pytest
from kit.transcript import Line, ask, back, closed, connection, front, protocol, script
from traces import (
    OFFERED,
    REGISTRY,
    TAKEN,
    USUAL,
    Case,
    acknowledge,
    broken_rules,
    enable,
    end,
    hello,
    ids,
    memory,
    ring,
    started,
)

from vutrace.dissection.device import Device
from vutrace.dissection.registry import Plugin, Registry, load
from vutrace.dissection.soundness import checked
from vutrace.plugin import Check, Rule, Severity, asks
from vutrace.protocol.effects import RingEffect
from vutrace.protocol.payloads import Config
from vutrace.rules.catalogue import rules
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

BLK_SIZE, SEG_MAX = 1 << 6, 1 << 2
MRG_RXBUF, MTU, MQ, CTRL_VQ = 1 << 15, 1 << 3, 1 << 22, 1 << 17
VERSION_1, PACKED = 1 << 32, 1 << 34
CONFIG = USUAL | protocol("CONFIG")
WITH_MTU = USUAL | protocol("MTU")


def disk(capacity: int = 2048, seg_max: int = 126, block: int = 512) -> list[Line]:
    """A disk's configuration space is read."""
    space = struct.pack("<QIIIIBBHI", capacity, 0, seg_max, 0, block, 0, 0, 0, 0).ljust(60, b"\0")
    return [
        front("GET_CONFIG", Config(offset=0, size=60, data=bytes(60))),
        back("GET_CONFIG", Config(offset=0, size=60, data=space)),
    ]


def rest_of_disk() -> list[Line]:
    """What stands behind byte 8 is read, which is no configuration space by itself."""
    space = struct.pack("<QII", 0, 0, 255).ljust(52, b"\0")
    return [
        front("GET_CONFIG", Config(offset=8, size=52, data=bytes(52))),
        back("GET_CONFIG", Config(offset=8, size=52, data=space)),
    ]


def shares(requests: int) -> list[Line]:
    """A file system's configuration space is read."""
    space = b"tag".ljust(36, b"\0") + struct.pack("<I", requests)
    return [
        front("GET_CONFIG", Config(offset=0, size=40, data=bytes(40))),
        back("GET_CONFIG", Config(offset=0, size=40, data=space)),
    ]


def write(offset: int, size: int, flags: int = 0) -> Line:
    """Configuration space is written."""
    return front("SET_CONFIG", Config(offset=offset, size=size, flags=flags, data=bytes(size)))


def blk(*lines: Line, more: int = 0) -> list[Line]:
    """A disk that is read out before a driver starts it."""
    offer = hello(offered=OFFERED | more, told=CONFIG)
    return [*offer, *lines, *acknowledge(TAKEN | more), *memory(), *ring(), *enable(), *end()]


def net(taken: int, *lines: Line, offered: int = OFFERED | MRG_RXBUF) -> list[Line]:
    """A network device with these features."""
    return [*hello(offered=offered | taken, told=WITH_MTU), *acknowledge(taken), *lines, closed()]


def pair(*order: str) -> list[Line]:
    """Two rings are set up and enabled, in an order like ("ring 0", "on 1")."""
    steps = {"ring": ring, "on": enable}
    done = (steps[word.split()[0]](int(word.split()[1])) for word in order)
    return [*hello(), *acknowledge(), *memory(), *(line for lines in done for line in lines), *end(0, 1)]


CASES = [
    Case("device.blk-no-capacity", blk(*disk(capacity=0)), blk(*disk(capacity=1)), device="blk"),
    Case(
        "device.blk-block-size",
        blk(*disk(block=256), more=BLK_SIZE),
        blk(*disk(block=512), more=BLK_SIZE),
        device="blk",
        more=[blk(*disk(block=0))],
    ),
    Case(
        "device.blk-block-size", blk(*disk(block=1000), more=BLK_SIZE), blk(*disk(block=1000)), device="blk"
    ),
    Case(
        "device.blk-segments",
        blk(*disk(seg_max=255), more=SEG_MAX),
        blk(*disk(seg_max=254), more=SEG_MAX),
        device="blk",
        more=[blk(*disk(seg_max=255)), blk(*disk(), *rest_of_disk(), more=SEG_MAX)],
    ),
    Case(
        "device.blk-read-only",
        blk(*disk(), write(8, 4)),
        blk(*disk(), write(32, 1)),
        device="blk",
        more=[blk(*disk(), write(8, 4, flags=1))],
    ),
    Case(
        "device.net-mtu",
        net(TAKEN, *ask("NET_SET_MTU", {"status": 0}, mtu=1500, need_reply=True)),
        net(TAKEN | MTU, *ask("NET_SET_MTU", {"status": 0}, mtu=1500, need_reply=True)),
        device="net",
    ),
    Case(
        "device.net-beyond-pairs",
        net(TAKEN, *memory(), *ring(2), *enable(2, 0), *ring(3), *enable(3, 0), *end(2, 3)[:-1]),
        net(TAKEN | MQ, *memory(), *ring(2), *enable(2, 0), *ring(3), *enable(3, 0), *end(2, 3)[:-1]),
        device="net",
        more=[net(TAKEN | CTRL_VQ, *memory(), *ring(2), *enable(2, 0), *end(2)[:-1])],
    ),
    Case(
        "device.net-short-header",
        net(TAKEN & ~VERSION_1, offered=1 << 30 | MRG_RXBUF),
        net(TAKEN & ~VERSION_1 | MRG_RXBUF, offered=1 << 30 | MRG_RXBUF),
        device="net",
        more=[net(TAKEN & ~VERSION_1, offered=1 << 30)],
    ),
    Case(
        "device.net-packed-legacy",
        net(TAKEN & ~VERSION_1 | PACKED | MRG_RXBUF, offered=1 << 30),
        net(TAKEN | PACKED),
        device="net",
    ),
    Case(
        "device.net-half-a-pair",
        pair("ring 0", "on 0", "ring 1", "on 1"),
        pair("ring 0", "ring 1", "on 0", "on 1"),
        device="net",
        more=[pair("on 0", "on 1", "ring 0", "ring 1")],
    ),
    Case(
        "device.fs-few-queues",
        [*started(queues=1), *end()],
        [*started(queues=2), *end()],
        device="fs",
    ),
    Case(
        "device.fs-no-request-queue",
        [*hello(told=CONFIG), *shares(0), closed()],
        [*hello(told=CONFIG), *shares(1), closed()],
        device="fs",
    ),
    Case(
        "device.fs-hiprio",
        [*hello(), *acknowledge(), *memory(), *ring(1), *enable(1), *end(1)],
        [*hello(), *acknowledge(), *memory(), *ring(1), *enable(1), *ring(0), *enable(0), *end(0, 1)],
        device="fs",
    ),
]
TESTED = {case.rule for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []


def test_every_rule_of_our_dissectors_has_a_trace_that_breaks_it() -> None:
    brought = {check.rule.name for device in load().devices for check in device.checks}
    assert brought == TESTED


# A stranger's rules

ODD = Rule("device.odd", Severity.WARNING, "Acme's manual", "Odd rings are for nobody.", "Start even ones.")


def odd(row: object, seen: object) -> list[str]:
    """A ring with an odd number."""
    return ["an odd ring"] if row.ring % 2 else []  # type: ignore[attr-defined]


def failing(row: object, seen: object) -> list[str]:
    """A mistake in a rule."""
    raise ZeroDivisionError


STARTS = asks(effect=RingEffect.KICK)
ACME = Device("acme", checks=(Check(ODD, STARTS, odd),))


def judged(device: Device, lines: list[Line]) -> list[tuple[str, str]]:
    """The rules that a session of a stranger's device breaks, with the texts."""
    registry = Registry({device.name: Plugin(checked(device), "here")})
    rows = Judge().rows(Tracker(registry, device.name).rows([connection(), *script(*lines)]))
    return [(problem.name, problem.text) for row in rows for problem in row.problems]


TWO = [*started(), *ring(1), *enable(1), *end(0, 1)]


def test_a_plug_in_brings_rules_of_its_own() -> None:
    assert judged(ACME, TWO) == [("device.odd", "an odd ring")]
    assert "device.odd" in rules([ACME])
    assert "device.odd" not in rules(REGISTRY.devices)


def test_a_rule_that_fails_is_a_problem_of_its_row_and_the_trace_goes_on() -> None:
    broken = replace(ACME, checks=(Check(ODD, STARTS, failing), Check(ODD, None, failing)))
    told = "dissector acme: ZeroDivisionError: "
    assert judged(broken, TWO) == [("device.dissector-failed", told)] * 3


def test_a_rule_whose_choice_fails_is_a_problem_each_time_too() -> None:
    def fail(_message: object) -> bool:
        raise ZeroDivisionError

    broken = replace(ACME, checks=(Check(ODD, STARTS, odd, only=fail),))
    told = "dissector acme: ZeroDivisionError: "
    assert judged(broken, TWO) == [("device.dissector-failed", told)] * 2


@pytest.mark.parametrize(("bit", "found"), [(30, [("device.odd", "an odd ring")]), (29, [])])
def test_a_rule_may_name_the_negotiation_that_it_is_for(bit: int, found: list[tuple[str, str]]) -> None:
    check = Check(ODD, STARTS, odd, given=lambda _message, context: bool(context.features & 1 << bit))
    assert judged(replace(ACME, checks=(check,)), TWO) == found


@pytest.mark.parametrize(
    "checks",
    [[], (ODD,), (Check(replace(ODD, name="Odd one"), STARTS, odd),), (Check(odd, STARTS, odd),)],  # type: ignore[arg-type]
)
def test_what_is_no_check_is_told_when_the_plug_in_loads(checks: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        checked(replace(ACME, checks=checks))  # type: ignore[arg-type]
