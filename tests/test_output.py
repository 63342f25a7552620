"""What becomes of results where stdout is full, closed, unread, or has not the letters for them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CAPTURE = str(Path(__file__).parent.parent / "captures" / "qemu-7.2-testpmd.pcapng")
VUTRACE = [sys.executable, "-m", "vutrace"]
VERBS = (
    ["show", CAPTURE],
    ["show", "--json", CAPTURE],
    ["show", "--board", CAPTURE],
    ["timeline", CAPTURE],
    ["queues", CAPTURE],
    ["diff", CAPTURE, CAPTURE],
    ["export", "--format", "json", CAPTURE],
    ["explain", "SET_MEM_TABLE"],
    ["list", "fields"],
    ["wireshark", "lua"],
    ["show", "--help"],
)
every_verb = pytest.mark.parametrize("words", VERBS, ids=" ".join)


def shell(script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `vutrace WORDS` as "$@" in a shell's script."""
    command = ["bash", "-c", script, "bash", *VUTRACE, *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


@every_verb
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    ran = shell('"$@" >/dev/full', *words)
    assert (ran.returncode, ran.stderr) == (
        3,
        "vutrace: the output cannot be written: No space left on device\n",
    )


@every_verb
def test_a_reader_that_goes_at_once_is_nothing_to_talk_about(words: list[str]) -> None:
    ran = shell('"$@" | true; exit ${PIPESTATUS[0]}', *words)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, "")


@every_verb
def test_nothing_is_said_where_stdin_and_stdout_are_closed(words: list[str]) -> None:
    ran = shell('"$@" <&- >&-', *words)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_capture_does_not_take_the_place_of_a_closed_stdout(tmp_path: Path) -> None:
    kept = tmp_path / "kept.pcapng"
    assert shell('"$@" >&-', "demo", "--queues", "1", "-w", str(kept)).returncode == 0
    assert shell('"$@"', "show", str(kept)).stderr == ""


@every_verb
def test_what_stdout_has_no_letters_for_looks_like_it(words: list[str]) -> None:
    ran = shell('"$@"', *words, PYTHONIOENCODING="ascii")
    assert (ran.returncode, ran.stderr) == (0, "")
    # the plug-in is a file, not a text: in UTF-8 wherever it goes
    assert words[0] == "wireshark" or (ran.stdout.isascii() and "\\u" not in ran.stdout)


def test_a_timeline_is_drawn_without_the_letters_column_for_column() -> None:
    plain = shell('"$@"', "timeline", CAPTURE, PYTHONIOENCODING="ascii").stdout
    drawn = shell('"$@"', "timeline", CAPTURE, PYTHONIOENCODING="utf-8").stdout
    assert "  0 rx0 |CE  |1x4     |1nbaKC=|1======|G1  |\n" in plain
    assert "  0 rx0 │CE  │1×4     │1nbaKC═│1══════│G1  │\n" in drawn
    assert list(map(len, plain.splitlines())) == list(map(len, drawn.splitlines()))


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        ("show", "GET_FEATURES"),
        ("timeline", "session 1, net"),
        ("queues", "ring"),
        ("check", "session 1"),
        ("stats", "GET_FEATURES"),
    ],
)
def test_of_a_damaged_capture_every_verb_shows_what_stands_before(
    verb: str, line: str, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.pcapng"
    whole = bytearray(Path(CAPTURE).read_bytes())
    whole[6000:6030] = b"\xff" * 30
    damaged.write_bytes(whole)
    command = [sys.executable, "-m", "vutrace", verb, str(damaged)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert line in ran.stdout
    assert ran.returncode == 3
    assert ran.stderr.count("damaged at byte 5948") == 1
