"""`vutrace proxy --insert`: who connects to a socket comes through vutrace; in the end all is as before."""

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, frames, message, receive_message, send, wait_for
from kit.proxy_process import PROXY, exchange

from vutrace.capture import read
from vutrace.cli.inserting import sockets_of
from vutrace.records import Connection, Frame, Side

RESTORE = [sys.executable, "-m", "vutrace", "restore"]
AGAIN = "was bound anew, and vutrace took its place again"
TAKEN = "has its place until it ends"
Words = tuple[str, ...]


class Stage:
    """Sockets of back-ends in a directory, and a vutrace that takes their places."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.path = place / "vhost.sock"
        self.capture = place.parent / f"{place.name}.pcapng"
        self.log = place.parent / "log"
        self.listener = self.bind()
        self.children: list[subprocess.Popen[bytes]] = []

    def bind(self, name: str = "vhost.sock") -> socket.socket:
        """A back-end listens."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.place / name))
        listener.listen(16)
        listener.settimeout(SECONDS)
        return listener

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Take the place of the socket, or of those that are named; returns when it is taken."""
        words = words or ("--insert", str(self.path))
        command = [*PROXY, "-w", str(self.capture), *words]
        with self.log.open("wb") as log:
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        self.children.append(child)
        wait_for(lambda: TAKEN in self.said() or child.poll() is not None)
        return child

    def said(self) -> str:
        """What it has said."""
        return self.log.read_text()

    def connect(self, name: str = "vhost.sock") -> socket.socket:
        """A front-end connects."""
        front = socket.socket(socket.AF_UNIX)
        front.settimeout(SECONDS)
        wait_for(lambda: front.connect_ex(str(self.place / name)) == 0)
        return front

    def session(self, listener: socket.socket | None = None) -> tuple[socket.socket, socket.socket]:
        """A front-end and a back-end."""
        front = self.connect()
        back = (listener or self.listener).accept()[0]
        back.settimeout(SECONDS)
        return front, back

    def stop(self, child: subprocess.Popen[bytes], number: int = signal.SIGINT) -> str:
        """Send a signal to it and all its processes; what it said."""
        os.killpg(child.pid, number) if number == signal.SIGKILL else child.send_signal(number)
        child.wait(20)
        return self.said()

    def frames(self) -> list[Frame]:
        """The messages in the capture."""
        return frames([item for item in read(self.capture) if not isinstance(item, Connection)])

    def as_before(self, *names: str) -> bool:
        """Whether there is nothing in the directory but these sockets."""
        return sorted(os.listdir(self.place)) == sorted(names or ["vhost.sock"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    directory = tmp_path / "run"
    directory.mkdir()
    stage = Stage(directory)
    yield stage
    stage.listener.close()
    for child in stage.children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def test_the_next_connection_goes_through_and_afterwards_all_is_as_before(stage: Stage) -> None:
    child = stage.start()
    exchange(*stage.session(), 3)
    said = stage.stop(child, signal.SIGTERM)
    assert child.returncode == 143
    assert len(stage.frames()) == 6
    assert stage.as_before()
    send(stage.connect(), message(1))
    assert receive_message(stage.listener.accept()[0])[0] == message(1)
    line = said.splitlines()[0]
    assert f"(process {os.getpid()}) listens there, taken for the back-end; vutrace has its place" in line


def test_a_connection_that_stands_goes_on_and_is_told(stage: Stage) -> None:
    front, back = stage.session()
    child = stage.start()
    exchange(front, back, 3)
    said = stage.stop(child)
    exchange(front, back, 3)
    assert not stage.frames()
    assert f"(process {os.getpid()}) stands, past vutrace: it " in said


def test_break_ends_the_connections_that_stand_so_that_they_come_through(stage: Stage) -> None:
    front, back = stage.session()
    child = stage.start("--insert", str(stage.path), "--break", "--yes")
    front.settimeout(SECONDS)
    assert front.recv(1) == back.recv(1) == b""
    exchange(*stage.session(), 2)
    said = stage.stop(child)
    assert f"(process {os.getpid()}) restart it, so that it connects again" in said  # told before
    assert f"(process {os.getpid()}) was ended" in said
    assert len(stage.frames()) == 4
    assert stage.as_before()


@pytest.mark.parametrize("answer", ["n", "y"])
def test_break_asks_on_a_terminal(stage: Stage, answer: str) -> None:
    front, _ = stage.session()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(PROXY[0], [*PROXY, "-q", "-a", "duration:0", "--insert", str(stage.path), "--break"])
    seen = read_until(terminal, "End these connections? [y/N]: ")
    assert "the guest loses this device: " in seen
    os.write(terminal, f"{answer}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    front.setblocking(False)
    ended = front.recv(1) == b"" if answer == "y" else unread(front)
    os.close(terminal)
    assert (status, ended) == (0 if answer == "y" else 1, True)
    assert stage.as_before()


def read_until(terminal: int, wanted: str) -> str:
    """What a program writes on a terminal, up to and with `wanted`."""
    seen = ""
    while wanted not in seen:
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen


def unread(end: socket.socket) -> bool:
    """Whether a connection stands, and nothing has come."""
    with pytest.raises(BlockingIOError):
        end.recv(1)
    return True


def test_killed_by_9_it_is_put_right_by_restore(stage: Stage) -> None:
    front, back = stage.session()
    child = stage.start()
    stage.stop(child, signal.SIGKILL)
    assert not stage.as_before()
    exchange(front, back)
    done = subprocess.run([*RESTORE, str(stage.path)], capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == f"{stage.path}: put right, and as before whoever listens there is reached directly\n"
    )
    assert stage.as_before()
    exchange(*stage.session())


def test_killed_by_9_it_is_put_right_by_the_next_start(stage: Stage) -> None:
    stage.stop(stage.start(), signal.SIGKILL)
    child = stage.start()
    exchange(*stage.session())
    said = stage.stop(child)
    assert "its place was left taken by a vutrace that was killed; that is put right" in said
    assert stage.as_before()


def test_where_only_the_relay_is_killed_its_recording_process_puts_things_right(stage: Stage) -> None:
    child = stage.start()
    child.kill()
    child.wait()
    wait_for(stage.as_before)
    exchange(*stage.session())


def test_a_second_one_is_refused(stage: Stage) -> None:
    first = stage.start()
    done = subprocess.run(
        [*PROXY, "-q", "--insert", str(stage.path)], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 4
    assert done.stderr == f"vutrace: {stage.path}: another vutrace (process {first.pid}) has its place\n"
    exchange(*stage.session())


def end_and_start(stage: Stage) -> socket.socket:
    """As testpmd does: it removes the name when it ends, and binds it when it starts."""
    stage.listener.close()
    stage.path.unlink()
    return stage.bind()


def start_over(stage: Stage) -> socket.socket:
    """As QEMU and OVS do: the name is removed and bound by the new one, while the old one may live."""
    stage.path.unlink()
    return stage.bind()


@pytest.mark.parametrize("restart", [end_and_start, start_over])
def test_the_place_of_a_restarted_backend_is_taken_again(
    stage: Stage, restart: Callable[[Stage], socket.socket]
) -> None:
    child = stage.start()
    exchange(*stage.session(), 2)
    again = restart(stage)
    wait_for(lambda: AGAIN in stage.said())
    exchange(*stage.session(again), 3)
    said = stage.stop(child)
    assert f"{stage.path} {AGAIN}" in said
    assert len(stage.frames()) == 10
    assert stage.as_before()
    exchange(*stage.session(again))
    again.close()


def test_a_backend_that_ended_and_removed_its_name_gets_none(stage: Stage) -> None:
    child = stage.start()
    stage.listener.close()
    stage.path.unlink()
    wait_for(lambda: "was removed by whoever listened there; vutrace takes its place when" in stage.said())
    stage.stop(child)
    assert os.listdir(stage.place) == []


def test_a_name_that_somebody_else_removed_is_listened_on_again(stage: Stage) -> None:
    child = stage.start()
    stage.path.unlink()
    wait_for(stage.path.exists)
    exchange(*stage.session())
    assert "was removed, and vutrace listens there again" in stage.stop(child)
    assert stage.as_before()


def test_a_pattern_means_the_sockets_that_somebody_listens_on(stage: Stage) -> None:
    other, dead = stage.bind("other.sock"), stage.bind("dead.sock")
    dead.close()
    found = sockets_of([f"{stage.place}/*.sock", f"{stage.place}/../run/vhost.sock"])
    assert found == [f"{stage.place}/other.sock", str(stage.path)]
    other.close()


def directory(stage: Stage) -> Words:
    return (str(stage.place),)


def each_by_itself(stage: Stage) -> Words:
    return str(stage.path), "--insert", f"{stage.place}/other.sock"


@pytest.mark.parametrize("words", [directory, each_by_itself])
def test_several_places_are_taken(stage: Stage, words: Callable[[Stage], Words]) -> None:
    other, dead = stage.bind("other.sock"), stage.bind("dead.sock")
    dead.close()
    child = stage.start("--insert", *words(stage))
    for name, listener in (("vhost.sock", stage.listener), ("other.sock", other)):
        exchange(stage.connect(name), listener.accept()[0])
    stage.stop(child)
    assert sorted(frame.connection for frame in stage.frames()) == [0, 0, 1, 1]
    assert stage.as_before("vhost.sock", "other.sock", "dead.sock")
    other.close()


def test_a_front_end_that_listens_is_one(stage: Stage) -> None:
    child = stage.start("--insert", str(stage.path), "--listener", "frontend")
    back = stage.connect()
    front = stage.listener.accept()[0]
    exchange(front, back)
    stage.stop(child)
    assert [frame.sender for frame in stage.frames()] == [Side.FRONTEND, Side.BACKEND]


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--insert", "nothing*"], 2, "--insert nothing*: nobody listens on a socket there"),
        (["--insert", "."], 2, "--insert .: nobody listens on a socket there"),
        (["--insert", "nothing"], 4, "nothing: No such file or directory"),
        (["--insert", "@name"], 4, "@name: a name in the abstract namespace has no file"),
        (["--insert", "x", "--listener", "qemu"], 2, "--listener qemu: frontend or backend is needed"),
        (["--insert", "x", "--break"], 2, "--break ends connections of running guests: --yes"),
        (["front", "back", "--break"], 2, "--insert SOCKET names one"),
        (["--insert", "x", "front"], 2, "a FRONTEND and a BACKEND are needed"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, words: list[str], status: int, text: str) -> None:
    done = subprocess.run(
        [*PROXY, "-q", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    assert done.returncode == status
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
