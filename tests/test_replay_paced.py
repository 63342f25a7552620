"""A recording at its own pace: the clock, the keys, and the verb."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from kit.replay_stage import CAPTURES
from typer.testing import CliRunner

from vutrace.capture import read
from vutrace.cli import app
from vutrace.records import Event, Frame
from vutrace.replay.keyboard import Keyboard
from vutrace.replay.pace import UNTIL_A_KEY, Pace
from vutrace.replay.paced import LONG_WAIT, wait_due

SECOND = 1_000_000_000
CAPTURE = CAPTURES / "qemu-7.2-testpmd.pcapng"
VUTRACE = [sys.executable, "-m", "vutrace", "replay"]


def pace(speed: float) -> Pace:
    made = Pace(speed)
    made.begin(100 * SECOND, 10.0)
    return made


@pytest.mark.parametrize(("speed", "wait"), [(1.0, 4.0), (2.0, 2.0), (0.5, 8.0), (0.0, 0.0)])
def test_what_was_recorded_later_is_due_later(speed: float, wait: float) -> None:
    assert pace(speed).wait(104 * SECOND, 10.0) == wait
    assert pace(speed).wait(104 * SECOND, 10.0 + wait) == 0.0


def test_a_pause_stops_the_clock() -> None:
    clock = pace(1.0)
    clock.press(" ", 11.0)
    assert clock.wait(104 * SECOND, 50.0) is UNTIL_A_KEY
    clock.press(" ", 60.0)
    assert clock.wait(104 * SECOND, 60.0) == 3.0


def test_steps_are_due_while_it_stands() -> None:
    clock = pace(1.0)
    clock.press("s", 11.0)
    assert clock.wait(104 * SECOND, 11.0) == 0.0
    clock.shown(104 * SECOND, 12.0)
    assert clock.wait(105 * SECOND, 12.0) is UNTIL_A_KEY
    clock.press(" ", 20.0)
    assert clock.wait(105 * SECOND, 20.0) == 1.0


def test_another_speed_counts_from_now_on() -> None:
    clock = pace(1.0)
    clock.press("+", 12.0)
    assert clock.wait(104 * SECOND, 12.0) == 1.0
    clock.press("-", 12.0)
    clock.press("-", 12.0)
    assert clock.wait(104 * SECOND, 12.0) == 4.0


def test_other_keys_do_nothing_and_q_ends() -> None:
    clock = pace(1.0)
    clock.press("x", 12.0)
    clock.press("", 12.0)
    assert clock.wait(104 * SECOND, 12.0) == 2.0
    clock.press("q", 12.0)
    assert clock.ended


def run(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["replay", *map(str, words)])


def shown(*words: str | Path) -> list[str]:
    ran = run(*words)
    assert ran.exit_code == 0, ran.exception
    lines: list[str] = ran.stdout.splitlines()
    return lines


def show(*words: str | Path) -> list[str]:
    lines: list[str] = CliRunner().invoke(app, ["show", *map(str, words)]).stdout.splitlines()
    return lines


def test_the_rows_are_those_of_show() -> None:
    assert shown(CAPTURE, "--speed", "max") == show(CAPTURE)


def test_a_capture_comes_through_a_pipe() -> None:
    with CAPTURE.open("rb") as stdin:
        command = [*VUTRACE, "-", "--speed", "max"]
        ran = subprocess.run(command, stdin=stdin, capture_output=True, check=True, text=True, timeout=30)
    assert ran.stdout.splitlines() == shown(CAPTURE, "--speed", "max")


def moments(message: str) -> list[float]:
    """When the kept capture has a message, in seconds from its beginning."""
    return [float(line.split()[2]) for line in numbered(show(CAPTURE)) if f" {message} " in line]


def part_between(begin: float, end: float) -> list[str]:
    """The options that choose a part; shown times are rounded to microseconds."""
    return ["--from", f"{begin - 1e-6:.6f}", "--to", f"{end + 1e-6:.6f}"]


def test_a_part_is_shown_with_what_is_known_from_before() -> None:
    begin, end = moments("SET_VRING_NUM")[0], moments("SET_VRING_CALL")[-1]
    part = numbered(shown(CAPTURE, "--speed", "max", *part_between(begin, end)))
    assert part == [line for line in numbered(show(CAPTURE)) if begin <= float(line.split()[2]) <= end]
    assert "tx1" in part[-1]


def numbered(lines: list[str]) -> list[str]:
    """The rows alone, without heading and notes."""
    return [line for line in lines if line[:6].strip().isdecimal()]


def test_it_takes_its_time(tmp_path: Path) -> None:
    begin, end = moments("SET_VRING_NUM")[0], moments("GET_VRING_BASE")[-1]
    began = time.monotonic()
    shown(CAPTURE, *part_between(begin, end), "--speed", f"{(end - begin) / 0.8}x", "-q")
    assert time.monotonic() - began > 0.7


def test_a_capture_grows_as_if_it_were_live(tmp_path: Path) -> None:
    live = tmp_path / "live.pcapng"
    assert shown(CAPTURE, "--speed", "max", "-w", live, "-q") == []
    assert list(read(live)) == list(read(CAPTURE))


def test_on_a_terminal_keys_pause_and_step() -> None:
    """Paused at once, stepped three times, then ended: the heading and what three steps showed."""
    ours, theirs = pty.openpty()
    command = [*VUTRACE, str(CAPTURE), "--speed", "0.001x", "--color", "never"]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    try:
        assert process.stderr
        assert b"space pauses" in process.stderr.readline()
        os.write(ours, b" sssq")
        output, notes = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    # how many were due before the first key came, the machine's load decides
    rows = [int(line.split()[0]) for line in numbered(output.decode().splitlines())]
    assert rows == list(range(1, len(rows) + 1))
    assert 3 <= len(rows) <= 6
    assert notes == b"vutrace: paused\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--speed", "fast"], "--speed fast: 2x, 0.5x or max"),
        (["--to", "vhost.sock"], "--to vhost.sock: a second to end at, or an endpoint together with --as"),
        (["--as", "frontend"], "--as needs --to ENDPOINT, the live peer"),
        (["--as", "backend", "--to", "s", "--mutate", "1"], "--mutate needs --as frontend and --to ENDPOINT"),
        (["--as", "frontend", "--to", "fd:x"], "'fd:x': fd: takes a descriptor number"),
        (
            ["--as", "frontend", "--to", "s", "--session", "9"],
            "no such session with requests; it has 1 of A",
        ),
        (["--as", "frontend", "--to", "s", "--runs", "2"], "--runs needs --mutate SEED"),
        (["--as", "frontend", "--to", "s", "--board"], "--board does not go with --as"),
        (["--as", "backend", "--to", "s", "--from", "1"], "--from does not go with --as"),
        (["--board", "-q"], "--board shows the rings, -q shows nothing: one of them"),
        (["--session", "1"], "--session needs --as frontend or --as backend"),
        (["--mutate", "1"], "--mutate needs --as frontend or --as backend"),
        (["--speed", "1e-300x"], "--speed 1e-300x: 2x, 0.5x or max"),
        (["--from", "3", "--to", "1"], "--from 3 --to 1: the end is before the beginning"),
        (["--to", "nan"], "--from 0 --to nan: the end is before the beginning"),
    ],
)
def test_what_makes_no_sense_is_said(words: list[str], why: str) -> None:
    ran = run(CAPTURE, *words)
    assert type(ran.exception).__name__ == "UsageError"
    assert why in str(ran.exception)


@pytest.mark.parametrize("words", [["--to", "inf"], ["--to", "1e300"]])
def test_a_part_may_end_after_the_recording(words: list[str]) -> None:
    assert shown(CAPTURE, "--speed", "max", *words) == show(CAPTURE)


@pytest.mark.parametrize("start", ["99", "1e300", "inf"])
def test_a_part_in_which_nothing_was_recorded_is_told(start: str) -> None:
    ran = run(CAPTURE, "--from", start)
    assert (ran.exit_code, numbered(ran.stdout.splitlines())) == (0, [])
    assert "nothing was recorded in that part" in ran.stderr


@pytest.mark.parametrize("stdin", [False, True])
@pytest.mark.parametrize(
    "words", ["replay -w", "replay --as frontend --to s -w", "export --format json -o", "timeline -o"]
)
def test_no_verb_writes_over_the_capture_that_it_reads(words: str, stdin: bool, tmp_path: Path) -> None:
    path = tmp_path / "start.pcapng"
    path.write_bytes(CAPTURE.read_bytes())
    with path.open("rb") as file:
        command = [*VUTRACE[:-1], *words.split(), str(path), "-" if stdin else str(path)]
        ran = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False, timeout=30)
    option = words.split()[-1]
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"vutrace: {option} {path}: that is the capture itself, which would be lost")
    assert path.read_bytes() == CAPTURE.read_bytes()


def test_a_terminal_without_the_letters_gets_what_looks_like_them() -> None:
    command = [*VUTRACE, str(CAPTURES / "qemu-10.0-vhost-user-gpu.pcapng"), "--speed", "max"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    ran = subprocess.run(command, capture_output=True, check=True, env=environment, timeout=30)
    assert b"1280x800" in ran.stdout


def test_a_key_that_is_held_makes_no_speed_that_cannot_be_waited_for() -> None:
    clock = pace(1.0)
    for key in "-" * 2000:
        clock.press(key, 12.0)
    wait = clock.wait(104 * SECOND, 12.0)
    assert wait is not None
    assert 0 < wait < 1e9
    for key in "+" * 4000:
        clock.press(key, 12.0)
    clock.press(" ", 13.0)
    assert clock.words == "paused"


def test_a_damaged_time_is_waited_for_in_parts() -> None:
    """Until a key is pressed: no system call takes a wait of centuries."""
    waits: list[float | None] = []

    class Patient(Keyboard):
        def wait(self, seconds: float | None) -> str:
            waits.append(seconds)
            return "q" if len(waits) > 2 else ""

    wait_due((1 << 63) - 1, pace(1.0), Patient(-1), lambda words: None)
    assert waits == [LONG_WAIT] * 3


def test_the_kept_capture_has_what_these_tests_count_on() -> None:
    items = [item for item in read(CAPTURE) if isinstance(item, Frame | Event)]
    assert items[-1].time_ns - items[0].time_ns > 2 * SECOND


def test_the_board_stands_as_it_stood_at_that_moment() -> None:
    """Until DRIVER_OK, of a capture whose rings are stopped at its end."""
    end = moments("GET_VRING_BASE")[0] - 5e-6
    board = shown(CAPTURE, "--speed", "max", *part_between(1, end), "--board")
    rings = [line.split()[:6] for line in board if line.split()[1:2] in (["rx0"], ["rx1"])]
    assert rings == [["0", "rx0", "256", "yes", "yes", "yes"], ["2", "rx1", "256", "yes", "yes", "no"]]
    assert "phase running" in board[0]


def test_on_a_terminal_the_board_is_drawn_in_place_and_left_in_order() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [*VUTRACE, str(CAPTURE), "--speed", "0.001x", "--board"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    try:
        assert process.stderr
        assert b"space pauses" in process.stderr.readline()
        os.write(ours, b" ")
        seen = b""
        while b"paused, at 0.00" not in seen:
            assert select.select([ours], [], [], 20)[0], seen
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            seen += os.read(ours, 65536) if select.select([ours], [], [], 0.05)[0] else b""
        assert process.returncode == 130
        assert termios.tcgetattr(theirs) == before
        assert seen.count(b"\x1b[?1049h") == seen.count(b"\x1b[?1049l") == 1
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)
