"""Scripts: the worked examples, and what becomes of one that raises or never ends."""

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.acting_lab import ActingLab
from kit.proxy_lab import close_all, events, frames, message, receive_message, send

from vutrace.errors import VutraceError
from vutrace.records import EventKind
from vutrace.tap.work import prepare

EXAMPLES = Path(__file__).parent.parent / "docs/examples/scripts"
SET_OWNER, SET_MEM_TABLE, NUM, KICK, ENABLE, REPLY = 3, 5, 8, 12, 18, 5


def enable(ring: int, on: int = 1, flags: int = 1) -> bytes:
    return message(ENABLE, struct.pack("=II", ring, on), flags)


def lab_with(place: Path, script: Path | str) -> ActingLab:
    path = script
    if isinstance(script, str):
        path = place / "script.py"
        path.write_text(script)
    return ActingLab(place, scripts=[str(path)])


def test_a_kick_waits_for_rings_that_are_not_enabled(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, EXAMPLES / "kick_after_enable.py")
    front, back = lab.session()
    kick = message(KICK, struct.pack("=Q", 0))
    times = []
    for data in (message(NUM, struct.pack("=II", 0, 256)), kick, enable(0), kick):
        began = time.monotonic()
        send(front, data)
        assert receive_message(back)[0] == data
        times.append(time.monotonic() - began)
    assert times[1] > 0.15
    (note,) = events(lab.stop(), EventKind.NOTE)
    assert note.text == "the kick of q0 waits: 1 rings are not enabled"


def test_every_other_request_is_refused_in_each_session_anew(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, EXAMPLES / "refuse_every_other.py")
    for _ in range(2):
        front, back = lab.session()
        send(front, enable(0, flags=9))
        assert receive_message(back)[0] == enable(0, flags=9)
        send(front, enable(0, flags=9))
        assert receive_message(front)[0] == message(ENABLE, struct.pack("=Q", 1), REPLY)
        front.close()
        assert receive_message(back)[0] == b""
    lab.stop()


def test_memory_is_replaced(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lab = lab_with(tmp_path, EXAMPLES / "shrink_memory.py")
    front, back = lab.session()
    memory = os.memfd_create("guest")
    os.ftruncate(memory, 1 << 20)
    table = struct.pack("=IIQQQQ", 1, 0, 0, 1 << 20, 0, 0)
    send(front, message(SET_MEM_TABLE, table), [memory])
    data, (got,) = receive_message(back)
    assert data == message(SET_MEM_TABLE, table)
    assert os.fstat(got).st_size == 1 << 19
    close_all([memory, got])
    front.close()
    assert receive_message(back)[0] == b""
    (frame,) = frames(lab.stop())
    assert frame.acted
    assert [info.size for info in (*frame.fds, *frame.acted.fds)] == [1 << 19, 1 << 20]
    assert "session 1: 1 memory descriptors were replaced" in capfd.readouterr().err


def test_a_script_that_raises_is_a_line_and_the_message_passes_untouched(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, "def message(message):\n    message.drop()\n    message.nothing_like_that()\n")
    front, back = lab.session()
    send(front, enable(0))
    assert receive_message(back)[0] == enable(0)
    records = lab.stop()
    (note,) = events(records, EventKind.NOTE)
    assert note.text.startswith("script.py raised at SET_VRING_ENABLE ring 0, line 3: AttributeError: ")
    assert note.text.endswith("; it passes as it came")
    assert [frame.acted for frame in frames(records)] == [None]


def test_a_script_that_never_ends_stops_its_own_direction_only_and_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = lab_with(
        tmp_path,
        "WATCH = 'SET_VRING_ENABLE num=7'\ndef message(message):\n    while True:\n        pass\n",
    )
    front, back = lab.session()
    send(front, enable(0, 7))
    other_front, other_back = lab.session()
    for ring in range(20):
        send(other_front, enable(ring))
        assert receive_message(other_back)[0] == enable(ring)
    send(back, message(SET_OWNER, b"", REPLY))  # the other direction goes on
    assert receive_message(front)[0] == message(SET_OWNER, b"", REPLY)
    time.sleep(2.2)
    began = time.monotonic()
    records = lab.stop()
    assert time.monotonic() - began < 3
    (note,) = events(records, EventKind.NOTE)
    assert "have not decided about a message for 2 s" in note.text
    assert "connection A, session 1: rules or a script have not decided" in capfd.readouterr().err
    assert receive_message(back)[0] == enable(0, 7)  # let go at the end


def test_a_script_that_ends_its_process_lets_everything_pass(tmp_path: Path) -> None:
    lab = lab_with(tmp_path, "import os\ndef message(message):\n    os._exit(3)\n")
    front, back = lab.session()
    for ring in range(3):
        send(front, enable(ring))
        assert receive_message(back)[0] == enable(ring)
    lab.stop()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("def message(:\n", "SyntaxError: invalid syntax"),
        ("x = 1\n", "it has none of the functions opened, message and closed"),
        ("WATCH = 'SET_VRING_KIK'\ndef message(m): pass\n", "no message is called 'SET_VRING_KIK'"),
        ("raise KeyError(5)\n", "line 1: KeyError: 5"),
    ],
)
def test_a_script_that_cannot_be_used_is_told_before_anything_starts(
    tmp_path: Path, text: str, wanted: str
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(VutraceError) as told:
        prepare({"scripts": [str(path)]})
    assert f"-s {path}: " in str(told.value)
    assert wanted in str(told.value)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("SET_VRING_KICK", "MATCH : ACTION is needed"),
        ("* : drop", "the messages must be named"),
        ("SET_VRING_KICK : explode", "no action is called 'explode'"),
        ("SET_VRING_KICK : delay soon", "a time is needed, such as 500ms or 2s"),
        ("GET_FEATURES reply : answer ok", "a reply cannot be answered"),
        ("SET_VRING_NUM nun=3 : drop", "no message that is chosen has a field 'nun'; there are index, num"),
        ("SET_FEATURES features&MRGRXBUF : drop", "MRGRXBUF is neither a number nor a name"),
        ("SET_VRING_NUM when=0 : drop", "messages are counted from 1"),
    ],
)
def test_a_rule_that_cannot_be_used_is_told_before_anything_starts(rule: str, wanted: str) -> None:
    with pytest.raises(VutraceError) as told:
        prepare({"rule": [rule]})
    assert wanted in str(told.value)
    assert told.value.status == 2


def test_the_verb_says_what_is_wrong_in_a_line_and_leaves_no_socket(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("front", "back")]
    words = [sys.executable, "-m", "vutrace", "proxy", *paths, "--rule", "SET_VRING_KICK : explode"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("vutrace: rule 'SET_VRING_KICK : explode': no action is called 'explode'")
    assert ran.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())
