"""Whatever comes, the rules judge it: they never raise, and what they keep is bounded."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.strategies import frames, hostile_frames, messages
from kit.transcript import closed, opened
from traces import REGISTRY

from vutrace.records import Frame, Record
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

DEVICES = [None, "net", "blk", "fs", "crypto", "gpu"]
hostile = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def judge(found: list[Record], device: str | None) -> None:
    """Judge everything, to the end."""
    judge, tracker = Judge(), Tracker(REGISTRY, device or "")
    given_back = [*judge.rows(tracker.rows(found))]
    assert [row.number for row in given_back] == [*range(1, len(found) + 1)]
    assert all(problem.text for row in (*given_back, *judge.end()) for problem in row.problems)


def session(frames: list[Frame]) -> list[Record]:
    """One session of them, from its beginning to its end."""
    inside = (replace(frame, connection=0, session=1) for frame in frames)
    return [opened().record, *inside, closed().record]


@hostile
@given(st.lists(frames() | hostile_frames(), max_size=30), st.sampled_from(DEVICES))
def test_any_bytes_are_judged(found: list[Frame], device: str | None) -> None:
    judge(session(found), device)


@hostile
@given(st.lists(messages(), max_size=40), st.sampled_from(DEVICES))
def test_any_messages_in_any_order_are_judged(found: list[Frame], device: str | None) -> None:
    judge(session(found), device)
