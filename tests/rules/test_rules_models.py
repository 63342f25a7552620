"""Sessions of the model peers, at random: nothing is wrong in them that is not known of the front-end played.

A hundred sessions here; VUTRACE_SESSIONS=10000 plays as many.
"""

import os
import random
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from kit.transcript import START_NS, STEP_NS, closed, connection, opened

from vutrace.dissection.registry import load
from vutrace.peers import DPDK_22_11, PROFILES, FrontEnd, Journal, PeerConnection, serve
from vutrace.peers.connection import ReceivedMessage
from vutrace.problems import Problem, Severity
from vutrace.records import Channel, Frame, Record, Side
from vutrace.rules.judge import Judge
from vutrace.rules.profiles import DeviationProfile
from vutrace.session.tracker import Tracker
from vutrace.sockets.inspect import describe

SESSIONS = int(os.environ.get("VUTRACE_SESSIONS", "100"))
TIMEOUT = 20.0
REGISTRY = load()
Act = Callable[[FrontEnd, random.Random], None]


class Recording(PeerConnection):
    """A back-end's connection that keeps what passes, with what its descriptors are."""

    def __init__(self, end: socket.socket, frames: list[Frame]) -> None:
        super().__init__(end, Side.FRONTEND)
        self.frames = frames

    def send(self, data: bytes, fds: object, what: str) -> None:
        self.frames.append(Frame(0, 0, 1, Channel.MAIN, Side.BACKEND, data, wire_size=len(data)))
        super().send(data, fds, what)  # type: ignore[arg-type]

    def receive(self, what: str, timeout: float | None = None) -> ReceivedMessage | None:
        received = super().receive(what, timeout)
        if received:
            self.frames.append(replace(received.message.frame, fds=tuple(map(describe, received.fds))))
        return received


class Stage:
    """A front-end that is connected to one back-end after the other."""

    def __init__(self, profile: str, pairs: int, enabled: int) -> None:
        self.frontend = FrontEnd(PROFILES[profile], pairs, enabled, TIMEOUT)
        self.sessions: list[list[Frame]] = []
        self.threads: list[threading.Thread] = []

    def backend(self) -> socket.socket:
        """The front-end's end of the connection to a fresh back-end."""
        ours, theirs = socket.socketpair()
        self.sessions.append([])
        end = Recording(theirs, self.sessions[-1])
        self.threads.append(threading.Thread(target=serve, args=(end, DPDK_22_11, Journal())))
        self.threads[-1].start()
        return ours

    def join(self) -> None:
        """Wait until the back-ends have seen all of it."""
        for thread in self.threads:
            thread.join(TIMEOUT)
            assert not thread.is_alive()

    def records(self) -> list[Record]:
        """What passed, as a capture has it."""
        found: list[Record] = []
        for number, frames in enumerate(self.sessions, 1):
            for record in (opened().record, *frames, closed().record):
                time_ns = START_NS + len(found) * STEP_NS
                found.append(replace(record, time_ns=time_ns, connection=0, session=number))
        return found


def played(seed: int) -> tuple[str, list[Record]]:
    """A session of a front-end, or several, as chance will have it: the profile, and what passed."""
    chance = random.Random(seed)
    profile = chance.choice(sorted(PROFILES))
    pairs = chance.randint(1, 3)
    stage = Stage(profile, pairs, chance.randint(1, pairs))
    try:
        stage.frontend.attach(stage.backend())
        for act in course(chance, pairs, stage):
            act()
    finally:
        stage.frontend.close()
        stage.join()
    return profile, stage.records()


def course(chance: random.Random, pairs: int, stage: Stage) -> list[Callable[[], None]]:
    """What a guest does in its life, of some length."""
    frontend = stage.frontend
    boot = [frontend.write_features, frontend.start]
    lives = [
        [lambda: frontend.change_pairs(chance.randint(1, pairs))],
        [frontend.stop, frontend.start],
        [frontend.stop, frontend.reset, *boot],
        [frontend.disconnect, lambda: frontend.resume(stage.backend())],
    ]
    return [*boot, *(act for _ in range(chance.randint(0, 4)) for act in chance.choice(lives)), frontend.stop]


def wrong(profile: str, records: list[Record]) -> set[str]:
    """What is found that is more than worth knowing."""
    judge = Judge(DeviationProfile("virtio-user" if profile.startswith("virtio-user") else "qemu"))
    rows = [*judge.rows(Tracker(REGISTRY, "net").rows([connection(), *records])), *judge.end()]
    return {str_of(problem) for row in rows for problem in row.problems if counts(problem)}


def counts(problem: Problem) -> bool:
    """Whether it is a fault of the session; that a lost back-end left rings running is what was played."""
    return problem.severity is not Severity.INFO and problem.rule.group != "end"


def str_of(problem: Problem) -> str:
    """A problem with its rule."""
    return f"{problem.name}: {problem.text}"


@pytest.mark.parametrize("begin", range(0, SESSIONS, 50))
def test_nothing_is_wrong_in_sessions_of_the_models(begin: int) -> None:
    for seed in range(begin, min(begin + 50, SESSIONS)):
        profile, records = played(seed)
        assert wrong(profile, records) == set(), f"seed {seed}, {profile}"
