"""How a session ends: each rule has a conversation that breaks it, and a neighbour that does not."""

import pytest
from cases.scenes import NET, calls, features, hello, memory, net, running, stop
from kit.transcript import Line, ask, back, closed, connection, front, protocol, script

from vutrace.dissection.registry import load
from vutrace.problems import Problem
from vutrace.records import Event, EventKind, Side
from vutrace.rules.end import RULES
from vutrace.rules.judge import Judge
from vutrace.session.tracker import Tracker

REGISTRY = load()
MQ_ACK = protocol("MQ", "REPLY_ACK")
READY = [*hello(NET, MQ_ACK, 1), *calls(range(2))]
BACK = Side.BACKEND


def found(*lines: Line) -> list[Problem]:
    """The findings about the end."""
    judge = Judge()
    rows = [*judge.rows(Tracker(REGISTRY).rows([connection(), *script(*lines)])), *judge.end()]
    return [problem for row in rows for problem in row.problems if problem.rule.group == "end"]


def stall(**attributes: str) -> Line:
    """What a proxy notes of a reply that takes long."""
    facts = {"stall": "1.0", "request": "GET_FEATURES", "debtor": "backend"} | attributes
    text = "waiting for 1 s: the back-end owes the reply to GET_FEATURES; its process is stopped (T)"
    return Line(Event(0, 0, 1, EventKind.NOTE, text, attributes=facts))


BREACHES = {
    "end.backend-left-running": [net(), *running(), closed(BACK, backend_process="killed 9")],
    "end.frontend-left-running": [net(), *running(), closed()],
    "end.left-in-handshake": [net(), *ask("GET_FEATURES", {"features": NET}), closed()],
    "end.start-given-up": [net(), *READY, features(), closed()],
    "end.still-owed": [net(), *READY, front("GET_FEATURES")],
    "end.stalled": [net(), *READY, stall(process="is stopped (T)")],
}
NEIGHBOURS = {
    "end.backend-left-running": [net(), *running(), *stop(0), *stop(1), closed(BACK)],
    "end.frontend-left-running": [net(), *running(), *stop(0), *stop(1), closed()],
    "end.left-in-handshake": [net(), *READY, closed()],
    "end.start-given-up": [net(), *READY, features(), memory(), closed()],
    "end.still-owed": [net(), *READY, *ask("GET_FEATURES", {"features": NET})],
    "end.stalled": [net(), *READY, stall()],  # the reply has come: nothing is said of a process
}


def test_every_rule_has_a_breach_and_a_neighbour() -> None:
    assert {rule.name for rule in RULES} == set(BREACHES) == set(NEIGHBOURS)


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_found_and_nothing_else(name: str) -> None:
    assert [problem.name for problem in found(*BREACHES[name])] == [name]


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_its_lawful_neighbour_is_not(name: str) -> None:
    assert found(*NEIGHBOURS[name]) == []


def test_how_a_process_ended_is_told() -> None:
    (problem,) = found(*BREACHES["end.backend-left-running"])
    assert problem.text == "the back-end was killed (SIGKILL) while 2 rings ran"


def test_a_session_that_vutrace_ended_is_no_matter_of_its_ends() -> None:
    ours = Line(Event(0, 0, 1, EventKind.CLOSE, "vutrace stopped"))
    assert found(net(), *running(), ours) == []
    assert found(net(), *ask("GET_FEATURES", {"features": NET}), ours) == []


def test_a_debt_is_told_for_each_request() -> None:
    told = [problem.text for problem in found(net(), front("GET_FEATURES"), front("GET_QUEUE_NUM"))]
    assert told == [
        "the back-end owes the reply to GET_FEATURES [2]",
        "the back-end owes the reply to GET_QUEUE_NUM [3]",
    ]


def test_an_answered_acknowledgement_is_none() -> None:
    assert found(net(), *READY, memory(need_reply=True), back("SET_MEM_TABLE", status=0)) == []
