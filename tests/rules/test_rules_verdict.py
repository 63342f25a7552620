"""The verdict: how far a session got, who owes whom, what ended it, and what went wrong first."""

import pytest
from cases.scenes import NET, calls, enable, features, hello, memory, met, net, ring, running, stop
from kit.transcript import Line, ask, back, closed, connection, front, noted, protocol, script

from vutrace.dissection.registry import load
from vutrace.records import Event, EventKind, Record, Side
from vutrace.rules.progress import WORDS, Progress
from vutrace.rules.verdict import Verdict, VerdictBuilder, begin, verdict
from vutrace.session.tracker import Tracker

REGISTRY = load()
MQ_ACK = protocol("MQ", "REPLY_ACK")
BACK = Side.BACKEND


def verdicts(records: list[Record], now_s: float = 0) -> list[Verdict]:
    """The verdict on each session."""
    histories: dict[int, VerdictBuilder] = {}
    for row in Tracker(REGISTRY).rows([connection(), *records]):
        if row.session not in histories:
            histories[row.session] = begin(row, histories.get(row.session - 1))
        histories[row.session].feed(row)
    now_ns = records[-1].time_ns + int(now_s * 1e9)
    return [verdict(history, now_ns) for history in histories.values()]


def of(*lines: Line, now_s: float = 0) -> Verdict:
    """The verdict on one session."""
    (only,) = verdicts(script(*lines), now_s)
    return only


@pytest.mark.parametrize(
    ("lines", "got_to"),
    [
        ([net()], Progress.NOTHING),
        ([net(), *ask("GET_FEATURES", {"features": NET})], Progress.HANDSHAKE),
        ([net(), *hello(NET, MQ_ACK, 1), *calls(range(2))], Progress.READY),
        ([net(), *hello(NET, MQ_ACK, 1), *calls(range(2)), features()], Progress.FEATURES),
        ([net(), *hello(NET, MQ_ACK, 1), features(), memory()], Progress.MEMORY),
        ([net(), *hello(NET, MQ_ACK, 1), features(), memory(), *ring(0, kick=False)], Progress.RINGS),
        ([net(), *hello(NET, MQ_ACK, 1), features(), memory(), *ring(0)], Progress.STARTED),
        ([net(), *running()], Progress.RUNNING),
        ([net(), *running(), *stop(0), *stop(1)], Progress.RUNNING),
    ],
)
def test_the_furthest_step_is_told(lines: list[Line], got_to: Progress) -> None:
    assert of(*lines).got_to is got_to
    ended = of(*lines, closed(BACK))
    assert ended.got_to is got_to
    if got_to is not Progress.RUNNING:
        assert WORDS[got_to] in ended.text
    if got_to not in (Progress.RUNNING, Progress.NOTHING, Progress.READY):
        assert "never got past " in ended.text


def test_features_before_protocol_features_are_still_the_handshake() -> None:
    early = [front("SET_OWNER"), *ask("GET_FEATURES", {"features": NET}), features()]
    assert of(net(), *early).got_to is Progress.HANDSHAKE


def test_an_orderly_end_is_called_one() -> None:
    told = of(net(), *running(), *stop(0), *stop(1), closed())
    assert told.orderly
    assert told.ended_by == "frontend"
    assert told.text == (
        "Orderly: the front-end (qemu-system-x86, pid 100) left after 2 rings had run and were stopped."
    )


def test_one_that_no_driver_used_is_orderly_too() -> None:
    told = of(net(), *hello(NET, MQ_ACK, 1), *calls(range(2)), closed())
    assert told.orderly
    assert told.text.endswith("left; the handshake was done, and no driver started the device.")


def test_looking_for_a_peer_after_an_orderly_end_is_no_failure() -> None:
    gone = noted("the front-end at connect:f cannot be reached: No such file or directory", EventKind.ERROR)
    told = of(net(), *running(), *stop(0), *stop(1), closed(), gone, gone)
    assert told.orderly
    assert "cannot be reached" not in told.text


def test_our_own_end_is_no_failure() -> None:
    stopped = Line(Event(0, 0, 1, EventKind.CLOSE, "vutrace stopped"))
    told = of(net(), *running(), stopped)
    assert (told.orderly, told.ended_by) == (True, "vutrace")
    assert told.text == "vutrace stopped: 2 rings run."


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("", "closed the connection (it died, or was stopped)"),
        ("killed 9", "was killed (SIGKILL)"),
        ("killed 200", "was killed (signal 200)"),
        ("exited 1", "ended with status 1"),
        ("exited 0", "ended by itself (status 0)"),
        ("gone", "is gone (it died or ended)"),
        ("running", "closed the connection, and still runs,"),
    ],
)
def test_a_back_end_that_leaves_rings_running(process: str, words: str) -> None:
    facts = {"backend_process": process} if process else {}
    told = of(net(), *running(), closed(BACK, **facts))
    assert not told.orderly
    assert told.ended_by == "backend"
    assert told.text.startswith(f"The back-end (dpdk-testpmd, pid 200) {words} while 2 rings ran.")
    assert "Nobody owed anybody a reply." in told.text
    assert (
        "The last it had received was SET_VRING_ENABLE [26], the last it had sent the reply to" in told.text
    )


def test_who_owes_what_is_told_with_its_age() -> None:
    told = of(net(), front("GET_FEATURES"), now_s=2.9)
    assert not told.orderly
    (owing,) = told.owing
    assert (owing.row, owing.name, owing.debtor, owing.since_ns) == (2, "GET_FEATURES", BACK, 2_900_000_000)
    assert "The back-end (dpdk-testpmd, pid 200) owes the reply to GET_FEATURES [2] since 2.9 s." in told.text


def test_a_debt_at_the_end_was_owed() -> None:
    told = of(net(), front("GET_FEATURES"), closed(after_ms=4000))
    assert "owed the reply to GET_FEATURES [2] for 4.0 s." in told.text
    assert [owing.name for owing in told.owing] == ["GET_FEATURES"]


def test_what_the_debtor_does_is_told() -> None:
    facts = {"stall": "1.0", "request": "GET_FEATURES", "debtor": "backend", "process": "waits in futex_wait"}
    note = Line(Event(0, 0, 1, EventKind.NOTE, "waiting for 1 s: …", attributes=facts))
    told = of(net(), front("GET_FEATURES"), note, now_s=2.9)
    assert "owes the reply to GET_FEATURES [2] since 2.9 s; its process waits in futex_wait." in told.text
    stopped = closed(after_ms=4000, backend_process="stopped")
    told = of(net(), front("GET_FEATURES"), note, stopped)
    assert "owed the reply to GET_FEATURES [2] for 4.0 s; its process was stopped." in told.text


def test_more_debts_than_anybody_reads_are_counted() -> None:
    told = of(net(), *[front("GET_FEATURES")] * 5)
    assert "2 more replies are owed." in told.text
    assert len(told.owing) == 5


def test_a_refusal_is_what_went_wrong_first() -> None:
    told = of(
        net(),
        *hello(NET, MQ_ACK, 1),
        memory(need_reply=True),
        back("SET_MEM_TABLE", status=1),
        back("SET_MEM_TABLE", status=0),
        closed(),
    )
    assert "It first went wrong at [13]: the back-end refused SET_MEM_TABLE [12] (and 1 more)." in told.text


def test_what_comes_after_the_end_is_no_cause() -> None:
    told = of(net(), *running(), *stop(0), *stop(1), closed(), back("SET_MEM_TABLE", status=0))
    assert told.orderly


def test_a_session_that_takes_up_the_rings_of_one_that_was_lost() -> None:
    first = script(net(), *running(), closed(BACK))
    later = first[-1].time_ns + 4_000_000_000
    second = script(net(), *running(base=2), session=2, start_ns=later)
    assert verdicts([*first, *second])[1].text == (
        "Still open: 2 rings run. It came 4.0 s after session 1 was lost, and ring 0 resumes at avail 2."
    )


def test_nobody_was_there() -> None:
    missing = noted("the back-end at connect:b cannot be reached: Connection refused", EventKind.ERROR)
    told = of(missing, missing)
    assert not told.orderly
    assert told.text == (
        "No session: the back-end at connect:b cannot be reached: Connection refused, 2 tries in 0.1 ms."
    )


def test_a_back_end_that_does_not_come_back_is_looked_for() -> None:
    missing = noted("the back-end at connect:b cannot be reached: Connection refused", EventKind.ERROR)
    told = of(net(), *running(), closed(BACK), missing, missing, missing)
    assert told.text.endswith(
        "Since then the back-end at connect:b cannot be reached: Connection refused (3 tries)."
    )


def test_some_of_the_rings_run() -> None:
    told = of(net(4, 4), *hello(NET, MQ_ACK, 4), *calls(range(8)), features(), memory(), *ring(0), enable(0))
    assert told.text == "Still open: 1 of 8 rings runs."


def test_both_ends_are_named() -> None:
    told = of(met("qemu-system-x86_64", "passt --vhost-user"))
    assert told.frontend
    assert told.backend
    assert (told.frontend.name, told.backend.name) == ("qemu", "passt")
