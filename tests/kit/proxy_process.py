"""`vutrace proxy` as a process of its own, for tests that kill, starve or stop it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from kit.proxy_lab import SECONDS, message, receive_message, send, wait_for
from vutrace.capture import read
from vutrace.records import Connection, Event, Frame

PROXY = [sys.executable, "-m", "vutrace", "proxy"]
Words = Sequence[str]


class Process:
    """A proxy between `front` and a back-end's `back`, in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.capture = place / "capture.pcapng"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(place / "back"))
        self.listener.listen(16)
        self.listener.settimeout(SECONDS)
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        *words: str,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        before: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start it, and wait until it listens."""
        paths = [str(self.place / "front"), str(self.place / "back")]
        child = subprocess.Popen(
            [*PROXY, *paths, *words], stdout=stdout, stderr=subprocess.PIPE, preexec_fn=before
        )
        self._children.append(child)
        wait_for((self.place / "front").exists)
        return child

    def session(self) -> tuple[socket.socket, socket.socket]:
        """A front-end and a back-end."""
        front = socket.socket(socket.AF_UNIX)
        front.settimeout(SECONDS)
        wait_for(lambda: front.connect_ex(str(self.place / "front")) == 0)
        back = self.listener.accept()[0]
        back.settimeout(SECONDS)
        return front, back

    def stop(self, child: subprocess.Popen[bytes], number: int = signal.SIGINT) -> str:
        """Send a signal; what it said on stderr."""
        child.send_signal(number)
        return child.communicate(timeout=20)[1].decode()

    def records(self) -> list[Frame | Event]:
        """What is in the capture."""
        return [item for item in read(self.capture) if not isinstance(item, Connection)]

    def close(self) -> None:
        """Leave nothing running."""
        self.listener.close()
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.communicate()


def exchange(front: socket.socket, back: socket.socket, times: int = 1) -> float:
    """Requests with a descriptor, and their replies; the seconds of the slowest."""
    event, slowest = os.eventfd(0), 0.0
    for _ in range(times):
        began = time.monotonic()
        send(front, message(13, bytes(8), flags=9), [event])
        _, fds = receive_message(back)
        send(back, message(13, bytes(8), flags=5))
        receive_message(front)
        slowest = max(slowest, time.monotonic() - began)
        for fd in fds:
            os.close(fd)
    os.close(event)
    return slowest


def viewer_of(child: subprocess.Popen[bytes]) -> int:
    """The process that shows the rows."""
    return children_of(child, Path(sys.executable).name.encode(), but=b"\0proxy\0")


def memory_of(pid: int, kind: str = "Pss") -> int:
    """What a process takes of the machine's memory, in KiB; shared pages are divided by who shares them.

    Of the `kind` Pss_Anon they are its own and its children's: of libraries every program has a share.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


def recorder_of(child: subprocess.Popen[bytes]) -> int:
    """The process that records."""
    return children_of(child, b"\0proxy\0")


def children_of(child: subprocess.Popen[bytes], words: bytes, but: bytes = b"\0\0") -> int:
    """The one child whose command line says that."""
    path = Path(f"/proc/{child.pid}/task/{child.pid}/children")

    def found() -> list[int]:
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in path.read_text().split()}
        return [int(pid) for pid, command in commands.items() if words in command and but not in command]

    wait_for(found)
    return found()[0]
