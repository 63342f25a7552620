"""Rules about a message by itself, and about who answers whom: found where messages are read and paired."""

import struct
from dataclasses import replace

import pytest
from kit.transcript import (
    Line,
    ask,
    back,
    closed,
    connection,
    eventfd,
    front,
    memfd,
    protocol,
    script,
    socket,
)
from traces import (
    REGISTRY,
    USUAL,
    Case,
    before,
    broken_rules,
    enable,
    end,
    hello,
    ids,
    instead,
    problems,
    ring,
    started,
)

from vutrace.records import Event, EventKind, Frame, FrameFlag
from vutrace.rules.judge import Judge
from vutrace.rules.verdict import VerdictBuilder, begin, verdict
from vutrace.session.tracker import Tracker

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


def gap(*kinds: tuple[str, int]) -> Line:
    """Messages that were not recorded, as "sender channel request", and how many of each."""
    attributes = {f"missing {kind}": str(count) for kind, count in kinds}
    total = str(sum(count for _, count in kinds))
    event = Event(0, 0, 1, EventKind.GAP, "missing", attributes={"messages": total, **attributes})
    return Line(event)


SETS_UP = gap(("frontend main request 8", 2), ("frontend main request 10", 1), ("frontend main request 9", 1))
# What the rules would tell of a ring that was set up unseen, and of replies to requests that nobody saw.
UNSEEN = [
    SETS_UP,
    front("SET_VRING_KICK", u64=1, fds=[eventfd(201)]),
    *enable(1),
    back("GET_QUEUE_NUM", queue_num=4),
]
CASES = [
    Case("frame.not-recorded", late(*UNSEEN), late(*ring(1), *enable(1)), breaches=1),
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


def test_what_is_missing_is_told_by_name() -> None:
    (problem,) = problems(late(*UNSEEN))
    assert problem.text == (
        "4 messages are not recorded: 2 × SET_VRING_NUM of the front-end, "
        "1 × SET_VRING_BASE of the front-end, 1 × SET_VRING_ADDR of the front-end; "
        "what needs them is not judged from here on"
    )


def test_of_many_kinds_that_are_missing_some_are_named() -> None:
    kinds = [(f"backend gpu request {number}", 1) for number in (1, 2, 3, 4711)]
    (problem,) = problems(late(gap(*kinds, ("others", 7), ("backend backend request 2", 2))))
    assert (
        "13 messages are not recorded: 7 × others, 2 × BACKEND_CONFIG_CHANGE_MSG of the back-end"
        in problem.text
    )
    assert "and 2 kinds more" in problem.text


def test_a_reply_that_may_be_missing_is_owed_by_nobody() -> None:
    told = verdict_on(*hello(), front("GET_FEATURES"), gap(("backend main request 1", 1)), closed())
    assert "owe" not in told
    assert "1 message was not recorded, from [11] on: it may have been otherwise" in told


def test_after_a_gap_replies_are_paired_again_once_one_came() -> None:
    unasked = back("SET_VRING_ENABLE", status=0)
    again = [gap(("frontend main request 18", 1)), *ask("GET_QUEUE_NUM", {"queue_num": 4})]
    assert broken_rules(late(*again)) == ["frame.not-recorded"]
    assert broken_rules(late(gap(("others", 1)), unasked)) == ["frame.not-recorded"]
    assert broken_rules(late(*again, unasked)) == ["frame.not-recorded", "reply.unasked"]


def test_of_a_message_whose_descriptors_were_lost_none_is_missed() -> None:
    lost = FrameFlag.FDS_LOST
    kept = instead(RUNS, "SET_VRING_CALL", front("SET_VRING_CALL", u64=0, marks=lost))
    assert broken_rules(kept) == ["frame.descriptors-lost"]
    log = ask("SET_LOG_BASE", {}, mmap_size=1 << 20, mmap_offset=0, marks=lost)
    assert broken_rules(late(*log)) == ["frame.descriptors-lost"]


def verdict_on(*lines: Line) -> str:
    """The verdict on a session."""
    course: VerdictBuilder | None = None
    for row in Judge().rows(Tracker(REGISTRY).rows([connection(), *script(*lines)])):
        course = course or begin(row)
        course.feed(row)
    assert course
    return verdict(course, course.last_ns).text
