"""`vutrace proxy` as a process: how it starts, stops and fails; nothing but its peers can hold it up."""

import json
import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, frames, wait_for
from kit.proxy_process import PROXY, Process, Words, exchange, memory_of, recorder_of, viewer_of

from vutrace.cli.board import LEAVE
from vutrace.records import Event


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_with_a_whole_capture(process: Process, number: int, status: int) -> None:
    child = process.start("-q", "-w", str(process.capture))
    front, back = process.session()
    exchange(front, back, 10)
    assert process.stop(child, number) == ""
    assert child.returncode == status
    assert len(frames(process.records())) == 20
    assert os.stat(process.capture).st_mode & 0o777 == 0o600
    assert not (process.place / "front").exists()
    assert front.recv(1) == back.recv(1) == b""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_starts_leaves_no_socket(process: Process, number: int, status: int) -> None:
    # `start` returns as soon as the socket is there, when the relay itself is not yet
    child = process.start("-q")
    assert process.stop(child, number) == ""
    assert child.returncode == status
    assert not (process.place / "front").exists()


def test_an_ignored_interrupt_still_ends_it(process: Process) -> None:
    def as_a_shell_does() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    child = process.start("-q", before=as_a_shell_does)
    process.session()
    process.stop(child)
    assert child.returncode == 130


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["one"],
        ["a", "b", "c"],
        ["a", "b", "c", "d"],
        ["--also", "a", "b", "c", "--also"],
        ["fd:x", "b"],
        ["a", "b", "-a", "packets:3"],
        ["a", "b", "-a", "duration:x"],
        ["a", "b", "-c", "0"],
        ["a", "b", "--socket-mode", "rw"],
        ["a", "b", "--wait", "-1"],
        ["a", "a"],
        ["a", "b", "--also", "c", "./a"],
        ["a", "b", "--board", "-q"],
        ["a", "b", "--device", "nett"],
        ["a", "b", "--dissector", "nothing.py"],
    ],
)
def test_usage_errors_are_2_and_clear(words: Words, tmp_path: Path) -> None:
    done = subprocess.run([*PROXY, *words], capture_output=True, text=True, cwd=tmp_path, timeout=20)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    assert not list(tmp_path.iterdir())


def test_a_capture_is_not_written_onto_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = [*PROXY, "a", "b", "-w", "-"]
    done = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=20)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert (
        done.stderr == "vutrace: -w -: stdout is a terminal; pipe the capture on, as in -w - | tshark -r -\n"
    )


def test_the_board_hides_no_note(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = [*PROXY, "front", "nobody", "--board"]
    child = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path)
    os.close(theirs)
    try:
        seen = read_terminal(ours, "\x1b[?1049h")
        with socket.socket(socket.AF_UNIX) as turned_away:
            turned_away.connect(str(tmp_path / "front"))
            assert turned_away.recv(1) == b""
        child.send_signal(signal.SIGINT)
        seen += read_terminal(ours, "nobody cannot be reached")
        assert child.wait(SECONDS) == 130
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    assert "\x1b[?1049l" in seen
    assert "cannot be reached" not in seen.partition("\x1b[?1049l")[0]


def read_terminal(terminal: int, wanted: str) -> str:
    """What a program writes up to and with `wanted`."""
    seen, until = "", time.monotonic() + SECONDS
    while wanted not in seen and time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    assert wanted in seen, seen
    return seen


def test_a_socket_in_use_is_4_and_one_line(process: Process) -> None:
    back = str(process.place / "back")
    done = subprocess.run([*PROXY, back, "other"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 4
    assert done.stderr == f"vutrace: listen:{back}: in use by another process\n"


def test_a_capture_that_cannot_be_written_is_one_line_and_no_socket(tmp_path: Path) -> None:
    words = [str(tmp_path / "f"), "b", "-w", str(tmp_path / "none" / "x.pcapng")]
    done = subprocess.run([*PROXY, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "No such file" in done.stderr
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(("word", "note"), [("--also", ""), ("--pair", "--pair is called --also now")])
def test_several_pairs_in_one_process(process: Process, word: str, note: str) -> None:
    place = process.place
    pairs = [word, f"{place}/f1", f"{place}/back", word, f"{place}/f2", f"{place}/back"]
    child = process.start("-q", "-w", str(process.capture), *pairs)
    for name in ("front", "f1", "f2"):
        front = connected(place / name)
        exchange(front, process.listener.accept()[0])
    assert note in process.stop(child)
    assert [frame.connection for frame in frames(process.records())] == [0, 0, 1, 1, 2, 2]


def connected(path: Path) -> socket.socket:
    """A front-end, as soon as somebody listens there."""
    front = socket.socket(socket.AF_UNIX)
    wait_for(lambda: front.connect_ex(str(path)) == 0)
    return front


def test_rows_appear_while_it_runs(process: Process) -> None:
    child = process.start("-w", str(process.capture), stdout=subprocess.PIPE)
    front, back = process.session()
    exchange(front, back)
    assert child.stdout
    seen = b""
    while b"= ok" not in seen:
        more = os.read(child.stdout.fileno(), 4096)
        assert more, seen
        seen += more
    child.send_signal(signal.SIGINT)
    rest = child.communicate(timeout=20)[0]
    assert b"close" in rest
    assert child.returncode == 130


def test_a_device_that_is_named_is_in_the_capture_and_its_dissector_names_rings(process: Process) -> None:
    plugin = process.place.parent / "acme.py"
    plugin.write_text(
        "from vutrace.plugin import Device\n"
        "DEVICE = Device('acme', ring_name=lambda index, features: f'acme{index}')\n"
    )
    words = ("-w", str(process.capture), "--device", "acme", "--dissector", str(plugin))
    child = process.start(*words, stdout=subprocess.PIPE)
    exchange(*process.session())
    child.send_signal(signal.SIGINT)
    assert b"acme0  SET_VRING_CALL" in child.communicate(timeout=20)[0]
    opened = next(each for each in process.records() if isinstance(each, Event))
    assert opened.attributes["device"] == "acme"


def test_rows_need_no_capture_file(process: Process) -> None:
    child = process.start("--no-fold", stdout=subprocess.PIPE)
    front, back = process.session()
    exchange(front, back, 3)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20)[0].count(b"SET_VRING_CALL") == 6
    assert {path.name for path in process.place.iterdir()} == {"back"}


def test_the_capture_goes_to_stdout_whole(process: Process) -> None:
    child = process.start("-w", "-", stdout=subprocess.PIPE)
    front, back = process.session()
    exchange(front, back, 50)
    child.send_signal(signal.SIGINT)
    process.capture.write_bytes(child.communicate(timeout=20)[0])
    assert len(frames(process.records())) == 100


def test_a_reader_of_stdout_that_goes_away_is_told_and_no_session_notices(process: Process) -> None:
    reads, writes = os.pipe()
    child = process.start("-w", "-", stdout=writes)
    os.close(writes)
    front, back = process.session()
    exchange(front, back)
    assert os.read(reads, 4)
    os.close(reads)
    assert child.stderr is not None
    for line in child.stderr:  # it comes without anything more being recorded
        if b"nobody reads the capture any more: recording ends here" in line:
            break
    exchange(front, back)
    process.stop(child)
    assert child.returncode == 130


def stop_viewer(viewer: int) -> None:
    os.kill(viewer, signal.SIGSTOP)


def kill_viewer(viewer: int) -> None:
    os.kill(viewer, signal.SIGKILL)


@pytest.mark.parametrize("disturb", [stop_viewer, kill_viewer, lambda viewer: None])
@pytest.mark.parametrize("words", [[], ["-w", "-"]])
def test_no_viewer_can_hold_up_or_harm_a_session(
    process: Process, disturb: Callable[[int], None], words: Words
) -> None:
    # Its stdout is a pipe that nobody reads: full soon.
    record = words if words else ["-w", str(process.capture)]
    child = process.start(*record, stdout=subprocess.PIPE)
    front, back = process.session()
    exchange(front, back)
    viewer = viewer_of(child)
    disturb(viewer)
    assert exchange(front, back, 3000) < 1.0
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
    if not words:
        assert len(frames(process.records())) == 6002
    with open(f"/proc/{viewer}/stat") if os.path.exists(f"/proc/{viewer}") else open(os.devnull) as alive:
        if alive.read():
            os.kill(viewer, signal.SIGKILL)


def test_a_full_file_system_ends_the_recording_and_nothing_else(process: Process) -> None:
    limit = 20_000
    child = process.start(
        "-q",
        "-w",
        str(process.capture),
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    front, back = process.session()
    assert exchange(front, back, 500) < 1.0
    said = process.stop(child)
    assert child.returncode == 130
    kept = process.records()
    assert 20 < len(kept) < 1002
    assert limit - 400 < process.capture.stat().st_size <= limit
    loud, counted = said.splitlines()
    assert "RECORDING STOPPED: File too large" in loud
    # 1000 messages, and that the session opened and closed.
    assert counted == f"vutrace: {1002 - len(kept)} records are not in the capture"


def test_a_killed_proxy_leaves_a_readable_capture_and_a_socket_that_is_replaced(process: Process) -> None:
    child = process.start("-q", "-w", str(process.capture))
    front, back = process.session()
    exchange(front, back, 10)
    time.sleep(0.1)
    child.kill()
    child.communicate()
    assert len(frames(process.records())) == 20
    assert (process.place / "front").exists()
    child = process.start("-q")
    exchange(*process.session())
    process.stop(child)


def test_it_needs_neither_scapy_nor_pyshark_nor_the_views(tmp_path: Path) -> None:
    code = (
        "import json, sys; sys.argv = ['vutrace', 'proxy', 'f', 'b', '-q', '-a', 'duration:0']\n"
        "from vutrace.cli import main\n"
        "try: main()\n"
        "finally: print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=20
    )
    modules = json.loads(done.stdout)
    assert not [name for name in modules if name.split(".")[0] in ("scapy", "pyshark")]


def test_memory_and_descriptors_do_not_grow(process: Process) -> None:
    child = process.start("-q", "-w", os.devnull)

    def cycles(count: int) -> tuple[int, int]:
        for turn in range(count):
            front, back = process.session()
            exchange(front, back, 3)
            front.close()
            back.close()
            if turn % 100 == 99:
                settle()  # who records may be behind, on a busy machine for long
        memory = [memory_of(pid, "Pss_Anon") for pid in (child.pid, recorder_of(child))]
        return open_files(), sum(memory)

    def open_files() -> int:
        return len(os.listdir(f"/proc/{child.pid}/fd"))

    def settle() -> None:
        last = -1
        while (now := open_files()) != last:
            last = now
            time.sleep(0.1)

    before = cycles(600)  # until what is kept of the latest sessions is full
    after = cycles(900)
    assert after[0] <= before[0]
    assert after[1] - before[1] < 1024  # KiB
    process.stop(child)


def test_it_says_where_it_listens_and_in_the_end_what_there_is(process: Process, tmp_path: Path) -> None:
    kept, rows = tmp_path / "kept.pcapng", tmp_path / "rows"
    with rows.open("wb") as stdout:
        child = process.start("-w", str(kept), stdout=stdout)
    front, back = process.session()
    front.close()
    back.close()
    wait_for(lambda: b"closed" in rows.read_bytes())  # nothing is left of which it would have to be said
    first, second, last = process.stop(child).splitlines()
    assert first.startswith(f"vutrace: front-end: listening on {process.place / 'front'}, mode 0600: only ")
    assert second == f"vutrace: back-end: {process.place / 'back'}: there, and listening"
    assert last == f"vutrace: 1 session in {kept}; what became of it: vutrace check {kept}"


def test_who_only_records_is_told_nothing(process: Process, tmp_path: Path) -> None:
    child = process.start("-q", "-w", str(tmp_path / "kept.pcapng"))
    assert process.stop(child) == ""


def test_the_board_of_a_proxy_has_keys_and_q_ends_the_proxy(process: Process) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(
            sys.executable, [*PROXY, str(process.place / "front"), str(process.place / "back"), "--board"]
        )
    seen = b""

    def read_until(wanted: bytes) -> None:
        nonlocal seen
        until = time.monotonic() + SECONDS
        while wanted not in seen:
            assert select.select([terminal], [], [], SECONDS)[0], seen[-2000:]
            assert time.monotonic() < until, seen[-2000:]
            seen += os.read(terminal, 65536)
        seen = seen.partition(wanted)[2]

    try:
        read_until(b"q end")
        ends = process.session()
        read_until(b"session 1, ")
        os.write(terminal, b"q")
        read_until(LEAVE.encode())
        read_until(b"session 1 (closed)")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
        assert ends[0].recv(1) == b""
    finally:
        os.close(terminal)  # which ends what is left


def test_who_ends_the_whole_process_group_gets_all_rows_and_no_complaint(process: Process) -> None:
    rows = process.place / "rows"
    with rows.open("wb") as file:
        child = process.start(stdout=file, before=os.setsid)
    exchange(*process.session(), 3)
    wait_for(lambda: "open" in rows.read_text())  # its viewer is there; timeout(1) sends its signal twice
    os.kill(child.pid, signal.SIGTERM)
    os.killpg(child.pid, signal.SIGTERM)
    told = child.communicate(timeout=20)[1].decode()
    assert child.returncode == 143
    assert "viewer" not in told
    assert re.search(r"^ +8 = .*close", rows.read_text(), re.MULTILINE)
