"""A recorded back-end for live front-ends: answers by meaning, and the model's where nothing was recorded."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.replay_stage import Performance, act, beside, of_records, recorded
from kit.sessions import Script as Making

from vutrace.dissection.message import Message
from vutrace.peers import PROFILES, FrontEnd
from vutrace.records import Event, Frame, Record, Side
from vutrace.replay.answers import Answers
from vutrace.replay.script import Script
from vutrace.session.context import Context

NAME = "qemu-7.2-testpmd"


@contextmanager
def backend(sessions: list[Script], path: str, timeout: float = 5.0) -> Iterator[Performance]:
    """A recording's back-end at `path`; it has ended when the block is left."""
    done = Performance()
    thread = beside(lambda: act(Side.BACKEND, sessions, path, timeout=timeout, performance=done))
    yield done
    thread.join(10)
    assert not thread.is_alive()


def full_start(profile: str, path: str, pairs: int = 2) -> None:
    with FrontEnd(PROFILES[profile], pairs=pairs) as frontend:
        frontend.connect(path)
        for step in (FrontEnd.write_features, FrontEnd.start, FrontEnd.stop):
            step(frontend)


@pytest.mark.parametrize("profile", ["qemu-7.2", "qemu-10", "virtio-user"])
def test_another_front_end_asks_in_another_order(profile: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with backend(recorded(NAME), path) as done:
        full_start(profile, path)
    assert not done.broke
    assert "note: the model back-end: virtio is now ready for processing" in done.lines


def test_what_was_never_recorded_is_answered_by_the_model_and_said_so(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with backend(recorded("virtio-user-testpmd"), path) as done:
        full_start("qemu-7.2", path)
    assert done.outcome.different
    unrecorded = [line for line in done.lines if "was never recorded; the model back-end answers" in line]
    assert any("GET_QUEUE_NUM" in line for line in unrecorded)
    assert done.lines[-1].endswith(f"{len(unrecorded)} never recorded")


def test_what_the_model_refuses_too_ends_the_session(tmp_path: Path) -> None:
    asks, script = Making(), Making()
    asks.ask("GET_INFLIGHT_FD", bytes(24), bytes(24))
    script.get("GET_FEATURES", 1 << 30)
    path = str(tmp_path / "s")
    with backend(of_records(script.records), path) as done:
        front = act(Side.FRONTEND, of_records(asks.records), path)
    assert front.broke.startswith("the back-end closed the connection")
    assert done.broke == (
        "nothing recorded answers live [2] GET_INFLIGHT_FD; the model back-end refuses it: "
        "GET_INFLIGHT_FD failed: not a request that this back-end knows"
    )


def test_a_reply_that_was_never_recorded_is_the_models_and_said_so(tmp_path: Path) -> None:
    """Of this recording only the requests are there."""
    script = Making()
    script.get("GET_FEATURES", 0)
    requests = [each for each in script.records if isinstance(each, Frame) and each.sender is Side.FRONTEND]
    path = str(tmp_path / "s")
    with backend(of_records(requests), path) as done:
        act(Side.FRONTEND, of_records(requests), path)
    assert done.outcome.different
    assert done.lines[0] == (
        "note: the reply to live [2] GET_FEATURES was never recorded; the model back-end answers"
    )


def test_what_a_back_end_would_refuse_is_said(tmp_path: Path) -> None:
    offered, asks = Making(), Making()
    for script, acknowledged in ((offered, 1 << 30), (asks, 1 << 39)):
        script.get("GET_FEATURES", 1 << 30)
        script.set("SET_FEATURES", acknowledged)
    path = str(tmp_path / "s")
    with backend(of_records(offered.records), path) as done:
        act(Side.FRONTEND, of_records(asks.records), path)
    assert not done.outcome.different
    assert done.lines[0] == (
        "note: live [4] SET_FEATURES: the model back-end would refuse it: "
        "SET_FEATURES failed: features 0x8000000000 were not offered"
    )


def test_a_front_end_that_leaves_without_a_request_has_broken_off(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with backend(recorded(NAME), path) as done:
        connect(path).close()
    assert done.broke == "the front-end closed the connection without a request"


def connect(path: str) -> socket.socket:
    """A connection, once somebody listens."""
    end = socket.socket(socket.AF_UNIX)
    deadline = time.monotonic() + 5
    while end.connect_ex(path):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return end


def test_what_a_front_end_did_not_get_to_is_told(tmp_path: Path) -> None:
    script = Making()
    script.get("GET_FEATURES", 0)
    path = str(tmp_path / "s")
    whole = Making(records=list(script.records), time_ns=script.time_ns)
    whole.get("GET_QUEUE_NUM", 1)
    whole.ask("SET_OWNER")
    with backend(of_records(whole.records), path) as done:
        act(Side.FRONTEND, of_records(script.records), path)
    assert "note: only the recorded front-end sent GET_QUEUE_NUM, SET_OWNER" in done.lines
    assert not done.outcome.different


def test_a_back_end_that_died_at_a_request_dies_at_it_again(tmp_path: Path) -> None:
    script = Making()
    script.get("GET_FEATURES", 0)
    script.get("GET_QUEUE_NUM", 1)
    script.records.pop()
    script.close(Side.BACKEND)
    path = str(tmp_path / "s")
    sessions = of_records(script.records)
    with backend(sessions, path) as done:
        front = act(Side.FRONTEND, sessions, path)
    assert not front.broke
    assert not done.outcome.different
    assert "note: the connection was closed, as the recorded back-end had done" in done.lines


def test_a_front_end_that_says_nothing_is_awaited(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with backend(recorded(NAME), path, timeout=0.3) as done, FrontEnd(PROFILES["qemu-7.2"]) as frontend:
        frontend.connect(path)
        frontend.wait_lost(5)
    assert "the next request was awaited from the front-end for 0.3 s; its last: live [" in done.broke


def test_nobody_connects(tmp_path: Path) -> None:
    done = act(Side.BACKEND, recorded(NAME), str(tmp_path / "s"), timeout=0.1)
    assert done.broke == f"a front-end was awaited at listen:{tmp_path}/s for 0.1 s: nobody connected"


# Answers by meaning


def asked(make: Callable[[Making], None]) -> list[tuple[Message, Context]]:
    """The requests that a script makes, each with the negotiation before it."""
    script = Making()
    make(script)
    return [(each.message, each.row.context) for each in of_records(script.records)[0].main]


def recording(records: list[Record | Event]) -> Answers:
    return Answers(of_records(records)[0].main)


def status(script: Making) -> None:
    script.get("GET_STATUS", 0)
    script.set("SET_STATUS", 8)
    script.get("GET_STATUS", 8)
    script.set("SET_STATUS", 15)
    script.get("GET_STATUS", 15)


def test_the_status_is_answered_by_the_state_in_which_it_is_asked() -> None:
    script = Making()
    status(script)
    answers = recording(script.records)

    def later(script: Making) -> None:
        script.set("SET_STATUS", 15)
        script.get("GET_STATUS", 0)
        script.set("SET_STATUS", 0)
        script.get("GET_STATUS", 0)
        script.set("SET_STATUS", 3)
        script.get("GET_STATUS", 0)

    found = [answers.find(*each) for each in asked(later) if each[0].name == "GET_STATUS"]
    numbers = [each.reply.number_in("status") if each and each.reply else None for each in found]
    assert numbers == [15, 0, None]


def test_answers_come_in_order_and_the_last_again_and_again() -> None:
    script = Making()
    for value in (1, 2, 3):
        script.get("GET_FEATURES", value)
    answers = recording(script.records)
    question = asked(lambda making: making.get("GET_FEATURES", 0))[0]
    found = [answers.find(*question) for _ in range(5)]
    assert [each.reply.number_in("features") for each in found if each and each.reply] == [1, 2, 3, 3, 3]


def test_each_ring_has_its_own_answers() -> None:
    script = Making()
    script.ring("GET_VRING_BASE", 0)
    script.ring("GET_VRING_BASE", 1)
    answers = recording(script.records)

    def others(making: Making) -> None:
        for ring in (1, 0, 2):
            making.ring("GET_VRING_BASE", ring)

    found = [answers.find(*each) for each in asked(others)]
    assert [each.message.ring if each else None for each in found] == [1, 0, None]


def test_the_answer_to_what_needs_none_is_kept_back(tmp_path: Path) -> None:
    """The recorded QEMU 10 wants SET_VRING_ENABLE acknowledged; 7.2 does not ask and gets nothing."""
    path = str(tmp_path / "s")
    with backend(recorded("qemu-10.0-testpmd"), path) as done:
        full_start("qemu-7.2", path)
    assert not done.broke
    assert done.outcome.sessions == 1
