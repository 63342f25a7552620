"""`vutrace timeline` and `vutrace queues` as they are called."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.sessions import QEMU_2_10, endpoints, qemu_net

from vutrace.capture import Writer, read
from vutrace.dissection.registry import Registry
from vutrace.session.row import Row
from vutrace.session.timeline import timeline
from vutrace.session.tracker import Tracker
from vutrace.views.timeline.formats import FORMATS, DrawingOptions


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("captures") / "start.pcapng"
    front_end = qemu_net(QEMU_2_10, 3).boot()
    front_end.restart()
    with Writer(path) as writer:
        writer.write(endpoints())
        for record in front_end.script.records:
            writer.write(record)
    return path


def run(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "vutrace", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def test_text_to_stdout(capture: Path) -> None:
    ran = run("timeline", capture, "--width", "100")
    assert ran.returncode == 0
    assert "3 × [GET_FEATURES" in ran.stdout.decode()
    assert b"\x1b" not in ran.stdout


def test_a_ring_or_session_that_is_not_there_is_told(capture: Path) -> None:
    ran = run("timeline", capture, "--ring", "99")
    assert (ran.returncode, ran.stderr) == (
        0,
        b"vutrace: no ring is among those that --ring and --pair name\n",
    )
    ran = run("queues", capture, "--session", "3")
    assert ran.returncode == 2
    assert ran.stderr.decode() == f"vutrace: --session 3: {capture} has 1 of A, 2 of A\n"


def test_a_capture_on_stdin(capture: Path) -> None:
    assert (
        run("timeline", "-", "--width", "100", stdin=capture.read_bytes()).stdout
        == run("timeline", capture, "--width", "100").stdout
    )


def test_the_format_is_told_by_the_name(capture: Path, tmp_path: Path) -> None:
    starts = {".json": b"{", ".svg": b"<svg", ".mmd": b"sequenceDiagram\n", ".txt": b"connection A"}
    for suffix, start in starts.items():
        out = tmp_path / f"out{suffix}"
        assert run("timeline", capture, "-o", out).returncode == 0
        assert out.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("name", "suffix"), [(each.name, suffix) for each in FORMATS.values() for suffix in each.suffixes]
)
def test_a_suffix_means_the_format_that_declares_it(
    capture: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    told, asked = tmp_path / f"told{suffix}", tmp_path / "asked"
    assert run("timeline", capture, "-o", told).returncode == 0
    assert run("timeline", capture, "--format", name, "-o", asked).returncode == 0
    assert told.read_bytes() == asked.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_pieces_and_rows_are_as_declared(capture: Path, name: str) -> None:
    asked = []

    def rows() -> Iterator[Row]:
        asked.append(name)
        return Tracker(Registry({})).rows(read(capture))

    tracker = Tracker(Registry({}))
    drawn = FORMATS[name].render(
        timeline(tracker.rows(read(capture)), tracker.connections), DrawingOptions(rows)
    )
    kinds = {type(piece) for piece in drawn}
    assert kinds == {bytes if FORMATS[name].binary else str}
    assert bool(asked) == FORMATS[name].rereads


def test_bytes_are_not_written_onto_a_terminal(capture: Path) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "vutrace", "timeline", str(capture), "--format", "perfetto"]
    ran = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    os.close(ours)
    message = b"vutrace: --format perfetto: stdout is a terminal; -o FILE.perfetto takes it\n"
    assert (ran.returncode, ran.stderr) == (2, message)


def test_one_ring_or_pair(capture: Path) -> None:
    ran = run("timeline", capture, "--format", "json", "--ring", "5", "--pair", "0")
    rings = json.loads(ran.stdout)["connections"][0]["sessions"][0]["rings"]
    assert [ring["ring"] for ring in rings] == [0, 1, 5]


FOLDED = """\
ring      desc, avail, used    descriptors            state                              last change
--------  -------------------  ---------------------  ---------------------------------  -----------------
0 rx0     0x7f0000000000       kick eventfd#25        started yes, enabled yes (sent 1)  [126] at 8.100125
size 256  +0x1000              call eventfd#26 (2nd)  started by SET_VRING_KICK          SET_VRING_ENABLE
base 0    +0x2000              err  -                 enabled by SET_VRING_ENABLE
"""


def test_queues_fold_what_is_wider_than_it_may_be(capture: Path) -> None:
    shown = run("queues", capture, "--width", "110").stdout.decode()
    assert [line.rstrip() for line in shown.splitlines()[1:6]] == FOLDED.splitlines()


FOLDED_TWICE = """\
ring      addresses, descriptors    state, last change
--------  ------------------------  ---------------------------------
0 rx0     0x7f0000000000            started yes
size 256  +0x1000                   enabled yes (sent 1)
base 0    +0x2000                   started by SET_VRING_KICK
          kick eventfd#25           enabled by SET_VRING_ENABLE
          call eventfd#26 (2nd)     [126] at 8.100125
          err  -                    SET_VRING_ENABLE
"""
SAID = """\
0 rx0: size 256; base 0; desc, avail,
    used 0x7f0000000000 +0x1000 +0x2000;
    kick eventfd#25; call eventfd#26
    (2nd); err -; started yes; enabled
    yes (sent 1); rule started by
    SET_VRING_KICK; enabled by
    SET_VRING_ENABLE; last change [126]
    SET_VRING_ENABLE at 8.100125
"""


@pytest.mark.parametrize(("width", "expected"), [("80", FOLDED_TWICE), ("40", SAID)])
def test_queues_fold_again_where_that_is_too_wide(capture: Path, width: str, expected: str) -> None:
    shown = run("queues", capture, "--width", width).stdout.decode().splitlines()[1:]
    told = [line.rstrip() for line in shown[: expected.count("\n")]]
    assert told == expected.splitlines()


def test_queues_of_the_last_of_one_and_of_all_sessions(capture: Path) -> None:
    def sessions(*words: str) -> list[int]:
        return [each["session"] for each in json.loads(run("queues", capture, "--json", *words).stdout)]

    assert sessions() == [2]
    assert sessions("--session", "1") == [1]
    assert sessions("--session", "all") == [1, 2]
    assert b"rx0" in run("queues", capture).stdout


@pytest.mark.parametrize(
    "words",
    [["--format", "gif"], ["--scale", "length"], ["--device", "toaster"]],
)
def test_usage_errors_are_one_line(capture: Path, words: list[str]) -> None:
    ran = run("timeline", capture, *words)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert not ran.stdout


def test_a_session_must_be_a_number(capture: Path) -> None:
    ran = run("queues", capture, "--session", "first")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)


def test_a_missing_or_broken_capture(tmp_path: Path) -> None:
    assert run("timeline", tmp_path / "none.pcapng").returncode == 3
    broken = tmp_path / "broken.pcapng"
    broken.write_bytes(b"no capture at all, only text")
    assert run("queues", broken).returncode == 3


def test_a_cut_capture_is_drawn_as_far_as_it_goes(capture: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcapng"
    cut.write_bytes(capture.read_bytes()[:-9])
    ran = run("timeline", cut)
    assert ran.returncode == 0
    assert b"cut" in ran.stderr
    assert b"start" in ran.stdout


def test_help_has_examples() -> None:
    for verb in ("timeline", "queues"):
        assert b"Examples:" in run(verb, "--help").stdout
