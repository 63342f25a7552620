"""What the recording process sees of the peers: debts, ends, and how they have mapped their memory."""

import mmap
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from kit.proxy_lab import Lab, message, receive_message, send, wait_for

from vutrace.records import Event, EventKind, Frame

# A back-end that answers nothing: connects to nobody, accepts one and reads.
SILENT = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
peer = listener.accept()[0]
while peer.recv(4096):
    pass
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A short path for sockets."""
    with TemporaryDirectory(prefix="vutrace-") as directory:
        yield Path(directory)


@pytest.fixture
def silent(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A back-end that answers nothing."""
    with subprocess.Popen([sys.executable, "-c", SILENT, str(place / "back")]) as process:
        wait_for((place / "back").exists)
        yield process
        process.kill()


def notes(lab: Lab) -> list[Event]:
    """The notes that are in the capture."""
    return [each for each in lab.items() if isinstance(each, Event) and each.kind is EventKind.NOTE]


def close_of(records: list[Frame | Event]) -> Event:
    """How the session ended."""
    (closed,) = (each for each in records if isinstance(each, Event) and each.kind is EventKind.CLOSE)
    return closed


def connected(lab: Lab, process: subprocess.Popen[bytes]) -> socket.socket:
    """A front-end that has got through."""
    front = lab.connect()
    send(front, message(1))
    wait_for(lambda: any(isinstance(each, Frame) for each in lab.items()))
    assert process.poll() is None
    return front


def test_a_stopped_process_that_owes_a_reply_is_told(place: Path, silent: subprocess.Popen[bytes]) -> None:
    lab = Lab(place, listen=False, stall=0.3)
    silent.send_signal(signal.SIGSTOP)
    front = connected(lab, silent)
    wait_for(lambda: notes(lab))
    (note,) = notes(lab)
    assert re.fullmatch(
        rf"waiting for 0\.\d s: the back-end \(.+, pid {silent.pid}\) owes the reply to GET_FEATURES;"
        r" its process is stopped \(T\)",
        note.text,
    )
    assert note.attributes["process"] == "is stopped (T)"
    front.close()
    assert close_of(lab.stop()).attributes["backend_process"] == "stopped"


def test_a_reply_after_a_stall_is_told(place: Path) -> None:
    lab = Lab(place, stall=0.2)
    front, back = lab.session()
    send(front, message(1))
    receive_message(back)
    wait_for(lambda: notes(lab))
    send(back, message(1, bytes(8), flags=5))
    wait_for(lambda: len(notes(lab)) == 2)
    assert "answered GET_FEATURES after 0." in notes(lab)[1].text
    front.close()
    back.close()
    lab.stop()


def test_no_stalls_are_told_where_nobody_wants_them(place: Path) -> None:
    lab = Lab(place, stall=0.0)
    front, back = lab.session()
    send(front, message(1))
    receive_message(back)
    time.sleep(0.5)
    front.close()
    back.close()
    assert not any(each.kind is EventKind.NOTE for each in lab.stop() if isinstance(each, Event))


@pytest.mark.parametrize(("number", "told"), [(signal.SIGKILL, "killed 9"), (signal.SIGTERM, "killed 15")])
def test_a_process_that_was_killed_is_told(
    place: Path, silent: subprocess.Popen[bytes], number: signal.Signals, told: str
) -> None:
    lab = Lab(place, listen=False)
    front = connected(lab, silent)
    silent.send_signal(number)
    assert receive_message(front) == (b"", [])
    front.close()
    attributes = close_of(lab.stop()).attributes
    assert attributes["backend_process"] == told
    assert attributes["frontend_process"] == "running"


@pytest.mark.parametrize(("flags", "told"), [(mmap.MAP_SHARED, "shared"), (mmap.MAP_PRIVATE, "private")])
def test_how_a_front_end_has_mapped_its_memory_is_told(place: Path, flags: int, told: str) -> None:
    lab = Lab(place)
    front, back = lab.session()
    memfd = os.memfd_create("guest")
    os.truncate(memfd, 4096)
    table = struct.pack("=IIQQQQ", 1, 0, 0, 4096, 0, 0)
    with mmap.mmap(memfd, 4096, flags=flags):
        send(front, message(5, table), [memfd])
        _, fds = receive_message(back)
        wait_for(lambda: any(isinstance(each, Frame) for each in lab.items()))
    for fd in (memfd, *fds):
        os.close(fd)
    front.close()
    back.close()
    (frame,) = (each for each in lab.stop() if isinstance(each, Frame))
    assert [info.mapped for info in frame.fds] == [told]


def test_processes_are_not_watched_for_longer_than_their_sessions(place: Path) -> None:
    lab = Lab(place)
    for _ in range(20):
        front, back = lab.session()
        front.close()
        receive_message(back)
        back.close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        front, back = lab.session()
        front.close()
        receive_message(back)
        back.close()
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before)
    lab.stop()
