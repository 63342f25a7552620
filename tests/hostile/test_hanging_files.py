"""File systems that stop answering, and descriptors that fail: no session notices, and SIGTERM is heard."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import events, frames, message, receive_message, send, wait_for
from kit.proxy_process import Process, exchange

from vutrace.records import EventKind, FdKind

END_SECONDS = 2.0
FAST = 0.25  # seconds: nothing of a hang is in an exchange that is quicker; this machine's hiccups are


class Disk:
    """A mounted `stalling_fs.py`, with one file."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self.file = place / "disk.img"
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stalling_fs.py")), str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._fds: list[int] = []
        self.ready = self._answer() == "ready"

    def _answer(self) -> str:
        assert self._server.stdout
        return self._server.stdout.readline().strip()

    def order(self, line: str) -> None:
        """`stall WORD`, `fail WORD` or `go`; see stalling_fs.py."""
        assert self._server.stdin
        print(line, file=self._server.stdin, flush=True)
        assert self._answer() == line

    def open(self) -> int:
        """A descriptor of the file, closed when all is over."""
        self._fds.append(os.open(self.file, os.O_RDWR))
        return self._fds[-1]

    def keep(self, fds: list[int]) -> None:
        """Close these, too, when all is over: until then that may hang."""
        self._fds += fds

    def close(self) -> None:
        """Answer again; nothing is left."""
        self.order("go")
        for fd in self._fds:
            os.close(fd)
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait(10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    if not disk.ready:
        pytest.skip("needs the right to mount (root) and /dev/fuse")
    yield disk
    disk.close()


@pytest.fixture
def process(tmp_path: Path, disk: Disk) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


def ends_in_time(process: Process, child: subprocess.Popen[bytes]) -> str:
    """What it says when SIGTERM ends it, which has to be soon."""
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=10)[1].decode()
    assert time.monotonic() - began < END_SECONDS
    assert child.returncode == 128 + signal.SIGTERM
    assert not (process.place / "front").exists()
    return said


def pass_on(front: socket.socket, back: socket.socket, fd: int) -> list[int]:
    """Pass a descriptor; what arrives."""
    send(front, message(40, bytes(8)), [fd])
    return receive_message(back)[1]


def test_an_open_file_of_a_peer_that_hangs_stops_nobody(process: Process, disk: Disk) -> None:
    child = process.start("-q", "-w", str(process.capture))
    one, other = process.session(), process.session()
    disk.open()  # both peers are this process: a disk image, never passed
    disk.order("stall getattr")
    memory = os.memfd_create("guest-ram")
    os.close(pass_on(*one, memory)[0])
    os.close(memory)
    time.sleep(0.1)  # the look through /proc/PID/fd is under way
    assert exchange(*one, 200) < FAST
    assert exchange(*other, 200) < FAST
    assert ends_in_time(process, child) == ""
    assert len(frames(process.records())) == 801


@pytest.mark.parametrize("call", ["getattr", "flush"])
def test_a_passed_file_that_hangs_stops_nobody(process: Process, disk: Disk, call: str) -> None:
    child = process.start("-q", "-w", str(process.capture))
    one, other = process.session(), process.session()
    file = disk.open()
    disk.order(f"stall {call}")
    for _ in range(3):
        disk.keep(pass_on(*one, file))
        assert exchange(*one, 100) < FAST
        assert exchange(*other, 100) < FAST
    time.sleep(1.5)
    assert exchange(*one, 10) < FAST
    ends_in_time(process, child)
    passed = [info for frame in frames(process.records()) for info in frame.fds if frame.data[0] == 40]
    assert len(passed) == 3
    if call == "getattr":
        assert {(info.kind, info.name) for info in passed} == {
            (FdKind.OTHER, "(not known: its file system does not answer)")
        }
    else:
        assert passed[0].kind is FdKind.FILE  # what it is could be seen, but then its mount hung
    assert len(frames(process.records())) == 3 + 1220


def test_what_hung_is_closed_when_it_answers(process: Process, disk: Disk) -> None:
    child = process.start("-q", "-w", str(process.capture))
    session = process.session()
    exchange(*session)
    time.sleep(0.1)
    before = len(os.listdir(f"/proc/{child.pid}/fd"))
    for call in ("getattr", "flush"):
        disk.order(f"stall {call}")
        for _ in range(4):
            disk.keep(pass_on(*session, disk.open()))
            time.sleep(0.02)
        time.sleep(1.2)
        disk.order("go")
        wait_for(lambda: len(os.listdir(f"/proc/{child.pid}/fd")) == before)
    assert ends_in_time(process, child) == ""


def test_a_descriptor_whose_close_fails_ends_nothing(process: Process, disk: Disk) -> None:
    child = process.start("-q", "-w", str(process.capture))
    one, other = process.session(), process.session()
    file = disk.open()
    disk.order("fail flush")
    disk.keep(pass_on(*one, file))
    exchange(*one, 50)
    exchange(*other, 50)
    disk.order("go")
    assert ends_in_time(process, child) == ""
    assert len(frames(process.records())) == 201


@pytest.mark.parametrize("calls", ["write", "write flush"])
def test_a_capture_that_hangs_stops_nobody(process: Process, disk: Disk, calls: str) -> None:
    child = process.start("-q", "-w", str(disk.file))
    one, other = process.session(), process.session()
    exchange(*one)
    time.sleep(0.1)
    disk.order(f"stall {calls}")
    for _ in range(3):
        assert exchange(*one, 200) < FAST
        assert exchange(*other, 200) < FAST
    assert "the end of the capture is missing" in ends_in_time(process, child)


def test_a_hang_outlives_no_peer(process: Process, disk: Disk) -> None:
    child = process.start("-q", "-w", str(process.capture))
    one, other = process.session(), process.session()
    disk.order("stall getattr")
    disk.keep(pass_on(*one, disk.open()))
    time.sleep(0.05)
    child.kill()
    child.wait(5)
    for front, back in (one, other):  # each sees that the relay is gone
        for end in (front, back):
            end.settimeout(2)
            assert end.recv(1) == b""
    wait_for(lambda: len(events(process.records(), EventKind.OPEN)) == 2)
