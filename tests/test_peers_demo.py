"""`vutrace demo` as a user runs it: the capture that it leaves, and what it says of wrong wishes."""

import subprocess
import sys
from pathlib import Path

import pytest
from kit.peers_stage import captured, played

from vutrace.capture import read
from vutrace.peers import PROFILES, FrontEnd
from vutrace.peers.profiles import QEMU_2_10
from vutrace.peers.scene import Play, record
from vutrace.records import Channel, Event, EventKind, Frame, Side

BOOT = (FrontEnd.write_features, FrontEnd.start)


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """Run it."""
    command = [sys.executable, "-m", "vutrace", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("profile", PROFILES)
def test_what_passes_the_proxy_is_what_the_peers_say(profile: str, tmp_path: Path) -> None:
    capture = tmp_path / "demo.pcapng"
    record(Play(PROFILES[profile], pairs=3), str(tmp_path), str(capture))
    assert captured(capture) == played(profile, 3, *BOOT)


def test_a_restart_is_a_second_session_without_features_phase(tmp_path: Path) -> None:
    capture = tmp_path / "demo.pcapng"
    record(Play(QEMU_2_10, pairs=20, restart=True), str(tmp_path), str(capture))
    assert {item.session for item in read(capture) if isinstance(item, Frame)} == {1, 2}
    first, second = (captured(capture, session) for session in (1, 2))
    features = [line for line in first if "ENABLE" in line][:40]
    assert second == [line for number, line in enumerate(first) if not is_among(features, first, number)]


def test_a_kept_restart_ends_as_its_back_ends_do(tmp_path: Path) -> None:
    capture = tmp_path / "demo.pcapng"
    record(Play(QEMU_2_10, pairs=1, restart=True), str(tmp_path), str(capture))
    ends = [item for item in read(capture) if isinstance(item, Event) and item.kind is EventKind.CLOSE]
    assert [end.sender for end in ends if end.channel is Channel.MAIN] == [Side.BACKEND] * 2


def is_among(features: list[str], lines: list[str], number: int) -> bool:
    """Whether a line is one of the 40 that the features phase has."""
    begin = lines.index(features[0])
    return begin <= number < begin + len(features)


def test_it_shows_the_capture_and_keeps_it_where_asked(tmp_path: Path) -> None:
    capture = tmp_path / "kept.pcapng"
    ran = demo("--queues", "2", "--enabled", "2", "-w", str(capture))
    assert ran.returncode == 0, ran.stderr
    assert "SET_VRING_ENABLE" in ran.stdout
    assert ran.stderr == ""
    assert captured(capture)[-1] == "> SET_VRING_ENABLE ring 3 = 1"


def test_it_draws_the_loops_and_a_restart_without_features_phase() -> None:
    ran = demo("--restart")
    assert ran.returncode == 0, ran.stderr
    first, second = ran.stdout.split("\nsession 2, ")
    for session in (first, second):
        assert "20 × [GET_FEATURES GET_PROTOCOL_FEATURES" in session
        assert "SET_VRING_CALL × 2]  pairs 0–19" in session
        assert "{SET_OWNER}" in session  # marked as sent once per device
        assert "\n  start " in session
    assert "[SET_VRING_ENABLE=1 × 2]  pair 0\n    19 × [SET_VRING_ENABLE=0 × 2]  pairs 1–19" in first
    assert "\n  features " not in second


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--front-end", "qemu-1.0"], "vutrace: --front-end qemu-1.0: there are qemu-2.10, qemu-7.2"),
        (["--queues", "2", "--enabled", "3"], "vutrace: --enabled 3: there are only 2 queue pairs"),
    ],
)
def test_a_wrong_wish_is_one_line(options: list[str], words: str) -> None:
    ran = demo(*options)
    assert ran.returncode == 2
    assert ran.stderr.startswith(words)
    assert ran.stderr.count("\n") == 1


def test_a_capture_that_cannot_be_kept_is_one_line() -> None:
    ran = demo("--queues", "1", "-w", "/nowhere/demo.pcapng")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr == "vutrace: /nowhere/demo.pcapng: No such file or directory\n"
