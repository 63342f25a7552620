"""The proxy where it can hardly start: files that are none, a capture that is taken, too little of all."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, message, receive_message, send, wait_for

from vutrace.capture import read
from vutrace.records import Frame
from vutrace.sockets.endpoints import How, parse_endpoint
from vutrace.sockets.presence import place

PROXY = [sys.executable, "-m", "vutrace", "proxy"]
Limits = Callable[[], None]


class Start:
    """Proxies between `front` and `back`, a back-end's, in `place`."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.capture = place / "x.pcapng"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(place / "back"))
        self.listener.listen()
        self.listener.settimeout(SECONDS)
        self._children: list[subprocess.Popen[str]] = []

    def run(self, *words: str, before: Limits | None = None, name: str = "front") -> subprocess.Popen[str]:
        """One proxy, which may end at once."""
        paths = [str(self.place / name), str(self.place / "back")]
        self._children.append(
            subprocess.Popen(
                [*PROXY, *paths, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=before,
            )
        )
        return self._children[-1]

    def exchange(self, times: int = 1) -> None:
        """A session of so many requests with their replies."""
        with socket.socket(socket.AF_UNIX) as front:
            front.settimeout(SECONDS)
            wait_for(lambda: front.connect_ex(str(self.place / "front")) == 0)
            back = self.listener.accept()[0]
            back.settimeout(SECONDS)
            for _ in range(times):
                send(front, message(1))
                assert receive_message(back)[0] == message(1)
                send(back, message(1, bytes(8), flags=5))
                receive_message(front)
            back.close()

    def close(self) -> None:
        """Leave nothing running."""
        self.listener.close()
        for child in self._children:
            if child.poll() is None:
                child.kill()
            child.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    start = Start(tmp_path)
    yield start
    start.close()


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Its status and what it said."""
    said = child.communicate(timeout=SECONDS)[1]
    return child.returncode, said


def test_a_fifo_without_a_reader_is_one_line_and_no_socket(start: Start) -> None:
    os.mkfifo(start.capture)
    child = start.run("-q", "-w", str(start.capture))
    assert ended(child) == (
        3,
        f"vutrace: {start.capture}: a FIFO that nobody reads; start its reader first\n",
    )
    assert not (start.place / "front").exists()


@pytest.mark.parametrize("words", [[], ["--board"]])
def test_rows_are_not_read_out_of_somebody_elses_fifo(start: Start, words: list[str]) -> None:
    os.mkfifo(start.capture)
    status, said = ended(start.run("-w", str(start.capture), *words))
    assert (status, said.count("\n")) == (2, 1)
    assert "add -q" in said


def test_a_fifo_gives_its_reader_the_whole_capture(start: Start) -> None:
    os.mkfifo(start.capture)
    with open(start.place / "copy", "wb") as copy:
        reader = subprocess.Popen(["cat", str(start.capture)], stdout=copy)
        time.sleep(0.2)  # cat has to be there
        child = start.run("-q", "-w", str(start.capture))
        start.exchange(50)
        child.send_signal(signal.SIGTERM)
        assert ended(child) == (143, "")
        reader.wait(SECONDS)
    assert sum(isinstance(item, Frame) for item in read(start.place / "copy")) == 100


def test_two_proxies_do_not_write_into_one_capture(start: Start) -> None:
    first = start.run("-q", "-w", str(start.capture))
    start.exchange(10)
    second = start.run("-q", "-w", str(start.capture), name="other")
    assert ended(second) == (3, f"vutrace: {start.capture}: another vutrace writes to it\n")
    assert not (start.place / "other").exists()
    start.exchange(10)
    first.send_signal(signal.SIGTERM)
    assert ended(first) == (143, "")
    assert sum(isinstance(item, Frame) for item in read(start.capture)) == 40


def test_a_capture_that_is_removed_while_it_runs_is_put_back(start: Start) -> None:
    child = start.run("-q", "-w", str(start.capture))
    start.exchange(10)
    start.capture.unlink()
    start.exchange(10)
    child.send_signal(signal.SIGTERM)
    status, said = ended(child)
    assert status == 143
    assert said.splitlines() == [
        f"vutrace: {start.capture}: it was removed; it is put back at the end",
        f"vutrace: {start.capture}: it was removed while vutrace wrote to it;"
        f" the capture is in {start.capture}",
    ]
    assert sum(isinstance(item, Frame) for item in read(start.capture)) == 40


def test_a_capture_that_is_truncated_while_it_runs_goes_on_in_a_readable_one(start: Start) -> None:
    child = start.run("-q", "-w", str(start.capture))
    start.exchange(10)
    os.truncate(start.capture, 100)
    start.exchange(10)
    child.send_signal(signal.SIGTERM)
    status, said = ended(child)
    assert status == 143
    assert said == (
        f"vutrace: {start.capture}: another program has changed it;"
        f" the recording goes on in {start.capture}.1\n"
    )
    assert sum(isinstance(item, Frame) for item in read(f"{start.capture}.1")) >= 20


def nofile(count: int) -> Limits:
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def memory(size: int) -> Limits:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.parametrize("count", [*range(5, 16), 20, 63])
def test_few_descriptors_are_one_line_and_no_socket(start: Start, count: int) -> None:
    status, said = ended(start.run(before=nofile(count)))
    refused(start, status, said)


def test_enough_descriptors_are_enough(start: Start) -> None:
    child = start.run("-q", "-w", str(start.capture), before=nofile(64))
    start.exchange(10)
    child.send_signal(signal.SIGTERM)
    assert ended(child) == (143, "")


@pytest.mark.parametrize("size", [25 << 20, 30 << 20, 35 << 20, 45 << 20])
def test_little_memory_is_one_line_and_no_socket_or_enough(start: Start, size: int) -> None:
    child = start.run("-q", before=memory(size))
    wait_for(lambda: child.poll() is not None or (start.place / "front").exists())
    time.sleep(1)  # it listens before it finds out
    if child.poll() is None:
        start.exchange()
        child.send_signal(signal.SIGTERM)
    status, said = ended(child)
    if status != 143:
        refused(start, status, said)


def refused(start: Start, status: int, said: str) -> None:
    """One line, or the interpreter's own where not even that could load."""
    assert "Traceback" not in said
    assert status in (1, 4)
    assert status == 1 or said.startswith("vutrace: the system gives too little to run:")
    assert status == 1 or said.count("\n") == 1
    assert not (start.place / "front").exists()


# What RLIMIT_NPROC does, which does not bind root.
NO_THREAD = """
import threading
def start(self):
    raise RuntimeError("can't start new thread")
threading.Thread.start = start
"""
NO_PROCESS = """
import subprocess
def __init__(self, *_, **__):
    raise BlockingIOError(11, "Resource temporarily unavailable")
subprocess.Popen.__init__ = __init__
"""
RUN = "import sys; sys.argv[0] = 'vutrace'; from vutrace.__main__ import main; main()"


def test_no_thread_is_one_line_and_no_socket(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PROXY", [sys.executable, "-c", NO_THREAD + RUN, "proxy"])
    assert ended(start.run("-q", "-w", str(start.capture))) == (
        4,
        "vutrace: the system gives too little to run: threads (see ulimit -a)\n",
    )
    assert not (start.place / "front").exists()


def test_no_process_for_the_rows_is_a_note_and_the_relay_goes_on(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PROXY", [sys.executable, "-c", NO_PROCESS + RUN, "proxy"])
    child = start.run("-w", str(start.capture))
    start.exchange(10)
    child.send_signal(signal.SIGTERM)
    back = start.place / "back"
    assert ended(child) == (
        143,
        f"vutrace: front-end: {place(parse_endpoint(str(start.place / 'front'), How.LISTEN), 0o600)}\n"
        f"vutrace: back-end: {back}: there, and listening\n"
        "vutrace: nothing is shown: Resource temporarily unavailable (see ulimit -a)\n"
        f"vutrace: 1 session in {start.capture}; what became of it: vutrace check {start.capture}\n",
    )
    assert sum(isinstance(item, Frame) for item in read(start.capture)) == 20


# Asks, instead of waiting for a signal that comes between the last look and the sleep, which is rare.
HEARD = """
import os, signal, sys
from vutrace.proxy.relay import LiveView, Options, Relay
from vutrace.sockets.endpoints import Endpoint, How
ends = Endpoint(How.LISTEN, sys.argv[1]), Endpoint(How.CONNECT, "nobody")
relay = Relay(Options([ends], show=LiveView.NOTHING))
relay.own_process()
told = signal.set_wakeup_fd(-1)
assert told >= 0, "no descriptor tells the loop of signals"
before = relay._loop._epoll.poll(0)
signal.set_wakeup_fd(told)
os.write(told, b"x")
assert relay._loop._epoll.poll(0) != before
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(relay.run())
"""


def test_a_signal_is_an_event_of_the_loop_and_is_never_slept_through(start: Start) -> None:
    words = [sys.executable, "-c", HEARD, str(start.place / "front")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (143, "")
