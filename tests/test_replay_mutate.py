"""Damage by a seed: the same again with the same seed, and nothing of ours fails in a thousand runs."""

import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from kit.replay_stage import CAPTURES, REGISTRY, recorded

from vutrace.peers import Server
from vutrace.records import Side
from vutrace.replay.act import BROKE, Actor, Stage
from vutrace.replay.fuzz import fuzz
from vutrace.replay.mutate import WAYS, mutated
from vutrace.sockets.endpoints import Endpoint, How

NAMES = ["virtio-user-testpmd", "qemu-7.2-testpmd"]


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_does_the_same_again(name: str) -> None:
    script = recorded(name)[0]
    for seed in range(50):
        first, done = mutated(script, seed)
        again, same = mutated(recorded(name)[0], seed)
        assert done == same
        assert [each.message.frame.data for each in first.main] == [
            each.message.frame.data for each in again.main
        ]


def test_the_recording_itself_is_left_alone() -> None:
    script = recorded(NAMES[0])[0]
    before = [each.message.frame.data for each in script.main]
    for seed in range(50):
        mutated(script, seed)
    assert [each.message.frame.data for each in script.main] == before


def test_every_way_is_taken_and_told() -> None:
    script = recorded(NAMES[1])[0]
    told = "\n".join(str(each) for seed in range(300) for each in mutated(script, seed)[1])
    words = ["->", "NEED_REPLY", "bytes of", "bytes more", "without descriptor", "one descriptor more"]
    words += ["left out", "sent twice", "changes places"]
    assert len(words) == len(WAYS)
    assert all(word in told for word in words)


def test_a_mutated_message_is_framed() -> None:
    script = recorded(NAMES[1])[0]
    for seed in range(100):
        for exchange in mutated(script, seed)[0].main:
            data = exchange.message.frame.data
            assert int.from_bytes(data[8:12], sys.byteorder) == len(data) - 12


def fuzzed(capture: str, path: Path, seed: int, runs: int) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "vutrace",
        "replay",
        str(CAPTURES / f"{capture}.pcapng"),
        "--as",
        "frontend",
    ]
    options = ["--to", str(path), "-q", "--mutate", str(seed), "--runs", str(runs), "--timeout", "2"]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize(("capture", "runs"), [(NAMES[0], 900), (NAMES[1], 100)])
def test_a_thousand_damaged_replays(
    capture: str, runs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, failures = tmp_path / "s", list[str]()
    monkeypatch.setattr(threading, "excepthook", lambda failed: failures.append(failed.exc_type.__name__))
    with Server(str(path)):
        ran = fuzzed(capture, path, seed=1, runs=runs)
    lines = ran.stderr.splitlines()
    assert ran.returncode == 0, lines[-1:]
    assert [int(line.split(":")[0].removeprefix("seed ")) for line in lines] == list(range(1, runs + 1))
    assert all(re.search(r" => (went through|the back-end (has )?closed) ?", line) for line in lines)
    assert not failures


def test_a_back_end_that_is_gone_is_told_with_the_last_seed(tmp_path: Path) -> None:
    path, said = str(tmp_path / "s"), list[str]()
    stage = Stage(Side.FRONTEND, Endpoint(How.CONNECT, path=path), timeout=0.2, settle=0.01)
    script = recorded(NAMES[0])
    with (
        Server(path) as server,
        closing(Actor(stage, REGISTRY, "net", lambda _: None, lambda _: None)) as actor,
    ):

        def say(line: str) -> None:
            said.append(line)
            if len(said) == 2:
                server.stop()

        assert fuzz(actor, script, range(7, 12), say) == BROKE
    assert [line.split(":")[0] for line in said] == ["seed 7", "seed 8", "vutrace"]
    assert said[-1].startswith("vutrace: after seed 8, a back-end was awaited at connect:")
