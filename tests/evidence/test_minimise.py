"""The smallest conversation after which a back-end fails: nothing in it can be left out."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_imports import process

from vutrace.capture import read
from vutrace.protocol.wire import LITTLE
from vutrace.records import Frame, Side
from vutrace.replay.minimise import fewest
from vutrace.replay.trial import PeerFailure, failure_of

CAPTURES = Path(__file__).parent.parent.parent / "captures"
RULE = "end.left-in-handshake"
BLK = CAPTURES / "qemu-7.2-storage-daemon-blk.pcapng"

# Answers what it must, and ends with status 4 when an enabled ring 0 is kicked after its size was set.
BACKEND = """
import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
end, _ = listener.accept()
sized = False
while True:
    head, fds, _, _ = socket.recv_fds(end, 12, 64)
    if len(head) < 12:
        sys.exit(0)
    request, flags, size = struct.unpack("<III", head)
    payload = end.recv(size, socket.MSG_WAITALL) if size else b""
    sized = sized or request == 8
    if request == 12 and sized:
        WAY
    if request in (1, 15, 17, 11, 24, 36) or flags & 8:
        answer = payload if request == 24 else bytes(8)
        end.send(struct.pack("<III", request, 5, len(answer)) + answer)
"""


def backend(tmp_path: Path, way: str = "sys.exit(4)") -> str:
    """The command of such a back-end."""
    path = tmp_path / "backend.py"
    path.write_text(BACKEND.replace("WAY", way))
    return f"{sys.executable} {path} {{socket}}"


def requests(path: Path) -> list[int]:
    return [
        LITTLE.unpack_from(item.data)[0]
        for item in read(path)
        if isinstance(item, Frame) and item.sender is Side.FRONTEND
    ]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40, unique=True), st.data())
def test_no_single_item_can_be_left_out(items: list[int], data: st.DataObject) -> None:
    needed = set(data.draw(st.lists(st.sampled_from(items), min_size=1, max_size=4)))
    asked = list[tuple[int, ...]]()

    def fails(chosen: Sequence[int]) -> bool:
        asked.append(tuple(chosen))
        return needed <= set(chosen)

    assert fewest(items, fails) == [item for item in items if item in needed]
    assert all(list(each) == [item for item in items if item in each] for each in asked)


def test_a_back_end_that_ends_with_a_status(tmp_path: Path) -> None:
    small, script = tmp_path / "small.pcapng", tmp_path / "small.py"
    command = backend(tmp_path)
    words = ["minimise", BLK, "--start", command, "--until", "exit 4", "-o", small, "--script", script]
    ran = process(*words)
    assert ran.returncode == 0, ran.stderr
    assert "32 requests became 2 in" in ran.stderr
    assert requests(small) == [8, 12]
    path = tmp_path / "sock"
    with subprocess.Popen([*command.replace("{socket}", str(path)).split()]) as daemon:
        while not path.exists():
            pass
        subprocess.run([sys.executable, script, path], check=True)
        assert daemon.wait(10) == 4
    again = process("minimise", small, "--start", command, "--until", "exit 4")
    assert "2 requests became 2" in again.stderr


def test_one_that_a_signal_ends(tmp_path: Path) -> None:
    command = backend(tmp_path, "os.abort()")
    ran = process("minimise", BLK, "--start", command, "--until", "signal ABRT")
    assert (ran.returncode, "became 2 in" in ran.stderr) == (0, True), ran.stderr
    other = process("minimise", BLK, "--start", command, "--until", "signal SEGV")
    assert other.returncode == 1
    assert "does not fail (signal 11) after these 32 requests" in other.stderr


def test_a_rule_that_is_broken_counts_as_failing(tmp_path: Path) -> None:
    command = backend(tmp_path, "pass").replace(".py", "-leaves.py")
    leaves = (
        (tmp_path / "backend.py")
        .read_text()
        .replace("sized = sized or request == 8", "request == 3 and sys.exit(0)")
    )
    (tmp_path / "backend-leaves.py").write_text(leaves)
    ran = process("minimise", BLK, "--start", command, "--until-finding", RULE)
    assert (ran.returncode, "became 1 in" in ran.stderr) == (0, True), ran.stderr
    assert "SET_OWNER" in ran.stderr


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("exit 4", PeerFailure("exit", "4")),
        ("exit", PeerFailure("exit")),
        ("signal SEGV", PeerFailure("signal", "11")),
        ("signal SIGSEGV", PeerFailure("signal", "11")),
        ("signal 6", PeerFailure("signal", "6")),
        ("signal", PeerFailure("signal")),
        ("closed", PeerFailure("closed")),
        ("gone", PeerFailure("gone")),
    ],
)
def test_what_counts_as_failing(text: str, failure: PeerFailure) -> None:
    assert failure_of(text) == failure


def test_usage_is_one_line(tmp_path: Path) -> None:
    for words, status in (
        (["minimise", BLK, "--start", "true {socket}", "--until", "explode"], 2),
        (["minimise", BLK, "--until", "exit 4"], 2),
        (["minimise", BLK, "--start", "true {socket}", "--until", "exit 4"], 4),
        (["minimise", BLK, "--start", "/nowhere/at-all {socket}", "--until", "exit"], 4),
    ):
        ran = process(*words)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (status, 1), ran.stderr
