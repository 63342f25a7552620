"""`vutrace run`: the program has vutrace between it and the others, and everything else as without it."""

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from kit.proxy_lab import SECONDS, events, frames, message, receive_message, send, wait_for

from vutrace.capture import read
from vutrace.records import Connection, EventKind, Side
from vutrace.sockets.process import credentials

RUN = [sys.executable, "-m", "vutrace", "run"]
PROGRAM = """#!{python}
import array, os, signal, socket, sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from kit import program_played
program_played.play(sys.argv)
"""


class Stage:
    """Programs that are played by a script, a directory, and vutrace in front of them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.capture = place / "capture.pcapng"
        self.private = place / "private"
        self.private.mkdir()
        self.children: list[subprocess.Popen[str]] = []

    def program(self, name: str) -> str:
        """A program of that name; what it does stands behind --play in its arguments."""
        path = self.place / name
        path.write_text(PROGRAM.format(python=sys.executable, tests=str(Path(__file__).parent)))
        path.chmod(0o755)
        return str(path)

    def start(self, *words: str, fds: Sequence[int] = (), **more: object) -> subprocess.Popen[str]:
        """Start vutrace run."""
        child = subprocess.Popen(
            [*RUN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=fds,
            env={**os.environ, "XDG_RUNTIME_DIR": str(self.private)}, start_new_session=True, **more,
        )  # fmt: skip
        self.children.append(child)
        return child

    def backend(self, *words: str, play: str = "echo", **more: object) -> subprocess.Popen[str]:
        """Start a back-end that listens at vhost.sock."""
        socket_word = f"--socket-path={self.place}/vhost.sock"
        command = [*words, "-w", str(self.capture), "--", self.program("virtiofsd"), socket_word]
        return self.start(*command, "--play", play, **more)

    def listen(self, name: str) -> socket.socket:
        """Somebody else listens."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.place / name))
        listener.listen(4)
        listener.settimeout(SECONDS)
        return listener

    def connect(self, name: str) -> socket.socket:
        """Somebody else connects, as soon as there is a socket."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(SECONDS)
        wait_for((self.place / name).exists)
        wait_for(lambda: peer.connect_ex(str(self.place / name)) == 0)
        return peer

    def clean(self) -> bool:
        """Whether nothing is left in the private directory."""
        return not list(self.private.iterdir())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for child in stage.children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()


def ask(peer: socket.socket) -> None:
    """A request and its reply."""
    send(peer, message(1))
    assert receive_message(peer)[0] == message(1, bytes(8), flags=5)


def test_a_backend_that_listens_is_reached_through_vutrace(stage: Stage) -> None:
    child = stage.backend(play="mode")
    front = stage.connect("vhost.sock")
    wait_for(lambda: (stage.place / "vhost.sock").stat().st_mode & 0o777 == 0o765)
    ask(front)
    front.close()
    out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (7, "")
    assert str(stage.private) in out  # where the program was told to listen
    records = [each for each in read(stage.capture) if not isinstance(each, Connection)]
    assert [frame.sender for frame in frames(records)] == [Side.FRONTEND, Side.BACKEND]
    assert stage.clean()
    assert not (stage.place / "vhost.sock").exists()


def test_what_a_program_sent_last_is_recorded_and_so_is_its_end(stage: Stage) -> None:
    child = stage.backend(play="last-words")
    front = stage.connect("vhost.sock")
    send(front, message(1))
    assert receive_message(front)[0] == message(1, bytes(8), flags=5)
    assert receive_message(front) == (b"", [])
    child.communicate(timeout=20)
    assert child.returncode == 128 + signal.SIGABRT
    closed = events(list(read(stage.capture)), EventKind.CLOSE)[-1]  # type: ignore[arg-type]
    assert closed.text == "the back-end closed"


@pytest.mark.parametrize("words", [[], ["--exec"]], ids=["child", "itself"])
def test_rules_act_between_a_program_and_who_connects(stage: Stage, words: list[str]) -> None:
    rule = "GET_FEATURES reply : set features=0x40000000"
    child = stage.backend(*words, "--rule", rule, "--rule", "SET_OWNER : drop", "--rings", "1s")
    front = stage.connect("vhost.sock")
    send(front, message(1))
    assert receive_message(front)[0] == message(1, (1 << 30).to_bytes(8, sys.byteorder), flags=5)
    front.close()
    _, err = child.communicate(timeout=20)
    assert child.returncode == 7
    assert "vutrace: never matched: SET_OWNER : drop\n" in err
    wait_for(lambda: [frame.acted for frame in frames(list(read(stage.capture)))][1])  # type: ignore[arg-type]


def test_a_rule_that_cannot_be_used_is_2_and_nothing_is_started(stage: Stage) -> None:
    for words in (["--rule", "SET_OWNR : drop"], ["--exec", "--rule", "SET_OWNR : drop"]):
        out, err = stage.backend(*words).communicate(timeout=20)
        assert out == ""
        assert err.startswith("vutrace: rule 'SET_OWNR : drop': no message is called 'SET_OWNR'")
        assert stage.children[-1].returncode == 2
        assert not (stage.place / "vhost.sock").exists()
        assert stage.clean()


def test_rows_are_shown_as_asked(stage: Stage) -> None:
    child = stage.backend("--rows", "--message", "GET_FEATURES", "--fold", "-t", "e")
    front = stage.connect("vhost.sock")
    ask(front)
    front.close()
    _, err = child.communicate(timeout=20)
    assert "GET_FEATURES" in err
    assert "front-end closed" not in err  # chosen by its message


def test_a_front_end_that_connects_goes_through_vutrace(stage: Stage) -> None:
    listener = stage.listen("back.sock")
    words = [
        "-chardev",
        f"socket,id=c0,path={stage.place}/back.sock",
        "-netdev",
        "vhost-user,id=n,chardev=c0",
    ]
    command = [stage.program("qemu-system-x86_64"), *words, "--play", "ask"]
    child = stage.start("-w", str(stage.capture), "--rows", "--", *command)
    back = listener.accept()[0]
    assert receive_message(back)[0] == message(1)
    send(back, message(1, bytes(8), flags=5))
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "answered" in out
    assert "the front-end closed" in err  # rows, on stderr
    listener.close()


@pytest.mark.parametrize("connected", [False, True], ids=["listening", "connected"])
def test_an_inherited_descriptor_goes_through_vutrace(stage: Stage, connected: bool) -> None:
    ours, theirs = socket.socketpair() if connected else (None, stage.listen("fd.sock"))
    fd = theirs.fileno()
    command = [stage.program("virtiofsd"), f"--fd={fd}", "--play", "connected" if connected else "echo"]
    child = stage.start("-w", str(stage.capture), "--", *command, fds=[fd])
    theirs.close()
    peer = ours or stage.connect("fd.sock")
    peer.settimeout(SECONDS)
    ask(peer)
    peer.close()
    child.communicate(timeout=20)
    assert child.returncode == 7
    assert len(frames(list(read(stage.capture)))) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_goes_to_the_program_and_its_status_comes_back(stage: Stage, number: int) -> None:
    child = stage.backend(play="signals")
    front = stage.connect("vhost.sock")
    child.send_signal(number)
    out, _ = child.communicate(timeout=20)
    assert f"got {number}\n" in out
    assert out.count("got") == 1
    assert child.returncode == 40 + number
    assert receive_message(front) == (b"", [])
    assert stage.clean()


def test_a_key_of_the_terminal_reaches_the_program_once(stage: Stage) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        words = [*RUN, "-w", str(stage.capture), "--", stage.program("virtiofsd")]
        more = [f"--socket-path={stage.place}/vhost.sock", "--play", "signals"]
        os.execve(words[0], [*words, *more], {**os.environ, "XDG_RUNTIME_DIR": str(stage.private)})
    front = stage.connect("vhost.sock")
    os.write(terminal, b"\x03")
    seen = b""
    while select.select([terminal], [], [], SECONDS)[0]:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # nobody has the terminal any more
            break
    assert seen.count(b"got 2\r\n") == 1
    assert b"a terminal\r\n" in seen
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    assert receive_message(front) == (b"", [])
    os.close(terminal)


def test_a_program_that_goes_to_the_background_is_served_until_it_ends(stage: Stage) -> None:
    child = stage.backend(play="background")
    front = stage.connect("vhost.sock")
    time.sleep(0.3)  # it has been in the background for a while
    ask(front)
    front.close()
    child.communicate(timeout=20)
    assert child.returncode == 7
    assert len(frames(list(read(stage.capture)))) == 2  # type: ignore[arg-type]


def test_the_program_ends_when_vutrace_is_killed(stage: Stage) -> None:
    child = stage.backend(play="pid")
    assert child.stdout
    pid = int(child.stdout.readline())
    stage.connect("vhost.sock")
    child.kill()
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def test_a_socket_in_use_is_4_and_nothing_is_started(stage: Stage) -> None:
    listener = stage.listen("vhost.sock")
    child = stage.backend()
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (4, "")
    assert err == f"vutrace: {stage.place}/vhost.sock: in use by another process\n"
    assert stage.clean()
    listener.close()


def test_a_program_that_cannot_be_started_is_127(stage: Stage) -> None:
    child = stage.start("--", "virtiofsd-that-is-not-there-virtiofsd", f"--socket-path={stage.place}/s")
    _, err = child.communicate(timeout=20)
    assert child.returncode == 127
    assert err == "vutrace: virtiofsd-that-is-not-there-virtiofsd: No such file or directory\n"
    assert stage.clean()


def test_a_dry_run_shows_what_would_be_changed_and_starts_nothing(stage: Stage) -> None:
    child = stage.start("--dry-run", "--", "virtiofsd", "--socket-path=/r/s", "--shared-dir=/a b")
    out, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (0, "")
    assert out == (
        "listens on /r/s as the back-end\n  --socket-path=/r/s\n  --socket-path=vutrace-…/s\n"
        "virtiofsd '--socket-path=vutrace-…/s' '--shared-dir=/a b'\n"
    )
    assert stage.clean()


def test_who_only_speaks_of_others_sockets_is_refused(stage: Stage) -> None:
    told = "ovs-vsctl", "set", "Interface", "v0", "options:vhost-server-path=/r/s"
    for command in (told, ("sudo", *told)):
        child = stage.start("--", *command)
        _, err = child.communicate(timeout=20)
        assert child.returncode == 2
        assert "ovs-vsctl: it only tells the switch: vutrace proxy --insert /r/s traces" in err


# As libvirt does: <emulator> is a script that calls vutrace.

WRAPPER = """#!/bin/sh
exec {vutrace} run --exec -q -w "{place}/vm-$$.pcapng" -- "{emulator}" "$@"
"""
PROBING = (
    "-S -no-user-config -nodefaults -nographic -machine none,accel=kvm:tcg -qmp unix:q,server=on,wait=off"
)


@pytest.fixture
def wrapper(stage: Stage) -> str:
    """The script that docs/run.md has."""
    path = stage.place / "emulator"
    vutrace = f"{sys.executable} -m vutrace"
    emulator = stage.program("qemu-system-x86_64")
    path.write_text(WRAPPER.format(vutrace=vutrace, place=stage.place, emulator=emulator))
    path.chmod(0o755)
    return str(path)


def test_libvirts_questions_are_answered_by_the_emulator_itself(stage: Stage, wrapper: str) -> None:
    words = [*PROBING.split(), "-pidfile", "p", "--play", "pid"]
    child = subprocess.Popen([wrapper, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = child.communicate(timeout=20)
    assert (out, err, child.returncode) == (f"{child.pid}\n", "", 7)
    assert not list(stage.place.glob("*.pcapng"))


def test_libvirts_machine_is_the_process_that_libvirt_started(stage: Stage, wrapper: str) -> None:
    listener = stage.listen("back.sock")
    ours, theirs = socket.socketpair()  # as the monitor's descriptor, which libvirt passes
    words = [
        "-chardev",
        f"socket,id=c0,path={stage.place}/back.sock",
        "-netdev",
        "vhost-user,id=n,chardev=c0",
    ]
    child = subprocess.Popen(
        [wrapper, *words, "--play", "ask", "--monitor", str(theirs.fileno())],
        stdout=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()],
        env={**os.environ, "XDG_RUNTIME_DIR": str(stage.private)},
    )  # fmt: skip
    theirs.close()
    back = listener.accept()[0]
    exchange_as_backend(back)
    assert ours.recv(20) == str(child.pid).encode()
    out, _ = child.communicate(timeout=20)
    assert (child.returncode, out) == (0, "answered\n")
    wait_for(stage.clean)
    (capture,) = stage.place.glob("vm-*.pcapng")
    assert capture.name == f"vm-{child.pid}.pcapng"
    wait_for(lambda: len(frames(list(read(capture)))) == 2)  # type: ignore[arg-type]
    listener.close()


def test_where_vutrace_is_killed_the_machine_reconnects_directly(stage: Stage, wrapper: str) -> None:
    listener = stage.listen("back.sock")
    words = [
        "-chardev",
        f"socket,id=c0,path={stage.place}/back.sock",
        "-netdev",
        "vhost-user,id=n,chardev=c0",
    ]
    child = subprocess.Popen(
        [wrapper, *words, "--play", "ask", "--twice"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(stage.private)},
    )  # fmt: skip
    exchange_as_backend(listener.accept()[0])
    assert child.stdout
    assert child.stdout.readline() == "answered\n"
    (vutrace,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
    os.kill(int(vutrace), signal.SIGKILL)
    back = listener.accept()[0]
    assert credentials(back)[0] == child.pid
    exchange_as_backend(back)
    back.close()
    assert child.communicate(timeout=20)[0] == "answered\n"
    listener.close()


def exchange_as_backend(back: socket.socket) -> None:
    """Answer one request."""
    assert receive_message(back)[0] == message(1)
    send(back, message(1, bytes(8), flags=5))
