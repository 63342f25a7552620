"""The cases for front-ends: a model of QEMU passes them all, and one fault at a time is found by each."""

import contextlib
import socket
import threading
from functools import cache

import pytest

from vutrace.conform.case import Case, CaseVerdict
from vutrace.conform.catalogue import frontend_cases
from vutrace.conform.run import Bench, run_frontend
from vutrace.conform.tested import NotReachedError, TestedPeer
from vutrace.dissection.registry import Registry, load
from vutrace.errors import VutraceError
from vutrace.peers import PROFILES, FrontEnd
from vutrace.protocol.wire import HEADER, VERSION

CASES = frontend_cases()
QUIET = 0.15
GET_FEATURES, GET_QUEUE_NUM = 1, 17
TOO_LONG = HEADER.pack(GET_FEATURES, VERSION, 8) + bytes(8)


class ModelFrontEnd(TestedPeer):
    """A model front-end for each connection; `first` is a message that it should not send, and sends."""

    __test__ = False

    def __init__(self, first: bytes = b"", dies: bool = False) -> None:
        self.first, self.dies = first, dies
        self.threads: list[threading.Thread] = []

    def open(self, timeout: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self.play, args=(theirs,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return ours

    def play(self, end: socket.socket) -> None:
        """A start, as far as the back-end lets it come."""
        with contextlib.suppress(VutraceError, OSError):
            end.sendall(self.first)
            with FrontEnd(PROFILES["qemu-10"], 1, timeout=1.0) as frontend:
                frontend.attach(end)
                frontend.write_features()
                frontend.start()

    def crash(self, patience: float = 0.0) -> str:
        return "killed by SIGABRT" if self.dies else ""

    def rest(self) -> str:
        for thread in self.threads:
            thread.join(2)
        self.threads.clear()
        return ""


@cache
def registry() -> Registry:
    return load()


def verdict(case: Case, peer: TestedPeer) -> tuple[CaseVerdict, str]:
    (result,) = run_frontend(Bench(peer, registry(), "net", QUIET), [case])
    return result.verdict, result.came


@pytest.mark.parametrize("name", CASES)
def test_the_model_of_qemu_breaks_no_rule(name: str) -> None:
    assert verdict(CASES[name], ModelFrontEnd()) == (CaseVerdict.PASS, "")


@pytest.mark.parametrize("name", CASES)
def test_a_request_with_more_than_it_has_is_found(name: str) -> None:
    assert verdict(CASES[name], ModelFrontEnd(TOO_LONG))[0] is CaseVerdict.FAIL


def test_a_message_that_is_not_negotiated_is_found() -> None:
    ungated = HEADER.pack(GET_QUEUE_NUM, VERSION, 0)
    assert verdict(CASES["offers/everything"], ModelFrontEnd(ungated))[0] is CaseVerdict.FAIL


def test_a_front_end_that_dies_fails() -> None:
    assert verdict(CASES["offers/everything"], ModelFrontEnd(dies=True)) == (
        CaseVerdict.FAIL,
        "killed by SIGABRT",
    )


def test_a_front_end_that_does_not_come_is_not_judged() -> None:
    class Absent(TestedPeer):
        def open(self, timeout: float) -> socket.socket:
            raise NotReachedError("nobody")

    assert verdict(CASES["offers/everything"], Absent()) == (CaseVerdict.FAIL, "nobody")
