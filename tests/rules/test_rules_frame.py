"""Rules about a message by itself, and about who answers whom: found where messages are read and paired."""

import struct
from dataclasses import replace

import pytest
from kit.transcript import Line, back, closed, front, memfd, socket
from traces import USUAL, Case, ask, before, broken_rules, end, hello, ids, instead, protocol, started

from vutrace.records import Frame, FrameFlag

RUNS = [*started(), *end()]
ACKNOWLEDGED = ask("SET_VRING_ENABLE", {"status": 0}, index=0, num=1, need_reply=True)


def flagged(line: Line, flags: int) -> Line:
    """The same message with another flag word."""
    assert isinstance(line.record, Frame)
    data = line.record.data
    return replace(line, record=replace(line.record, data=data[:4] + struct.pack("<I", flags) + data[8:]))


def cut(line: Line, length: int, flags: FrameFlag = FrameFlag.NONE) -> Line:
    """A message of which only the head is there."""
    assert isinstance(line.record, Frame)
    data = line.record.data[:length]
    return replace(line, record=replace(line.record, data=data, wire_size=length, flags=flags))


OWNER = front("SET_OWNER")
ENABLE = front("SET_VRING_ENABLE", index=0, num=0)


CHANGED_BY, CALLED_BY = "BACKEND_CONFIG_CHANGE_MSG", "BACKEND_VRING_CALL"
CHANGED = back(CHANGED_BY, need_reply=True)
CALLED = back(CALLED_BY, index=0, num=0, need_reply=True)


def answer(name: str) -> Line:
    """The front-end has done what the back-end asked for."""
    return front(name, status=0)


def asked(*lines: Line) -> list[Line]:
    """A session whose back-end asks while a ring runs."""
    told = USUAL | protocol("CONFIG", "INBAND_NOTIFICATIONS")
    return [*started(told=told), front("SET_BACKEND_REQ_FD", fds=[socket(7)]), *lines, *end()]


def marked(mark: FrameFlag) -> list[Line]:
    """A session of which one message is marked by the relay."""
    return instead(RUNS, "SET_OWNER", front("SET_OWNER", marks=mark))


def late(*lines: Line) -> list[Line]:
    """A session with something before its ring is stopped."""
    return before(RUNS, "GET_VRING_BASE", *lines)


CASES = [
    Case("frame.cut", marked(FrameFlag.CUT), RUNS),
    Case("frame.broken-off", marked(FrameFlag.PARTIAL), RUNS),
    Case("frame.descriptors-lost", marked(FrameFlag.FDS_LOST), RUNS),
    Case("frame.no-framing", late(cut(ENABLE, 5, FrameFlag.RAW)), late(ENABLE)),
    Case("frame.short-header", late(cut(ENABLE, 5)), late(ENABLE)),
    Case("frame.wrong-version", late(flagged(ENABLE, 2)), late(flagged(ENABLE, 1))),
    Case("frame.unknown-flags", late(flagged(ENABLE, 0x11)), late(flagged(ENABLE, 1))),
    Case(
        "frame.wrong-way",
        late(flagged(front("GET_QUEUE_NUM", bytes(8)), 5)),
        late(*ask("GET_QUEUE_NUM", {"queue_num": 4})),
    ),
    Case(
        "frame.size-differs",
        late(front("SET_VRING_ENABLE", index=0, num=0, announced=9)),
        late(front("SET_VRING_ENABLE", index=0, num=0, announced=8)),
    ),
    Case("frame.payload-size", late(front("SET_VRING_ENABLE", b"\0" * 9)), late(ENABLE)),
    Case(
        "frame.descriptor-count",
        late(front("SET_VRING_ENABLE", index=0, num=0, fds=[memfd(1)])),
        late(ENABLE),
    ),
    Case("frame.unknown-request", late(front(4711)), late(ENABLE)),
    Case("reply.unasked", late(ENABLE, back("SET_VRING_ENABLE", status=0)), late(*ACKNOWLEDGED)),
    Case(
        "reply.overtakes",
        asked(CHANGED, CALLED, answer(CALLED_BY), answer(CHANGED_BY)),
        asked(CHANGED, CALLED, answer(CHANGED_BY), answer(CALLED_BY)),
    ),
    Case(
        "reply.never-came",
        [*hello(), front("GET_FEATURES"), closed()],
        [*hello(), closed()],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_a_trace_breaks_its_rule_and_no_other(case: Case) -> None:
    assert broken_rules(case.broken, case.device) == [case.rule] * case.breaches


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_its_lawful_neighbours_break_none(case: Case) -> None:
    for lawful in (case.lawful, *case.more):
        assert broken_rules(lawful, case.device) == []
