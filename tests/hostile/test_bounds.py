"""Floods, slow disks, few descriptors: the proxy stays small, sessions go on, and what is missing is told."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import Lab, events, frames, message, receive, receive_message, send, wait_for
from kit.proxy_process import Process, exchange, memory_of, recorder_of

from vutrace.capture import read
from vutrace.proxy import pair
from vutrace.proxy.session import MOST_CHANNELS
from vutrace.records import Event, EventKind, Frame, FrameFlag

MESSAGE = message(8)
CHUNK = MESSAGE * 5000
MEMORY = 256 << 10  # KiB, the default of --buffer


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


class Flood:
    """12-byte messages as fast as they are taken, from one end to the other."""

    def __init__(self, front: socket.socket, back: socket.socket) -> None:
        self.received = 0
        self._front, self._back = front, back
        self._stop = False
        back.settimeout(None)
        front.settimeout(None)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while not self._stop:
                self._front.sendall(CHUNK)

    def _receive(self) -> None:
        buffer = bytearray(1 << 20)
        with contextlib.suppress(OSError):
            while size := self._back.recv_into(buffer):
                self.received += size // len(MESSAGE)

    def end(self) -> int:
        """No more of it; how many messages arrived, once all did."""
        self._stop = True
        self._threads[0].join(10)
        self._front.shutdown(socket.SHUT_WR)
        self._threads[1].join(10)
        assert not self._threads[1].is_alive()
        return self.received


def told(records: list[Frame | Event]) -> int:
    """Messages that are in the capture, or in a gap of it."""
    gaps = events(records, EventKind.GAP)
    return len(frames(records)) + sum(int(gap.attributes["messages"]) for gap in gaps)


def memory(child: subprocess.Popen[bytes]) -> int:
    """KiB that the two processes of a proxy take."""
    return memory_of(child.pid) + memory_of(recorder_of(child))


def test_a_flood_takes_no_more_memory_than_it_may_and_what_is_missing_is_told(process: Process) -> None:
    child = process.start("-q", "-w", str(process.capture), "--buffer", "64M")
    front, back = process.session()
    flood = Flood(front, back)
    most = 0
    for _ in range(30):
        time.sleep(0.1)
        most = max(most, memory(child))
    arrived = flood.end()
    began = time.monotonic()
    said = process.stop(child, signal.SIGTERM)
    assert time.monotonic() - began < 2.0
    assert most < 64 << 10
    records = process.records()
    assert told(records) == arrived
    gaps = events(records, EventKind.GAP)
    assert gaps
    assert "what does not fit is counted" in said
    assert "frontend main request 8" in gaps[0].text
    assert int(gaps[0].attributes["first_ns"]) <= int(gaps[0].attributes["last_ns"])


def test_the_sender_waits_if_that_is_asked_for_and_nothing_is_missing(process: Process) -> None:
    words = ("--buffer", "64M", "--when-full", "wait")
    child = process.start("-q", "-w", str(process.capture), *words)
    front, back = process.session()
    flood = Flood(front, back)
    time.sleep(2)
    assert memory(child) < 64 << 10
    arrived = flood.end()
    wait_for(lambda: process.capture.stat().st_size > arrived * 100)
    assert process.stop(child) == ""
    assert len(frames(process.records())) == arrived


def test_what_is_not_kept_is_neither_queued_nor_encoded(process: Process) -> None:
    child = process.start("-q")
    before = memory(child)
    flood = Flood(*process.session())
    time.sleep(1)
    assert memory(child) - before < 4096
    assert time_used(recorder_of(child)) < 0.3
    flood.end()
    began = time.monotonic()
    process.stop(child)
    assert time.monotonic() - began < 0.5


def time_used(pid: int) -> float:
    """Seconds of processor time."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_second_signal_ends_it_at_once_with_a_readable_capture(process: Process) -> None:
    child = process.start("-q", "-w", str(process.capture))
    flood = Flood(*process.session())
    time.sleep(1.5)
    child.send_signal(signal.SIGTERM)
    for _ in range(5):  # pressed again and again; those that come within 0.2 s are one
        time.sleep(0.08)
        child.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert child.wait(5) == 128 + signal.SIGTERM
    assert time.monotonic() - began < 0.8
    assert told(process.records()) == flood.end()


def test_what_is_shown_from_takes_no_more_disk_than_it_may(process: Process, tmp_path: Path) -> None:
    bound = 4 << 20
    output, into = os.pipe()
    child = process.start("-w", "-", "--spool", "4M", stdout=into)
    os.close(into)
    copy = tmp_path / "copy"
    reading = threading.Event()
    reading.set()

    def keep() -> None:
        with copy.open("wb") as file:
            while data := os.read(output, 1 << 16):
                file.write(data)
                reading.wait()

    reader = threading.Thread(target=keep)
    reader.start()
    front, back = process.session()
    exchange(front, back)
    spool = next(
        f"/proc/{child.pid}/fd/{fd}"
        for fd in os.listdir(f"/proc/{child.pid}/fd")
        if "/#" in os.readlink(f"/proc/{child.pid}/fd/{fd}")
    )
    most = 0
    for turn in range(40):
        for _ in range(20):  # 1 MB
            send(front, message(8, bytes(50_000)))
            receive(back, 50_012)
        time.sleep(0.02)
        most = max(most, os.stat(spool).st_blocks * 512)
        if turn == 20:
            reading.clear()
    assert most < bound + (4 << 20)
    reading.set()
    time.sleep(1)
    send(front, message(1))
    receive_message(back)
    time.sleep(0.2)
    said = process.stop(child)
    reader.join(10)
    os.close(output)
    assert "--spool" in said
    records = [item for item in read(copy) if isinstance(item, Frame | Event)]
    assert told(records) == 803
    assert events(records, EventKind.GAP)


def limit(count: int) -> Callable[[], None]:
    """Before a process runs: it may open so many."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_descriptors_that_fit_are_not_lost_however_fast_they_come(process: Process) -> None:
    child = process.start("-q", "-w", str(process.capture), before=limit(400))
    front, back = process.session()
    event = os.eventfd(0)

    def flood() -> None:
        for _ in range(300):
            send(front, message(40, bytes(8)), [event] * 40)

    sender = threading.Thread(target=flood)
    sender.start()
    for _ in range(300):
        _, fds = receive_message(back)
        assert len(fds) == 40
        for fd in fds:
            os.close(fd)
    sender.join()
    os.close(event)
    assert process.stop(child) == ""
    assert not any(frame.flags & FrameFlag.FDS_LOST for frame in frames(process.records()))


def test_the_first_loss_of_a_descriptor_is_a_loud_line(process: Process) -> None:
    child = process.start("-q", "-w", str(process.capture), before=limit(64))
    front, back = process.session()
    event = os.eventfd(0)
    for _ in range(3):
        send(front, message(40, bytes(8)), [event] * 60)
        data, fds = receive_message(back)
        assert data == message(40, bytes(8))
        for fd in fds:
            os.close(fd)
    os.close(event)
    exchange(front, back)
    said = process.stop(child)
    assert said.count("DESCRIPTORS WERE LOST") == 1
    assert "64" in said
    lossy = [frame for frame in frames(process.records()) if frame.flags & FrameFlag.FDS_LOST]
    assert len(lossy) == 3


def test_a_session_more_than_there_may_be_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "MOST_SESSIONS", 2)
    lab = Lab(tmp_path)
    first, second = lab.session(), lab.session()
    for front, back in (first, second):
        send(front, message(1))
        assert receive_message(back)[0] == message(1)
    assert lab.connect().recv(1) == b""
    first[0].close()
    assert first[1].recv(1) == b""
    first[1].close()
    front, back = lab.session()
    send(front, message(3))
    assert receive_message(back)[0] == message(3)
    records = lab.stop()
    assert any("2 sessions are open" in event.text for event in events(records, EventKind.ERROR))


def test_a_channel_more_than_there_may_be_is_passed_on_untraced(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    front, back = lab.session()
    kept = []
    for _ in range(MOST_CHANNELS + 1):
        ours, theirs = socket.socketpair()
        send(front, message(21), [theirs.fileno()])
        _, (fd,) = receive_message(back)
        kept += [ours, theirs, socket.socket(fileno=fd)]
    kept[-1].sendall(message(1))
    assert kept[-3].recv(12) == message(1)
    records = lab.stop()
    for end in kept:
        end.close()
    assert [event.text for event in events(records, EventKind.ERROR)] == [
        f"back-end channel, passed by SET_BACKEND_REQ_FD: {MOST_CHANNELS} channels are open already;"
        " passed on untraced"
    ]
    assert len(events(records, EventKind.OPEN)) == MOST_CHANNELS + 1
