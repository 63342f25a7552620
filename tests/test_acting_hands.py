"""`vutrace proxy --intercept` on a terminal: what waits, and what is typed about it."""

import os
import pty
import select
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import events, frames, message, receive_message, send
from kit.proxy_process import PROXY, Process

from vutrace.records import EventKind

ENABLE, REPLY = 18, 5


def enable(ring: int, on: int = 1) -> bytes:
    return message(ENABLE, struct.pack("=II", ring, on))


class Terminal:
    """A proxy whose standard input and error are a terminal."""

    def __init__(self, process: Process) -> None:
        self._ours, theirs = pty.openpty()
        paths = [str(process.place / name) for name in ("front", "back")]
        words = [*PROXY, *paths, "-q", "-w", str(process.capture), "--intercept", "SET_VRING_ENABLE"]
        self.child = subprocess.Popen(words, stdin=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.text = ""

    def sees(self, wanted: str) -> None:
        """Wait until it is on the screen, from what was seen last on."""
        until = time.monotonic() + 10
        while wanted not in self.text:
            assert time.monotonic() < until, self.text
            if select.select([self._ours], [], [], 0.1)[0]:
                self.text += os.read(self._ours, 4096).decode()
        self.text = self.text.split(wanted, 1)[1]

    def types(self, text: str) -> None:
        """A line."""
        os.write(self._ours, f"{text}\n".encode())

    def close(self) -> None:
        """Leave nothing running."""
        self.child.kill()
        self.child.wait()
        os.close(self._ours)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.close()


def test_messages_wait_and_are_stepped_edited_answered_and_dropped(process: Process) -> None:
    terminal = Terminal(process)
    front, back = process.session()
    for ring in range(4):
        send(front, enable(ring))
    terminal.sees("1 waits 0.0 s: A session 1 SET_VRING_ENABLE ring 0 index=0x0 num=0x1")
    terminal.types("set num=nonsense")
    terminal.sees("nonsense is neither a number nor a name that the field has")
    terminal.types("set num=0")
    terminal.sees("num=0x0")
    terminal.types("")
    assert receive_message(back)[0] == enable(0, 0)
    terminal.sees("ring 1 index=0x1")
    terminal.types("answer error")
    assert receive_message(front)[0] == message(ENABLE, struct.pack("=Q", 1), REPLY)
    terminal.sees("ring 2 index=0x2")
    terminal.types("drop")
    terminal.sees("ring 3 index=0x3")
    terminal.types("continue")
    assert receive_message(back)[0] == enable(3)
    send(front, enable(4))
    assert receive_message(back)[0] == enable(4)
    terminal.child.send_signal(signal.SIGINT)
    assert terminal.child.wait(10) == 130
    terminal.close()
    records = process.records()
    assert [frame.data for frame in frames(records)] == [
        enable(0, 0),
        message(ENABLE, struct.pack("=Q", 1), REPLY),
        enable(3),
        enable(4),
    ]
    assert len(events(records, EventKind.DROPPED)) == 2


def test_an_interrupt_lets_what_waits_go_in_order(process: Process) -> None:
    terminal = Terminal(process)
    front, back = process.session()
    send(front, enable(0))
    terminal.sees("ring 0")
    terminal.child.send_signal(signal.SIGINT)
    assert receive_message(back)[0] == enable(0)
    assert receive_message(back)[0] == b""
    assert terminal.child.wait(10) == 130
    terminal.close()
